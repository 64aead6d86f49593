"""Kernel that takes away what was measured in tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.segmentation.kernels.resample import interpolation

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
