"""Whether the brightest pixels of a channel lie at the camera's ceiling, noted for the record.

What is brighter than a camera can tell has the largest grey value it knows. So such pixels pile up
at one value, and nothing lies above it; of light that fits, hardly two pixels share the largest.
Whether many share a value is told by others of the same frame, of those that anybody has: grey
values that were stretched, or shifted by some bits, have gaps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

CEILING = "ceiling"
"""Name in the summary of a corrected stack: the grey value at which its copy is cut off."""
SATURATED = "saturated_pixels"
"""Name in it: how many pixels there are at the ceiling, in all frames."""
SATURATED_FROM = "saturated_from"
"""Name in it: how bright they are at least without their background."""

_FEWEST = 20
"""So many pixels are a pile, beyond one of each frame: frames that were each stretched to the same
largest value have one there."""
_NEAR = 1 / 8
"""Part of the way from the largest value down to the mean of its frame, in which other values tell
how many pixels share one."""
_PILE = 10.0
"""Times as many as share other values there."""
_FEWEST_NEAR = 1 / 100
"""Of the pixels in a pile, so many have a neighbour in brightness: what is cut off has slopes, and
what has none, such as a drawing in two colours, was not cut off."""


class Ceiling:
    """Looks for the ceiling of a channel while its frames are corrected, one after the other."""

    def __init__(self) -> None:
        self._begin(0)

    def _begin(self, largest: int) -> None:
        self._largest = largest
        self._n = 0
        self._n_near = 0
        self._n_sharing = 0
        self._usually_sharing = 0.0
        self._least_corrected = math.inf

    def add(self, frame: NDArray[Any], corrected: NDArray[np.float32]) -> None:
        """Look at a (Y, X) frame, and at what it is without its background.

        Grey values that are no integers have been calculated, and tell of no camera.
        """
        if not np.issubdtype(frame.dtype, np.integer):
            return
        largest = int(frame.max())
        if largest <= 0 or largest < self._largest:
            return
        if largest > self._largest:
            self._begin(largest)
        at_ceiling = frame == largest
        n = int(np.count_nonzero(at_ceiling))
        n_values = max(1, math.ceil(_NEAR * (largest - float(frame.mean()))))
        near = frame[(frame >= largest - n_values) & ~at_ceiling]
        self._n += n
        self._n_near += near.size
        self._n_sharing += n - 1
        if near.size:
            self._usually_sharing += near.size / np.unique(near).size - 1
        self._least_corrected = min(self._least_corrected, float(corrected[at_ceiling].min()))

    def summary(self) -> dict[str, int]:
        """Return what was found, for the record; nothing where nothing piles up."""
        is_pile = self._n_sharing >= max(_FEWEST, _PILE * self._usually_sharing)
        piled = is_pile and self._n_near >= _FEWEST_NEAR * self._n
        level = math.floor(self._least_corrected) if piled else 0
        if level <= 0:
            return {}
        return {CEILING: self._largest, SATURATED: self._n, SATURATED_FROM: level}
