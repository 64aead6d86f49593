"""Kernel that sums over all objects of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pyama_core.processing.kernels.runs import Runs

IntArray = NDArray[np.int64]


@njit(cache=True, nogil=True)
def sum_objects(
    runs: Runs, image: NDArray[Any], n_objects: int
) -> tuple[IntArray, IntArray, IntArray, NDArray[np.float64]]:
    """Return number of pixels, sum of rows, sum of columns and sum of the image per object.

    The image is added pixel by pixel in raster order in float64.
    """
    area, row_sum = np.zeros(n_objects, np.int64), np.zeros(n_objects, np.int64)
    column_sum, intensity = np.zeros(n_objects, np.int64), np.zeros(n_objects)
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            i, start, stop = runs.label[run], runs.start[run], runs.stop[run]
            area[i] += stop - start
            row_sum[i] += (stop - start) * y
            column_sum[i] += (stop - start) * (start + stop - 1) // 2
            total = intensity[i]
            for x in range(start, stop):
                total += image[y, x]
            intensity[i] = total
    return area, row_sum, column_sum, intensity
