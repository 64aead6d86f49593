"""Kernels that say how much a piece of one frame is like an object of another, and what touches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
Int32Array = NDArray[np.int32]

_FARTHEST = 0.7  # of the diameter: what lies farther away is another cell
_LEAST_COMMON = 0.1  # of the smaller one
_N_ASKED = 3  # objects under a piece, by common pixels, that are compared with it


@compiled()
def likeness(
    window: Int32Array,
    values: tuple[int, int],
    corner: tuple[int, int],
    labels: Int32Array,
    area: IntArray,
    position: Float64Array,
) -> float:
    """Return the best likeness of a piece and the objects under it in another frame, 0 to 1.

    The intersection over union once the centroids lie on each other, so that a step of the cell
    does not count as a change of its shape, times one less the square of the step in diameters.

    Parameters
    ----------
    window
        A part of the frame, in which the piece is what has values from the first to the last.
    values, corner
        These two, and the row and column of the window in the frame.
    labels, area, position
        Of the other frame: (Y, X) labels from 1, and (n,) and (n, 2) of its objects.
    """
    count = np.zeros(area.size + 1, np.int64)
    n, rows, columns = 0, 0, 0
    for y in range(window.shape[0]):
        for x in range(window.shape[1]):
            if values[0] <= window[y, x] <= values[1]:
                n += 1
                rows += y
                columns += x
                count[labels[corner[0] + y, corner[1] + x]] += 1
    count[0] = 0
    best = 0.0
    for _ in range(_N_ASKED):
        other = 0
        for label in range(1, count.size):
            if count[label] > count[other]:
                other = label
        if other == 0:
            break
        under, size = count[other], area[other - 1]
        count[other] = 0
        down = position[other - 1, 0] - corner[0] - rows / n
        across = position[other - 1, 1] - corner[1] - columns / n
        step = (down * down + across * across) * math.pi / (4 * n)
        if under < _LEAST_COMMON * min(n, size) or step > _FARTHEST**2:
            continue
        top, left = math.floor(down + 0.5) + corner[0], math.floor(across + 0.5) + corner[1]
        common = 0
        for y in range(max(0, -top), min(window.shape[0], labels.shape[0] - top)):
            for x in range(max(0, -left), min(window.shape[1], labels.shape[1] - left)):
                if labels[top + y, left + x] == other and values[0] <= window[y, x] <= values[1]:
                    common += 1
        best = max(best, common / (n + size - common) * (1 - step))
    return best


@compiled()
def hang_together(window: Int32Array, n: int, gap: int) -> bool:
    """Return whether the values 1 to n of a window are one group of neighbours.

    Neighbours have pixels that are at most so far apart along a row or a column.
    """
    height, width = window.shape
    group = np.arange(n + 1)
    n_groups = n
    for y in range(height):
        for x in range(width):
            value = window[y, x]
            if value == 0:
                continue
            for far in range(1, gap + 1):
                for down in range(2):
                    v, u = y + far * down, x + far * (1 - down)
                    if v >= height or u >= width or window[v, u] == 0:
                        continue
                    one, two = group[value], group[window[v, u]]
                    if one != two:
                        n_groups -= 1
                        for i in range(1, n + 1):
                            if group[i] == two:
                                group[i] = one
    return n_groups == 1
