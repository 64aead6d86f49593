"""How far each pixel stands out of the background, and how much of that is noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.segmentation.bright.illumination import smooth_background
from pyama_core.processing.segmentation.bright.kernels.tiles import busy_tiles, values_in
from pyama_core.processing.segmentation.images import (
    as_2d,
    blur,
    of_single_precision,
    rounding,
)
from pyama_core.processing.segmentation.kernels.resample import shrink_frame
from pyama_core.processing.segmentation.kernels.tiles import subtract_tiles
from pyama_core.processing.segmentation.scale import Scale

Float32Array = NDArray[np.float32]

# Sizes in diameters of the objects.
DETAIL = 0.06  # standard deviation of the smoothing of the image
FINE_DETAIL = 0.045  # that of the image in which outlines are drawn
SURROUNDINGS = 0.5  # that of what it is compared with
TILE = 0.125  # side of the tiles that the surroundings are averaged in
RING = 0.12  # around objects is not background
FAINT_DETAIL = 0.12  # standard deviation of the further smoothing of what is faint
NEAR = 0.3  # how far around a pixel the highest contrast is looked for

ROUNDS = 3  # in which background and noise are measured again without the objects found
LEAST_FREE = 0.05  # part of a frame that is enough to measure them
LEAST_WEIGHT = 0.02  # of the free tiles around, below which the background is not theirs
ENOUGH_PIXELS, FEWEST_PIXELS = 40_000, 500  # to measure noise
CLIP, CLIPPED_SPREAD = 2.5, 1.09  # what is beyond so many deviations, and what that makes of them
FAINT, CLEAR = 6.0, 15.0  # in noise, the highest contrast near by of what is smoothed and what not
FAINT_NOISE = 1.75  # times that of a smoothed image: what is faint and wide may be stray light
BLOCK, FEWEST_OF_BLOCK = 0.5, 6  # side of the blocks of which the quietest tell of noise; pixels
ENOUGH_BLOCKS = 60  # whose quietest are those of the image
QUIET, QUIET_NOISE = 5, 1.5  # percentile of their spread, and what noise is of it
CROWDED = 2.0  # times quiet noise is no noise, but objects that were taken for background
FEW_GREYS, STRIDE = 8, 4  # values at most, in every so manieth pixel, of a drawing
ALIKE = 0.4  # of the neighbours that would differ by chance do so there, at most
FLAT_NOISE = 0.02  # of the least step between greys, that is taken for its noise
SPREAD_OF_MEDIAN = 1.4826  # standard deviation over median absolute deviation


@dataclass(frozen=True)
class Contrast:
    """A working image by its contrast.

    Attributes
    ----------
    band : ndarray
        (Y, X) float32: what stands out of the mean of the surroundings, objects included.
    clear : ndarray
        (Y, X) float32: what stands out of the surroundings without objects, where these are known.
    detail : ndarray
        (Y, X) float32: what either is short of for its smoothing: with it, edges are sharper.
    noise : float
        Standard deviation of both where there are no objects, before what is faint was smoothed.
    floor : ndarray
        (Y, X) float32: what counts as noise in each pixel; less where it was smoothed.
    """

    band: Float32Array
    clear: Float32Array
    detail: Float32Array
    noise: float
    floor: Float32Array


def measure_contrast(frame: NDArray[Any], scale: Scale, limit: float, sign: int) -> Contrast:
    """Measure the contrast of bright (`sign` 1) or dark (−1) objects in a frame.

    The background and the noise are measured outside of what exceeds `limit` times the noise, and
    then again: in the mean of its surroundings, an object has a dark ring, so that the first
    measure of the noise is too large where objects are crowded. Where they cover so much that noise
    stays far above that of the quietest blocks of the image, they had been taken for background,
    and the noise of these blocks is where it begins. At last what is faint is smoothed: noise would
    tear faint objects to pieces.
    """
    small = scale.shrink(frame)
    error = _least_noise(frame, small)
    if sign < 0:
        small = np.negative(small)
    diameter = scale.working_diameter
    small = without_hot_pixels(small)
    image = blur(small, max(0.5, DETAIL * diameter))
    detail = blur(small, max(0.5, FINE_DETAIL * diameter))
    detail -= image
    shape = tuple(max(1, round(n / max(1.0, TILE * diameter))) for n in image.shape)
    tiles = shrink_frame(read_only(image), *shape)
    sigma = SURROUNDINGS * diameter * shape[0] / image.shape[0]
    light = smooth_background(tiles)
    tiles = tiles - light
    wide = _blur_tiles(tiles, sigma)
    band = np.empty_like(image)
    subtract_tiles(image, light + wide, band)
    reach = max(1, round(RING * diameter * shape[0] / image.shape[0]))
    surroundings = _Surroundings(image, tiles, light, wide, sigma, reach)
    noise, clear = surroundings.free(band, max(_clipped_noise(band), error), limit, error)
    quiet = max(QUIET_NOISE * _quiet_noise(image, diameter), error)
    if noise > CROWDED * quiet:
        noise, clear = surroundings.free(band, quiet, limit, error)
    return _smoothed_where_faint((band, clear, detail), noise, error, diameter)


@dataclass(frozen=True)
class _Surroundings:
    """What an image is held against: means of tiles, all of them and those without objects.

    Attributes
    ----------
    image : ndarray
        The working image.
    tiles, light, wide : ndarray
        Means of its tiles without uneven light; that light; the mean of the surroundings.
    sigma : float
        How far surroundings reach, in tiles.
    ring : int
        How many tiles around objects are not free.
    """

    image: Float32Array
    tiles: Float32Array
    light: Float32Array
    wide: Float32Array
    sigma: float
    ring: int

    def free(
        self, clear: Float32Array, noise: float, limit: float, error: float
    ) -> tuple[float, Float32Array]:
        """Return the noise where there are no objects, and the contrast to what is there.

        It begins with a contrast and noise in which objects may have their part, so that noise
        never rises.
        """
        shape = self.tiles.shape
        around = np.ones((2 * self.ring + 1, 2 * self.ring + 1), np.uint8)
        for _ in range(ROUNDS):
            busy = busy_tiles(clear, limit * noise, *shape)
            free = (cv2.dilate(busy, around).reshape(shape) == 0).astype(np.uint8)
            if free.mean() < LEAST_FREE:
                break
            weight = _blur_tiles(free.astype(np.float32), self.sigma)
            total = _blur_tiles(self.tiles * free, self.sigma)
            least = np.float32(LEAST_WEIGHT)
            background = (total + least * self.wide) / (weight + least)
            clear = np.empty_like(self.image)
            subtract_tiles(self.image, self.light + background, clear)
            step = max(1, int(np.sqrt(self.image.size / ENOUGH_PIXELS)))
            values = values_in(clear, free, step)
            if values.size:
                noise = min(noise, max(_spread(values), error))
        return noise, clear


def _quiet_noise(image: Float32Array, diameter: float) -> float:
    """Return the standard deviation within the quietest blocks of an image."""
    side = max(FEWEST_OF_BLOCK, round(BLOCK * diameter))
    height, width = (n // side for n in image.shape)
    if height * width < ENOUGH_BLOCKS:
        return np.inf
    blocks = image[: height * side, : width * side].reshape(height, side, width, side)
    return float(np.percentile(blocks.std(axis=(1, 3)), QUIET))


def _least_noise(frame: NDArray[Any], small: Float32Array) -> float:
    """Return the least noise that a working image may have: that of whole grey values.

    Unless these are no steps of something finer: in a mask, or a drawing of a few flat greys, the
    steps are what there is to see, and neighbours are mostly alike.
    """
    some = frame[::STRIDE]
    values, counts = np.unique(some[:, ::STRIDE], return_counts=True)
    if 1 < values.size <= FEW_GREYS:
        shares = counts / counts.sum()
        if np.mean(some[:, 1:] != some[:, :-1]) < ALIKE * (1 - np.sum(shares**2)):
            step = float(np.diff(values.astype(np.float64)).min())
            return max(FLAT_NOISE * step, float(np.sqrt(of_single_precision(small))))
    return float(np.sqrt(rounding(frame, small)))


def _smoothed_where_faint(
    images: tuple[Float32Array, Float32Array, Float32Array],
    noise: float,
    error: float,
    diameter: float,
) -> Contrast:
    """Smooth band and clear contrast, the more, the less the brightest near by is beyond noise.

    Of the detail, the third image, the less is left; it is overwritten.
    """
    band, clear, detail = images
    sigma = FAINT_DETAIL * diameter
    wide = blur(clear, sigma)
    reach = max(1, round(NEAR * diameter))
    near = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * reach + 1, 2 * reach + 1))
    sharp = as_2d(cv2.dilate(wide, near), wide)
    step = max(1, int(np.sqrt(wide.size / ENOUGH_PIXELS)))
    free = wide[::step, ::step][sharp[::step, ::step] < np.float32(FAINT / 2 * noise)]
    left = noise
    if free.size >= FEWEST_PIXELS:
        left = min(noise, FAINT_NOISE * max(_spread(free), error))
    # From here on the part of the images that is not smoothed.
    sharp -= np.float32(FAINT * noise)
    sharp *= np.float32(1 / max((CLEAR - FAINT) * noise, 1e-30))
    np.clip(sharp, 0, 1, out=sharp)
    smooth = blur(band, sigma)
    smooth += sharp * (band - smooth)
    wide += sharp * (clear - wide)
    detail *= sharp
    sharp *= np.float32(noise - left)
    sharp += np.float32(left)
    return Contrast(smooth, wide, detail, noise, sharp)


def without_hot_pixels(image: Float32Array) -> Float32Array:
    """Return an image in which no pixel is brighter than the brightest of its eight neighbours."""
    if min(image.shape) < 2:
        return image
    around = np.ones((3, 3), np.uint8)
    around[1, 1] = 0
    return np.minimum(image, as_2d(cv2.dilate(image, around), image))


def _blur_tiles(tiles: Float32Array, sigma: float) -> Float32Array:
    return as_2d(
        cv2.GaussianBlur(tiles, (0, 0), max(sigma, 0.1), borderType=cv2.BORDER_REFLECT), tiles
    )


def _clipped_noise(image: Float32Array) -> float:
    """Return the standard deviation of the values around the median, without those far away."""
    step = max(1, int(np.sqrt(image.size / ENOUGH_PIXELS)))
    values = np.sort(image[::step, ::step], axis=None)
    median, spread = float(np.median(values)), _spread(values)
    for _ in range(6):
        low, high = np.searchsorted(
            values, np.asarray([median - CLIP * spread, median + CLIP * spread], np.float32)
        )
        kept = values[low:high]
        if kept.size < 50:
            break
        median, spread = float(np.median(kept)), CLIPPED_SPREAD * _spread(kept)
    return spread


def _spread(values: Float32Array) -> float:
    """Return the standard deviation of normal values by their median absolute deviation."""
    return SPREAD_OF_MEDIAN * float(np.median(np.abs(values - np.median(values))))
