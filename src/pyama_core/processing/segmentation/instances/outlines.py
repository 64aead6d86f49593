"""The outlines of cells: the bright lines between them, and the halo around them."""

from __future__ import annotations

import cv2
import numpy as np

from pyama_core.processing.runs.holes import fill_holes
from pyama_core.processing.runs.pixel_runs import Runs
from pyama_core.processing.segmentation.images import BoolArray, Float32Array, box_mean, runs_of
from pyama_core.processing.segmentation.instances.contrast import ContrastImages
from pyama_core.processing.segmentation.instances.kernels.outlines import (
    coherent_lines,
    halve,
    long_lines,
    peel,
    retreat_to_crest,
    some_of,
)
from pyama_core.processing.segmentation.kernels.smoothing import box

# Sizes in cell diameters.
COHERENCE_REACH = 0.08  # over which lines agree with each other
POWER_REACH = 0.2  # over which the power that strengths are compared with is averaged
SHORTEST_LINE = 0.4
NEAR = 0.25  # lines are looked for so far from the foreground
CREST_DEPTH = 0.2  # the crest of a halo is at most so far inside of the foreground
HALO_REACH = 0.9  # the width of the surroundings that a halo is brighter than
SMALLEST_BRIGHT = 0.2  # radius of the smallest bright cell

ENOUGH_PIXELS = 10_000  # of the foreground tell what is typical of it
LEAST_POWER = 0.36  # of the median power in the foreground: lines that are fainter are noise
TYPICAL_LINE = 0.9  # of the foreground has weaker lines
WEAK_LINE, STRONG_LINE = 0.22, 1.0  # of a typical line: a line is at least weak, strong somewhere
LEAST_RISE = 0.05  # towards the crest, in units of the local contrast
HALO_LEVEL = 0.8  # between the mean and the maximum of the surroundings
FAINT_HALO, BRIGHT_CELL = 0.2, 4.0  # in units of the contrast of the foreground


class Outlines:
    """The features of a working image that tell where a cell ends.

    Parameters
    ----------
    images
        Of the working image. Their roughness is overwritten.
    foreground
        (Y, X) bool.
    diameter
        Cell diameter, pixels of the image.
    """

    def __init__(self, images: ContrastImages, foreground: BoolArray, diameter: float) -> None:
        self._diameter = diameter
        self._images = images
        self._foreground = foreground
        self._runs = runs_of(foreground)
        mean, self._dark, self._brightest = halve(images.smooth)
        detail = mean - box_mean(mean, 1.25 * images.smooth_sigma)
        detail *= detail
        median = np.median(_some_of(detail, self._runs, 2))
        self._least_power = LEAST_POWER * float(median)
        self._power = np.maximum(
            box_mean(detail, POWER_REACH * diameter / 2), np.float32(self._least_power)
        )

    def lines(self) -> BoolArray:
        """Return the bright lines that are long, coherent and strong for their surroundings."""
        weights = box(COHERENCE_REACH * self._diameter)
        # Far from the foreground, lines are noise.
        reach = max(1, round(NEAR * self._diameter))
        near, around = self._spans(reach), self._spans(reach + weights.size - 1)
        strength = self._images.roughness
        scale = self._images.smooth_sigma**2 / 4  # a Sobel filter is 4 times the derivative
        coherent_lines(
            self._images.smooth, (near, around), scale, weights, self._power, self._least_power,
            strength,
        )  # fmt: skip
        typical = float(np.quantile(_some_of(strength, self._runs), TYPICAL_LINE))
        lines = np.zeros(strength.shape, np.bool_)
        shortest = SHORTEST_LINE * self._diameter
        long_lines(strength, near, WEAK_LINE * typical, STRONG_LINE * typical, shortest, lines)
        return lines

    def without_halo(self, mask: BoolArray) -> tuple[BoolArray, BoolArray]:
        """Return a mask that ends on the cells' side of their halos, and the rounded cells in it.

        First the border climbs to the crest of the halo; then what is bright for its
        surroundings goes as far as it is connected to the outside. Rounded cells stay.
        """
        runs, smooth = runs_of(mask), self._images.smooth
        some = _some_of(self._images.clean, runs)
        contrast = float(np.median(np.abs(some)))
        bright = self._bright_cells(BRIGHT_CELL * contrast)
        kept = mask.view(np.uint8).copy()
        steps = max(1, round(CREST_DEPTH * self._diameter))
        retreat_to_crest(kept, runs, smooth, self._power, LEAST_RISE, steps)
        mean = box_mean(self._dark, HALO_REACH * self._diameter / 6.92)
        side = 2 * max(1, round(HALO_REACH * self._diameter / 4)) + 1
        brightest = cv2.dilate(self._brightest, np.ones((side, side), np.uint8))
        limit = mean + np.float32(HALO_LEVEL) * (brightest.reshape(mean.shape) - mean)
        peel(kept, runs, smooth, np.maximum(limit, np.float32(FAINT_HALO * contrast)))
        return kept.view(np.bool_) | bright, bright

    def _bright_cells(self, limit: float) -> BoolArray:
        """Return the rounded cells, far brighter than others, with what their rings enclose."""
        bright = self._images.clean > np.float32(limit)
        if not bright.any():
            return bright
        fill_holes(bright, np.pi / 4 * self._diameter**2)
        radius = max(1, round(SMALLEST_BRIGHT * self._diameter))
        # A square within the disc is found out about faster.
        side = 2 * int(radius / np.sqrt(2)) + 1
        if not cv2.erode(bright.view(np.uint8), np.ones((side, side), np.uint8)).any():
            return np.zeros_like(bright)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        opened = cv2.morphologyEx(bright.view(np.uint8), cv2.MORPH_OPEN, disc)
        return np.asarray(opened.reshape(bright.shape).view(np.bool_))

    def _spans(self, reach: int) -> Runs:
        """Return the runs of pixels that are so near to the foreground, along either axis."""
        square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        near = cv2.dilate(self._foreground.view(np.uint8), square)
        return runs_of(np.asarray(near, np.uint8).reshape(self._foreground.shape))


def _some_of(image: Float32Array, runs: Runs, shrunk: int = 1) -> Float32Array:
    """Return the values of an image, shrunk by a factor, in some of the pixels of runs."""
    n_pixels = int((runs.stop - runs.start).sum())
    return some_of(image, runs, max(1, n_pixels // ENOUGH_PIXELS), shrunk)
