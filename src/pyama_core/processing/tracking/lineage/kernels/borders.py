"""Kernel that finds the pixels along which objects of a frame touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs, with_room

IntArray = NDArray[np.int64]
Float32Array = NDArray[np.float32]


@compiled()
def _brightest(image: Float32Array, y: int, x: int, reach: int) -> float:
    """Return the largest value of a square around a pixel."""
    largest = image[y, x]
    for row in range(max(y - reach, 0), min(y + reach + 1, image.shape[0])):
        for column in range(max(x - reach, 0), min(x + reach + 1, image.shape[1])):
            largest = max(largest, image[row, column])
    return float(largest)


@compiled()
def border_pixels(
    runs: Runs, n_objects: int, image: Float32Array, reach: int
) -> tuple[IntArray, Float32Array]:
    """Return of each pixel that another object follows, to the right or below, pair and value.

    Pairs of objects a < b are given as a · n_objects + b. The value is the largest one up to
    `reach` pixels away, down and across. A pixel that others follow on both sides is given twice.
    Time is linear in the number of runs and of such pixels.
    """
    pairs, values = np.empty(1024, np.int64), np.empty(1024, np.float32)
    n = 0
    for y in range(runs.first.size - 1):
        below = runs.first[y + 1]
        end = runs.first[y + 2] if y + 2 < runs.first.size else below
        for run in range(runs.first[y], runs.first[y + 1]):
            label, start, stop = runs.label[run], runs.start[run], runs.stop[run]
            room = n + 2 * (stop - start)
            pairs, values = with_room(pairs, room), with_room(values, room)
            following = run + 1
            if following < runs.first[y + 1] and runs.start[following] == stop:
                other = runs.label[following]
                if other != label:
                    pairs[n] = min(label, other) * n_objects + max(label, other)
                    values[n] = _brightest(image, y, stop - 1, reach)
                    n += 1
            while below < end and runs.stop[below] <= start:
                below += 1
            i = below
            while i < end and runs.start[i] < stop:
                other = runs.label[i]
                if other != label:
                    for x in range(max(runs.start[i], start), min(runs.stop[i], stop)):
                        pairs[n] = min(label, other) * n_objects + max(label, other)
                        values[n] = _brightest(image, y, x, reach)
                        n += 1
                i += 1
    return pairs[:n].copy(), values[:n].copy()
