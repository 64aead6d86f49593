"""Kernel that draws rings around nuclei.

A nucleus grown by a disc is the union of its runs, each widened by the reach of the disc in rows
above and below. Where such runs begin and end is counted, row by row, and one sweep over the row
tells what they cover: exact distances, in time that is linear in the area around the nuclei.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.extraction.kernels.intensities import RunsByObject
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]


@compiled()
def _mark(
    runs: Runs,
    mine: IntArray,
    row: IntArray,
    y: int,
    disc: IntArray,
    left: int,
    right: int,
    ends: NDArray[np.int32],
) -> None:
    """Count where runs, grown by a disc, begin (+1) and end (-1) in row `y`, from `left` on."""
    first = np.searchsorted(row, y - disc.size + 1)
    for i in range(first, mine.size):
        if row[i] - y >= disc.size:
            break
        reach = disc[abs(row[i] - y)]
        ends[max(runs.start[mine[i]] - reach, left) - left] += 1
        ends[min(runs.stop[mine[i]] + reach, right) - left] -= 1


@compiled()
def draw_rings(
    cells: NDArray[Any],
    runs: Runs,
    grouped: RunsByObject,
    cell: IntArray,
    box: IntArray,
    inner: IntArray,
    outer: IntArray,
    out: NDArray[Any],
) -> None:
    """Write the label of each cell into its ring.

    Parameters
    ----------
    cells
        (Y, X) label image.
    runs, grouped, cell, box
        The nuclei: their pixels, the cell of each, and what encloses it.
    inner, outer
        How far the discs reach by which a nucleus is grown to the inner and the outer edge of the
        ring, by the distance of rows.
    out
        (Y, X), zeros.
    """
    height, width = cells.shape
    reach = outer.size - 1
    near = np.zeros((height, width), np.uint8)
    ends_inner, ends_outer = np.zeros(width + 1, np.int32), np.zeros(width + 1, np.int32)
    for i in range(cell.size):
        own = slice(grouped.begin[i], grouped.begin[i + 1])
        mine, row = grouped.run[own], grouped.row[own]
        left, right = max(box[i, 1] - reach, 0), min(box[i, 3] + reach, width)
        for y in range(max(box[i, 0] - reach, 0), min(box[i, 2] + reach, height)):
            _mark(runs, mine, row, y, inner, left, right, ends_inner)
            _mark(runs, mine, row, y, outer, left, right, ends_outer)
            n_inner = n_outer = 0
            for x in range(left, right):
                n_inner += ends_inner[x - left]
                n_outer += ends_outer[x - left]
                ends_inner[x - left] = ends_outer[x - left] = 0
                if n_inner > 0:
                    near[y, x] = 1
                elif n_outer > 0 and cells[y, x] == cell[i]:
                    out[y, x] = cells[y, x]
            ends_inner[right - left] = ends_outer[right - left] = 0
    for y in range(height):
        for x in range(width):
            if near[y, x]:
                out[y, x] = 0
