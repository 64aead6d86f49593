"""The size of the rings around nuclei, apart from what draws them."""

from __future__ import annotations

from dataclasses import dataclass

from pyama_core.errors import InputError

LARGEST_RADIUS = 1000.0


@dataclass(frozen=True)
class RingSize:
    """How wide a ring is, and how far from the nucleus it begins; in pixels.

    Rings of an area below `min_area` are too small to be measured.
    """

    width: float
    gap: float
    min_area: int = 1

    def __post_init__(self) -> None:
        if not (self.width >= 1 and self.gap >= 0 and self.gap + self.width <= LARGEST_RADIUS):
            raise InputError(
                "Expected a ring of at least 1 pixel, that ends at most "
                f"{LARGEST_RADIUS:g} pixels from the nucleus, found a width of {self.width:.3g} "
                f"pixels after a gap of {self.gap:.3g}; see ring_width and ring_gap."
            )
