"""How the contrast of a frame lies: above its surroundings, below them, or on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALLEST_SIDE = 80
"""In pixels: of smaller frames the surroundings are not seen."""


@dataclass(frozen=True)
class Contrast:
    """The contrast of a frame, or of several in the middle.

    Attributes
    ----------
    bright_share : float
        Share of what is brighter than its surroundings in all contrast beyond the noise; 0.5 where
        there is none.
    reach_ratio : float
        How far the brightest pixels reach above the usual over how far the darkest reach below.
    covered : float
        Share of the pixels whose contrast is beyond the noise.
    fine_share : float or None
        The same as `bright_share`, to surroundings half as wide; None where not measured.
    sharpness : float
        What is left of the strongest contrast to surroundings half as wide: little of what is
        uneven illumination.
    largest, span : float
        Share of these pixels in the largest connected part of them, and the share of the frame
        that this spans, in width or height, whichever is less.
    unevenness : float
        How far the background differs across the frame, in units of the strongest detail: little
        where cells are what stands out, much under steep illumination.
    """

    bright_share: float = 0.5
    reach_ratio: float = 1.0
    covered: float = 0.0
    fine_share: float | None = None
    sharpness: float = 1.0
    largest: float = 0.0
    span: float = 0.0
    unevenness: float = 0.0

    @property
    def disagreement(self) -> float:
        """How far the two shares of what is brighter lie apart."""
        return 0.0 if self.fine_share is None else abs(self.bright_share - self.fine_share)


def middle_of(frames: Sequence[Contrast]) -> Contrast:
    """Return the median of each figure over several frames."""
    figures = [
        [
            each.bright_share,
            each.reach_ratio,
            each.covered,
            each.bright_share if each.fine_share is None else each.fine_share,
            each.sharpness,
            each.largest,
            each.span,
            each.unevenness,
        ]
        for each in frames
    ]
    return Contrast(*np.median(figures, axis=0).tolist())
