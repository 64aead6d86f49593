"""The tracking by overlap as the pipeline knows it: parameters and version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.plugins import Imported
from pyama_core.processing.tracking.tracker import TrackingMethod

ALGORITHM = "iou/1"


class IoUParameters(MethodParameters):
    """Parameters of the tracking by intersection over union."""

    method: Literal["iou"] = Field("iou", description="name of the tracking")
    min_iou: float = Field(
        0.1,
        gt=0,
        le=1,
        description="objects of consecutive frames may be the same cell from this intersection "
        "over union on",
    )


def tracking_method() -> TrackingMethod:
    """Describe the method."""
    return TrackingMethod(
        IoUParameters,
        ALGORITHM,
        Imported("pyama_core.processing.tracking.iou.tracker:IoUTracker"),
        compiled=True,
    )
