"""Kernels that smooth images row by row, by weights of both axes.

Edges are continued by their last pixel. A row is weighed vertically first, from whatever holds the
rows around it, so that no smoothed image but the last need exist as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float32Array = NDArray[np.float32]


def gaussian(sigma: float, reach: float = 2.5) -> Float32Array:
    """Return the weights of the centre and of the pixels to one side, cut off at `reach` sigma."""
    distance = np.arange(max(1, int(np.ceil(reach * sigma))) + 1)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(weights / (2 * weights.sum() - weights[0]), np.float32)


def box(sigma: float) -> Float32Array:
    """Return the weights of a box of odd width, about as wide as a Gaussian of `sigma` pixels."""
    reach = max(1, round(1.73 * sigma))
    return np.full(reach + 1, 1 / (2 * reach + 1), np.float32)


@compiled()
def weigh_rows(
    image: NDArray[Any], y: int, last: int, weights: Float32Array, start: int, out: Float32Array
) -> None:
    """Write part of row `y`, smoothed vertically, from column `start` on.

    Row i is image[i % n] for n rows that there are, so that a few can take turns; beyond 0 and
    `last` the rows are those.
    """
    n, stop = image.shape[0], start + out.size
    row, factor, reach = image[y % n][start:stop], weights[0], weights.size - 1
    if reach == 0:
        for x in range(out.size):
            out[x] = factor * np.float32(row[x])
        return
    # Two pairs of rows at a time, so that sums are loaded and stored half as often.
    for k in range(1, reach + 1, 2):
        further = min(k + 1, reach)
        inner, outer = weights[k], weights[further] if k < reach else np.float32(0)
        above, below = image[max(y - k, 0) % n][start:stop], image[min(y + k, last) % n][start:stop]
        over = image[max(y - further, 0) % n][start:stop]
        under = image[min(y + further, last) % n][start:stop]
        if k == 1:
            for x in range(out.size):
                near = np.float32(above[x]) + np.float32(below[x])
                far = np.float32(over[x]) + np.float32(under[x])
                out[x] = (factor * np.float32(row[x]) + inner * near) + outer * far
        else:
            for x in range(out.size):
                near = np.float32(above[x]) + np.float32(below[x])
                far = np.float32(over[x]) + np.float32(under[x])
                out[x] += inner * near + outer * far


@compiled()
def continue_row(row: Float32Array, margin: int) -> None:
    """Write the first and the last pixel between the margins into these."""
    for i in range(margin):
        row[i] = row[margin]
        row[row.size - 1 - i] = row[row.size - 1 - margin]


@compiled()
def smooth_row(row: Float32Array, weights: Float32Array, out: Float32Array) -> None:
    """Write a row with margins of weights.size − 1 pixels, smoothed horizontally, without them."""
    reach, width = weights.size - 1, out.size
    centre, factor = row[reach : reach + width], weights[0]
    if reach == 0:
        for x in range(width):
            out[x] = factor * centre[x]
        return
    for k in range(1, reach + 1, 2):
        further = min(k + 1, reach)
        inner, outer = weights[k], weights[further] if k < reach else np.float32(0)
        left, right = row[reach - k : reach - k + width], row[reach + k : reach + k + width]
        far_left = row[reach - further : reach - further + width]
        far_right = row[reach + further : reach + further + width]
        if k == 1:
            for x in range(width):
                near, far = left[x] + right[x], far_left[x] + far_right[x]
                out[x] = (factor * centre[x] + inner * near) + outer * far
        else:
            for x in range(width):
                near, far = left[x] + right[x], far_left[x] + far_right[x]
                out[x] += inner * near + outer * far


@compiled()
def smooth_whole_row(
    image: NDArray[Any], y: int, last: int, weights: Float32Array, work: Float32Array,
    out: Float32Array,
) -> None:  # fmt: skip
    """Write row `y` of an image, smoothed in both axes; see `weigh_rows`.

    `work` has weights.size − 1 pixels more to either side.
    """
    margin = weights.size - 1
    start = image.shape[1] - out.size  # 0, but for a literal there would be a kernel of its own
    weigh_rows(image, y, last, weights, start, work[margin : margin + out.size])
    continue_row(work, margin)
    smooth_row(work, weights, out)
