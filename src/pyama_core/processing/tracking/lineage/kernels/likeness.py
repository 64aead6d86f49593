"""Kernels that say how much pieces of one frame are like objects of another, and what touches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs, with_room
from pyama_core.processing.tracking.objects import Outlines

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
UInt32Array = NDArray[np.uint32]

_FARTHEST = 0.7  # of the diameter: what lies farther away is another cell
_LEAST_COMMON = 0.1  # of the smaller one
_N_ASKED = 3  # objects under a piece, by common pixels, that are compared with it


@compiled()
def likenesses(
    window: Runs,
    n_pieces: int,
    corner: tuple[int, int],
    runs: Runs,
    outlines: Outlines,
    area: IntArray,
    position: Float64Array,
) -> Float64Array:
    """Return the best likeness of pieces and the objects under them in another frame, 0 to 1.

    The intersection over union once the centroids lie on each other, so that a step of the cell
    does not count as a change of its shape, times one less the square of the step in diameters.

    Parameters
    ----------
    window
        A part of the frame, in which the pieces have labels from 1.
    n_pieces, corner
        How many there are, and the row and column of the window in the frame.
    runs, outlines, area, position
        The objects of the other frame.

    Returns
    -------
    ndarray
        (1 + n_pieces,): of all pieces together, and of each.
    """
    sums = _sums(window, n_pieces)
    under, count = _objects_under(window, n_pieces, corner, runs)
    best = np.zeros(n_pieces + 1)
    for piece in range(n_pieces + 1):
        n, rows, columns = sums[piece]
        for _ in range(min(_N_ASKED, under.size)):
            place = int(np.argmax(count[piece]))
            other, common = under[place], count[piece, place]
            count[piece, place] = 0
            if common == 0 or common < _LEAST_COMMON * min(n, area[other]):
                continue
            down = position[other, 0] - corner[0] - rows / n
            across = position[other, 1] - corner[1] - columns / n
            step = (down * down + across * across) * math.pi / (4 * n)
            if step > _FARTHEST**2:
                continue
            if min(n, area[other]) / max(n, area[other]) * (1 - step) <= best[piece]:
                continue  # even if the smaller one lay in the larger
            top, left = math.floor(down + 0.5) + corner[0], math.floor(across + 0.5) + corner[1]
            common = _common(window, piece, top, left, outlines, other)
            likeness = common / (n + area[other] - common) * (1 - step)
            best[piece] = max(best[piece], likeness)
    return best


@compiled()
def _sums(window: Runs, n_pieces: int) -> IntArray:
    """Return pixels, sum of rows and sum of columns of all pieces together, and of each."""
    sums = np.zeros((n_pieces + 1, 3), np.int64)
    for y in range(window.first.size - 1):
        for run in range(window.first[y], window.first[y + 1]):
            start, stop, piece = window.start[run], window.stop[run], window.label[run]
            sums[piece, 0] += stop - start
            sums[piece, 1] += (stop - start) * y
            sums[piece, 2] += (stop - start) * (start + stop - 1) // 2
    sums[0] = sums.sum(axis=0)
    return sums


@compiled()
def _objects_under(
    window: Runs, n_pieces: int, corner: tuple[int, int], runs: Runs
) -> tuple[IntArray, IntArray]:
    """Return the objects that have pixels in pieces, in order; and how many in all and in each."""
    under, count = np.empty(8, np.int64), np.zeros((n_pieces + 1, 8), np.int64)
    n = 0
    for y in range(window.first.size - 1):
        i, end = runs.first[y + corner[0]], runs.first[y + corner[0] + 1]
        for run in range(window.first[y], window.first[y + 1]):
            start, stop = window.start[run] + corner[1], window.stop[run] + corner[1]
            while i < end and runs.stop[i] <= start:
                i += 1
            other = i
            while other < end and runs.start[other] < stop:
                k = 0
                while k < n and under[k] != runs.label[other]:
                    k += 1
                if k == under.size:
                    under = with_room(under, n + 1)
                    larger = np.zeros((n_pieces + 1, under.size), np.int64)
                    larger[:, :n] = count
                    count = larger
                if k == n:
                    under[n] = runs.label[other]
                    n += 1
                common = min(stop, runs.stop[other]) - max(start, runs.start[other])
                count[window.label[run], k] += common
                count[0, k] += common
                other += 1
    order = np.argsort(under[:n])
    return under[order], count[:, order]


@compiled()
def _common(window: Runs, piece: int, top: int, left: int, outlines: Outlines, other: int) -> int:
    """Return how many pixels of a piece lie in an object, the window being moved to a corner.

    Piece 0 are all of them together.
    """
    common = 0
    for run in range(outlines.first[other], outlines.first[other + 1]):
        y = outlines.row[run] - top
        if not 0 <= y < window.first.size - 1:
            continue
        start, stop = outlines.start[run] - left, outlines.stop[run] - left
        for i in range(window.first[y], window.first[y + 1]):
            if piece == 0 or window.label[i] == piece:
                common += max(0, min(stop, window.stop[i]) - max(start, window.start[i]))
    return common


@compiled()
def hang_together(window: UInt32Array, n: int, gap: int) -> bool:
    """Return whether the values 1 to n of a window are one group of neighbours.

    Neighbours have pixels that are at most so far apart along a row or a column.
    """
    height, width = window.shape
    group = np.arange(n + 1)
    n_groups = n
    for y in range(height):
        for x in range(width):
            value = window[y, x]
            if value == 0:
                continue
            for far in range(1, gap + 1):
                for down in range(2):
                    v, u = y + far * down, x + far * (1 - down)
                    if v >= height or u >= width or window[v, u] == 0:
                        continue
                    one, two = group[value], group[window[v, u]]
                    if one != two:
                        n_groups -= 1
                        for i in range(1, n + 1):
                            if group[i] == two:
                                group[i] = one
    return n_groups == 1
