"""Kernels that ask of the tiles of an image whether there are objects, and of the rest its values.

Pixel y of n belongs to tile y · m // n of m.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float32Array = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]


@compiled()
def busy_tiles(image: Float32Array, limit: float, height: int, width: int) -> UInt8Array:
    """Return, for each of `height` × `width` tiles, whether a pixel in it exceeds a limit."""
    out = np.zeros((height, width), np.uint8)
    rows, columns = image.shape
    tile = np.arange(columns) * width // columns
    highest = np.float32(limit)
    for y in range(rows):
        row, busy = image[y], out[y * height // rows]
        for x in range(columns):
            if row[x] > highest:
                busy[tile[x]] = 1
    return out


@compiled()
def values_in(image: Float32Array, free: UInt8Array, step: int) -> Float32Array:
    """Return the values in tiles that are free, of every `step`-th pixel of every `step`-th row."""
    height, width = free.shape
    rows, columns = image.shape
    out = np.empty(((rows + step - 1) // step) * ((columns + step - 1) // step), np.float32)
    n = 0
    for y in range(0, rows, step):
        row, is_free = image[y], free[y * height // rows]
        for x in range(0, columns, step):
            if is_free[x * width // columns] > 0:
                out[n] = row[x]
                n += 1
    return out[:n]
