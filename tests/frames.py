"""Frames of odd shapes and contents for property tests, drawn as (shape, kind, seed)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

SHAPES = [(1, 1), (1, 7), (9, 1), (2, 2), (3, 200), (40, 33), (64, 64), (65, 257)]
KINDS = ["noise", "cells", "constant", "two values", "bright and smooth"]
DTYPES = [np.uint8, np.uint16, np.float32]


def make_frame(shape: tuple[int, int], kind: str, seed: int, dtype: Any) -> NDArray[Any]:
    """Return a frame of background of `kind`, in the range of `dtype`."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    level = {1: 90.0, 2: 20_000.0}.get(dtype.itemsize, 40_000.0)
    noise = rng.normal(0, level / 30, shape)
    pixels = level + noise
    if kind == "constant":
        pixels = np.full(shape, level)
    elif kind == "two values":
        pixels = np.where(rng.random(shape) < 0.1, level, level / 2)
    elif kind == "bright and smooth":
        pixels = 1.5 * level - 0.01 * np.add.outer(np.arange(shape[0]), np.arange(shape[1]))
    elif kind == "cells":
        pixels = pixels + (blobs(shape, seed) * rng.normal(0, level / 4, shape))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        pixels = np.clip(np.rint(pixels), info.min, info.max)
    return pixels.astype(dtype)


def blobs(shape: tuple[int, int], seed: int, n: int = 5) -> NDArray[np.bool_]:
    """Return a mask of some discs and rings that may touch each other and the edge."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, np.bool_)
    for _ in range(n):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        radius = rng.uniform(1, 0.4 * min(shape) + 2)
        distance = np.hypot(rows - y, columns - x)
        mask |= (distance < radius) & (distance >= rng.choice([0.0, 0.4]) * radius)
    return mask


def label_image(shape: tuple[int, int], seed: int, n: int = 6) -> NDArray[np.uint16]:
    """Return rectangles with labels 1 to n, some covering others, some in several parts."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    for label in rng.permutation(n) + 1:
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        height, width = rng.integers(1, max(2, shape[0] // 2)), rng.integers(1, 2 + shape[1] // 2)
        labels[y : y + height, x : x + width] = label
    return labels


shapes = st.sampled_from(SHAPES)
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(DTYPES)
frames = st.builds(make_frame, shapes, kinds, seeds, dtypes)
