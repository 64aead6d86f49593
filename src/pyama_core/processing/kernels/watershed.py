"""Kernels that cut a height map into basins, and label images into connected parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _root(parent: Int64Array, node: int) -> int:
    """Return the representative of a node, shortening the way for the next question."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)
def _descending(height: NDArray[np.uint16]) -> Int32Array:
    """Return the flat indices of the pixels above 0, highest first, equals in raster order."""
    flat = height.ravel()
    first = np.zeros(65_537, np.int32)
    for i in range(flat.size):
        first[65_535 - flat[i] + 1] += 1
    for level in range(65_536):
        first[level + 1] += first[level]
    order = np.empty(first[65_535], np.int32)
    for i in range(flat.size):
        if flat[i] > 0:
            level = 65_535 - flat[i]
            order[first[level]] = i
            first[level] += 1
    return order


@njit(cache=True, nogil=True)
def flood(
    height: NDArray[np.uint16],
    seeds: Int32Array,
    neck: float,
    least_area: float,
    seeded: bool,
) -> Int32Array:
    """Cut the pixels above 0 into basins, joining basins where they meet high up.

    Pixels are visited from the highest to the lowest. One that touches (8-connected) no basin
    begins one, whose peak is its height; another joins the basin with the highest peak that it
    touches. Where basins meet, they become one if the height there exceeds `neck` times the lower
    of their peaks, or if one has fewer than `least_area` pixels so far. If `seeded`, they become
    one unless they hold different seeds, and basins without a seed are left out in the end.

    Returns the (Y, X) labels of the basins (those of their seeds if `seeded`), 0 outside.
    """
    # A frame of zeros spares the question whether a neighbour exists, and one loop for all, without
    # calls, is several times as fast as a function for each decision.
    rows, columns = height.shape
    width = columns + 2
    framed = np.zeros((rows + 2, width), np.uint16)
    framed[1:-1, 1:-1] = height
    own = np.zeros((rows + 2, width), np.int32)
    if seeded:
        own[1:-1, 1:-1] = seeds
    level_at, own_at = framed.ravel(), own.ravel()
    order = _descending(framed)
    labels = np.zeros(level_at.size, np.int32)
    around = np.array(
        [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1], np.int64
    )
    parent = np.zeros(order.size + 1, np.int64)
    peak, area = np.zeros(order.size + 1, np.int32), np.zeros(order.size + 1, np.int32)
    seed = np.zeros(order.size + 1, np.int32)
    n_basins = 0
    for i in range(order.size):
        at = order[i]
        level = level_at[at]
        basin, last = 0, 0
        for k in range(8):
            label = labels[at + around[k]]
            if label == last or label == 0:
                continue
            last = label
            other = _root(parent, label)
            if basin == 0 or other == basin:
                basin = other
                continue
            if peak[other] > peak[basin] or (peak[other] == peak[basin] and other < basin):
                basin, other = other, basin
            if seeded:
                joins = seed[basin] == 0 or seed[other] == 0 or seed[basin] == seed[other]
            else:
                joins = level > neck * peak[other]
                joins = joins or min(area[basin], area[other]) < least_area
            if joins:
                parent[other] = basin
                area[basin] += area[other]
                seed[basin] = max(seed[basin], seed[other])
        mark = own_at[at]
        if basin == 0 or (mark > 0 and seed[basin] > 0 and seed[basin] != mark):
            n_basins += 1
            basin = n_basins
            parent[basin], peak[basin] = basin, level
        labels[at] = basin
        area[basin] += 1
        seed[basin] = max(seed[basin], mark)
    out = np.zeros(height.shape, np.int32)
    for y in range(rows):
        for x in range(columns):
            label = labels[(y + 1) * width + x + 1]
            if label > 0:
                basin = _root(parent, label)
                out[y, x] = seed[basin] if seeded else basin
    return out


@njit(cache=True, nogil=True)
def connected_parts(labels: NDArray[Any]) -> tuple[Int32Array, Int64Array, Int64Array]:
    """Give numbers from 1, in raster order, to the 4-connected parts of equal labels.

    Returns the (Y, X) numbers, 0 where the label is 0, and the area and the label of each number.
    """
    height, width = labels.shape
    parts = np.zeros(labels.shape, np.int32)
    parent = np.zeros(labels.size + 1, np.int64)
    n_runs = 0
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label == 0:
                continue
            left = x > 0 and labels[y, x - 1] == label
            if left:
                parts[y, x] = parts[y, x - 1]
            if y > 0 and labels[y - 1, x] == label:
                above = _root(parent, parts[y - 1, x])
                if left:
                    a = _root(parent, parts[y, x])
                    parent[max(a, above)] = min(a, above)
                else:
                    parts[y, x] = above
            elif not left:
                n_runs += 1
                parent[n_runs] = n_runs
                parts[y, x] = n_runs
    return _numbered(labels, parts, parent, n_runs)


@njit(cache=True, nogil=True)
def _numbered(
    labels: NDArray[Any], parts: Int32Array, parent: Int64Array, n_runs: int
) -> tuple[Int32Array, Int64Array, Int64Array]:
    """Replace provisional numbers by consecutive ones; see `connected_parts`."""
    number = np.zeros(n_runs + 1, np.int64)
    area, label = np.zeros(n_runs + 1, np.int64), np.zeros(n_runs + 1, np.int64)
    n_parts = 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if parts[y, x] > 0:
                root = _root(parent, parts[y, x])
                if number[root] == 0:
                    n_parts += 1
                    number[root] = n_parts
                    label[n_parts] = labels[y, x]
                parts[y, x] = number[root]
                area[number[root]] += 1
    return parts, area[: n_parts + 1], label[: n_parts + 1]


@njit(cache=True, nogil=True)
def mean_distance(labels: Int32Array, values: NDArray[np.float32], n_labels: int) -> Any:
    """Return the area of each label and the mean absolute value in it, (n_labels + 1, 2).

    The row of label 0 is 0, as are those of labels that do not occur.
    """
    out = np.zeros((n_labels + 1, 2))
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            label = labels[y, x]
            if label > 0:
                out[label, 0] += 1
                out[label, 1] += abs(values[y, x])
    for label in range(n_labels + 1):
        out[label, 1] /= max(out[label, 0], 1.0)
    return out
