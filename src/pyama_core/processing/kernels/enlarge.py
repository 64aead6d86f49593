"""Kernel that brings the labels of a working image to the size of the frame."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _label_at(labels: NDArray[np.int32], y: int, x: int) -> int:
    """Return the label at a pixel, or else that of the first neighbour that has one."""
    if labels[y, x] > 0:
        return int(labels[y, x])
    for v in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
            if labels[v, u] > 0:
                return int(labels[v, u])
    return 0


@njit(cache=True, nogil=True)
def _places(n: int, n_small: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pixel of a smaller axis left of each pixel's centre, and how far beyond its own.

    At the ends of the axis the last pixel is held.
    """
    left, beyond = np.empty(n, np.int64), np.empty(n, np.float32)
    for i in range(n):
        place = min(max((i + 0.5) * n_small / n - 0.5, 0.0), n_small - 1.0)
        left[i] = min(int(place), max(n_small - 2, 0))
        beyond[i] = place - left[i]
    return left, beyond


@njit(cache=True, nogil=True)
def enlarge_labels(
    labels: NDArray[np.int32], cells: NDArray[np.float32], height: int, width: int
) -> NDArray[np.int32]:
    """Return labels at a larger size, inside of the line where `cells` is ½.

    `cells`, of the shape of the labels, is interpolated bilinearly. Where it exceeds ½, each pixel
    takes the label of the pixel of the smaller image that covers its centre or, where that has
    none, of a neighbour of it. Labels become 1, 2, … in raster order of their first pixel.
    """
    rows, columns = labels.shape
    top, below = _places(height, rows)
    left, beyond = _places(width, columns)
    column = np.empty(width, np.int64)
    for x in range(width):
        column[x] = (2 * x + 1) * columns // (2 * width)
    numbers = np.zeros(labels.max() + 1, np.int32)
    out = np.zeros((height, width), np.int32)
    line = np.zeros(columns + 1, np.float32)
    n_labels = 0
    for y in range(height):
        row = (2 * y + 1) * rows // (2 * height)
        upper, lower = cells[top[y]], cells[min(top[y] + 1, rows - 1)]
        highest = np.float32(0)
        for x in range(columns):
            line[x] = upper[x] + below[y] * (lower[x] - upper[x])
            highest = max(highest, line[x])
        if highest <= 0.5:
            continue
        for x in range(width):
            at = left[x]
            if line[at] + beyond[x] * (line[at + 1] - line[at]) > 0.5:
                label = _label_at(labels, row, column[x])
                if label > 0 and numbers[label] == 0:
                    n_labels += 1
                    numbers[label] = n_labels
                out[y, x] = numbers[label]
    return out
