"""Kernels that move objects, given as runs of pixels, each by its own shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]


@compiled()
def _slot(start: IntArray, first: int, last: int, value: int) -> int:
    """Make room in the sorted stretch first ≤ i < last for one more value; return its place."""
    place = last
    while place > first and start[place - 1] > value:
        place -= 1
    return place


@compiled()
def move_runs(
    row: IntArray, runs: Runs, shift: IntArray, height: int, width: int
) -> tuple[Runs, IntArray]:
    """Move each object by its own (row, column) shift; return runs by row and start, and areas.

    What leaves the frame is cut off. Objects may cover each other afterwards. `row` is the row of
    each run, whose order does not matter (`runs.first` is not read); runs that were in order are
    put in order in linear time.
    """
    first = np.zeros(height + 1, np.int64)
    for run in range(row.size):
        y = row[run] + shift[runs.label[run], 0]
        if 0 <= y < height:
            first[y + 1] += 1
    first = np.cumsum(first)
    end = first[:-1].copy()
    start, stop = np.zeros(first[height], np.int64), np.zeros(first[height], np.int64)
    label = np.zeros(first[height], np.int64)
    area = np.zeros(shift.shape[0], np.int64)
    for run in range(row.size):
        i = runs.label[run]
        y = row[run] + shift[i, 0]
        if not 0 <= y < height:
            continue
        left = min(max(runs.start[run] + shift[i, 1], 0), width)
        right = min(max(runs.stop[run] + shift[i, 1], 0), width)
        place = _slot(start, first[y], end[y], left)
        for k in range(end[y], place, -1):
            start[k], stop[k], label[k] = start[k - 1], stop[k - 1], label[k - 1]
        start[place], stop[place], label[place] = left, right, i
        end[y] += 1
        area[i] += right - left
    return Runs(first, start, stop, label), area


@compiled()
def paint_moved(
    row: IntArray,
    runs: Runs,
    chosen: IntArray,
    shift: tuple[int, int],
    value: int,
    out: NDArray[np.uint32],
) -> None:
    """Write a value into the pixels of the chosen runs, moved by (row, column), where `out` is."""
    height, width = out.shape
    for run in chosen:
        y = row[run] + shift[0]
        left = max(runs.start[run] + shift[1], 0)
        right = min(runs.stop[run] + shift[1], width)
        if 0 <= y < height and left < right:
            out[y, left:right] = value
