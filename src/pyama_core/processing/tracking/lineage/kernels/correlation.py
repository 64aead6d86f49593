"""Kernels of the phase correlation of two masks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float64Array = NDArray[np.float64]
Complex128Array = NDArray[np.complex128]

_LEAST = 1e-9


@compiled()
def reduced(mask: NDArray[np.bool_], factor: int) -> Float64Array:
    """Return the means of blocks of factor × factor pixels, background beyond the edge."""
    height, width = mask.shape
    out = np.zeros((-(-height // factor), -(-width // factor)))
    for y in range(height):
        row, sums = mask[y], out[y // factor]
        for x in range(width):
            if row[x]:
                sums[x // factor] += 1
    return out / (factor * factor)


@compiled()
def weighted_phases(
    previous: Complex128Array, current: Complex128Array, weight: Float64Array
) -> Complex128Array:
    """Return the phases by which two spectra differ, times weights."""
    out = np.empty(previous.shape, np.complex128)
    for i in range(previous.shape[0]):
        for j in range(previous.shape[1]):
            cross = current[i, j] * previous[i, j].conjugate()
            size = math.sqrt(cross.real**2 + cross.imag**2)
            out[i, j] = cross * (weight[i, j] / max(size, _LEAST))
    return out
