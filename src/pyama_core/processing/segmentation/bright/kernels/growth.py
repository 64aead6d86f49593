"""Kernel that grows objects into a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Int32Array = NDArray[np.int32]


@compiled()
def grow(labels: Int32Array, mask: NDArray[np.bool_], steps: int) -> None:
    """Give the pixels of a mask within some steps of an object the label of the nearest, in place.

    A step is to one of four neighbours within the mask. Of objects equally near the one is taken
    whose pixels come first in the step before, the first step being in raster order.
    """
    height, width = labels.shape
    label_at, free = labels.ravel(), mask.ravel()
    here = np.empty(labels.size, np.int64)
    n = 0
    for y in range(height):
        for x in range(width):
            at = y * width + x
            if label_at[at] > 0 and (
                (y > 0 and label_at[at - width] == 0 and free[at - width])
                or (x > 0 and label_at[at - 1] == 0 and free[at - 1])
                or (x < width - 1 and label_at[at + 1] == 0 and free[at + 1])
                or (y < height - 1 and label_at[at + width] == 0 and free[at + width])
            ):
                here[n] = at
                n += 1
    begin, end = 0, n
    for _ in range(steps):
        for i in range(begin, end):
            at = here[i]
            y, x = at // width, at % width
            if y > 0 and label_at[at - width] == 0 and free[at - width]:
                label_at[at - width] = label_at[at]
                here[n] = at - width
                n += 1
            if x > 0 and label_at[at - 1] == 0 and free[at - 1]:
                label_at[at - 1] = label_at[at]
                here[n] = at - 1
                n += 1
            if x < width - 1 and label_at[at + 1] == 0 and free[at + 1]:
                label_at[at + 1] = label_at[at]
                here[n] = at + 1
                n += 1
            if y < height - 1 and label_at[at + width] == 0 and free[at + width]:
                label_at[at + width] = label_at[at]
                here[n] = at + width
                n += 1
        begin, end = end, n
