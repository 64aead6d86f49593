"""Kernel that decides which basins of a mask are one object: those that look like an ellipse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.connected import root
from pyama_core.processing.runs.pixel_runs import Runs

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

SIZE_PENALTY = 0.1  # of the likeness, per factor e of the area beyond the largest one


@compiled()
def moments(runs: Runs, n_labels: int) -> Float64Array:
    """Return number, sums of y, x, y², x² and xy of the pixels of each label, (n_labels + 1, 6)."""
    sums = np.zeros((n_labels + 1, 6))
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            start, last = runs.start[run], runs.stop[run] - 1
            n = last + 1 - start
            columns = (start + last) * n // 2
            # Sums of squares up to a limit.
            squares = last * (last + 1) * (2 * last + 1) - (start - 1) * start * (2 * start - 1)
            of_label = sums[runs.label[run]]
            of_label[0] += n
            of_label[1] += n * y
            of_label[2] += columns
            of_label[3] += n * y * y
            of_label[4] += squares // 6
            of_label[5] += y * columns
    return sums


@compiled()
def likeness(sums: Float64Array) -> float:
    """Return how much pixels look like an ellipse: 1 if they are one, else less.

    The area over that of the ellipse with the same second moments, each pixel a unit square.
    """
    n, y, x, yy, xx, xy = sums
    vertical = yy / n - (y / n) ** 2 + 1 / 12
    horizontal = xx / n - (x / n) ** 2 + 1 / 12
    mixed = xy / n - y * x / (n * n)
    area = 4 * np.pi * np.sqrt(max(vertical * horizontal - mixed * mixed, 1e-9))
    return float(min(1.0, n / area))


@compiled()
def _score(sums: Float64Array, least: float, largest: float) -> float:
    """Return the likeness, less if fewer than `least` pixels or more than `largest`; 0 for none."""
    if sums[0] == 0:
        return 0.0
    beyond = max(0.0, np.log(sums[0] / largest))
    return float(likeness(sums) * min(1.0, sums[0] / least) - SIZE_PENALTY * beyond)


@compiled()
def _tree_of_groups(
    sums: Float64Array,
    passes: tuple[Int64Array, Int64Array, Int64Array],
    least_area: float,
    largest_area: float,
    margin: float,
) -> tuple[Int64Array, NDArray[np.bool_]]:
    """Return of each node of the tree its parent, 0 for a root, and whether it is one object.

    Nodes are numbered from 1: the basins, then the groups, each after its parts.
    """
    n_basins = sums.shape[0] - 1
    n_nodes = n_basins + 1
    total = np.zeros((2 * n_nodes, 6))
    score = np.zeros(2 * n_nodes)
    is_whole = np.ones(2 * n_nodes, np.bool_)
    parent = np.zeros(2 * n_nodes, np.int64)
    for basin in range(1, n_basins + 1):
        for k in range(6):
            total[basin, k] = sums[basin, k]
        score[basin] = _score(total[basin], least_area, largest_area)
    group, node = np.arange(n_basins + 1), np.arange(n_basins + 1)
    one, two, _ = passes
    for i in range(one.size):
        a, b = root(group, one[i]), root(group, two[i])
        if a == b:
            continue
        left, right = node[a], node[b]
        for k in range(6):
            total[n_nodes, k] = total[left, k] + total[right, k]
        parent[left], parent[right] = n_nodes, n_nodes
        own = _score(total[n_nodes], least_area, largest_area)
        apart = total[left, 0] * score[left] + total[right, 0] * score[right]
        apart /= total[n_nodes, 0]
        is_whole[n_nodes] = own + margin >= apart
        score[n_nodes] = own if is_whole[n_nodes] else apart
        group[max(a, b)] = min(a, b)
        node[min(a, b)] = n_nodes
        n_nodes += 1
    return parent[:n_nodes], is_whole[:n_nodes]


@compiled()
def _wholes(parent: Int64Array, is_whole: NDArray[np.bool_]) -> Int64Array:
    """Return the largest group that is one object, of those that hold a node, or the node itself.

    0 for nodes above all objects.
    """
    top = np.zeros(parent.size, np.int64)
    for i in range(parent.size - 1, 0, -1):
        above = top[parent[i]] if parent[i] > 0 else 0
        if above > 0:
            top[i] = above
        elif is_whole[i]:
            top[i] = i
    return top


@compiled()
def _numbered(top: Int64Array, n_basins: int) -> Int64Array:
    """Return the label of each basin, from 1 in the order of the first basins of objects."""
    becomes, numbers = np.zeros(n_basins + 1, np.int64), np.zeros(top.size, np.int64)
    n_objects = 0
    for basin in range(1, n_basins + 1):
        if numbers[top[basin]] == 0:
            n_objects += 1
            numbers[top[basin]] = n_objects
        becomes[basin] = numbers[top[basin]]
    return becomes


@compiled()
def choose_ellipses(
    sums: Float64Array,
    passes: tuple[Int64Array, Int64Array, Int64Array],
    least_area: float,
    largest_area: float,
    margin: float,
) -> Int64Array:
    """Decide which basins together are one object.

    From the highest pass down, the two groups of basins that it connects become one: that makes a
    tree. From its leaves to its roots, a group is either one object, or those that its two parts
    are: the latter if they look more like ellipses, in the mean over their pixels, by a margin.

    To choose from a tree of regions the best of those none of which holds another is from Arteta
    et al.; the tree of necks and the score are own work.

    Parameters
    ----------
    sums
        Of the basins, see `moments`.
    passes
        Two basins and the height between them, for each pair of neighbours, the highest first.
    least_area, largest_area
        Objects of fewer pixels count less, as they may be a part, and of more, as they may be
        several.
    margin
        See above.

    Returns
    -------
    ndarray
        The label that each basin becomes, from 1 in the order of their first basins; 0 stays 0.

    References
    ----------
    C. Arteta, V. Lempitsky, J. A. Noble, A. Zisserman, "Learning to detect cells using
    non-overlapping extremal regions", MICCAI 2012, LNCS 7510, 348-356.
    """
    parent, is_whole = _tree_of_groups(sums, passes, least_area, largest_area, margin)
    return _numbered(_wholes(parent, is_whole), sums.shape[0] - 1)
