"""Parameters of the extraction of traces: what is measured, and what counts as a good cell."""

from __future__ import annotations

from pydantic import Field, field_validator

from pyama_core.processing.extraction.custom import is_registered, registered_names
from pyama_core.processing.extraction.feature_names import (
    GROUPS,
    INTENSITY_FEATURES,
    SHAPE_FEATURES,
)
from pyama_core.processing.extraction.quality import QualityParameters


class ExtractionParameters(QualityParameters):
    """Parameters of the extraction of traces."""

    features: tuple[str, ...] = Field(
        ("shape", "intensity"),
        description="what is measured besides position, total intensity and area: shape and "
        "intensity (all of either), single ones such as perimeter, intensity_median and "
        "background_local, your own as module:function, or nothing: []",
    )
    background_ring: int = Field(
        10,
        ge=1,
        description="the local background is the median of what lies outside of cells, at most so "
        "many pixels away",
    )
    interval_minutes: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="minutes between frames, for files that do not tell the times",
    )

    @field_validator("features")
    @classmethod
    def _known(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        known = [*GROUPS, *SHAPE_FEATURES, *INTENSITY_FEATURES]
        for word in words:
            if word not in known and ":" not in word and not is_registered(word):
                raise ValueError(
                    f"{word!r} is not a feature; expected {', '.join(known + registered_names())} "
                    "or module:function"
                )
        return words
