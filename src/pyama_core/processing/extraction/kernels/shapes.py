"""Kernels that measure the outline and the convex hull of all objects of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_NONE = 2**60


@compiled()
def second_moments(
    runs: Runs, area: IntArray, row_sum: IntArray, column_sum: IntArray
) -> Float64Array:
    """Return the variances of rows and of columns and their covariance, (n, 3), per object."""
    moments = np.zeros((area.size, 3))
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            i, start, stop = runs.label[run], runs.start[run], runs.stop[run]
            down = y - row_sum[i] / area[i]
            n = stop - start
            across = (start + stop - 1) / 2 - column_sum[i] / area[i]
            moments[i, 0] += n * down * down
            moments[i, 1] += n * across * across + n * (n * n - 1) / 12
            moments[i, 2] += n * down * across
    return moments / area.reshape(-1, 1)


@compiled()
def outline_pixels(labels: NDArray[Any], runs: Runs) -> NDArray[np.uint8]:
    """Mark the pixels of objects with one of 4 neighbours outside of theirs."""
    height, width = labels.shape
    outline = np.zeros((height, width), np.uint8)
    for y in range(height):
        for run in range(runs.first[y], runs.first[y + 1]):
            start, stop = runs.start[run], runs.stop[run]
            if y == 0 or y == height - 1:
                outline[y, start:stop] = 1
                continue
            label = labels[y, start]
            for x in range(start, stop):
                outline[y, x] = (labels[y - 1, x] != label) | (labels[y + 1, x] != label)
            outline[y, start] = outline[y, stop - 1] = 1
    return outline


@compiled()
def _same(labels: NDArray[Any], outline: NDArray[np.uint8], y: int, x: int, label: Any) -> int:
    """Return 1 for an outline pixel of the object, 0 for others."""
    return int(outline[y, x] & (labels[y, x] == label))


@compiled()
def _pattern(labels: NDArray[Any], outline: NDArray[np.uint8], y: int, x: int) -> int:
    """Return 1 + 2 · (outline pixels of the object among the 4 neighbours) + 10 · (diagonal)."""
    height, width = labels.shape
    label = labels[y, x]
    direct = diagonal = 0
    if 0 < y < height - 1 and 0 < x < width - 1:
        for v in (y - 1, y + 1):
            direct += _same(labels, outline, v, x, label)
            diagonal += _same(labels, outline, v, x - 1, label)
            diagonal += _same(labels, outline, v, x + 1, label)
        direct += _same(labels, outline, y, x - 1, label)
        direct += _same(labels, outline, y, x + 1, label)
        return 1 + 2 * direct + 10 * diagonal
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            if v == y or u == x:
                direct += _same(labels, outline, v, u, label)
            else:
                diagonal += _same(labels, outline, v, u, label)
    return 1 + 2 * (direct - 1) + 10 * diagonal


@compiled()
def perimeters(
    labels: NDArray[Any],
    runs: Runs,
    outline: NDArray[np.uint8],
    weights: Float64Array,
    n_objects: int,
) -> Float64Array:
    """Sum over the outline of each object the weights of the patterns that its pixels make."""
    total = np.zeros(n_objects)
    for y in range(labels.shape[0]):
        for run in range(runs.first[y], runs.first[y + 1]):
            for x in range(runs.start[run], runs.stop[run]):
                if outline[y, x]:
                    total[runs.label[run]] += weights[_pattern(labels, outline, y, x)]
    return total


@compiled()
def _first_columns(side: IntArray, out: IntArray) -> None:
    """Write the first column of an object's convex hull in each of its rows.

    The hull is that of the centres of the four edges of each pixel; coordinates are doubled, to
    stay whole. `side` has the first column of the object in each row, `_NONE` where it has none.
    """
    n_rows = side.size
    x = np.full(2 * n_rows + 1, _NONE)  # of the hull's corners, by doubled row + 1
    for row in range(n_rows):
        if side[row] != _NONE:
            x[2 * row] = min(x[2 * row], 2 * side[row])
            x[2 * row + 1] = 2 * side[row] - 1
            x[2 * row + 2] = 2 * side[row]
    chain = np.empty(2 * n_rows + 1, np.int64)
    n = 0
    for i in range(2 * n_rows + 1):
        if x[i] == _NONE:
            continue
        while n > 1:
            a, b = chain[n - 2], chain[n - 1]
            if (b - a) * (x[i] - x[a]) > (x[b] - x[a]) * (i - a):
                break
            n -= 1
        chain[n] = i
        n += 1
    piece = 0
    for row in range(n_rows):
        i = 2 * row + 1
        while chain[piece + 1] < i:
            piece += 1
        a, b = chain[piece], chain[piece + 1]
        # The first whole column right of the chain: half of x rounded up.
        doubled = x[a] * (b - a) + (x[b] - x[a]) * (i - a)
        out[row] = -((-doubled) // (2 * (b - a)))


@compiled()
def hull_areas(runs: Runs, box: IntArray) -> IntArray:
    """Return the number of pixels whose centres lie in the convex hull of each object.

    Parameters
    ----------
    box
        (n, 4): first row, first column, last row + 1 and last column + 1.
    """
    n_objects = box.shape[0]
    begin = np.zeros(n_objects + 1, np.int64)
    for i in range(n_objects):  # not sums into a slice: see `runs.with_room`
        begin[i + 1] = begin[i] + box[i, 2] - box[i, 0]
    first, last = np.full(begin[n_objects], _NONE), np.full(begin[n_objects], _NONE)
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            i = runs.label[run]
            row = begin[i] + y - box[i, 0]
            if first[row] == _NONE:
                first[row] = runs.start[run]
            last[row] = -(runs.stop[run] - 1)  # mirrored, so that it is a first column too
    left, right = np.empty(begin[n_objects], np.int64), np.empty(begin[n_objects], np.int64)
    area = np.zeros(n_objects, np.int64)
    for i in range(n_objects):
        rows = slice(begin[i], begin[i + 1])
        _first_columns(first[rows], left[rows])
        _first_columns(last[rows], right[rows])
        area[i] = (1 - right[rows] - left[rows]).sum()
    return area
