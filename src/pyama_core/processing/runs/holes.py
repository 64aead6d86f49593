"""Kernel that fills the holes of a mask up to a size."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import Runs


@njit(cache=True, nogil=True)
def fill_small(
    background: Runs, n_parts: int, width: int, largest: float, out: NDArray[np.bool_]
) -> None:
    """Set the parts of the background of fewer than `largest` pixels that do not reach the edge."""
    last = background.first.size - 2
    area = np.zeros(n_parts, np.float64)
    for y in range(last + 1):
        for run in range(background.first[y], background.first[y + 1]):
            start, stop = background.start[run], background.stop[run]
            part = background.label[run]
            area[part] += stop - start
            if y == 0 or y == last or start == 0 or stop == width:
                area[part] = np.inf
    for y in range(last + 1):
        for run in range(background.first[y], background.first[y + 1]):
            if area[background.label[run]] < largest:
                out[y, background.start[run] : background.stop[run]] = True
