"""Kernels on runs that carry the labels of cells: what they become, and what of them stays.

Labels count from 1; 0 is background, and runs of it may occur.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.connected import connect
from pyama_core.processing.runs.pixel_runs import Runs, with_room

Int64Array = NDArray[np.int64]
UInt8Array = NDArray[np.uint8]


@compiled()
def relabel(runs: Runs, becomes: Int64Array) -> Runs:
    """Return runs with other labels, without those that become 0; neighbours alike are one run."""
    first = np.empty(runs.first.size, np.int64)
    size = runs.start.size
    start, stop = np.empty(size, np.int64), np.empty(size, np.int64)
    label = np.empty(size, np.int64)
    n = 0
    for y in range(runs.first.size - 1):
        first[y] = n
        for run in range(runs.first[y], runs.first[y + 1]):
            value = becomes[runs.label[run]]
            if value == 0:
                continue
            if n > first[y] and label[n - 1] == value and stop[n - 1] == runs.start[run]:
                stop[n - 1] = runs.stop[run]
                continue
            start[n], stop[n], label[n] = runs.start[run], runs.stop[run], value
            n += 1
    first[runs.first.size - 1] = n
    return Runs(first, start[:n], stop[:n], label[:n])


@compiled()
def interior(runs: Runs, out: UInt8Array) -> None:
    """Write 1 into the pixels with the same label to the left of them and above.

    Beyond the edges of the image are the same labels. Neighbouring runs have different labels.
    """
    for y in range(runs.first.size - 1):
        above = runs.first[y - 1] if y > 0 else 0
        for run in range(runs.first[y], runs.first[y + 1]):
            start, stop = runs.start[run] + (runs.start[run] > 0), runs.stop[run]
            if y == 0:
                out[y, start:stop] = 1
                continue
            while above < runs.first[y] and runs.stop[above] <= runs.start[run]:
                above += 1
            other = above
            while other < runs.first[y] and runs.start[other] < stop:
                if runs.label[other] == runs.label[run]:
                    out[y, max(start, runs.start[other]) : min(stop, runs.stop[other])] = 1
                other += 1


@compiled()
def _within(runs: Runs, mask: UInt8Array) -> Runs:
    """Return the parts of runs that lie within a mask."""
    first = np.empty(runs.first.size, np.int64)
    size = 2 * runs.start.size + 1024
    start, stop = np.empty(size, np.int64), np.empty(size, np.int64)
    label = np.empty(size, np.int64)
    n = 0
    for y in range(runs.first.size - 1):
        first[y], row = n, mask[y]
        for run in range(runs.first[y], runs.first[y + 1]):
            is_inside = False
            for x in range(runs.start[run], runs.stop[run]):
                if row[x] > 0 and not is_inside:
                    start, stop = with_room(start, n + 1), with_room(stop, n + 1)
                    label = with_room(label, n + 1)
                    start[n], label[n], is_inside = x, runs.label[run], True
                elif row[x] == 0 and is_inside:
                    stop[n], is_inside = x, False
                    n += 1
            if is_inside:
                stop[n] = runs.stop[run]
                n += 1
    first[runs.first.size - 1] = n
    return Runs(first, start[:n], stop[:n], label[:n])


@compiled()
def keep_largest(runs: Runs, n_labels: int, least_area: float) -> Runs:
    """Keep of each label its largest 4-connected part, if it has `least_area` pixels.

    Of equal ones the first in raster order. Neighbouring runs have different labels; those of
    `runs` are overwritten.
    """
    part = connect(runs, np.int64(0), np.bool_(True))
    area = np.zeros(part.size, np.int64)
    for run in range(part.size):
        area[part[run]] += runs.stop[run] - runs.start[run]
    largest = np.full(n_labels + 1, -1)
    for run in range(part.size):
        if area[run] >= max(least_area, 1.0):
            best = largest[runs.label[run]]
            if best < 0 or area[run] > area[best]:
                largest[runs.label[run]] = run
    for run in range(part.size):
        if largest[runs.label[run]] != part[run]:
            runs.label[run] = 0
    return relabel(runs, np.arange(n_labels + 1))


@compiled()
def largest_parts(runs: Runs, mask: UInt8Array, n_labels: int, least_area: float) -> Runs:
    """Keep of each label its largest 4-connected part in a mask, if it has `least_area` pixels.

    Of equal ones the first in raster order.
    """
    return keep_largest(_within(runs, mask), n_labels, least_area)


@compiled()
def mean_distance(runs: Runs, values: NDArray[np.float32], n_labels: int) -> Any:
    """Return the area of each label and the mean absolute value in it, (n_labels + 1, 2).

    The row of labels that do not occur is 0.
    """
    out = np.zeros((n_labels + 1, 2))
    for y in range(runs.first.size - 1):
        row = values[y]
        for run in range(runs.first[y], runs.first[y + 1]):
            total = 0.0
            for x in range(runs.start[run], runs.stop[run]):
                total += abs(row[x])
            out[runs.label[run], 0] += runs.stop[run] - runs.start[run]
            out[runs.label[run], 1] += total
    for label in range(n_labels + 1):
        out[label, 1] /= max(out[label, 0], 1.0)
    return out
