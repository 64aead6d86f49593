"""Parameters of the extraction of traces: what is measured, and what counts as a good cell."""

from __future__ import annotations

from pydantic import Field, field_validator

from pyama_core.processing.extraction.custom import is_registered, registered_names
from pyama_core.processing.extraction.feature_names import (
    BUILT_IN,
    GROUPS,
    are_of_compartments,
)
from pyama_core.processing.extraction.quality import QualityParameters
from pyama_core.processing.extraction.ring_size import RingSize
from pyama_core.processing.lengths import Length, length_in_pixels


class ExtractionParameters(QualityParameters):
    """Parameters of the extraction of traces."""

    features: tuple[str, ...] = Field(
        ("shape", "intensity"),
        description="what is measured besides position, total intensity and area: shape and "
        "intensity (all of either), single ones such as perimeter, intensity_median and "
        "background_local, your own as module:function, or nothing: []; with a channel of nuclei "
        "compartments (n_nuclei, area_nucleus, area_ring, intensity_mean_nucleus, "
        "intensity_mean_ring, ratio_nucleus_ring), and single ones such as intensity_median_ring",
    )
    ring_width: Length = Field(
        5.0,
        description="width of the ring around a nucleus, within its cell, in pixels, as 5, or with "
        "a unit, as 2 um",
    )
    ring_gap: Length = Field(
        1.0,
        description="how far from the nucleus, and from those of other cells, the ring begins",
    )
    min_ring_area: int = Field(
        10,
        ge=1,
        description="least area of a ring in pixels; in a smaller one, as crowds leave, nothing is "
        "measured",
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

    @property
    def needs_nuclei(self) -> bool:
        """Whether some of the features are of nuclei or of the rings around them."""
        return are_of_compartments(self.features)

    def ring_in_pixels(self, pixel_size_um: float | None) -> RingSize:
        """Return the size of rings in pixels.

        Raises
        ------
        InputError
            It is a length and the pixel size is unknown, or there can be no such rings.
        """
        return RingSize(
            length_in_pixels(self.ring_width, pixel_size_um, "ring_width"),
            length_in_pixels(self.ring_gap, pixel_size_um, "ring_gap"),
            self.min_ring_area,
        )

    @field_validator("features")
    @classmethod
    def _known(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        known = [*GROUPS, *BUILT_IN]
        for word in words:
            if word not in known and ":" not in word and not is_registered(word):
                raise ValueError(
                    f"{word!r} is not a feature; expected {', '.join(known + registered_names())} "
                    "or module:function"
                )
        return words
