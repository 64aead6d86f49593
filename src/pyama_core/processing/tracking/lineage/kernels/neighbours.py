"""Kernel that finds the points near other points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import with_room

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
    # The compiler takes a second for the sorting alone.
    order = np.argsort(others[:, 0], kind="stable")
    return _near(points, reach, others, order, others[order, 0])


@compiled()
def _near(
    points: Float64Array,
    reach: Float64Array,
    others: Float64Array,
    order: IntArray,
    rows: Float64Array,
) -> tuple[IntArray, IntArray, Float64Array]:
    """Do what `neighbours` does, given the order of the others by row, and their rows."""
    left, right = np.empty(16, np.int64), np.empty(16, np.int64)
    distances = np.empty(16)
    n = 0
    for i in range(points.shape[0]):
        k = np.searchsorted(rows, points[i, 0] - reach[i])
        while k < rows.size and rows[k] <= points[i, 0] + reach[i]:
            j = order[k]
            k += 1
            distance = np.hypot(others[j, 0] - points[i, 0], others[j, 1] - points[i, 1])
            if distance > reach[i]:
                continue
            if n == left.size:
                left, right = with_room(left, n + 1), with_room(right, n + 1)
                distances = with_room(distances, n + 1)
            left[n], right[n], distances[n] = i, j, distance
            n += 1
    return left[:n], right[:n], distances[:n]
