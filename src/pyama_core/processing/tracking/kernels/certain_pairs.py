"""Kernel that chooses the pairs of an assignment which are beyond doubt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


@compiled()
def _best_two(nodes: IntArray, weights: Float64Array, is_open: NDArray[np.bool_]) -> Float64Array:
    """Return the largest and second largest weight of the open pairs of each node, (n, 2)."""
    best = np.zeros((nodes.max() + 1, 2))
    for pair in range(nodes.size):
        if is_open[pair]:
            node = nodes[pair]
            if weights[pair] > best[node, 0]:
                best[node, 1] = best[node, 0]
                best[node, 0] = weights[pair]
            elif weights[pair] > best[node, 1]:
                best[node, 1] = weights[pair]
    return best


@compiled()
def choose_certain_pairs(
    left: IntArray, right: IntArray, weights: Float64Array
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose the pairs that belong to a one-to-one assignment of the largest total weight.

    A pair that weighs at least as much as the best other pair of its left node and the best other
    pair of its right node together is in some optimum: any assignment without it loses nothing
    when it takes the place of those two. Choosing it leaves a smaller problem of the same kind.
    Objects that overlap one other, and objects that divide or merge, are decided in this way.

    Returns which pairs (of positive weight, at least one) are chosen, and which are left open.
    """
    chosen = np.zeros(left.size, np.bool_)
    is_open = np.ones(left.size, np.bool_)
    left_free = np.ones(left.max() + 1, np.bool_)
    right_free = np.ones(right.max() + 1, np.bool_)
    progress = True
    while progress:
        progress = False
        best_left = _best_two(left, weights, is_open)
        best_right = _best_two(right, weights, is_open)
        for pair in range(left.size):
            if not is_open[pair]:
                continue
            i, j, weight = left[pair], right[pair], weights[pair]
            if left_free[i] and right_free[j]:
                other_left = best_left[i, 1] if weight == best_left[i, 0] else best_left[i, 0]
                other_right = best_right[j, 1] if weight == best_right[j, 0] else best_right[j, 0]
                chosen[pair] = weight >= other_left + other_right
            if chosen[pair] or not (left_free[i] and right_free[j]):
                is_open[pair] = False
                left_free[i] &= not chosen[pair]
                right_free[j] &= not chosen[pair]
                progress = True
    return chosen, is_open
