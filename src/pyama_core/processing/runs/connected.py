"""Kernels that find out which runs belong together, by union and find."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]


@compiled()
def root(parent: NDArray[Any], node: int) -> int:
    """Return the representative of a node, shortening the way for the next question."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@compiled()
def connect(runs: Runs, reach: np.int64, alike: np.bool_) -> IntArray:
    """Return for each run the first run of the connected part that it belongs to.

    Runs of one row belong to one part only by way of others.

    Parameters
    ----------
    runs
        In raster order.
    reach
        How far beyond its ends a run touches those of the row above: 0 for parts that are
        4-connected, 1 for 8-connected ones.
    alike
        Whether only runs of equal labels belong together.
    """
    parent = np.arange(runs.start.size)
    for y in range(1, runs.first.size - 1):
        above, end = runs.first[y - 1], runs.first[y]
        for run in range(end, runs.first[y + 1]):
            start, stop = runs.start[run] - reach, runs.stop[run] + reach
            while above < end and runs.stop[above] <= start:
                above += 1
            other = above
            while other < end and runs.start[other] < stop:
                if not alike or runs.label[other] == runs.label[run]:
                    a, b = root(parent, run), root(parent, other)
                    parent[max(a, b)] = min(a, b)
                other += 1
    for run in range(parent.size):
        parent[run] = parent[parent[run]]
    return parent


@compiled()
def label_connected(runs: Runs) -> int:
    """Set the labels to 0, 1, … per 4-connected object, by its first pixel; return how many."""
    first = connect(runs, np.int64(0), np.bool_(False))
    n_objects = 0
    for run in range(first.size):
        if first[run] == run:
            runs.label[run] = n_objects
            n_objects += 1
        else:
            runs.label[run] = runs.label[first[run]]
    return n_objects
