"""From contrast to objects: the mask, what of it is one object, and where each one ends."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.holes import fill_holes
from pyama_core.processing.runs.objects import components
from pyama_core.processing.runs.pixel_runs import Runs, find_runs, paint
from pyama_core.processing.segmentation.bright.contrast import NEAR, Contrast, Float32Array
from pyama_core.processing.segmentation.bright.kernels.ellipses import choose_ellipses, moments
from pyama_core.processing.segmentation.bright.kernels.growth import grow, reclaim
from pyama_core.processing.segmentation.bright.kernels.levels import (
    mark_below,
    own_contrast,
    settle,
    steepest_levels,
)
from pyama_core.processing.segmentation.images import BoolArray, as_2d, runs_of
from pyama_core.processing.segmentation.kernels.distance import depths
from pyama_core.processing.segmentation.kernels.parts import interior, relabel
from pyama_core.processing.segmentation.kernels.smoothing import gaussian
from pyama_core.processing.segmentation.kernels.watershed import flood, passes
from pyama_core.processing.segmentation.scale import Scale

Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]

# Sizes in diameters and areas of an object.
LARGEST_HOLE = 0.1
SMOOTHING = 0.05  # of the distance to the outline
LEAST_BASIN = 0.05
LEAST_PART, LARGEST_OBJECT = 0.12, 3.0
LEAST_LEFT, LEFT_WIDTH = 0.3, 0.12  # of an object beside a brighter one
REACH = 0.25  # that outlines lie outside of half the contrast

PART_OF_NEAR = 0.45  # of the highest contrast near by belongs to an object
CLEAR_NOISE = 1.7  # times the limit, that such a part is
NECK = 0.97  # a neck narrower than this, of the narrower side, may separate
MARGIN = 0.0
CORE = 0.4  # of its own contrast is the core of an object
OUTLINE = 0.475  # of the level at which it is steepest
BRIGHTER = 1.2  # times its own contrast, that a neighbour has which hides where an object ends
HIDDEN = 1.2, 1.2  # times the level of its outline and its contrast: values of what may be hidden
LEAST_CONTRAST = 0.86  # times the limit, of an object of typical area
LEAST_MASS = 0.4  # of a typical object's area times contrast, of a small bright one

_NO_SEEDS = np.zeros((0, 0), np.int32)


class Areas(NamedTuple):
    """The areas of objects, in pixels of the working image: what is beyond them is left out.

    `bright` is the least one of objects in which there is as much as in others.
    """

    least: float
    most: float
    bright: float


def find_objects(
    contrast: Contrast, scale: Scale, limit: float, areas: Areas, *, hidden_sides: bool = True
) -> Int32Array:
    """Label the objects of a working image.

    What is smaller or larger than the areas is left out, and what stands out of noise less than
    `limit` demands. Sides that brighter neighbours hide are not looked for unless `hidden_sides`.
    """
    mask, sharp_mask = find_masks(contrast, scale, limit)
    labels = np.zeros(mask.shape, np.int32)
    if not mask.any():
        return labels
    image = contrast.clear
    cut(split(mask, scale), image, CORE, labels)
    _add_left(mask, labels, scale)
    inner = np.zeros(mask.shape, np.uint8)
    interior(find_runs(read_only(labels), 0), inner)
    cut(split(inner.view(np.bool_), scale), image, CORE, labels)
    sharp = image + contrast.detail
    level, own = to_outlines(sharp_mask, sharp, labels, scale)
    kept = without_odd(labels, image, contrast.noise * limit, areas, scale)
    if hidden_sides:
        numbers = np.zeros(int(kept.max()) + 1, np.int64)
        numbers[kept] = labels  # of objects that are left, from before the others were left out
        beside_brighter(kept, sharp, level[numbers], own[numbers], scale)
    return kept


def find_masks(contrast: Contrast, scale: Scale, limit: float) -> tuple[BoolArray, BoolArray]:
    """Return where the contrast is beyond noise, with small holes filled; the same with detail.

    That is where the band exceeds `limit` times the noise there, or the clear contrast a higher
    limit and a part of its highest value near by: the wide faint parts of objects larger than the
    scale. The first mask tells objects apart, in the second they are outlined: smoothing has moved
    edges out, and in where a brighter object near by asks for more.
    """
    reach = max(1, round(NEAR * scale.working_diameter))
    near = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * reach + 1, 2 * reach + 1))
    highest = as_2d(cv2.dilate(contrast.clear, near), contrast.clear)
    highest *= np.float32(PART_OF_NEAR)
    floor = np.float32(limit) * contrast.floor
    np.maximum(highest, np.float32(CLEAR_NOISE) * floor, out=highest)
    mask = (contrast.band > floor) | (contrast.clear > highest)
    floor -= contrast.detail
    highest -= contrast.detail
    sharp = (contrast.band > floor) | (contrast.clear > highest)
    for each in (mask, sharp):
        fill_holes(each, LARGEST_HOLE * scale.working_area)
    return mask, sharp


def split(mask: BoolArray, scale: Scale) -> Runs:
    """Return the runs of the objects of a mask, told apart by their shapes."""
    runs, area = runs_of(mask), scale.working_area
    weights = gaussian(max(0.5, SMOOTHING * scale.working_diameter))
    height = depths(runs, runs, mask.shape, weights)
    basins, peak = flood(height, runs, _NO_SEEDS, NECK, LEAST_BASIN * area)
    n_basins = peak.size - 1
    labels = np.zeros(height.shape, np.int32)
    paint(basins, np.arange(n_basins + 1, dtype=np.int32), labels[1:-1, 1:-1])
    between = passes(height, runs, labels)
    becomes = choose_ellipses(
        moments(basins, n_basins), between, LEAST_PART * area, LARGEST_OBJECT * area, MARGIN
    )
    return relabel(basins, becomes)


def cut(objects: Runs, image: Float32Array, part: float, out: Int32Array) -> None:
    """Write the labels of what of each object exceeds a part of its own contrast, holes filled."""
    n_objects = int(objects.label.max(initial=0))
    out[:] = 0
    paint(objects, np.arange(n_objects + 1, dtype=np.int32), out)
    _cut_at(out, image, part * own_contrast(out, image, n_objects))


def _cut_at(labels: Int32Array, image: Float32Array, level: Float64Array) -> None:
    mark_below(labels, image, level)
    settle(find_runs(read_only(labels), 0), labels, level.size - 1)


def _add_left(mask: BoolArray, labels: Int32Array, scale: Scale) -> None:
    """Label fainter objects: what of a mask is left over, where it is wide and large."""
    left = (mask & (labels == 0)).view(np.uint8)
    radius = max(1, round(LEFT_WIDTH * scale.working_diameter))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(left, cv2.MORPH_OPEN, disc).reshape(mask.shape)
    runs, n_parts = components(opened.view(np.bool_))
    area = np.bincount(runs.label, runs.stop - runs.start, n_parts)
    kept = np.where(area > LEAST_LEFT * scale.working_area, int(labels.max()) + 1, 0)
    fainter = np.zeros_like(labels)
    paint(runs, kept.astype(np.int32), fainter)
    np.maximum(labels, fainter, out=labels)


def to_outlines(
    mask: BoolArray, image: Float32Array, labels: Int32Array, scale: Scale
) -> tuple[Float64Array, Float64Array]:
    """Grow the cores of objects to where each one ends, in place.

    That is a part of the level at which its outline is steepest, which lies higher where it is
    sharp and lower where an object fades. Returns that level, and the contrast, of each label.
    """
    n_objects = int(labels.max())
    contrast = own_contrast(labels, image, n_objects)
    grow(labels, mask, max(1, round(REACH * scale.working_diameter)))
    steepest = steepest_levels(labels, image, contrast)
    level = OUTLINE * steepest * contrast
    _cut_at(labels, image, level)
    return level, contrast


def beside_brighter(
    labels: Int32Array, image: Float32Array, level: Float64Array, own: Float64Array, scale: Scale
) -> None:
    """Grow objects, in place, where a brighter one near by keeps what is theirs out of the mask.

    The mask asks for a part of the highest contrast near by, and for more than the mean of the
    surroundings: the side of a faint object that lies towards a bright one has neither. What may be
    its own is taken first, to see at which level it is steepest there, and kept where it is above.
    """
    reach = max(1, round(NEAR * scale.working_diameter))
    around = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * reach + 1, 2 * reach + 1))
    near = as_2d(cv2.dilate(image, around), image)
    lowest, highest = HIDDEN
    steps = max(1, round(REACH * scale.working_diameter))
    widest = labels.copy()
    reclaim(widest, image, near, (lowest * level, highest * own), BRIGHTER * own, steps)
    edge = steepest_levels(widest, image, own) * own
    reclaim(labels, image, near, (edge, highest * own), BRIGHTER * own, steps)


def without_odd(
    labels: Int32Array,
    image: Float32Array,
    limit: float,
    areas: Areas,
    scale: Scale,
) -> Int32Array:
    """Return labels without what is too small or large, or faint for its area, numbered anew.

    What is somewhat too small is kept if it is so bright that there is as much in it as in others,
    as in the chromosomes of a nucleus that divides.
    """
    area = np.bincount(labels.ravel())
    mass = np.bincount(labels.ravel(), image.ravel())
    mean = mass / np.maximum(area, 1)
    clear = mean * np.sqrt(area / scale.working_area) >= LEAST_CONTRAST * limit
    large = clear & (area >= areas.least)
    large[0] = False
    heavy = mass >= LEAST_MASS * np.median(mass[large]) if large.any() else large
    is_object = (large | (clear & heavy & (area >= areas.bright))) & (area <= areas.most)
    is_object[0] = False
    numbers = np.where(is_object, np.cumsum(is_object), 0).astype(np.int32)
    return np.asarray(numbers[labels])
