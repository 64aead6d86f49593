"""Kernels that tell which neighbours a bright line parts all along their border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


@compiled()
def _brightness(labels: Int32Array, image: Float32Array, n_labels: int) -> Float64Array:
    """Return the mean of each label, and, for 0, the standard deviation within all of them."""
    count, mean = np.zeros(n_labels + 1), np.zeros(n_labels + 1)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            count[labels[y, x]] += 1
            mean[labels[y, x]] += image[y, x]
    whole = mean[1:].sum() / max(1.0, count[1:].sum())
    squares = 0.0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] > 0:
                squares += (image[y, x] - whole) ** 2
    for label in range(1, n_labels + 1):
        mean[label] /= max(1.0, count[label])
    mean[0] = np.sqrt(squares / max(1.0, count[1:].sum()))
    return mean


@compiled()
def _along_borders(
    labels: Int32Array, image: Float32Array, mean: Float64Array, least: float, key: Int64Array
) -> int:
    """Write of each two pixels side by side their labels as a key; return how many there are.

    The key is 2 · (smaller label · (n_labels + 1) + larger label), and 1 more where the brighter
    of the pixels exceeds the means of both labels by the `least`. Without room in `key` they are
    only counted.
    """
    height, width = labels.shape
    n = 0
    for y in range(height):
        for x in range(width):
            for below in range(2):
                other_y, other_x = y + below, x + 1 - below
                if other_y == height or other_x == width:
                    continue
                a, b = labels[y, x], labels[other_y, other_x]
                if a == b or a == 0 or b == 0:
                    continue
                if key.size > 0:
                    pair = np.int64(min(a, b)) * mean.size + max(a, b)
                    level = max(mean[a], mean[b]) + least
                    key[n] = 2 * pair + (max(image[y, x], image[other_y, other_x]) > level)
                n += 1
    return n


def parted_by_lines(
    labels: Int32Array,
    image: Float32Array,
    n_labels: int,
    least_contrast: float,
    least_part: float,
) -> Int64Array:
    """Return which neighbours a bright line parts, as keys of pairs, in order.

    Along their border are pixels side by side, one of each. Where the brighter one exceeds the
    mean brightness of both labels by a part of the standard deviation within all labels, there is
    a line.

    Parameters
    ----------
    labels
        (Y, X) int32, 0 outside.
    image
        (Y, X) float32.
    n_labels
        The largest label, or more.
    least_contrast
        Of a line, in standard deviations.
    least_part
        The part of the border that is a line.

    Returns
    -------
    (m,) int64 array
        smaller label · (n_labels + 1) + larger label.
    """
    brightness = _brightness(labels, image, n_labels)
    least = least_contrast * float(brightness[0])
    keys = np.empty(0, np.int64)
    n = _along_borders(labels, image, brightness, least, keys)
    if n == 0:
        return keys
    keys = np.empty(n, np.int64)
    _along_borders(labels, image, brightness, least, keys)
    pairs, which = np.unique(keys // 2, return_inverse=True)
    n_bright = np.bincount(which, weights=keys % 2)
    return np.asarray(pairs[n_bright >= least_part * np.bincount(which)])
