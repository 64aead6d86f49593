"""Small grey pictures of frames, and label images of the same size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.workflow.glimpses.glimpse import Image

PICTURE = 480
"""Pixels of the longer side of a picture, at most."""
_QUALITY = 45

Limits = tuple[float, float]
"""Grey values that are shown black and white."""


def _step(shape: tuple[int, ...]) -> float:
    """Return how many pixels of an image a pixel of its picture covers."""
    return max(max(shape) / PICTURE, 1.0)


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    step = _step(shape)
    return max(round(shape[0] / step), 1), max(round(shape[1] / step), 1)


def smaller_labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the label in the middle of each pixel of a picture."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * full / n).astype(int), full - 1)
        for n, full in zip(_size(labels.shape), labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)].astype(np.int64)


def smaller(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image of the size of a picture."""
    import cv2

    height, width = _size(image.shape)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def in_grey(pixels: NDArray[np.float32], limits: Limits) -> NDArray[np.uint8]:
    """Return grey levels of pixels."""
    low, high = limits
    grey: NDArray[np.float32] = np.clip((pixels - low) * (255 / (high - low)), 0, 255)
    return grey.astype(np.uint8)


def encode(image: NDArray[np.float32], limits: Limits) -> Image:
    """Return a picture of an image, black and white at some grey values."""
    return as_webp(in_grey(image, limits))


def as_webp(grey: NDArray[np.uint8]) -> Image:
    """Return a picture of grey levels."""
    import cv2

    is_made, content = cv2.imencode(".webp", grey, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not is_made:
        raise ValueError(f"a picture of {grey.shape} pixels cannot be encoded")
    encoded: bytes = content.tobytes()
    return encoded
