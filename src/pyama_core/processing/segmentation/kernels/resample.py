"""Kernels that shrink a frame to its working image and bring the labels found in it back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs, stretches, with_room
from pyama_core.processing.segmentation.kernels.parts import keep_largest
from pyama_core.processing.segmentation.kernels.smoothing import smooth_whole_row

Float32Array = NDArray[np.float32]
Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]


@compiled()
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


@compiled()
def shrink_frame(frame: NDArray[Any], height: int, width: int) -> Float32Array:
    """Return a frame at a smaller size, each pixel the mean of what it covers.

    In double precision, so that what is constant stays exactly so, which OpenCV's `INTER_AREA` does
    not do, and takes twice to five times as long for.
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


@compiled()
def interpolation(n: int, n_small: int) -> tuple[Int64Array, Float32Array]:
    """Return where a linear interpolation finds the `n` pixels of an axis in one of `n_small`.

    For each pixel: the pixel of the smaller axis whose centre is to the left of its own, and how
    far it lies from there to the next, from 0 to 1. Beyond the outer centres the outer pixel is
    held.
    """
    left, beyond = np.empty(n, np.int64), np.empty(n, np.float32)
    for i in range(n):
        place = min(max((i + 0.5) * n_small / n - 0.5, 0.0), n_small - 1.0)
        left[i] = min(int(place), max(n_small - 2, 0))
        beyond[i] = place - left[i]
    return left, beyond


@compiled()
def _first_at(places: Int64Array, n_small: int) -> Int64Array:
    """Return where each value from 0 to n_small − 1 begins in ascending ones, then their number."""
    first = np.full(n_small + 1, places.size)
    for i in range(places.size - 1, -1, -1):
        first[places[i]] = i
    for value in range(n_small - 1, -1, -1):
        first[value] = min(first[value], first[value + 1])
    return first


@compiled()
def _label_near(labels: Int32Array, y: int, x: int) -> int:
    """Return the label of a pixel or, where it has none, that of its first neighbour with one."""
    if labels[y, x] > 0:
        return int(labels[y, x])
    for v in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
            if labels[v, u] > 0:
                return int(labels[v, u])
    return 0


@compiled()
def _crossing(
    line: Float32Array, x: int, stop: int, left: Int64Array, beyond: Float32Array, rises: bool
) -> int:
    """Return from which pixel on a line, interpolated, is above ½ if it rises, else not."""
    while x < stop:
        at, following = line[left[x]], line[min(left[x] + 1, line.size - 1)]
        if (at + beyond[x] * (following - at) > np.float32(0.5)) == rises:
            return x
        x += 1
    return stop


@compiled()
def _between(upper: Float32Array, lower: Float32Array, depth: np.float32, out: Float32Array) -> int:
    """Write what lies between two rows; return how many pixels of that exceed ½."""
    n = 0
    for x in range(out.size):
        out[x] = upper[x] + depth * (lower[x] - upper[x])
        n += out[x] > np.float32(0.5)
    return n


@compiled()
def _cell_row(
    labels: Int32Array, y: int, weights: Float32Array, cells: Float32Array, sums: Float32Array,
    out: Float32Array,
) -> None:  # fmt: skip
    """Write how much of each pixel of the smoothed row belongs to cells; `cells` is work space."""
    last = labels.shape[0] - 1
    for v in range(max(y + 1 - weights.size, 0), min(y + weights.size, last + 1)):
        row, is_cell = labels[v], cells[v % cells.shape[0]]
        for x in range(row.size):
            is_cell[x] = np.float32(1) if row[x] > 0 else np.float32(0)
    smooth_whole_row(cells, y, last, weights, sums, out)


@compiled()
def _runs_at_size(labels: Int32Array, weights: Float32Array, height: int, width: int) -> Runs:
    """Return the runs of labels at a larger size, as `enlarge_labels` describes them.

    Row by row of the larger image. `upper` and `lower` are the two rows of the smaller, smoothed
    image around it, and `line` what is between them at its height: how much of each column belongs
    to cells. Where that exceeds ½ in two columns side by side the whole stretch between them does,
    so that a stretch of columns gives a run of pixels, whose ends alone are looked for pixel by
    pixel, by interpolation along the row. Then the run is cut where the label of the pixels that it
    covers changes.
    """
    rows, columns = labels.shape
    top, below = interpolation(height, rows)
    left, beyond = interpolation(width, columns)
    first_right_of = _first_at(left, columns)
    column = (2 * np.arange(width) + 1) * columns // (2 * width)
    first_in = _first_at(column, columns)
    cells = np.empty((2 * weights.size - 1, columns), np.float32)
    first = np.empty(height + 1, np.int64)
    run_start, run_stop = np.empty(64 * height, np.int64), np.empty(64 * height, np.int64)
    run_label = np.empty(64 * height, np.int64)
    n = 0
    sums = np.empty(columns + 2 * (weights.size - 1), np.float32)
    upper, lower = np.empty(columns, np.float32), np.empty(columns, np.float32)
    line = np.empty(columns, np.float32)
    is_begin = np.zeros((columns + 8) // 8 * 8, np.uint8)
    marked, begin = np.empty(is_begin.size // 8 + 1, np.int64), np.empty(columns + 1, np.int64)
    inside = np.empty(columns, np.bool_)
    known_top = -2
    for y in range(height):
        first[y] = n
        if top[y] != known_top:
            if top[y] == known_top + 1:
                upper, lower = lower, upper
            else:
                _cell_row(labels, top[y], weights, cells, sums, upper)
            known_top = top[y]
            _cell_row(labels, min(known_top + 1, rows - 1), weights, cells, sums, lower)
        if _between(upper, lower, below[y], line) == 0:
            continue
        for x in range(columns):
            inside[x] = line[x] > np.float32(0.5)
        covering = (2 * y + 1) * rows // (2 * height)
        for i in range(stretches(inside, is_begin, marked, begin)):
            if not inside[begin[i]]:
                continue
            start, stop = 0, width
            if begin[i] > 0:
                to = first_right_of[begin[i]]
                start = _crossing(line, first_right_of[begin[i] - 1], to, left, beyond, True)
            if begin[i + 1] < columns:
                at, to = first_right_of[begin[i + 1] - 1], first_right_of[begin[i + 1]]
                stop = _crossing(line, max(at, start), to, left, beyond, False)
            while start < stop:
                label = _label_near(labels, covering, column[start])
                until = column[start] + 1
                while until < columns and labels[covering, until] == label:
                    until += 1
                end = min(stop, first_in[until])
                if n > first[y] and run_label[n - 1] == label and run_stop[n - 1] == start:
                    run_stop[n - 1] = end
                elif label > 0:
                    run_start, run_stop = with_room(run_start, n + 1), with_room(run_stop, n + 1)
                    run_label = with_room(run_label, n + 1)
                    run_start[n], run_stop[n], run_label[n] = start, end, label
                    n += 1
                start = end
    first[height] = n
    return Runs(first, run_start[:n], run_stop[:n], run_label[:n])


@compiled()
def enlarge_labels(labels: Int32Array, weights: Float32Array, out: NDArray[Any]) -> None:
    """Write labels at a larger size, with smooth outlines, each as one 4-connected part.

    What belongs to cells (1, else 0) is smoothed by `weights` in both axes and interpolated
    bilinearly. Where it exceeds ½, each pixel takes the label of the pixel of the smaller image
    that covers its centre or, where that has none, of a neighbour of it. What that cuts off from
    the largest part of a label is left out. Labels become 1, 2, … in raster order of their first
    pixel.

    Parameters
    ----------
    labels
        (Y, X) from 0.
    weights
        See `smoothing`.
    out
        Of integers, at least as high and as wide as `labels`; all of it is written.
    """
    height, width = out.shape
    numbers = np.zeros(labels.max() + 1, np.int64)
    runs = keep_largest(_runs_at_size(labels, weights, height, width), numbers.size - 1, 1.0)
    n_labels = 0
    for run in range(runs.label.size):
        if numbers[runs.label[run]] == 0:
            n_labels += 1
            numbers[runs.label[run]] = n_labels
    for y in range(height):
        row = out[y]
        row[:] = 0
        for run in range(runs.first[y], runs.first[y + 1]):
            row[runs.start[run] : runs.stop[run]] = numbers[runs.label[run]]
