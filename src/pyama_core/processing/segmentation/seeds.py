"""Segmentation of nuclei by the size of the cells that they are in, as `instances` finds them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.cell_diameter import (
    AUTO,
    LARGEST,
    SMALLEST,
    CellDiameterParameters,
    DiameterOrAuto,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "seeds/1"


class SeedParameters(CellDiameterParameters):
    """Parameters of the segmentation of nuclei by the size of cells."""

    method: Literal["seeds"] = Field("seeds", description="name of the segmentation")
    cell_diameter: DiameterOrAuto = Field(
        AUTO,
        description="diameter of the cells that the nuclei are of, in pixels, as 38, or with a "
        "unit, as 25 um; auto: that of the cells that were found in the FOV",
    )


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        SeedParameters,
        ALGORITHM,
        lambda parameters, _fov: SeedSegmenter(parameters),
        compiled=True,
    )


class SeedSegmenter:
    """Find blobs of the size that nuclei have in cells of a known diameter, each frame on its own.

    Parameters
    ----------
    parameters
        With a diameter in pixels, or one that `fit_to_cells` is told.
    """

    def __init__(self, parameters: SeedParameters) -> None:
        given = parameters.cell_diameter
        self.cell_diameter: float | None = None if given == AUTO else float(given)

    def fit_to_cells(self, diameter: float) -> None:
        """Take the typical diameter of cells, in pixels, if the parameters leave it open."""
        if self.cell_diameter is None:
            self.cell_diameter = min(max(SMALLEST, diameter), LARGEST)

    def segment(
        self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None
    ) -> NDArray[np.integer[Any]]:
        """Return the (Y, X) labels of nuclei, which are bright; `nuclei` is not looked at.

        Raises
        ------
        InputError
            If the frame is none, or the diameter of the cells is not known.
        """
        from pyama_core.processing.segmentation.instances.separation import find_nuclei
        from pyama_core.processing.segmentation.scale import Scale  # loads the compiler

        image = as_frame(frame, "frame of nuclei")
        if self.cell_diameter is None:
            raise InputError(
                "Expected the diameter of the cells that nuclei are looked for in, found auto and "
                "no cells; give it as cell_diameter."
            )
        scale = Scale(self.cell_diameter)
        return scale.enlarge(find_nuclei(image, scale), image.shape)
