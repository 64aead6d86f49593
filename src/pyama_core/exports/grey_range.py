"""Grey values between which a channel is shown."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLED_FRAMES = 5
_SAMPLED_STEP = 4
_DARKEST, _BRIGHTEST = 0.1, 99.9
"""Percentiles of the pixels that are shown black, and in full colour."""


def grey_range(stack: NDArray[Any], missing: Collection[int] = ()) -> tuple[float, float]:
    """Return the grey values between which a stack is shown, of some frames and pixels.

    Parameters
    ----------
    stack : (T, Y, X) array
        The stack.
    missing : collection of int
        Frames that the source lacks; what stands in for them is no grey value.

    Examples
    --------
    >>> grey_range(np.arange(16.0).reshape(1, 4, 4) + 5)
    (5.0, 6.0)
    """
    there = np.setdiff1d(np.arange(len(stack)), list(missing))
    places = np.linspace(0, there.size - 1, min(_SAMPLED_FRAMES, there.size)).round().astype(int)
    pixels = stack[there[places], ::_SAMPLED_STEP, ::_SAMPLED_STEP]
    if stack.dtype.kind == "f":
        pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return 0.0, 1.0
    start, end = np.percentile(pixels, [_DARKEST, _BRIGHTEST]).tolist()
    return start, end if end > start else start + 1
