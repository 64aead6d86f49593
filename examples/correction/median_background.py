"""The background as one number for each frame: the median outside of the cells."""

from typing import Literal

import numpy as np
from pydantic import Field

from pyama_core.processing.background.corrector import CorrectionMethod
from pyama_core.processing.parameters import MethodParameters


class MedianParameters(MethodParameters):
    """What can stand in the configuration."""

    method: Literal["median"] = Field("median", description="name of the correction")
    percentile: float = Field(50, ge=0, le=100, description="the median is percentile 50")


class Median:
    """Looks at each frame, then takes from it what was found."""

    def __init__(self, parameters):
        self.parameters = parameters

    def estimate(self, frame, mask):
        """Return the background; None of a frame that shows none gets that of its neighbours."""
        outside = frame[mask == 0]
        return np.percentile(outside, self.parameters.percentile) if outside.size else None

    def correct(self, frame, estimate):
        """Return the frame without it, as float32."""
        return (frame - np.float64(estimate)).astype(np.float32)


def create(parameters, frame_shape):
    """Make the corrector of a field of view."""
    return Median(parameters)


correction_method = CorrectionMethod(MedianParameters, "median/1", create)
