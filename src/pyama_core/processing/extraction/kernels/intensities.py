"""Kernels that describe the brightness in and around all objects of a frame.

What is gathered stays as small as one object or its surroundings.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.extraction.kernels.percentiles import MOST_BUCKETS, percentiles
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


class RunsByObject(NamedTuple):
    """The runs of a frame by object, and from top to bottom within each.

    Object i has the places begin[i] ≤ p < begin[i + 1]; there, run[p] is the number of the run and
    row[p] its row.
    """

    begin: IntArray
    run: IntArray
    row: IntArray


@compiled()
def group_runs(runs: Runs, n_objects: int) -> RunsByObject:
    """Sort runs by object, in linear time."""
    begin = np.zeros(n_objects + 1, np.int64)
    for run in range(runs.label.size):
        begin[runs.label[run] + 1] += 1
    begin = np.cumsum(begin)
    end = begin[:-1].copy()
    order, row = np.empty(runs.label.size, np.int64), np.empty(runs.label.size, np.int64)
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            i = runs.label[run]
            order[end[i]], row[end[i]] = run, y
            end[i] += 1
    return RunsByObject(begin, order, row)


@compiled()
def describe_pixels(
    runs: Runs,
    grouped: RunsByObject,
    image: NDArray[Any],
    area: IntArray,
    total: Float64Array,
    parts: Float64Array,
) -> Float64Array:
    """Return standard deviation, minimum, maximum and percentiles, (n, 3 + parts), per object."""
    found = np.empty((area.size, 3 + parts.size))
    room = 0
    for i in range(area.size):
        room = max(room, area[i])
    buffer, rough = np.empty(room, image.dtype), np.empty(room, image.dtype)
    begin = np.empty(MOST_BUCKETS + 2, np.int64)
    for i in range(area.size):
        n = 0
        mean = total[i] / area[i]
        squares = 0.0
        first = grouped.begin[i]
        smallest = largest = image[grouped.row[first], runs.start[grouped.run[first]]]
        for place in range(grouped.begin[i], grouped.begin[i + 1]):
            y, run = grouped.row[place], grouped.run[place]
            for x in range(runs.start[run], runs.stop[run]):
                value = image[y, x]
                buffer[n] = value
                squares += (value - mean) ** 2
                smallest, largest = min(smallest, value), max(largest, value)
                n += 1
        found[i, 0], found[i, 1], found[i, 2] = np.sqrt(squares / n), smallest, largest
        percentiles(buffer[:n], smallest, largest, parts, begin, rough, found[i, 3:])
    return found


@compiled()
def _gather_free(
    runs: Runs,
    row: NDArray[Any],
    y: int,
    left: int,
    right: int,
    latest: NDArray[np.int32],
    least: int,
    out: NDArray[Any],
    n: int,
) -> int:
    """Append the pixels of a row between runs where `latest` is at least `least`."""
    last = runs.first[y + 1]
    run = runs.first[y] + np.searchsorted(runs.stop[runs.first[y] : last], left, side="right")
    x = left
    while x < right:
        end = min(runs.start[run], right) if run < last else right
        for free in range(x, end):
            out[n] = row[free]
            n += latest[free - left] >= least
        if run < last:
            x = max(runs.stop[run], end)
            run += 1
        else:
            x = right
    return n


@compiled()
def _gather_around(
    image: NDArray[Any],
    runs: Runs,
    mine: IntArray,
    row: IntArray,
    box: IntArray,
    ring: int,
    latest: NDArray[np.int32],
    out: NDArray[Any],
) -> int:
    """Write the free pixels at most `ring` rows and columns from an object; return how many.

    A sweep down the rows remembers for each column the last row, at most `ring` below, in which
    the object comes within `ring` columns: what is seen there is near, whatever its shape.
    """
    height, width = image.shape
    left, right = max(box[1] - ring, 0), min(box[3] + ring, width)
    latest[: right - left] = -(ring + 1)
    following = n = 0
    for y in range(max(box[0] - ring, 0), min(box[2] + ring, height)):
        while following < mine.size and row[following] <= y + ring:
            start, stop = runs.start[mine[following]], runs.stop[mine[following]]
            latest[max(start - ring, left) - left : min(stop + ring, right) - left] = row[following]
            following += 1
        n = _gather_free(runs, image[y], y, left, right, latest, y - ring, out, n)
    return n


@compiled()
def medians_around(
    image: NDArray[Any], runs: Runs, grouped: RunsByObject, box: IntArray, ring: int
) -> Float64Array:
    """Return the median of the free pixels around each object, NaN where there are none."""
    n_objects = box.shape[0]
    latest = np.empty(image.shape[1], np.int32)
    room = 0
    for i in range(n_objects):
        size = (box[i, 2] - box[i, 0] + 2 * ring) * (box[i, 3] - box[i, 1] + 2 * ring)
        room = max(room, size)
    around, rough = np.empty(room + 1, image.dtype), np.empty(room + 1, image.dtype)
    begin, half = np.empty(MOST_BUCKETS + 2, np.int64), np.array([0.5])
    medians = np.full(n_objects, np.nan)
    for i in range(n_objects):
        own = slice(grouped.begin[i], grouped.begin[i + 1])
        n = _gather_around(
            image,
            runs,
            grouped.run[own],
            grouped.row[own],
            box[i],
            ring,
            latest,
            around,
        )
        if n > 0:
            smallest = largest = around[0]
            for value in around[:n]:
                smallest, largest = min(smallest, value), max(largest, value)
            percentiles(around[:n], smallest, largest, half, begin, rough, medians[i : i + 1])
    return medians
