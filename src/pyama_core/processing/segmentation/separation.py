"""Touching cells apart: by their nuclei if they are known, else by shape and the lines between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.contrast import BoolArray, Float32Array, blur
from pyama_core.processing.segmentation.outlines import disc
from pyama_core.processing.segmentation.scale import Scale

Int32Array = NDArray[np.int32]

# Sizes in cell diameters and areas of a cell.
SMOOTHING = 0.045  # of the distance to the outline
NECK = 0.8  # a neck narrower than this, of the narrower side, separates cells
LEAST_BASIN = 0.2
LARGEST_JOINED, LEAST_ROUNDNESS = 2.0, 0.88  # of neighbours that are one cell
LEAST_CELL = 0.2
LEAST_MASS = 0.3  # of a typical cell's area times contrast
TYPICAL_CONTRAST = 0.7  # quantile over all pixels of objects: a few cells outweigh much dirt
PROTRUSION = 0.08  # half-width of what an opening takes away

NUCLEUS = 0.13  # standard deviation of the Gaussian that a nucleus resembles
NUCLEUS_NOISE = 8.0
NUCLEUS_NECK = 0.85
LEAST_NUCLEUS = 0.02

_HEIGHT_PER_PIXEL = 64
_SUMMIT = 65_535


def separate(body: BoolArray, lines: BoolArray, scale: Scale) -> Int32Array:
    """Label the cells of a mask, by its shape and the bright lines in it.

    The distance to the nearest outline (border or line) is cut into basins; those that meet over
    a wide neck are one cell, as are those that are round together. What is narrow or small
    then is not a cell; how many lines a cell holds does not matter.

    Returns (Y, X) labels, each one 4-connected part, 0 outside.
    """
    from pyama_core.processing.kernels.joining import join_round
    from pyama_core.processing.kernels.watershed import flood

    distance = _distance(body & ~lines, scale)
    height = _as_height(distance, body)
    no_seeds = np.zeros(body.shape, np.int32)
    basins = flood(height, no_seeds, NECK, LEAST_BASIN * scale.working_area, False)
    becomes = join_round(
        basins, int(basins.max()), LARGEST_JOINED * scale.working_area, LEAST_ROUNDNESS
    )
    basins = becomes.astype(np.int32)[basins]
    return _largest_parts(_without_protrusions(basins, scale), LEAST_CELL * scale.working_area)


def without_specks(labels: Int32Array, image: Float32Array, scale: Scale) -> Int32Array:
    """Leave out what is both small and faint: dirt, and things out of focus.

    The mass of an object is its area times its contrast, the mean distance from the brightness
    of the background. A typical cell has the area of the scale, and the contrast that seven tenths
    of the pixels of objects do not exceed, each with that of its object: so a frame of few cells
    is not judged by its dirt. A small rounded cell makes up in contrast for what it lacks in
    area, a thin spread one the other way round.
    """
    from pyama_core.processing.kernels.watershed import mean_distance

    area, contrast = mean_distance(labels, image, int(labels.max())).T
    order = np.argsort(contrast, kind="stable")
    place = np.searchsorted(np.cumsum(area[order]), TYPICAL_CONTRAST * area.sum())
    typical = scale.working_area * contrast[order[place]]
    is_speck = area * contrast < LEAST_MASS * typical
    is_speck[0] = True
    labels = labels.copy()
    labels[is_speck[labels]] = 0
    return labels


def separate_by_nuclei(
    body: BoolArray, lines: BoolArray, nuclei: Int32Array, scale: Scale
) -> Int32Array:
    """Label the cells of a mask, one per nucleus; what has none is not a cell.

    Returns (Y, X) labels, those of the nuclei, each one 4-connected part, 0 outside.
    """
    from pyama_core.processing.kernels.watershed import flood

    body = body | (nuclei > 0)
    height = _as_height(_distance(body & ~lines, scale), body)
    height[nuclei > 0] = _SUMMIT
    basins = _without_protrusions(flood(height, nuclei, 0.0, 0.0, True), scale)
    basins = np.where(nuclei > 0, nuclei, basins)
    return _largest_parts(basins, 0.0)


def find_nuclei(image: Float32Array, scale: Scale) -> Int32Array:
    """Label the nuclei in a working image of a nuclear channel.

    Blobs of the size of nuclei stand out in a difference of Gaussians, above a multiple of its
    noise; those that overlap are separated where it dips.
    """
    from pyama_core.processing.kernels.watershed import flood

    sigma = max(0.8, NUCLEUS * scale.working_diameter)
    blobs = blur(image, sigma) - blur(image, 1.6 * sigma)
    centre = np.median(blobs)
    noise = 1.4826 * float(np.median(np.abs(blobs - centre)))
    threshold = float(centre) + NUCLEUS_NOISE * noise
    top = float(blobs.max())
    if top <= threshold:
        return np.zeros(image.shape, np.int32)
    height = np.zeros(image.shape, np.uint16)
    inside = blobs > threshold
    height[inside] = 1 + (_SUMMIT - 1) * (blobs[inside] - threshold) / (top - threshold)
    least_area = LEAST_NUCLEUS * scale.working_area
    no_seeds = np.zeros(image.shape, np.int32)
    return _largest_parts(flood(height, no_seeds, NUCLEUS_NECK, least_area, False), least_area)


def _distance(core: BoolArray, scale: Scale) -> Float32Array:
    """Return the smoothed distance to the nearest pixel outside, in pixels."""
    import cv2

    distance = cv2.distanceTransform(core.view(np.uint8), cv2.DIST_L2, 5)
    distance = np.asarray(distance, np.float32).reshape(core.shape)
    return blur(distance, max(0.5, SMOOTHING * scale.working_diameter))


def _as_height(distance: Float32Array, body: BoolArray) -> NDArray[np.uint16]:
    """Return the distance as a height map, 0 outside of the body, and below the summit."""
    height = np.minimum(1 + _HEIGHT_PER_PIXEL * distance, _SUMMIT - 1)
    return np.where(body, height, 0).astype(np.uint16)


def _without_protrusions(labels: Int32Array, scale: Scale) -> Int32Array:
    """Take away what is narrow, from each label on its own."""
    import cv2

    inner = labels > 0
    inner[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    inner[1:] &= labels[1:] == labels[:-1]
    opened = cv2.morphologyEx(
        inner.view(np.uint8), cv2.MORPH_OPEN, disc(PROTRUSION * scale.working_diameter)
    )
    # The border pixels that kept neighbours apart come back.
    kept = cv2.dilate(opened, np.ones((3, 3), np.uint8)).reshape(labels.shape)
    return np.where(kept > 0, labels, 0).astype(np.int32)


def _largest_parts(labels: Int32Array, least_area: float) -> Int32Array:
    """Keep the largest 4-connected part of each label if it has at least `least_area` pixels."""
    from pyama_core.processing.kernels.watershed import connected_parts

    parts, area, label = connected_parts(labels)
    order = np.lexsort((np.arange(area.size), -area))
    _, first = np.unique(label[order], return_index=True)
    is_largest = np.zeros(area.size, np.bool_)
    is_largest[order[first]] = True
    is_kept = is_largest & (area >= least_area)
    is_kept[0] = False
    return np.where(is_kept[parts], labels, 0).astype(np.int32)
