"""The foreground of a phase-contrast image: where it is rougher than the background."""

from __future__ import annotations

import cv2
import numpy as np

from pyama_core.processing.frame import read_only
from pyama_core.processing.segmentation.images import BoolArray, Float32Array, as_2d
from pyama_core.processing.segmentation.instances.kernels.contrast import contrast_images
from pyama_core.processing.segmentation.kernels.resample import shrink_frame
from pyama_core.processing.segmentation.kernels.smoothing import gaussian

# Sizes in cell diameters.
DETAIL = 0.08  # what is finer than this is roughness
LINE_WIDTH = 0.055  # standard deviation of the smoothing before second derivatives
ROUGHNESS_REACH = 0.045  # over which roughness is averaged
LARGEST_HOLE = 0.5  # in areas of a cell

BETWEEN = 0.6  # the threshold, on a logarithmic scale, from background (0) to typical cells (1)
N_SIGMA = 3.0
LEAST_PEAK = 0.1  # of the highest one: a lower peak of the roughness is an accident
TYPICAL_CELL = 0.75  # of what exceeds the noise is fainter
ENOUGH_PIXELS = 40_000  # for the distribution of roughness


class ContrastImages:
    """What is computed for each pixel of a working image, in memory that serves frame after frame.

    New memory costs more than the work on it, as its first touch is an interruption per page.

    Attributes
    ----------
    clean : ndarray
        (Y, X) float32: the image without its background, the median of the surroundings, about
        five cell diameters wide.
    smooth : ndarray
        The same smoothed, with sigma `smooth_sigma`.
    roughness : ndarray
        The local variance of what is finer than `DETAIL` cell diameters.
    """

    def __init__(self) -> None:
        self.clean = self.smooth = self.roughness = np.empty((0, 0), np.float32)
        self.smooth_sigma = 0.0

    def compute(self, image: Float32Array, diameter: float) -> None:
        """Compute all images of a working image, in which cells have a diameter."""
        if self.clean.shape != image.shape:
            _keep_freed_memory(3 * image.nbytes)
            self.clean, self.smooth, self.roughness = np.empty((3, *image.shape), np.float32)
        self.smooth_sigma = max(0.7, LINE_WIDTH * diameter)
        sigmas = (
            self.smooth_sigma,
            max(1.0, DETAIL * diameter),
            _pooling_sigma(diameter),
        )
        fine, coarse, pooling = (gaussian(sigma) for sigma in sigmas)
        tiles = _median_tiles(image, diameter)
        out = self.clean, self.smooth, self.roughness
        contrast_images(image, tiles, (fine, coarse, pooling), *out)


def _keep_freed_memory(n_bytes: int) -> None:
    """Let the C library keep freed blocks of up to a size for reuse, where it is glibc.

    Blocks above `M_MMAP_THRESHOLD` (see mallopt(3)), 128 KiB at first, are given back to the
    system when they are freed, so that every frame would take new pages. The threshold is dynamic:
    when such a block is freed it rises to the size of the block. This one is freed at once, and
    never touched. Elsewhere that changes nothing.
    """
    np.empty(n_bytes, np.uint8)


def _median_tiles(image: Float32Array, diameter: float) -> Float32Array:
    """Return the median of 5×5 tiles for each tile of about a cell."""
    height, width = (max(1, round(n / diameter)) for n in image.shape)
    tiles = shrink_frame(read_only(image), height, width)
    return as_2d(cv2.medianBlur(tiles, 5), tiles)


def _pooling_sigma(diameter: float) -> float:
    return max(0.8, ROUGHNESS_REACH * diameter)


def foreground(roughness: Float32Array, diameter: float, least: float) -> BoolArray:
    """Return where the roughness is nearer to that of cells than to that of the background.

    The logarithm of the roughness has its lowest mode where the background is. What exceeds it by
    `N_SIGMA` of the spread below it, which is at least that of white noise, is not noise, and the
    typical cell is a percentile of that. The threshold lies between the two, never within the
    noise, and is at least `least`.

    That cells are where the local contrast is high is the idea of Jaccard et al. (2014); how the
    threshold is found is own work.

    References
    ----------
    N. Jaccard et al., "Automated method for the rapid and precise estimation of adherent cell
    culture characteristics from phase contrast microscopy images", Biotechnology and Bioengineering
    111, 504-517 (2014).
    """
    step = max(3, int(np.sqrt(roughness.size / ENOUGH_PIXELS)))
    # A mean of n squares of noise varies by 2 / n of itself, squared, and a Gaussian averages
    # over 4πσ² pixels.
    white = float(1 / (np.sqrt(2 * np.pi) * _pooling_sigma(diameter)))
    threshold = max(_threshold(roughness[::step, ::step], white, least), least)
    return np.asarray(roughness > np.float32(threshold))


def _threshold(variance: Float32Array, least_spread: float, least: float) -> float:
    """Return the variance that separates cells from background."""
    floor = np.float32(max(1e-4 * float(variance.mean()), least))
    if floor == 0:
        return 0.0
    values = np.sort(np.log(np.maximum(variance, floor)), axis=None)
    low, high = float(values[values.size // 1000]), float(values[-1])
    if low == high:
        return high
    mode = _lowest_mode(values, low, high, least_spread)
    below = values[: np.searchsorted(values, np.float32(mode), "right")] - np.float32(mode)
    spread = float(np.sqrt(np.mean(below * below))) if below.size else 0.0
    noise = mode + N_SIGMA * max(spread, least_spread)
    beyond = values[np.searchsorted(values, np.float32(noise), "right") :]
    cells = float(beyond[int(TYPICAL_CELL * beyond.size)]) if beyond.size else noise
    return float(np.exp(max(noise, mode + BETWEEN * (cells - mode))))


def _lowest_mode(values: Float32Array, low: float, high: float, spread: float) -> float:
    """Return the lowest peak of the distribution of sorted values that is no accident.

    It is not always the highest: where cells cover most of a frame, that is theirs.
    """
    edges = np.linspace(low, high, 201)
    counts = np.diff(np.searchsorted(values, edges.astype(np.float32)))
    smooth = np.convolve(counts, np.ones(7), "same")
    # All there is, if the values are almost one.
    reach = min(max(7, round(spread / float(edges[1] - edges[0]))), smooth.size)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, reach), 2 * reach + 1)
    is_peak = (smooth == around.max(axis=1)) & (smooth >= LEAST_PEAK * smooth.max())
    lowest = int(np.argmax(is_peak))
    return float(edges[lowest] + edges[lowest + 1]) / 2
