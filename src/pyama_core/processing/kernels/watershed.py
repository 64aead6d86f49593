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
def _descending(height: NDArray[np.uint16]) -> Int64Array:
    """Return the flat indices of the pixels above 0, highest first, equals in raster order."""
    flat = height.ravel()
    first = np.zeros(65_537, np.int64)
    for i in range(flat.size):
        first[65_535 - flat[i] + 1] += 1
    for level in range(65_536):
        first[level + 1] += first[level]
    order = np.empty(first[65_535], np.int64)
    for i in range(flat.size):
        if flat[i] > 0:
            level = 65_535 - flat[i]
            order[first[level]] = i
            first[level] += 1
    return order


@njit(cache=True, nogil=True)
def _joins(
    a: int,
    b: int,
    height: int,
    peak: Int64Array,
    area: Int64Array,
    seed: Int64Array,
    rule: tuple[float, float, bool],
) -> bool:
    """Decide whether two basins that meet at `height` are one; see `flood`."""
    neck, least_area, seeded = rule
    if seeded:
        return bool(seed[a] == 0 or seed[b] == 0 or seed[a] == seed[b])
    return bool(height > neck * min(peak[a], peak[b]) or min(area[a], area[b]) < least_area)


@njit(cache=True, nogil=True)
def _basin_of(
    x: int,
    y: int,
    height: int,
    labels: Int32Array,
    parent: Int64Array,
    peak: Int64Array,
    area: Int64Array,
    seed: Int64Array,
    rule: tuple[float, float, bool],
) -> int:
    """Return the basin that a pixel joins, 0 if it touches none; join basins that meet there."""
    best, last = 0, 0
    for v in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
            if labels[v, u] == last or labels[v, u] == 0:
                continue
            last = labels[v, u]
            other = _root(parent, last)
            if best == 0 or other == best:
                best = other
                continue
            if peak[other] > peak[best] or (peak[other] == peak[best] and other < best):
                best, other = other, best
            if _joins(best, other, height, peak, area, seed, rule):
                parent[other] = best
                area[best] += area[other]
                seed[best] = max(seed[best], seed[other])
    return best


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
    width = height.shape[1]
    order = _descending(height)
    labels = np.zeros(height.shape, np.int32)
    parent = np.zeros(order.size + 1, np.int64)
    peak, area = np.zeros(order.size + 1, np.int64), np.zeros(order.size + 1, np.int64)
    seed = np.zeros(order.size + 1, np.int64)
    rule = (neck, least_area, seeded)
    n_basins = 0
    for i in range(order.size):
        y, x = order[i] // width, order[i] % width
        level = height[y, x]
        basin = _basin_of(x, y, level, labels, parent, peak, area, seed, rule)
        own = seeds[y, x]
        if basin == 0 or (own > 0 and seed[basin] > 0 and seed[basin] != own):
            n_basins += 1
            basin = n_basins
            parent[basin], peak[basin] = basin, level
        labels[y, x] = basin
        area[basin] += 1
        seed[basin] = max(seed[basin], own)
    for i in range(order.size):
        y, x = order[i] // width, order[i] % width
        basin = _root(parent, labels[y, x])
        labels[y, x] = seed[basin] if seeded else basin
    return labels


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
def largest_inside(parts: Int32Array, values: NDArray[np.float32], n_parts: int) -> Any:
    """Return the largest value in each part, from part 0 (outside) on; values are not negative."""
    largest = np.zeros(n_parts + 1, np.float32)
    for y in range(parts.shape[0]):
        for x in range(parts.shape[1]):
            if values[y, x] > largest[parts[y, x]]:
                largest[parts[y, x]] = values[y, x]
    return largest


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
