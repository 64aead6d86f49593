"""Kernel that joins the parts of a label image that together are a round cell."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
Float64Array = NDArray[np.float64]


@njit(cache=True, nogil=True)
def _moments(labels: NDArray[np.int32], n_labels: int) -> Float64Array:
    """Return number, sums of rows and columns, and sum of their squares, (n_labels + 1, 4)."""
    sums = np.zeros((n_labels + 1, 4))
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            label = labels[y, x]
            if label > 0:
                sums[label, 0] += 1
                sums[label, 1] += y
                sums[label, 2] += x
                sums[label, 3] += y * y + x * x
    return sums


@njit(cache=True, nogil=True)
def _pairs(labels: NDArray[np.int32], n_labels: int) -> Int64Array:
    """Return the pairs of labels that are 4-neighbours somewhere, each once, (n, 2), sorted."""
    height, width = labels.shape
    keys = np.empty(2 * labels.size, np.int64)
    n = 0
    for y in range(height):
        for x in range(width):
            a = labels[y, x]
            if a == 0:
                continue
            for v, u in ((y, x + 1), (y + 1, x)):
                b = labels[v, u] if v < height and u < width else 0
                if b > 0 and b != a:
                    key = np.int64(min(a, b)) * (n_labels + 1) + max(a, b)
                    if n == 0 or keys[n - 1] != key:
                        keys[n] = key
                        n += 1
    unique = np.unique(keys[:n])
    pairs = np.empty((unique.size, 2), np.int64)
    for i in range(unique.size):
        pairs[i, 0], pairs[i, 1] = unique[i] // (n_labels + 1), unique[i] % (n_labels + 1)
    return pairs


@njit(cache=True, nogil=True)
def _roundness(sums: Float64Array) -> float:
    """Return area² / 2π over the polar moment of inertia of pixels: 1 for a disc, else less."""
    n, rows, columns, squares = sums[0], sums[1], sums[2], sums[3]
    # Each pixel is a unit square, whose own moment is 1/6.
    moment = squares - (rows * rows + columns * columns) / n + n / 6
    return float(n * n / (2 * np.pi * moment))


@njit(cache=True, nogil=True)
def join_round(
    labels: NDArray[np.int32], n_labels: int, largest_area: float, least_roundness: float
) -> Int64Array:
    """Decide which labels together are one round object.

    Of all neighbours whose union has at most `largest_area` pixels and at least
    `least_roundness`, and is rounder than either of them, those with the roundest union are
    joined, again and again. Roundness is area² / 2π over the polar moment of inertia: 1 for a disc,
    0.95 for a square, 0.8 for an ellipse twice as long as wide.

    Returns the label that each label becomes, the smaller one of those that are joined.
    """
    sums = _moments(labels, n_labels)
    pairs = _pairs(labels, n_labels)
    becomes = np.arange(n_labels + 1)
    while True:
        best, at = least_roundness, -1
        for i in range(pairs.shape[0]):
            a, b = becomes[pairs[i, 0]], becomes[pairs[i, 1]]
            if a == b or sums[a, 0] + sums[b, 0] > largest_area:
                continue
            roundness = _roundness(sums[a] + sums[b])
            is_best = roundness > best or (at < 0 and roundness == best)  # of equals the first
            if is_best and roundness > max(_roundness(sums[a]), _roundness(sums[b])):
                best, at = roundness, i
        if at < 0:
            return becomes
        a, b = becomes[pairs[at, 0]], becomes[pairs[at, 1]]
        kept, gone = min(a, b), max(a, b)
        sums[kept] += sums[gone]
        for label in range(n_labels + 1):
            if becomes[label] == gone:
                becomes[label] = kept
