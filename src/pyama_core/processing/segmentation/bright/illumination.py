"""The smooth part of the background of a frame, which uneven light makes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.segmentation.bright.kernels.polynomials import fit
from pyama_core.processing.segmentation.kernels.resample import shrink_frame

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

DEGREE = 4
PER_POWER = 4  # blocks along an axis, at least, for each power of its coordinate
COARSE = 32  # blocks along an axis, at most, that the polynomial is fitted to
ROUNDS = 8
ABOVE, BELOW = 1.5, 3.0  # deviations beyond which a block is no background


def smooth_background(tiles: Float32Array) -> Float32Array:
    """Return the polynomial of both coordinates, of degree 4, that fits the background of tiles.

    It is fitted to the means of at most 32 × 32 blocks again and again, each time without those
    that are too high, as they hold objects, or far too low. That of uneven light and of the dark
    corners of a camera's image is of this form; objects, unless one is as large as the frame, are
    not.
    """
    height, width = (min(COARSE, n) for n in tiles.shape)
    blocks = shrink_frame(read_only(tiles), height, width).astype(np.float64).ravel()
    terms = _terms(height, width)
    kept = np.ones(blocks.size, np.bool_)
    fitted = np.full(terms.shape[1], 0.0)
    for _ in range(ROUNDS):
        fitted = fit(terms, blocks, kept)
        rest = blocks - np.sum(terms * fitted, axis=1)
        spread = 1.4826 * float(np.median(np.abs(rest[kept])))
        within = (rest <= ABOVE * spread) & (rest >= -BELOW * spread)
        if np.count_nonzero(within) < 4 * terms.shape[1] or np.array_equal(within, kept):
            break
        kept = within
    return np.asarray(_evaluated(fitted, _exponents(height, width), tiles.shape), np.float32)


def _exponents(height: int, width: int) -> list[tuple[int, int]]:
    highest = [min(DEGREE, n // PER_POWER) for n in (height, width)]
    return [(i, j) for i in range(highest[0] + 1) for j in range(highest[1] + 1) if i + j <= DEGREE]


def _powers(n: int) -> Float64Array:
    """Return the Legendre polynomials at the centres of n parts of [−1, 1], (n, DEGREE + 1)."""
    return np.asarray(
        np.polynomial.legendre.legvander((2 * np.arange(n) + 1) / n - 1, DEGREE), np.float64
    )


def _terms(height: int, width: int) -> Float64Array:
    rows, columns = _powers(height), _powers(width)
    terms = [np.outer(rows[:, i], columns[:, j]).ravel() for i, j in _exponents(height, width)]
    return np.stack(terms, axis=1)


def _evaluated(
    factors: Float64Array, exponents: list[tuple[int, int]], shape: tuple[int, ...]
) -> Float64Array:
    rows, columns = _powers(shape[0]), _powers(shape[1])
    out = np.zeros(shape)
    for (i, j), factor in zip(exponents, factors.tolist(), strict=True):
        out += np.outer(factor * rows[:, i], columns[:, j])
    return out
