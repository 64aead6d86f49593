"""Kernel that sums an image over all objects of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import Runs


@njit(cache=True, nogil=True)
def sum_objects(runs: Runs, image: NDArray[Any], n_objects: int) -> NDArray[np.float64]:
    """Return the sum of the image over each object, pixel by pixel in raster order in float64."""
    sums = np.zeros(n_objects)
    for y in range(runs.first.size - 1):
        row = image[y]
        for run in range(runs.first[y], runs.first[y + 1]):
            total = sums[runs.label[run]]
            for x in range(runs.start[run], runs.stop[run]):
                total += row[x]
            sums[runs.label[run]] = total
    return sums
