"""Kernel that measures how deep each pixel lies in a body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs
from pyama_core.processing.segmentation.kernels.smoothing import smooth_whole_row

UInt16Array = NDArray[np.uint16]

PER_PIXEL = 64
FARTHEST = 63 * PER_PIXEL
_STEP, _DIAGONAL, _KNIGHT = 64, 90, 141  # 1, 1.4 and 2.1969 pixels


@compiled()
def _from_rows(row: UInt16Array, beside: UInt16Array, beyond: UInt16Array) -> None:
    """Shorten the distances of a row by ways from the row beside it and the one beyond."""
    step, diagonal, knight = np.uint16(_STEP), np.uint16(_DIAGONAL), np.uint16(_KNIGHT)
    for x in range(row.size - 4):
        straight = min(np.uint16(beside[x + 2] + step), row[x + 2])
        near = min(np.uint16(beside[x + 1] + diagonal), np.uint16(beside[x + 3] + diagonal))
        wide = min(np.uint16(beside[x] + knight), np.uint16(beside[x + 4] + knight))
        high = min(np.uint16(beyond[x + 1] + knight), np.uint16(beyond[x + 3] + knight))
        row[x + 2] = min(min(straight, near), min(wide, high))


@compiled()
def _distances(core: Runs, shape: tuple[int, int]) -> UInt16Array:
    """Return the distance of the pixels of runs to the nearest outside, framed by two pixels.

    OpenCV's `distanceTransform` with a mask of 5×5 finds the same in floats; along the runs that
    takes half the time, and gives the whole numbers that `depths` weighs.
    """
    height, width = shape
    step, far = np.uint16(_STEP), np.uint16(FARTHEST)
    out = np.zeros((height + 4, width + 4), np.uint16)
    out[:2], out[-2:] = far, far
    for y in range(height):
        row = out[y + 2]
        row[:2], row[-2:] = far, far
        first, last = core.first[y], core.first[y + 1]
        if first == last:
            continue
        for run in range(first, last):
            row[core.start[run] + 2 : core.stop[run] + 2] = far
        part = slice(core.start[first], core.stop[last - 1] + 4)
        _from_rows(row[part], out[y + 1][part], out[y][part])
        for run in range(first, last):
            before = row[core.start[run] + 1]
            for x in range(core.start[run] + 2, core.stop[run] + 2):
                before = min(row[x], np.uint16(before + step))
                row[x] = before
    for y in range(height - 1, -1, -1):
        row = out[y + 2]
        first, last = core.first[y], core.first[y + 1]
        if first < last:
            part = slice(core.start[first], core.stop[last - 1] + 4)
            _from_rows(row[part], out[y + 3][part], out[y + 4][part])
            for run in range(first, last):
                before = row[core.stop[run] + 2]
                for x in range(core.stop[run] + 1, core.start[run] + 1, -1):
                    before = min(row[x], np.uint16(before + step))
                    row[x] = before
        # From here on the frame continues the image.
        row[:2], row[-2:] = row[2], row[-3]
    for x in range(width + 4):  # not copies of rows: see `runs.with_room`
        out[0, x] = out[1, x] = out[2, x]
        out[height + 2, x] = out[height + 3, x] = out[height + 1, x]
    return out


@compiled()
def depths(
    body: Runs, core: Runs, shape: tuple[int, int], weights: NDArray[np.float32]
) -> UInt16Array:
    """Return how deep the pixels of a body lie, in 64ths of a pixel, plus 1; 0 outside.

    (Y + 2, X + 2): framed by one pixel of 0.

    The depth is the distance of the pixels of the core, which is the body without the lines in it,
    to the nearest other pixel, over steps of 1, 1.4 and 2.1969 pixels to neighbours, diagonal ones,
    and in a knight's move, at most 63 pixels; smoothed by `weights` in both axes. Beyond the edge
    of the image all is core.

    References
    ----------
    G. Borgefors, "Distance transformations in digital images", Computer Vision, Graphics, and Image
    Processing 34, 344-371 (1986).
    """
    height, width = shape
    distance = _distances(core, shape)
    out = np.zeros((height + 2, width + 2), np.uint16)
    margin = weights.size - 1
    ring = np.empty((2 * margin + 1, width + 4), np.float32)
    sums, smooth = np.empty(width + 4 + 2 * margin, np.float32), np.empty(width + 4, np.float32)
    last = height + 3
    for ahead in range(last + margin + 1):
        if ahead <= last:
            rows = ring[ahead % ring.shape[0]]
            for x in range(width + 4):
                rows[x] = distance[ahead, x]
        y = ahead - margin - 2
        if y < 0 or y >= height or body.first[y] == body.first[y + 1]:
            continue
        row = out[y + 1]
        smooth_whole_row(ring, y + 2, last, weights, sums, smooth)
        for run in range(body.first[y], body.first[y + 1]):
            for x in range(body.start[run], body.stop[run]):
                row[x + 1] = np.uint16(smooth[x + 2] + np.float32(1.5))
    return out
