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
    """

    bright_share: float = 0.5
    reach_ratio: float = 1.0
    covered: float = 0.0


def middle_of(frames: Sequence[Contrast]) -> Contrast:
    """Return the median of each figure over several frames."""
    figures = [(each.bright_share, each.reach_ratio, each.covered) for each in frames]
    share, ratio, covered = np.median(figures, axis=0).tolist()
    return Contrast(share, ratio, covered)
