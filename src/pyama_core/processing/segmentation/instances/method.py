"""The segmentation into instances as the pipeline knows it: parameters and version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pyama_core.processing.plugins import Imported
from pyama_core.processing.segmentation.cell_diameter import (
    AUTO,
    CellDiameterParameters,
    DiameterOrAuto,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "instances/8"
NUCLEI = "nuclei"
"""The word for seeds that are whole nuclei."""
_PARTS = "pyama_core.processing.segmentation.instances.warm_up"
_PARTS_BY_TIME = ("basins", "bodies", "cells", "outlined", "enlarged")


class InstanceParameters(CellDiameterParameters):
    """Parameters of the segmentation into instances."""

    method: Literal["instances"] = Field("instances", description="name of the segmentation")
    cell_diameter: DiameterOrAuto = Field(
        AUTO,
        description="diameter of a disc with the area of a typical cell, in pixels, as 38, or with "
        "a unit, as 25 um; auto estimates it for each FOV from three of its frames",
    )
    seeds: Literal["auto", "nuclei"] = Field(
        "auto",
        description="what stands for a cell where there is a channel of nuclei (--nuclei): auto, "
        "spots as large as nuclei are in cells of this diameter; nuclei, each nucleus that bright "
        "finds there with its defaults, whatever its size",
    )


def _needs_nuclei(parameters: InstanceParameters) -> bool:
    return parameters.seeds == NUCLEI


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        InstanceParameters,
        ALGORITHM,
        Imported("pyama_core.processing.segmentation.instances.segmenter:create"),
        beside_calibration=("grow_by",),
        by_nuclei=True,
        needs_nuclei=_needs_nuclei,
        compiled=True,
        parts=tuple(Imported(f"{_PARTS}:{name}") for name in _PARTS_BY_TIME),
    )
