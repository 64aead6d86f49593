"""Kernel that takes the medians of overlapping tiles by counting each pixel once.

Tiles overlap by half, so each is four blocks, and each block belongs to up to four tiles. Counts
of blocks can be added where medians cannot. Counts are kept at two levels, per value and per
group of 256 values, so that finding a rank does not walk through 65,536 counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_GROUP = 256

Counts = NDArray[np.uint32]


@njit(cache=True, nogil=True)
def _count_block(
    frame: NDArray[Any], masked: NDArray[np.uint8], offset: int, fine: Counts, coarse: Counts
) -> None:
    """Count the unmasked values of one block; `fine` and `coarse` hold another block's counts."""
    for group in np.flatnonzero(coarse):
        fine[group * _GROUP : (group + 1) * _GROUP] = 0
    touched = np.zeros(coarse.size, np.bool_)
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            if masked[y, x] == 0:
                value = np.int64(frame[y, x]) + offset
                fine[value] += np.uint32(1)
                touched[value // _GROUP] = True
    coarse[:] = 0
    for group in np.flatnonzero(touched):
        coarse[group] = fine[group * _GROUP : (group + 1) * _GROUP].sum()


@njit(cache=True, nogil=True)
def _value_at_rank(fine: Counts, coarse: Counts, column: int, rank: np.int64) -> int:
    """Return the value with `rank` smaller or equal ones before it among the 2 × 2 blocks."""
    group = 0
    while True:
        count = np.int64(0)
        for i in range(2):
            for j in range(column, column + 2):
                count += np.int64(coarse[i, j, group])
        if rank < count:
            break
        rank -= count
        group += 1
    value = group * _GROUP
    while True:
        for i in range(2):
            for j in range(column, column + 2):
                rank -= np.int64(fine[i, j, value])
        if rank < 0:
            return value
        value += 1


@njit(cache=True, nogil=True)
def tile_medians(
    frame: NDArray[Any],
    masked: NDArray[np.uint8],
    row_edges: NDArray[np.int64],
    column_edges: NDArray[np.int64],
    offset: int,
    n_values: int,
) -> NDArray[np.float64]:
    """Return the median of the pixels with `masked` = 0 of each tile, NaN for a tile without any.

    Tile i spans row_edges[i] to row_edges[i + 2], likewise in columns. Pixel values plus `offset`
    are 0 to `n_values` − 1, and `n_values` is a multiple of 256. Holds two rows of blocks.
    """
    n_rows, n_columns = row_edges.size - 1, column_edges.size - 1
    fine = np.zeros((2, n_columns, n_values), np.uint32)
    coarse = np.zeros((2, n_columns, n_values // _GROUP), np.uint32)
    totals = np.zeros((2, n_columns), np.int64)
    medians = np.full((n_rows - 1, n_columns - 1), np.nan)
    for row in range(n_rows):
        rows = slice(row_edges[row], row_edges[row + 1])
        i = row % 2
        for column in range(n_columns):
            columns = slice(column_edges[column], column_edges[column + 1])
            _count_block(
                frame[rows, columns],
                masked[rows, columns],
                offset,
                fine[i, column],
                coarse[i, column],
            )
            totals[i, column] = coarse[i, column].sum()
        for column in range(n_columns - 1 if row > 0 else 0):
            n = totals[:, column : column + 2].sum()
            if n > 0:
                lower = _value_at_rank(fine, coarse, column, (n - 1) // 2)
                upper = _value_at_rank(fine, coarse, column, n // 2)
                medians[row - 1, column] = (lower + upper) / 2 - offset
    return medians
