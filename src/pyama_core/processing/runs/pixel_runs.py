"""Frames as runs: stretches of equal pixels within a row, in raster order.

A mask of cells has some thousand runs where it has millions of pixels. Whatever can be asked of
runs (which belong together, which overlap, which touch the edge) costs next to nothing once one
pass over the pixels has found them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

ScalarT = TypeVar("ScalarT", bound=np.generic)

_ONE = np.uint64(1)
_SHIFT = np.uint64(58)
# The upper six bits of this number times 2ᵏ are different for each k, so that a table of 64 finds
# the place of a lone bit; here, of its byte.
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_BYTE_OF_BIT = np.argsort([(0x03F79D71B4CB0A89 << k) % 2**64 >> 58 for k in range(64)]) // 8


class Runs(NamedTuple):
    """Runs of one frame, in raster order.

    Run r covers the columns start[r] ≤ x < stop[r] of a row and belongs to object label[r]; row y
    has the runs first[y] ≤ r < first[y + 1].
    """

    first: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    label: NDArray[np.int64]


@compiled()
def with_room(values: NDArray[ScalarT], needed: int) -> NDArray[ScalarT]:
    """Return `values`, moved to a larger array if `needed` of them do not fit."""
    if needed <= values.size:
        return values
    larger = np.empty(max(needed, 2 * values.size), values.dtype)
    # Not a copy of a slice: the compiler takes three seconds for its check of shapes.
    for i in range(values.size):
        larger[i] = values[i]
    return larger


@compiled()
def stretches(
    row: NDArray[Any],
    is_begin: NDArray[np.uint8],
    marked: NDArray[np.int64],
    begin: NDArray[np.int64],
) -> int:
    """Write where each stretch of equal pixels of a row begins, then its width; return how many.

    Beginnings are marked first, which vector instructions do. Then the words of eight marks that
    have any are written down, without a branch that could be mispredicted, and of these the marks.
    """
    width = row.size
    is_begin[0] = is_begin[width] = 1
    for x in range(1, width):
        is_begin[x] = row[x] != row[x - 1]
    words = is_begin.view(np.uint64)
    n_marked = 0
    for word in range(words.size):
        marked[n_marked] = word
        n_marked += words[word] != 0
    n = 0
    for i in range(n_marked):
        marks = words[marked[i]]
        while marks != 0:
            lowest = marks & (~marks + _ONE)
            begin[n] = 8 * marked[i] + _BYTE_OF_BIT[(lowest * _DE_BRUIJN) >> _SHIFT]
            n += 1
            marks ^= lowest
    return n - 1


@compiled()
def find_runs(image: NDArray[Any], background: int) -> Runs:
    """Find the runs of equal pixels other than `background`; the pixel is the label."""
    height, width = image.shape
    is_begin = np.zeros((width + 8) // 8 * 8, np.uint8)
    marked = np.empty(is_begin.size // 8 + 1, np.int64)
    begin = np.empty(width + 1, np.int64)
    first = np.empty(height + 1, np.int64)
    expected = max(1024, image.size // 32)  # memory that is not touched costs nothing
    start, stop = np.empty(expected, np.int64), np.empty(expected, np.int64)
    label = np.empty(expected, np.int64)
    n = 0
    for y in range(height):
        first[y] = n
        row = image[y]
        nstretches = stretches(row, is_begin, marked, begin)
        room = n + nstretches
        start, stop = with_room(start, room), with_room(stop, room)
        label = with_room(label, room)
        for i in range(nstretches):
            value = row[begin[i]]
            if value != background:
                start[n], stop[n], label[n] = begin[i], begin[i + 1], value
                n += 1
    first[height] = n
    return Runs(first, start[:n], stop[:n], label[:n])


@compiled()
def rows_of(runs: Runs) -> NDArray[np.int64]:
    """Return the row of each run."""
    row = np.empty(runs.start.size, np.int64)
    for y in range(runs.first.size - 1):
        row[runs.first[y] : runs.first[y + 1]] = y
    return row


@compiled()
def paint(runs: Runs, values: NDArray[Any], out: NDArray[Any]) -> None:
    """Write values[object] into the pixels of each object."""
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            out[y, runs.start[run] : runs.stop[run]] = values[runs.label[run]]
