"""Kernels that tell the dark body of a cell from the halo that its outline takes in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs, with_room

Int32Array = NDArray[np.int32]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


@compiled()
def two_levels(runs: Runs, image: Float32Array, n_labels: int, rounds: int) -> Float64Array:
    """Return of each label the means of its dark and of its bright pixels, (n_labels + 1, 2).

    What is dark is told from the middle of both means, at first the mean of all, so many times.
    Where all pixels are alike both are their mean; of labels that do not occur they are 0.

    The threshold that lies in the middle of the two means that it makes: T. W. Ridler, S. Calvard,
    "Picture thresholding using an iterative selection method", IEEE Transactions on Systems, Man,
    and Cybernetics 8, 630-632 (1978).
    """
    levels = np.full((n_labels + 1, 2), np.inf)
    for _ in range(rounds + 1):
        total, count = np.zeros((n_labels + 1, 2)), np.zeros((n_labels + 1, 2), np.int64)
        for y in range(runs.first.size - 1):
            row = image[y]
            for run in range(runs.first[y], runs.first[y + 1]):
                label = runs.label[run]
                middle = (levels[label, 0] + levels[label, 1]) / 2
                dark, bright, n_bright = 0.0, 0.0, 0
                for x in range(runs.start[run], runs.stop[run]):
                    is_bright = row[x] > middle
                    dark += 0.0 if is_bright else row[x]
                    bright += row[x] if is_bright else 0.0
                    n_bright += is_bright
                total[label, 0] += dark
                total[label, 1] += bright
                count[label, 0] += runs.stop[run] - runs.start[run] - n_bright
                count[label, 1] += n_bright
        for label in range(n_labels + 1):
            levels[label, 0] = total[label, 0] / max(count[label, 0], 1)
            if count[label, 1] > 0:
                levels[label, 1] = total[label, 1] / count[label, 1]
            else:
                levels[label, 1] = levels[label, 0]
    return levels


@compiled()
def shed(runs: Runs, image: Float32Array, limit: Float64Array, labels: Int32Array) -> None:
    """Take from each label, in place, what exceeds its limit and is connected to its outside.

    4-connected, through such pixels. `runs` are those of the labels; beyond the edge of the image
    they go on.
    """
    height, width = labels.shape
    todo = np.empty(1024, np.int64)
    for y in range(height):
        for run in range(runs.first[y], runs.first[y + 1]):
            label = np.int32(runs.label[run])
            least = limit[label]
            for x in range(runs.start[run], runs.stop[run]):
                if labels[y, x] != label or image[y, x] <= least:
                    continue
                is_inside = labels[max(y - 1, 0), x] == label
                is_inside &= labels[min(y + 1, height - 1), x] == label
                is_inside &= labels[y, max(x - 1, 0)] == label
                if is_inside and labels[y, min(x + 1, width - 1)] == label:
                    continue
                labels[y, x] = 0
                todo[0] = y * width + x
                n = 1
                while n > 0:
                    n -= 1
                    q, p = todo[n] // width, todo[n] % width
                    todo = with_room(todo, n + 4)
                    for v, u in ((q - 1, p), (q, p - 1), (q, p + 1), (q + 1, p)):
                        is_within = 0 <= v < height and 0 <= u < width
                        if is_within and labels[v, u] == label and image[v, u] > least:
                            labels[v, u] = 0
                            todo[n] = v * width + u
                            n += 1


@compiled()
def spread_of_dark(
    runs: Runs, labels: Int32Array, image: Float32Array, limit: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return of each label how many pixels lie deep in its dark part, and how even these are.

    Those are not beyond its limit, nor are their neighbours to the four sides, which are of the
    same label. Beyond the edge of the image is what is along it. How even: the standard deviation,
    infinite where there are none. `runs` are those of the labels.
    """
    height, width = labels.shape
    sums = np.zeros((limit.size, 3))
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for run in range(runs.first[y], runs.first[y + 1]):
            label, n = runs.label[run], 0
            most, total, squares = limit[label], 0.0, 0.0
            for x in range(runs.start[run], runs.stop[run]):
                value = np.float64(image[y, x])
                if value > most:
                    continue
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                is_own = labels[up, x] == label and labels[down, x] == label
                is_own &= labels[y, left] == label and labels[y, right] == label
                beside = max(image[y, left], image[y, right])
                if is_own and max(beside, image[up, x], image[down, x]) <= most:
                    n += 1
                    total += value
                    squares += value * value
            sums[label, 0] += n
            sums[label, 1] += total
            sums[label, 2] += squares
    spread = np.full(limit.size, np.inf)
    for label in range(limit.size):
        n_inside = sums[label, 0]
        if n_inside > 0:
            variance = sums[label, 2] / n_inside - (sums[label, 1] / n_inside) ** 2
            spread[label] = np.sqrt(max(0.0, variance))
    return sums[:, 0], spread
