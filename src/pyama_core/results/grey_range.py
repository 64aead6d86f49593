"""Grey values between which a stack is shown, as long as nobody says otherwise."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLED_FRAMES = 5
_SAMPLED_STEP = 4
_DARKEST, _BRIGHTEST = 0.1, 99.9
"""Percentiles of the pixels that are shown black, and in full colour."""
_BACKGROUND = 50.0
"""Share of pixels that are dark where something shines."""


def grey_range(
    stack: NDArray[Any], missing: Collection[int] = (), *, shines: bool = False
) -> tuple[float, float]:
    """Return the grey values between which a stack is shown, of some frames and pixels.

    White are the brightest 0.1 % of the brightest frame, so that a cell that lights up late is not
    white from the beginning. Black are the darkest 0.1 % of the darkest, or the background.

    Parameters
    ----------
    stack : (T, Y, X) array
        The stack, of which every fourth pixel in each direction is looked at.
    missing : collection of int
        Frames that the source lacks; what stands in for them is no grey value.
    shines : bool
        Whether it is fluorescence before a dark background, which is to be black.

    Examples
    --------
    >>> grey_range(np.arange(16.0).reshape(1, 4, 4) + 5)
    (5.0, 6.0)
    """
    there = np.setdiff1d(np.arange(len(stack)), list(missing))
    places = np.linspace(0, there.size - 1, min(_SAMPLED_FRAMES, there.size)).round().astype(int)
    shares = (_BACKGROUND if shines else _DARKEST, _BRIGHTEST)
    limits = []
    for t in np.unique(there[places]).tolist():
        pixels = np.asarray(stack[t, ::_SAMPLED_STEP, ::_SAMPLED_STEP])
        if pixels.dtype.kind == "f":
            pixels = pixels[np.isfinite(pixels)]
        if pixels.size:
            limits.append(np.percentile(pixels, shares).tolist())
    if not limits:
        return 0.0, 1.0
    start, end = min(low for low, _ in limits), max(high for _, high in limits)
    return start, end if end > start else start + 1
