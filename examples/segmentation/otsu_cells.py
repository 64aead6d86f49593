"""Cells that are bright on a dark background, by Otsu's threshold."""

from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.segmenter import SegmentationMethod


class OtsuParameters(MethodParameters):
    """What can stand in the configuration; what does not fit is refused before the run."""

    method: Literal["otsu"] = Field("otsu", description="name of the segmentation")
    sigma: float = Field(2.0, gt=0, le=20, description="width of the smoothing, pixels")
    min_area: int = Field(50, ge=1, description="smaller objects are no cells, pixels")


class Otsu:
    """Finds the cells of one frame after the other."""

    def __init__(self, parameters):
        self.parameters = parameters

    def segment(self, frame, nuclei=None):
        """Return labels: 0 in the background, another number for each cell."""
        if np.ptp(frame) == 0:  # else the noise of rounding would be cells
            return np.zeros(frame.shape, np.int32)
        smooth = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), self.parameters.sigma)
        grey = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
        small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < self.parameters.min_area)
        labels[np.isin(labels, small)] = 0
        return labels


def create(parameters, fov):
    """Make the segmenter of a field of view."""
    return Otsu(parameters)


# A new version of the algorithm, otsu/2, makes what was found by this one anew.
segmentation_method = SegmentationMethod(OtsuParameters, "otsu/1", create)
