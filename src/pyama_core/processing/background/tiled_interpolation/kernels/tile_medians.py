"""Kernel that takes the medians of overlapping tiles by counting each pixel once.

Tiles overlap by half, so each is four blocks, and each block belongs to up to four tiles. Counts
of blocks can be added where medians cannot. Counts are kept at two levels, per value and per
group of 256 values, so that finding a rank does not walk through 65,536 counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

_GROUP = 256


class BlockCounts(NamedTuple):
    """Counts of two rows of blocks: per value, and per group of 256 values."""

    fine: NDArray[np.uint32]
    coarse: NDArray[np.uint32]


def no_counts(n_columns: int, n_values: int) -> BlockCounts:
    """Return counts of 0, for `n_columns` blocks per row and a multiple of 256 values."""
    return BlockCounts(
        np.zeros((2, n_columns, n_values), np.uint32),
        np.zeros((2, n_columns, n_values // _GROUP), np.uint32),
    )


@compiled()
def _count_blocks(
    frame: NDArray[Any],
    masked: NDArray[np.uint8],
    column_edges: NDArray[np.int64],
    offset: int,
    fine: NDArray[np.uint32],
    coarse: NDArray[np.uint32],
) -> None:
    """Count the unmasked values of a row of blocks in the place of another row's.

    Goes along the rows of the frame rather than block by block: rows of a large frame lie in
    pages of their own, and to begin a page takes longer than to count what a block has in it.
    """
    n_columns = column_edges.size - 1
    for column in range(n_columns):
        for group in np.flatnonzero(coarse[column]):
            fine[column, group * _GROUP : (group + 1) * _GROUP] = 0
    touched = np.zeros(coarse.shape, np.bool_)
    for y in range(frame.shape[0]):
        for column in range(n_columns):
            begin, end = column_edges[column], column_edges[column + 1]
            pixels, hidden = frame[y, begin:end], masked[y, begin:end]
            counts, groups = fine[column], touched[column]
            for x in range(end - begin):
                if hidden[x] == 0:
                    value = np.int64(pixels[x]) + offset
                    counts[value] += np.uint32(1)
                    groups[value // _GROUP] = True
    coarse[:] = 0
    for column in range(n_columns):
        for group in np.flatnonzero(touched[column]):
            coarse[column, group] = fine[column, group * _GROUP : (group + 1) * _GROUP].sum()


@compiled()
def _value_at_rank(
    fine: NDArray[np.uint32], coarse: NDArray[np.uint32], column: int, rank: np.int64
) -> int:
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


@compiled()
def tile_medians(
    frame: NDArray[Any],
    masked: NDArray[np.uint8],
    row_edges: NDArray[np.int64],
    column_edges: NDArray[np.int64],
    offset: int,
    counts: BlockCounts,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the median of the pixels with `masked` = 0 of each tile, and how many it has.

    The median of a tile without any is NaN. Tile i spans row_edges[i] to row_edges[i + 2], likewise
    in columns. Pixel values plus `offset` are those that `counts` has room for: an array to work
    in, which `no_counts` makes and the next call finds as this one leaves it.
    """
    fine, coarse = counts.fine, counts.coarse
    n_rows, n_columns = row_edges.size - 1, column_edges.size - 1
    totals = np.zeros((2, n_columns), np.int64)
    medians = np.full((n_rows - 1, n_columns - 1), np.nan)
    n_free = np.zeros(medians.shape, np.int64)
    for row in range(n_rows):
        rows = slice(row_edges[row], row_edges[row + 1])
        i = row % 2
        _count_blocks(frame[rows], masked[rows], column_edges, offset, fine[i], coarse[i])
        for column in range(n_columns):  # not the sum along an axis: see `runs.with_room`
            totals[i, column] = coarse[i, column].sum()
        for column in range(n_columns - 1 if row > 0 else 0):
            n = totals[:, column : column + 2].sum()
            n_free[row - 1, column] = n
            if n > 0:
                lower = _value_at_rank(fine, coarse, column, (n - 1) // 2)
                upper = _value_at_rank(fine, coarse, column, n // 2)
                medians[row - 1, column] = (lower + upper) / 2 - offset
    return medians, n_free
