"""The log-STD segmentation as the pipeline knows it: parameters and version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pyama_core.processing.parameters import MethodParameters, OddInt
from pyama_core.processing.plugins import Imported
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "log-std/1"


class LogStdParameters(MethodParameters):
    """Parameters of the log-STD segmentation."""

    method: Literal["log-std"] = Field("log-std", description="name of the segmentation")
    window_radius: int = Field(
        1,
        ge=1,
        # 18 is the largest radius for which the sums of 16-bit images fit 53 bits.
        le=18,
        description="the variance is that of a window of (2·radius + 1)² pixels",
    )
    n_bins: int = Field(
        200, ge=2, le=65_536, description="bins of the histogram of log-STD whose mode is taken"
    )
    n_sigma: float = Field(
        3.0,
        ge=0,
        allow_inf_nan=False,
        description="a cell's log-STD exceeds the mode by so many standard deviations",
    )
    square_size: OddInt = Field(
        7, ge=1, le=101, description="side of the opening's and the closing's square, odd, pixels"
    )
    iterations: int = Field(
        3, ge=1, le=20, description="how often the opening and the closing apply their square"
    )

    @property
    def margin(self) -> int:
        """As far as the opening and the closing reach, for nothing is beyond the frame."""
        return self.square_size // 2 * self.iterations


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        LogStdParameters,
        ALGORITHM,
        Imported("pyama_core.processing.segmentation.log_std.segmenter:create"),
        labels=False,
        compiled=True,
    )
