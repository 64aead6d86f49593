"""The contrast of a frame, measured."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.picture.contrast import SMALLEST_SIDE, Contrast

MOST_PIXELS = 600**2
"""Larger frames are shrunk: what they show is told by what is left."""
SCALE = 12.0
"""Standard deviation in pixels of the Gaussian that weighs the surroundings of a pixel."""
DETAIL = 0.72
"""Of the one that takes the noise of single pixels away."""
THRESHOLD = 4.0
"""Contrast counts from so many standard deviations of the noise on."""
FEWEST_PIXELS = 250
"""With contrast, of the shrunk frame: less may be a part of one cell."""
LEAST_NOISE = 0.003
"""Of the strongest contrast: what images without noise have for it."""
OF_A_COUNT = 0.3
"""Standard deviation of what rounding to whole counts does, rounded up."""
STRONGEST = (99.0, 99.9)
"""Percentiles of what counts as the strongest contrast."""
REACH = 99.5
"""Percentile of what counts as the brightest, and from below as the darkest."""

Image = NDArray[np.float32]


def measure_contrast(frame: NDArray[Any]) -> Contrast:
    """Measure the contrast of a frame.

    The surroundings of a pixel are a weighted mean around it of what is no contrast itself: the
    dark rings around objects in a plain band-pass, and a noise that is measured across objects,
    would pass for contrast of the other sign.

    Parameters
    ----------
    frame
        (Y, X) image of any type that can be segmented.

    Returns
    -------
    Contrast
        Nothing of a frame that is even, or too small to be judged.

    Raises
    ------
    InputError
        It is no image, or has pixels that are not finite.
    """
    pixels = as_frame(frame)
    image = _working_image(pixels)
    darkest, brightest = float(image.min()), float(image.max())
    if min(image.shape) < SMALLEST_SIDE or darkest == brightest:
        return Contrast()
    image = (image - np.float32(darkest)) / np.float32(brightest - darkest)
    rounded = OF_A_COUNT / (brightest - darkest) if pixels.dtype.kind in "iub" else 0.0
    contrast, noise = _contrast(image, rounded, SCALE)
    beyond = np.abs(contrast) > THRESHOLD * noise
    if beyond.sum() < FEWEST_PIXELS:
        return Contrast()
    fine, fine_noise = _contrast(image, rounded, SCALE / 2)
    fine = _inner(fine, SCALE / 2)
    part, span = _largest(beyond)
    smooth = _smooth(image, 1.0)
    ground, coarse = _ground(smooth)
    detail = _inner(smooth - ground)
    return Contrast(
        _bright_share(contrast, noise),
        _reach_ratio(detail, rounded),
        float(beyond.mean()),
        _bright_share(fine, fine_noise),
        _sharpness(contrast, fine),
        part,
        span,
        _unevenness(coarse, detail),
    )


def _bright_share(contrast: Image, noise: float) -> float:
    """Return the share of what is brighter in all contrast beyond the noise; half if none is."""
    excess = np.abs(contrast) - THRESHOLD * noise
    beyond = excess > 0
    total = float(excess[beyond].sum(dtype=np.float64))
    bright = float(excess[beyond & (contrast > 0)].sum(dtype=np.float64))
    return bright / total if total > 0 else 0.5


def _sharpness(contrast: Image, fine: Image) -> float:
    """Return what is left of the strongest contrast when the surroundings are half as wide.

    Nearly all where objects have rims; a quarter, as curvature goes, of uneven illumination.
    """
    coarse, finer = (np.percentile(np.abs(each), STRONGEST) for each in (contrast, fine))
    return float(np.max(finer / np.maximum(coarse, 1e-9)))


def _largest(beyond: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the share of the largest connected part, and how much of the frame it spans."""
    _, _, parts, _ = cv2.connectedComponentsWithStats(beyond.astype(np.uint8), connectivity=8)
    width, height, area = parts[1 + parts[1:, cv2.CC_STAT_AREA].argmax()][2:5].tolist()
    n_rows, n_columns = beyond.shape
    return area / int(beyond.sum()), min(height / n_rows, width / n_columns)


def _working_image(frame: NDArray[Any]) -> Image:
    factor = (frame.size / MOST_PIXELS) ** 0.5
    size = tuple(max(1, round(n / factor)) for n in reversed(frame.shape))
    image = frame.astype(np.float32)
    if not np.isfinite(image).all():
        raise InputError("Expected pixels within single precision, found larger ones.")
    if factor <= 1:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _smooth(image: Image, scale: float) -> Image:
    smoothed = cv2.GaussianBlur(image, (0, 0), scale, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smoothed, np.float32)


def _contrast(image: Image, rounded: float, scale: float) -> tuple[Image, float]:
    """Return what is left of an image without its surroundings, and the noise of that."""
    fine = _smooth(image, DETAIL)
    band = fine - _smooth(fine, scale)
    band -= np.median(_inner(band, scale))
    strongest = float(np.percentile(np.abs(_inner(band, scale)), 99.9))
    least = max(rounded, LEAST_NOISE * strongest, 1e-7)
    noise, contrast = max(least, _clipped_noise(_inner(band, scale))), band
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for _ in range(3):
        beyond = (np.abs(contrast) > THRESHOLD * noise).astype(np.uint8)
        free = cv2.dilate(beyond, around) == 0
        if free.mean() < 0.03:
            break
        weight = _smooth(free.astype(np.float32), scale)
        surroundings = _smooth(fine * free, scale) / (weight + np.float32(1e-6))
        contrast = np.where(weight > 0.02, fine - surroundings, band)
        ground = _inner(contrast, scale)[_inner(free, scale)]
        if not ground.size:
            break
        contrast -= np.median(ground)  # what uneven illumination, which is curved, leaves
        noise = max(least, min(noise, _deviation(ground)))
    return _inner(contrast, scale), noise


def _inner(image: NDArray[Any], scale: float = SCALE) -> NDArray[Any]:
    """Return an image without its margin, where surroundings are seen on one side only."""
    margin = round(scale)
    return image[margin:-margin, margin:-margin]


def _deviation(values: NDArray[np.float32]) -> float:
    """Return the standard deviation of most values, from their median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _clipped_noise(band: Image) -> float:
    """Return the standard deviation of the values in the middle, outliers left out in turn."""
    values = band[::2, ::2].ravel()
    middle, noise = float(np.median(values)), _deviation(values)
    for _ in range(6):
        inner = values[np.abs(values - middle) < 2.5 * noise]
        if inner.size < 50:
            break
        middle, noise = float(np.median(inner)), 1.09 * _deviation(inner)
    return noise


def _ground(smooth: Image) -> tuple[Image, Image]:
    """Return what is wider than cells, and the same at an eighth of the size."""
    coarse = cv2.resize(smooth, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    coarse = _smooth(np.asarray(cv2.medianBlur(coarse, 5), np.float32), 2.0)
    ground = cv2.resize(coarse, smooth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(ground, np.float32), coarse


def _reach_ratio(detail: Image, rounded: float) -> float:
    """Return how far the brightest reach above the usual, over how far the darkest reach below."""
    low, usual, high = np.percentile(detail, (100 - REACH, 50, REACH)).tolist()
    least = max(rounded, 1e-6)
    return float((high - usual + least) / (usual - low + least))


def _unevenness(coarse: Image, detail: Image) -> float:
    """Return how far the background differs, in units of the strongest detail."""
    lowest, highest = np.percentile(coarse, (1, 99)).tolist()
    strongest = float(np.percentile(np.abs(detail), REACH))
    return float((highest - lowest) / max(strongest, 1e-6))
