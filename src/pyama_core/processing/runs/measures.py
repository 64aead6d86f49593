"""Kernels that measure all objects of a frame: areas, centroids, boxes, sums of an image, runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]


@compiled()
def areas_and_boxes(runs: Runs, n_objects: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return area, sum of rows, sum of columns and (n, 4) box of each object.

    The sums over the area are the centroid. A box is the first row, first column, last row + 1 and
    last column + 1.
    """
    area, row_sum = np.zeros(n_objects, np.int64), np.zeros(n_objects, np.int64)
    column_sum, box = np.zeros(n_objects, np.int64), np.zeros((n_objects, 4), np.int64)
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            i, start, stop = runs.label[run], runs.start[run], runs.stop[run]
            if area[i] == 0:
                box[i, 0], box[i, 1] = y, start
            area[i] += stop - start
            row_sum[i] += (stop - start) * y
            column_sum[i] += (stop - start) * (start + stop - 1) // 2
            box[i, 1], box[i, 2] = min(box[i, 1], start), y + 1
            box[i, 3] = max(box[i, 3], stop)
    return area, row_sum, column_sum, box


@compiled()
def sum_objects(runs: Runs, image: NDArray[Any], n_objects: int) -> NDArray[np.float64]:
    """Return the sum of the image over each object, pixel by pixel in raster order in float64."""
    sums = np.zeros(n_objects)
    for y in range(runs.first.size - 1):
        row = image[y]
        for run in range(runs.first[y], runs.first[y + 1]):
            total = sums[runs.label[run]]
            for x in range(runs.start[run], runs.stop[run]):
                total += row[x]
            sums[runs.label[run]] = total
    return sums


@compiled()
def runs_by_object(runs: Runs, n_objects: int) -> tuple[IntArray, IntArray]:
    """Return the runs object by object, each in raster order, and where those of each begin."""
    first = np.zeros(n_objects + 1, np.int64)
    for run in range(runs.label.size):
        first[runs.label[run] + 1] += 1
    first = np.cumsum(first)
    place = first[:-1].copy()
    order = np.empty(runs.label.size, np.int64)
    for run in range(runs.label.size):
        i = runs.label[run]
        order[place[i]] = run
        place[i] += 1
    return order, first
