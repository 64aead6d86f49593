"""Kernels that grow objects: into a mask, and to where a brighter neighbour hides their ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Int32Array = NDArray[np.int32]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


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


@compiled()
def reclaim(
    labels: Int32Array,
    image: Float32Array,
    near: Float32Array,
    between: tuple[Float64Array, Float64Array],
    least_near: Float64Array,
    steps: int,
) -> None:
    """Give objects the free pixels within some steps whose values are between two of their own.

    Only where the highest value near by, `near`, is more than `least_near` of the object: where a
    brighter one is. Steps are to one of four neighbours; of objects equally near the one is taken
    whose pixels come first in the step before.
    """
    height, width = labels.shape
    label_at, value_at, near_at = labels.ravel(), image.ravel(), near.ravel()
    lowest, highest = between
    here = np.empty(labels.size, np.int64)
    n = 0
    for at in range(labels.size):
        if label_at[at] > 0:
            here[n] = at
            n += 1
    begin, end = 0, n
    for _ in range(steps):
        for i in range(begin, end):
            at = here[i]
            label, y, x = label_at[at], at // width, at % width
            for side in range(4):
                v, u = y + (side == 3) - (side == 0), x + (side == 2) - (side == 1)
                if v < 0 or u < 0 or v >= height or u >= width:
                    continue
                to = v * width + u
                if (
                    label_at[to] == 0
                    and lowest[label] < value_at[to] <= highest[label]
                    and near_at[to] > least_near[label]
                ):
                    label_at[to] = label
                    here[n] = to
                    n += 1
        begin, end = end, n
