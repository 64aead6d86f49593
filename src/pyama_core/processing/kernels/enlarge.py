"""Kernels that shrink a frame to its working image and bring the labels found in it back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _edges(n: int, n_small: int) -> tuple[Int64Array, Int64Array, Float64Array, Float64Array]:
    """Return the first and last pixel under each pixel of a smaller axis, and their weights.

    A weight is the part of the pixel that is covered.
    """
    first, last = np.empty(n_small, np.int64), np.empty(n_small, np.int64)
    first_weight, last_weight = np.empty(n_small), np.empty(n_small)
    for i in range(n_small):
        # In multiples of 1 / n_small all edges are whole numbers.
        first[i] = i * n // n_small
        last[i] = ((i + 1) * n - 1) // n_small
        first_weight[i] = (min((first[i] + 1) * n_small, (i + 1) * n) - i * n) / n_small
        last_weight[i] = ((i + 1) * n - max(last[i] * n_small, i * n)) / n_small
    return first, last, first_weight, last_weight


@njit(cache=True, nogil=True)
def shrink_frame(frame: NDArray[Any], height: int, width: int) -> Float32Array:
    """Return a frame at a smaller size, each pixel the mean of what it covers.

    In double precision, so that what is constant stays exactly so.
    """
    top, bottom, top_weight, bottom_weight = _edges(frame.shape[0], height)
    left, right, left_weight, right_weight = _edges(frame.shape[1], width)
    part = height / frame.shape[0] * (width / frame.shape[1])
    out = np.empty((height, width), np.float32)
    line = np.empty(frame.shape[1])
    for i in range(height):
        row, weight = frame[top[i]], top_weight[i]
        for x in range(line.size):
            line[x] = weight * row[x]
        for y in range(top[i] + 1, bottom[i]):
            row = frame[y]
            for x in range(line.size):
                line[x] += row[x]
        if bottom[i] > top[i]:
            row, weight = frame[bottom[i]], bottom_weight[i]
            for x in range(line.size):
                line[x] += weight * row[x]
        for j in range(width):
            total = left_weight[j] * line[left[j]]
            for x in range(left[j] + 1, right[j]):
                total += line[x]
            if right[j] > left[j]:
                total += right_weight[j] * line[right[j]]
            out[i, j] = part * total
    return out


@njit(cache=True, nogil=True)
def _places(n: int, n_small: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pixel of a smaller axis left of each pixel's centre, and how far beyond its own.

    At the ends of the axis the last pixel is held.
    """
    left, beyond = np.empty(n, np.int64), np.empty(n, np.float32)
    for i in range(n):
        place = min(max((i + 0.5) * n_small / n - 0.5, 0.0), n_small - 1.0)
        left[i] = min(int(place), max(n_small - 2, 0))
        beyond[i] = place - left[i]
    return left, beyond


@njit(cache=True, nogil=True)
def _grown(labels: NDArray[np.int32], cells: Float32Array, y: int, out: NDArray[np.int32]) -> int:
    """Write a row of labels, those without one taking that of their first neighbour; return any.

    Where `cells` is 0 there is no cell near.
    """
    rows, columns = labels.shape
    largest = 0
    for x in range(columns):
        label = labels[y, x]
        if label == 0 and cells[y, x] > 0:
            for v in range(max(y - 1, 0), min(y + 2, rows)):
                for u in range(max(x - 1, 0), min(x + 2, columns)):
                    if label == 0:
                        label = labels[v, u]
        out[x] = label
        largest = max(largest, label)
    return largest


@njit(cache=True, nogil=True)
def _stretched(
    row: Float32Array, left: Int64Array, beyond: Float32Array, out: Float32Array
) -> None:
    """Write a row, interpolated linearly."""
    last = row.size - 1
    for x in range(out.size):
        at = row[left[x]]
        out[x] = at + beyond[x] * (row[min(left[x] + 1, last)] - at)


@njit(cache=True, nogil=True)
def _number(
    grown: NDArray[np.int32],
    start: Int64Array,
    lines: tuple[Float32Array, Float32Array, np.float32],
    numbers: NDArray[np.int32],
    n_labels: int,
) -> tuple[int, bool]:
    """Give numbers to labels that first appear in a row.

    Returns how many have numbers, and whether others may still appear.
    """
    upper, lower, below = lines
    waiting = False
    for column in range(grown.size):
        label = grown[column]
        if label == 0 or numbers[label] > 0:
            continue
        waiting = True
        for x in range(start[column], start[column + 1]):
            if upper[x] + below * (lower[x] - upper[x]) > np.float32(0.5):
                n_labels += 1
                numbers[label] = n_labels
                break
    return n_labels, waiting


@njit(cache=True, nogil=True)
def enlarge_labels(labels: NDArray[np.int32], cells: Float32Array, out: NDArray[Any]) -> None:
    """Write labels at a larger size, inside of the line where `cells` is ½.

    `cells`, of the shape of the labels, is interpolated bilinearly. Where it exceeds ½, each pixel
    takes the label of the pixel of the smaller image that covers its centre or, where that has
    none, of a neighbour of it. Labels become 1, 2, … in raster order of their first pixel.
    """
    rows, columns = labels.shape
    height, width = out.shape
    top, below = _places(height, rows)
    left, beyond = _places(width, columns)
    column, start = np.empty(width, np.int64), np.zeros(columns + 1, np.int64)
    for x in range(width):
        column[x] = (2 * x + 1) * columns // (2 * width)
        start[column[x] + 1] = x + 1
    numbers = np.zeros(labels.max() + 1, np.int32)
    n_labels = 0
    grown = np.zeros(columns, np.int32)
    number = np.zeros(width, out.dtype)
    upper, lower = np.empty(width, np.float32), np.empty(width, np.float32)
    known_row, known_top, has_label, waiting = -1, -1, 0, False
    for y in range(height):
        row = (2 * y + 1) * rows // (2 * height)
        is_new = row != known_row
        if is_new:
            known_row, has_label = row, _grown(labels, cells, row, grown)
            waiting = has_label > 0
        if has_label == 0:
            out[y] = 0
            continue
        if top[y] != known_top:
            known_top = top[y]
            _stretched(cells[known_top], left, beyond, upper)
            _stretched(cells[min(known_top + 1, rows - 1)], left, beyond, lower)
        if waiting:
            before = n_labels
            lines = (upper, lower, below[y])
            n_labels, waiting = _number(grown, start, lines, numbers, n_labels)
            is_new = is_new or n_labels > before
        if is_new:
            for x in range(width):
                number[x] = numbers[grown[column[x]]]
        depth, line = below[y], out[y]
        for x in range(width):
            inside = upper[x] + depth * (lower[x] - upper[x]) > np.float32(0.5)
            line[x] = number[x] if inside else 0
