"""Kernel that finds the points near other points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled()
def neighbours(
    points: Float64Array, reach: Float64Array, others: Float64Array
) -> tuple[IntArray, IntArray, Float64Array]:
    """Return the pairs (point, other, distance) of at most `reach` of the point.

    The others are searched by row first, so that each point looks at a band of the frame only. For
    some hundred points that takes a quarter of the time of SciPy's `cKDTree`, for ten thousand
    about as much.

    Parameters
    ----------
    points, others
        (n, 2) and (m, 2) float64: row and column.
    reach
        (n,) float64 ≥ 0: largest distance of each point.
    """
    order = np.argsort(others[:, 0], kind="mergesort")
    rows = others[order, 0]
    size = 16
    left, right = np.empty(size, np.int64), np.empty(size, np.int64)
    distances = np.empty(size)
    n = 0
    for i in range(points.shape[0]):
        k = np.searchsorted(rows, points[i, 0] - reach[i])
        while k < rows.size and rows[k] <= points[i, 0] + reach[i]:
            j = order[k]
            k += 1
            distance = np.hypot(others[j, 0] - points[i, 0], others[j, 1] - points[i, 1])
            if distance > reach[i]:
                continue
            if n == size:
                left, right = np.append(left, left), np.append(right, right)
                distances = np.append(distances, distances)
                size *= 2
            left[n], right[n], distances[n] = i, j, distance
            n += 1
    return left[:n], right[:n], distances[:n]
