"""The outlines of cells: the bright lines between them, and the halo around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.contrast import (
    BoolArray,
    Float32Array,
    blur,
    box_mean,
    fill_holes,
)

# Sizes in cell diameters.
LINE_WIDTH = 0.055  # standard deviation of the smoothing before second derivatives
COHERENCE_REACH = 0.08  # over which lines agree with each other
POWER_REACH = 0.2  # over which the power that strengths are compared with is averaged
SHORTEST_LINE = 0.4
NEAR = 0.25  # lines are looked for so far from the foreground
CREST_DEPTH = 0.2  # the crest of a halo is at most so far inside of the foreground
HALO_REACH = 0.9  # the width of the surroundings that a halo is brighter than
SMALLEST_BRIGHT = 0.2  # radius of the smallest bright cell

LEAST_POWER = 0.36  # of the median power in the foreground: lines that are fainter are noise
TYPICAL_LINE = 90.0  # percentile of the strength in the foreground
WEAK_LINE, STRONG_LINE = 0.24, 0.9  # of a typical line: a line is at least weak, strong somewhere
LEAST_RISE = 0.05  # towards the crest, in units of the local contrast
HALO_LEVEL = 0.8  # between the mean and the maximum of the surroundings
FAINT_HALO, BRIGHT_CELL = 0.2, 4.0  # in units of the contrast of the foreground


class Outlines:
    """The features of a working image that tell where a cell ends.

    Parameters
    ----------
    image
        (Y, X) float32 without background.
    foreground
        (Y, X) bool.
    diameter
        Cell diameter, pixels of the image.
    """

    def __init__(self, image: Float32Array, foreground: BoolArray, diameter: float) -> None:
        self._diameter = diameter
        self._sigma = max(0.7, LINE_WIDTH * diameter)
        self._image = image
        self._smooth = blur(image, self._sigma)
        self._foreground = foreground
        detail = self._smooth - box_mean(self._smooth, 2.5 * self._sigma)
        detail *= detail
        self._least_power = LEAST_POWER * float(np.median(detail[foreground][::4]))
        self._power = np.maximum(
            box_mean(detail, POWER_REACH * diameter), np.float32(self._least_power)
        )

    def lines(self) -> BoolArray:
        """Return the bright lines that are long, coherent and strong for their surroundings."""
        import cv2

        from pyama_core.processing.kernels.outlines import (
            bright_lines,
            coherent_lines,
            long_lines,
        )

        strength, cosine, sine = bright_lines(
            self._derivative(2, 0), self._derivative(0, 2), self._derivative(1, 1)
        )
        reach = COHERENCE_REACH * self._diameter
        around = blur(cosine, reach), blur(sine, reach)
        strength = coherent_lines(strength, (cosine, sine), around, self._power, self._least_power)
        inside = strength[self._foreground]
        typical = float(np.percentile(inside[::4], TYPICAL_LINE)) if inside.size else 0.0
        # Far from the foreground, lines are noise.
        near = cv2.dilate(self._foreground.view(np.uint8), disc(NEAR * self._diameter))
        weak, strong = WEAK_LINE * typical, STRONG_LINE * typical
        shortest = SHORTEST_LINE * self._diameter
        is_near = np.asarray(near, np.uint8).reshape(strength.shape)
        return long_lines(strength, is_near, weak, strong, shortest)

    def without_halo(self, mask: BoolArray) -> BoolArray:
        """Return a mask that ends on the cells' side of their halos.

        First the border climbs to the crest of the halo; then what is bright for its
        surroundings goes as far as it is connected to the outside.
        """
        import cv2

        from pyama_core.processing.kernels.outlines import peel, retreat_to_crest

        diameter, smooth = self._diameter, self._smooth
        mask = mask.copy()
        steps = max(1, round(CREST_DEPTH * diameter))
        border = _border(mask, cv2.MORPH_RECT)
        retreat_to_crest(mask, border, smooth, self._power, LEAST_RISE, steps)
        mean = box_mean(np.minimum(smooth, 0), HALO_REACH * diameter / 3.46)
        side = 2 * round(HALO_REACH * diameter / 2) + 1
        brightest = cv2.dilate(smooth, np.ones((side, side), np.uint8)).reshape(smooth.shape)
        bright = smooth > mean + np.float32(HALO_LEVEL) * (brightest - mean)
        bright &= smooth > FAINT_HALO * self._contrast(mask)
        peel(mask, _border(mask, cv2.MORPH_CROSS), bright)
        return mask

    def bright_cells(self, mask: BoolArray) -> BoolArray:
        """Return the rounded cells, far brighter than others, with what their rings enclose."""
        import cv2

        bright = self._image > BRIGHT_CELL * self._contrast(mask)
        filled = fill_holes(bright, np.pi / 4 * self._diameter**2)
        opened = cv2.morphologyEx(
            filled.view(np.uint8), cv2.MORPH_OPEN, disc(SMALLEST_BRIGHT * self._diameter)
        )
        return np.asarray(opened.reshape(mask.shape).view(np.bool_))

    def _derivative(self, dx: int, dy: int) -> Float32Array:
        """Return a second derivative of the smoothed image, per square of the smoothing."""
        import cv2

        scale = self._sigma**2 / 4  # a Sobel filter of second order is 4 times the derivative
        derivative = cv2.Sobel(self._smooth, cv2.CV_32F, dx, dy, ksize=3, scale=scale)
        return np.asarray(derivative, np.float32).reshape(self._smooth.shape)

    def _contrast(self, mask: BoolArray) -> float:
        """Return the median distance of the foreground from the background's brightness."""
        some = np.abs(self._image[::2, ::2][mask[::2, ::2]])
        return float(np.median(some)) if some.size else 0.0


def _border(mask: BoolArray, neighbours: int) -> NDArray[np.int64]:
    """Return the flat indices of the pixels of a mask that are neighbours of the background."""
    import cv2

    # Beyond the edge of the image the mask goes on: there is no border.
    kernel = cv2.getStructuringElement(neighbours, (3, 3))
    inner = cv2.erode(mask.view(np.uint8), kernel).reshape(mask.shape)
    return np.flatnonzero(mask.view(np.uint8) > inner)


def disc(radius: float) -> NDArray[np.uint8]:
    """Return a disc for morphology, of a radius of at least one pixel."""
    import cv2

    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
