"""The foreground of a phase-contrast image: where it is rougher than the background."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

# Sizes in cell diameters.
DETAIL = 0.08  # what is finer than this is roughness
ROUGHNESS_REACH = 0.045  # over which roughness is averaged
LARGEST_HOLE = 0.5  # in areas of a cell

BETWEEN = 0.6  # the threshold, on a logarithmic scale, from background (0) to typical cells (1)
N_SIGMA = 3.0
TYPICAL_CELL = 75.0  # percentile of what exceeds the noise


def blur(image: Float32Array, sigma: float) -> Float32Array:
    """Return an image smoothed by a Gaussian of `sigma` pixels, cut off at 2.5 sigma."""
    import cv2

    side = 2 * max(1, int(np.ceil(2.5 * sigma))) + 1
    return _as_2d(cv2.GaussianBlur(image, (side, side), sigma), image)


def box_mean(image: Float32Array, sigma: float) -> Float32Array:
    """Return the mean in a square of about the width of a Gaussian of `sigma` pixels."""
    import cv2

    side = 2 * max(1, round(1.73 * sigma)) + 1
    return _as_2d(cv2.blur(image, (side, side)), image)


def without_background(image: Float32Array, diameter: float) -> Float32Array:
    """Subtract the median of the surroundings, about five cell diameters wide."""
    import cv2

    height, width = image.shape
    size = (max(1, round(width / diameter)), max(1, round(height / diameter)))
    tiles = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    medians = cv2.medianBlur(tiles.reshape(size[1], size[0]), 5)
    background = cv2.resize(medians, (width, height), interpolation=cv2.INTER_LINEAR)
    return image - background.reshape(image.shape)


def roughness(image: Float32Array, diameter: float) -> Float32Array:
    """Return the local variance of what is finer than `DETAIL` cell diameters."""
    detail = image - blur(image, max(1.0, DETAIL * diameter))
    return blur(detail * detail, max(0.8, ROUGHNESS_REACH * diameter))


def rounding(image: Float32Array) -> float:
    """Return the variance of what may be errors of rounding, single precision."""
    return float((4 * np.spacing(np.abs(image).max())) ** 2)


def foreground(image: Float32Array, diameter: float, least: float) -> BoolArray:
    """Return where the roughness is nearer to that of cells than to that of the background.

    The logarithm of the roughness has its mode where the background is; what exceeds the mode by
    `N_SIGMA` of the spread below it is not noise, and the typical cell is a percentile of that.
    The threshold lies between the two, never within the noise, and is at least `least`.
    """
    variance = roughness(image, diameter)
    threshold = max(_threshold(variance[::3, ::3]), least)
    return np.asarray(variance > threshold)


def _threshold(variance: Float32Array) -> float:
    """Return the variance that separates cells from background."""
    floor = 1e-4 * float(variance.mean())
    if floor == 0:
        return 0.0
    values = np.log(np.maximum(variance, floor)).ravel()
    low, high = float(np.percentile(values, 0.1)), float(values.max())
    if low == high:
        return high
    counts, edges = np.histogram(values, 200, (low, high))
    fullest = int(np.argmax(np.convolve(counts, np.ones(7), "same")))
    mode = float(edges[fullest] + edges[fullest + 1]) / 2
    below = values[values <= mode] - mode
    noise = mode + N_SIGMA * float(np.sqrt(np.mean(below * below))) if below.size else mode
    beyond = values[values > noise]
    cells = float(np.percentile(beyond, TYPICAL_CELL)) if beyond.size else noise
    return float(np.exp(max(noise, mode + BETWEEN * (cells - mode))))


def fill_holes(mask: BoolArray, largest: float) -> BoolArray:
    """Return the mask with its holes of fewer than `largest` pixels filled.

    A hole is a 4-connected part of the background that does not reach the edge of the image.
    """
    from pyama_core.processing.kernels.holes import fill_small
    from pyama_core.processing.kernels.runs import find_runs, label_connected

    background = find_runs(read_only(mask.view(np.uint8)), 1)
    filled = mask.copy()
    fill_small(background, label_connected(background), mask.shape[1], largest, filled)
    return filled


def _as_2d(image: NDArray[Any], like: Float32Array) -> Float32Array:
    """Undo that OpenCV drops an axis of length one."""
    return np.asarray(image, np.float32).reshape(like.shape)
