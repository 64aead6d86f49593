"""Kernel that takes the background from a working image, smooths it and measures its roughness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.segmentation.instances.kernels.resample import interpolation
from pyama_core.processing.segmentation.instances.kernels.smoothing import smooth_whole_row

Float32Array = NDArray[np.float32]


@compiled()
def subtract_tiles(image: Float32Array, tiles: Float32Array, out: Float32Array) -> None:
    """Subtract tiles, interpolated bilinearly between their centres."""
    top, below = interpolation(image.shape[0], tiles.shape[0])
    left, beyond = interpolation(image.shape[1], tiles.shape[1])
    last_row, last_column = tiles.shape[0] - 1, tiles.shape[1] - 1
    wide = np.empty((tiles.shape[0], image.shape[1]), np.float32)
    for i in range(tiles.shape[0]):
        for x in range(image.shape[1]):
            at = tiles[i, left[x]]
            wide[i, x] = at + beyond[x] * (tiles[i, min(left[x] + 1, last_column)] - at)
    for y in range(image.shape[0]):
        upper, lower, depth = wide[top[y]], wide[min(top[y] + 1, last_row)], below[y]
        row, clean = image[y], out[y]
        for x in range(clean.size):
            clean[x] = row[x] - (upper[x] + depth * (lower[x] - upper[x]))


@compiled()
def contrast_images(
    image: Float32Array,
    tiles: Float32Array,
    weights: tuple[Float32Array, Float32Array, Float32Array],
    clean: Float32Array,
    smooth: Float32Array,
    variance: Float32Array,
) -> None:
    """Write an image without background, the same smoothed, and its roughness.

    The background is that of tiles of equal size, interpolated bilinearly. Roughness is the square
    of what the second weights smooth away, smoothed by the third; the first are for the image.
    """
    height, width = image.shape
    fine, coarse, pooling = weights
    subtract_tiles(image, tiles, clean)
    detail = np.empty((2 * pooling.size - 1, width), np.float32)
    fine_work = np.empty(width + 2 * (fine.size - 1), np.float32)
    coarse_work = np.empty(width + 2 * (coarse.size - 1), np.float32)
    pooling_work = np.empty(width + 2 * (pooling.size - 1), np.float32)
    last, lag = height - 1, pooling.size - 1
    for y in range(height + lag):
        if y < height:
            smooth_whole_row(clean, y, last, fine, fine_work, smooth[y])
            row, square = clean[y], detail[y % detail.shape[0]]
            smooth_whole_row(clean, y, last, coarse, coarse_work, square)
            for x in range(width):
                square[x] = (row[x] - square[x]) * (row[x] - square[x])
        if y >= lag:
            smooth_whole_row(detail, y - lag, last, pooling, pooling_work, variance[y - lag])
