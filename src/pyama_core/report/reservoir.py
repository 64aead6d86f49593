"""Traces of cells that were drawn by lot, so that memory does not grow with the experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.workflow.glimpses.taking import draw_lots

Float32Array = NDArray[np.float32]

MOST_CELLS = 4096
"""Of a sample, whose traces a median is taken of."""


@dataclass(frozen=True)
class Course:
    """How a value changes in a sample.

    Attributes
    ----------
    median, low, high : (T,) float array
        Over the cells in each frame: median and quartiles; NaN where there is none.
    n_cells : int
        How many cells there are.
    n_used : int
        Of how many of them the median was taken.
    """

    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_cells: int
    n_used: int


class Reservoir:
    """Keeps the traces of cells with the lowest lots: all of them, as long as these are not many.

    The lot of a cell depends on nothing but its number and its field of view, so the order in which
    fields of view come does not matter.

    Parameters
    ----------
    n_columns, n_frames : int
        Values of each cell in each frame.
    n_most : int
        How many cells are kept.
    """

    def __init__(self, n_columns: int, n_frames: int, n_most: int = MOST_CELLS) -> None:
        self._n_most = n_most
        self._lots = np.zeros(0, np.uint64)
        self._values = np.zeros((0, n_columns, n_frames), np.float32)
        self.n_cells = 0

    def add(self, fov: int, cells: Sequence[int], values: Float32Array) -> None:
        """Add cells of a field of view: their numbers, and (cells, columns, frames)."""
        self.n_cells += len(cells)
        lots = np.concatenate([self._lots, np.array(draw_lots(fov, cells), np.uint64)])
        if lots.size <= self._n_most:
            kept = np.arange(lots.size)
        else:
            kept = np.sort(np.argpartition(lots, self._n_most - 1)[: self._n_most])
        n_before = self._lots.size
        old, new = kept[kept < n_before], kept[kept >= n_before] - n_before
        self._lots = lots[kept]
        self._values = np.concatenate([self._values[old], values[new]])

    def course(self, column: int) -> Course:
        """Return median and quartiles of a column."""
        values = self._values[:, column].astype(np.float64)
        quantiles = np.full((3, values.shape[1]), np.nan)
        there = np.isfinite(values).any(axis=0)
        if there.any():
            quantiles[:, there] = np.nanquantile(values[:, there], (0.5, 0.25, 0.75), axis=0)
        median, low, high = quantiles
        return Course(median, low, high, self.n_cells, self._lots.size)


def as_matrices(
    cell: NDArray[np.int64],
    frame: NDArray[np.int64],
    columns: Sequence[NDArray[np.float64]],
    n_frames: int,
) -> tuple[list[int], Float32Array]:
    """Return the cells of a table, and their values by cell, column and frame; NaN for none.

    Examples
    --------
    >>> cell, frame = np.array([3, 3, 8]), np.array([0, 1, 1])
    >>> cells, values = as_matrices(cell, frame, [np.array([1.0, 2.0, 5.0])], 2)
    >>> cells, values[:, 0].tolist()
    ([3, 8], [[1.0, 2.0], [nan, 5.0]])
    """
    cells, place = np.unique(cell, return_inverse=True)
    values = np.full((cells.size, len(columns), n_frames), np.nan, np.float32)
    for i, column in enumerate(columns):
        values[place, i, frame] = column
    return cells.tolist(), values
