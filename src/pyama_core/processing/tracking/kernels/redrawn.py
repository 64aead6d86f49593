"""Kernels that draw objects anew, and windows of them, without a frame of pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]
UInt32Array = NDArray[np.uint32]


class Patches(NamedTuple):
    """What takes the place of some objects.

    Attributes
    ----------
    of_object
        (n_objects,) int64: the index of the patch of each object, -1 where it has none.
    corner
        (n, 2) int64: row and column of each patch in the frame.
    width
        (n,) int64: its columns.
    first
        (n,) int64: the place of its first pixel in `values`.
    values
        Of the pixels of all patches, row by row.
    """

    of_object: IntArray
    corner: IntArray
    width: IntArray
    first: IntArray
    values: IntArray


@compiled()
def redrawn(runs: Runs, value_of: IntArray, patches: Patches) -> Runs:
    """Return the runs of equal values other than 0 of a frame in which objects are drawn anew.

    Parameters
    ----------
    runs
        Of the objects.
    value_of
        (n_objects,) int64: what the pixels of each object become.
    patches
        What those of some objects become instead.
    """
    height = runs.first.size - 1
    first = np.zeros(height + 1, np.int64)
    # As if each pixel of a patch were a run; memory that is not touched costs nothing.
    most = runs.start.size + patches.values.size
    start, stop, value = (
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
    )
    n = 0
    for y in range(height):
        first[y] = n
        for run in range(runs.first[y], runs.first[y + 1]):
            i = runs.label[run]
            patch = patches.of_object[i]
            x, end = runs.start[run], runs.stop[run]
            while x < end:
                far, now = end, value_of[i]
                if patch >= 0:
                    place = patches.first[patch] - patches.corner[patch, 1]
                    place += (y - patches.corner[patch, 0]) * patches.width[patch]
                    now, far = patches.values[place + x], x + 1
                    while far < end and patches.values[place + far] == now:
                        far += 1
                if now and n > first[y] and stop[n - 1] == x and value[n - 1] == now:
                    stop[n - 1] = far
                elif now:
                    start[n], stop[n], value[n] = x, far, now
                    n += 1
                x = far
    first[height] = n
    return Runs(first, start[:n], stop[:n], value[:n])


@compiled()
def window_of(runs: Runs, value_of: IntArray, box: IntArray) -> UInt32Array:
    """Return a part of a frame, in which the pixels of each object have its value.

    Parameters
    ----------
    value_of
        (n_objects,) int64.
    box
        (4,) int64: first row, first column, last row + 1, last column + 1.
    """
    top, left, bottom, right = box
    window = np.zeros((bottom - top, right - left), np.uint32)
    for y in range(top, bottom):
        for run in range(runs.first[y], runs.first[y + 1]):
            value = value_of[runs.label[run]]
            if value:
                begin, end = max(runs.start[run], left), min(runs.stop[run], right)
                for x in range(begin, end):
                    window[y - top, x - left] = value
    return window


@compiled()
def runs_in(runs: Runs, value_of: IntArray, box: IntArray) -> Runs:
    """Return the runs of what `window_of` returns, for boxes that hold all that has a value."""
    top, left, bottom, _ = box
    first = np.zeros(bottom - top + 1, np.int64)
    most = runs.first[bottom] - runs.first[top]
    start, stop, value = (
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
    )
    n = 0
    for y in range(top, bottom):
        first[y - top] = n
        for run in range(runs.first[y], runs.first[y + 1]):
            if value_of[runs.label[run]]:
                start[n], stop[n] = runs.start[run] - left, runs.stop[run] - left
                value[n] = value_of[runs.label[run]]
                n += 1
    first[bottom - top] = n
    return Runs(first, start[:n], stop[:n], value[:n])


@compiled()
def nearest_values(seeds: NDArray[Any], inside: NDArray[np.bool_]) -> NDArray[Any]:
    """Return for each pixel inside the value of the nearest seed, the leftmost, then uppermost one.

    In time linear in the number of pixels, by columns and then by rows. Values other than 0 are
    seeds, of which there must be one.

    References
    ----------
    A. Meijster, J. B. T. M. Roerdink, W. H. Hesselink, "A general algorithm for computing distance
    transforms in linear time", in: Mathematical Morphology and its Applications to Image and Signal
    Processing, 331-340 (2000).
    """
    height, width = seeds.shape
    out = np.zeros_like(seeds)
    nearest = np.full((height, width), -1)  # the row of the nearest seed of the column
    for y in range(height):
        for x in range(width):
            if seeds[y, x]:
                nearest[y, x] = y
            elif y > 0:
                nearest[y, x] = nearest[y - 1, x]
    for y in range(height - 2, -1, -1):
        for x in range(width):
            below = nearest[y + 1, x]
            if below > y and (nearest[y, x] < 0 or below - y < y - nearest[y, x]):
                nearest[y, x] = below
    owner, since = np.empty(width, np.int64), np.empty(width, np.int64)
    for y in range(height):
        _nearest_of_row(nearest[y], y, owner, since, seeds, inside[y], out[y])
    return out


@compiled()
def _nearest_of_row(
    nearest: IntArray,
    y: int,
    owner: IntArray,
    since: IntArray,
    seeds: NDArray[Any],
    inside: NDArray[np.bool_],
    out: NDArray[Any],
) -> None:
    """Write the values of the nearest seeds of the pixels of a row.

    Parameters
    ----------
    nearest
        The row of the nearest seed of each column, -1 for none.
    owner, since
        Room for the columns whose seeds are nearest to some pixels, and from which pixel on.
    """
    n = 0
    for u in range(nearest.size):
        if nearest[u] < 0:
            continue
        far = (nearest[u] - y) ** 2
        begins = 0
        while n > 0:
            i = owner[n - 1]
            other = (nearest[i] - y) ** 2
            if (since[n - 1] - i) ** 2 + other > (since[n - 1] - u) ** 2 + far:
                n -= 1
                continue
            begins = 1 + (u * u - i * i + far - other) // (2 * (u - i))
            break
        if begins < nearest.size:
            owner[n], since[n] = u, begins
            n += 1
    for x in range(nearest.size - 1, -1, -1):
        while since[n - 1] > x:
            n -= 1
        if inside[x]:
            i = owner[n - 1]
            out[x] = seeds[nearest[i], i]
