"""Kernel that takes the background from a working image, smooths it and measures its roughness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.segmentation.kernels.smoothing import smooth_whole_row
from pyama_core.processing.segmentation.kernels.tiles import subtract_tiles

Float32Array = NDArray[np.float32]


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
