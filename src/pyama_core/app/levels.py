"""Smaller forms of images, for an overview and for slow links."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 6
"""The largest level."""


def averaged(image: NDArray[Any], level: int) -> NDArray[Any]:
    """Return an image whose pixels are means over squares of 2**level pixels.

    At the right and lower edge, over as many as there are. Integers are rounded.

    Parameters
    ----------
    image : (Y, X) array
        Unsigned integers or floats.
    level : int
        0 returns the image as it is.

    Examples
    --------
    >>> averaged(np.array([[1, 3, 8], [1, 4, 8]], np.uint16), 1)
    array([[2, 8]], dtype=uint16)
    """
    if level == 0:
        return image
    size = 2**level
    dtype = _wide_enough(image.dtype, size)
    height, width = (-(-n // size) for n in image.shape)
    # Whole images are added, which is ten times as fast as `numpy.add.reduceat`.
    rows = np.zeros((height, image.shape[1]), dtype)
    for first in range(min(size, image.shape[0])):
        part = image[first::size]
        rows[: part.shape[0]] += part
    sums = np.zeros((height, width), dtype)
    for first in range(min(size, image.shape[1])):
        part = rows[:, first::size]
        sums[:, : part.shape[1]] += part
    n_rows, n_columns = (np.minimum(size, n - np.arange(0, n, size)) for n in image.shape)
    if image.dtype == np.float32:
        return np.divide(sums, np.outer(n_rows, n_columns).astype(np.float32))
    means = sums / np.outer(n_rows, n_columns)
    return (np.rint(means) if image.dtype.kind == "u" else means).astype(image.dtype)


def _wide_enough(dtype: np.dtype[Any], size: int) -> np.dtype[Any]:
    """Return a type that holds a sum over a square; the narrower, the sooner it is added up."""
    if dtype.kind != "u":
        return dtype if dtype == np.float32 else np.dtype(np.float64)
    largest = int(np.iinfo(dtype).max) * size**2
    return np.dtype(np.uint32 if largest <= np.iinfo(np.uint32).max else np.uint64)


def sampled(labels: NDArray[Any], level: int) -> NDArray[Any]:
    """Return a label image of the same size as `averaged` gives: of each square, one pixel."""
    half = 2**level // 2
    rows, columns = (np.minimum(np.arange(0, n, 2**level) + half, n - 1) for n in labels.shape)
    return labels[np.ix_(rows, columns)] if level else labels


def shown(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image in a type that a texture can have: uint8, uint16 or float32."""
    if image.dtype.name in ("uint8", "uint16"):
        return image
    return image.astype(np.uint8 if image.dtype == bool else np.float32)
