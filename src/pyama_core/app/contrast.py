"""Between which grey values a stack is shown, as long as nobody says otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOOKED_AT = 5
"""Frames, spread over the stack."""
_STEP = 4
_DARKEST, _BRIGHTEST = 0.1, 99.9
_BACKGROUND = 50.0
"""Share of pixels that are dark where something shines."""


def contrast_of(stack: NDArray[Any], *, shines: bool) -> tuple[float, float]:
    """Return the grey values shown black and white.

    White are the brightest 0.1 % of the brightest frame, so that a cell that lights up late is not
    white from the beginning. Black are the darkest 0.1 %, or, in fluorescence, the background.

    Parameters
    ----------
    stack : (T, Y, X) array
        Of which a few frames are looked at, every fourth pixel in each direction.
    shines : bool
        Whether it is fluorescence.
    """
    if stack.size == 0:
        return 0.0, 1.0
    times = np.unique(np.linspace(0, len(stack) - 1, _LOOKED_AT).round().astype(int))
    limits = []
    for t in times.tolist():
        values = np.asarray(stack[t, ::_STEP, ::_STEP], np.float32)
        values = values[np.isfinite(values)]
        if values.size:
            limits.append(np.percentile(values, (_BACKGROUND if shines else _DARKEST, _BRIGHTEST)))
    if not limits:
        return 0.0, 1.0
    low = float(min(each[0] for each in limits))
    high = float(max(each[1] for each in limits))
    return low, high if high > low else low + 1.0
