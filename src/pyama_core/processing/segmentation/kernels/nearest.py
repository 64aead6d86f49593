"""Kernel that finds the nearest object of each pixel.

Exact, in two passes (A. Meijster et al., "A general algorithm for computing distance transforms in
linear time", Mathematical Morphology and its Applications to Image and Signal Processing, 331-340,
2000): down and up the columns to the nearest object above or below, then along each row to the
column whose object is nearest, by the lower envelope of parabolas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled


@compiled()
def _nearest_in_columns(
    labels: NDArray[Any], far: int, away: NDArray[np.int32], row: NDArray[np.int32]
) -> None:
    """Write how far the nearest object in a column is, `far` for none nearer, and its row."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            if labels[y, x] != 0:
                away[y, x], row[y, x] = 0, y
            elif y > 0 and away[y - 1, x] < far - 1:
                away[y, x], row[y, x] = away[y - 1, x] + 1, row[y - 1, x]
            else:
                away[y, x] = far
    for y in range(height - 2, -1, -1):
        for x in range(width):
            if away[y + 1, x] + 1 < away[y, x]:
                away[y, x], row[y, x] = away[y + 1, x] + 1, row[y + 1, x]


@compiled()
def label_nearest(labels: NDArray[Any], square: int, reach: int, out: NDArray[Any]) -> None:
    """Write the label of the nearest object into background near it.

    Parameters
    ----------
    labels
        (Y, X), 0 in the background.
    square
        Largest square of a distance.
    reach
        The largest distance along rows and columns.
    out
        (Y, X), a copy of the labels.
    """
    height, width = labels.shape
    far = reach + 1
    away = np.empty((height, width), np.int32)
    row = np.empty((height, width), np.int32)
    _nearest_in_columns(labels, far, away, row)
    column, begin = np.empty(width, np.int64), np.empty(width, np.int64)
    for y in range(height):
        n = 0
        for x in range(width):
            if away[y, x] >= far:
                continue
            high = np.int64(away[y, x]) ** 2
            start = np.int64(0)
            while n > 0:
                at, last = begin[n - 1], column[n - 1]
                low = np.int64(away[y, last]) ** 2
                if (at - last) ** 2 + low > (at - x) ** 2 + high:
                    n -= 1
                    continue
                start = 1 + (x * x - last * last + high - low) // (2 * (x - last))
                break
            if start < width:
                column[n], begin[n] = x, start
                n += 1
        for i in range(n):
            nearest = column[i]
            high = np.int64(away[y, nearest]) ** 2
            end = begin[i + 1] if i + 1 < n else width
            first = max(begin[i], nearest - reach)
            for x in range(first, min(end, nearest + reach + 1)):
                if labels[y, x] == 0 and (x - nearest) ** 2 + high <= square:
                    out[y, x] = labels[row[y, nearest], nearest]
