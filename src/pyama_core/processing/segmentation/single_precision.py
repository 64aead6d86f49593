"""Frames whose pixels, and the squares of these, are within the range of single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import as_frame, read_only

SMALLEST_PEAK, LARGEST_PEAK = 1e-3, 1e12
"""Floats whose squares, and those of faint contrast, are within the range of single precision."""


def in_single_precision(pixels: NDArray[Any], what: str) -> NDArray[Any]:
    """Return a frame that can be segmented in single precision; see `as_frame` for errors."""
    frame = as_frame(pixels, what)
    if frame.dtype.kind != "f":
        return frame
    largest = max(float(frame.max()), -float(frame.min()))
    if largest == 0 or SMALLEST_PEAK <= largest <= LARGEST_PEAK:
        return frame
    # A power of two changes nothing but the unit.
    return read_only(np.ldexp(frame, 12 - int(np.frexp(largest)[1])))
