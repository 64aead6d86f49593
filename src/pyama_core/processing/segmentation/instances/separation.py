"""Touching cells apart: by their nuclei if they are known, else by shape and the lines between."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import Runs, paint
from pyama_core.processing.segmentation.images import (
    BoolArray,
    Float32Array,
    blur,
    of_grey_values,
    of_single_precision,
    runs_of,
)
from pyama_core.processing.segmentation.instances.contrast import N_SIGMA
from pyama_core.processing.segmentation.instances.kernels.borders import parted_by_lines
from pyama_core.processing.segmentation.instances.kernels.joining import join_round
from pyama_core.processing.segmentation.kernels.distance import depths
from pyama_core.processing.segmentation.kernels.parts import (
    interior,
    largest_parts,
    mean_distance,
    relabel,
)
from pyama_core.processing.segmentation.kernels.smoothing import gaussian
from pyama_core.processing.segmentation.kernels.watershed import HIGHEST, flood
from pyama_core.processing.segmentation.scale import Scale

Int32Array = NDArray[np.int32]

# Sizes in cell diameters and areas of a cell.
SMOOTHING = 0.045  # of the distance to the outline
NECK = 0.8  # a neck narrower than this, of the narrower side, separates cells
LEAST_BASIN = 0.2
LARGEST_JOINED, LEAST_ROUNDNESS = 2.0, 0.9  # of neighbours that are one cell
LINE_CONTRAST, LINE_PART = 0.5, 0.9  # of a line that parts cells, all along their border
LEAST_CELL = 0.2
LEAST_MASS = 0.3  # of a typical cell's area times contrast
TYPICAL_CONTRAST = 0.7  # quantile over all pixels of objects: a few cells outweigh much dirt

NUCLEUS = 0.13  # standard deviation of the Gaussian that a nucleus resembles
NUCLEUS_SURROUNDINGS = 1.6  # that standard deviation around it, in units of its own
NUCLEUS_NOISE = 8.0
NUCLEUS_NECK = 0.85
LEAST_NUCLEUS = 0.02

_NO_SEEDS = np.zeros((0, 0), np.int32)


def separate(body: BoolArray, lines: BoolArray, image: Float32Array, scale: Scale) -> Runs:
    """Label the cells of a mask, by its shape and the bright lines in it.

    The distance to the nearest outline (border or line) is cut into basins; those that meet over
    a wide neck are one cell, as are those that are round together, but for those that a bright
    line parts. What is narrow or small then is not a cell, nor what is small and faint in the
    image; how many lines a cell holds does not matter.

    Returns the runs of the cells, each one 4-connected part, in an order of no meaning.
    """
    basins, n_basins = basins_of(body, lines, scale)
    return cells_of(basins, n_basins, image, scale)


def basins_of(body: BoolArray, lines: BoolArray, scale: Scale) -> tuple[Runs, int]:
    """Cut a mask where the distance to the nearest outline has necks; return how many pieces."""
    least_area = LEAST_BASIN * scale.working_area
    basins, peaks = flood(_depths(body, lines, scale), runs_of(body), _NO_SEEDS, NECK, least_area)
    return basins, peaks.size - 1


def cells_of(basins: Runs, n_basins: int, image: Float32Array, scale: Scale) -> Runs:
    """Join what is round together, and leave out what is narrow, small or faint.

    Not joined are those between which a bright line runs all along their border: two rods side by
    side are round together as well.
    """
    labels = painted(basins, np.zeros(image.shape, np.int32))
    apart = parted_by_lines(labels, image, n_basins, LINE_CONTRAST, LINE_PART)
    largest = LARGEST_JOINED * scale.working_area
    becomes = join_round(basins, image.shape, n_basins, largest, LEAST_ROUNDNESS, apart)
    cells = relabel(basins, becomes)
    wide = _without_protrusions(cells, image.shape)
    cells = largest_parts(cells, wide, n_basins, LEAST_CELL * scale.working_area)
    return without_specks(cells, image, n_basins, scale)


def without_specks(cells: Runs, image: Float32Array, n_labels: int, scale: Scale) -> Runs:
    """Leave out what is both small and faint: dirt, and things out of focus.

    The mass of an object is its area times its contrast, the mean distance from the brightness
    of the background. A typical cell has the area of the scale, and the contrast that seven tenths
    of the pixels of objects do not exceed, each with that of its object: so a frame of few cells
    is not judged by its dirt. A small rounded cell makes up in contrast for what it lacks in
    area, a thin spread one the other way round.
    """
    area, contrast = mean_distance(cells, image, n_labels).T
    order = np.argsort(contrast, kind="stable")
    place = np.searchsorted(np.cumsum(area[order]), TYPICAL_CONTRAST * area.sum())
    typical = scale.working_area * contrast[order[place]]
    is_cell = area * contrast >= LEAST_MASS * typical
    is_cell[0] = False
    return relabel(cells, np.where(is_cell, np.arange(n_labels + 1), 0))


def separate_by_nuclei(body: BoolArray, lines: BoolArray, nuclei: Int32Array, scale: Scale) -> Runs:
    """Label the cells of a mask, one per nucleus; what has none is not a cell.

    Returns runs with the labels of the nuclei, each one 4-connected part.
    """
    body = body | (nuclei > 0)
    height = _depths(body, lines, scale)
    height[1:-1, 1:-1][nuclei > 0] = HIGHEST
    cells, _ = flood(height, runs_of(body), nuclei, 0.0, 0.0)
    n_nuclei = int(nuclei.max())
    cells = relabel(cells, np.arange(n_nuclei + 1))
    kept = _without_protrusions(cells, body.shape) | (nuclei > 0).view(np.uint8)
    return largest_parts(cells, kept, n_nuclei, 0.0)


def find_nuclei(frame: NDArray[Any], scale: Scale) -> Int32Array:
    """Label the nuclei in a frame of a nuclear channel.

    Blobs of the size of nuclei stand out in a difference of Gaussians, above a multiple of its
    noise and beyond what may be rounding; those that overlap are separated where it dips.

    Returns (Y, X) labels in the working image, 0 outside.
    """
    image = scale.shrink(frame)
    labels = np.zeros(image.shape, np.int32)
    sigma = max(0.8, NUCLEUS * scale.working_diameter)
    blobs = blur(image, sigma) - blur(image, NUCLEUS_SURROUNDINGS * sigma)
    centre = np.median(blobs)
    noise = 1.4826 * float(np.median(np.abs(blobs - centre)))
    rounding = of_single_precision(image) + _in_blobs(of_grey_values(frame, image), sigma)
    threshold = float(centre) + max(NUCLEUS_NOISE * noise, N_SIGMA * float(np.sqrt(rounding)))
    inside = blobs > threshold
    if not inside.any():
        return labels
    height = _heights(blobs, inside, threshold)
    least_area = LEAST_NUCLEUS * scale.working_area
    basins, peaks = flood(height, runs_of(inside), _NO_SEEDS, NUCLEUS_NECK, least_area)
    nuclei = largest_parts(basins, inside.view(np.uint8), peaks.size - 1, least_area)
    return painted(nuclei, labels)


def _in_blobs(variance: float, sigma: float) -> float:
    """Return the variance that white noise has in the difference of Gaussians for nuclei."""
    # Smoothed by Gaussians s and t it has the covariance variance / 2π(s² + t²).
    wide = NUCLEUS_SURROUNDINGS**2
    part = 1 / 2 + 1 / (2 * wide) - 2 / (1 + wide)
    return float(variance * part / (2 * np.pi * sigma**2))


def _heights(blobs: Float32Array, inside: BoolArray, threshold: float) -> NDArray[np.uint16]:
    """Return the heights of blobs for `flood`, from 1 at a threshold to `HIGHEST` at the top."""
    height = np.zeros((blobs.shape[0] + 2, blobs.shape[1] + 2), np.uint16)
    relative = (blobs[inside] - threshold) / (float(blobs.max()) - threshold)
    # The two differences are rounded differently; close to the threshold that is much.
    height[1:-1, 1:-1][inside] = 1 + (HIGHEST - 1) * np.minimum(relative, 1)
    return height


def painted(runs: Runs, out: Int32Array) -> Int32Array:
    """Write the labels of runs, from 1, into an image of zeros; return it."""
    largest = int(runs.label.max(initial=0))
    paint(runs, np.arange(largest + 1, dtype=np.int32), out)
    return out


def _depths(body: BoolArray, lines: BoolArray, scale: Scale) -> NDArray[np.uint16]:
    """Return how deep each pixel lies between the outlines, in 64ths of a pixel."""
    weights = gaussian(max(0.5, SMOOTHING * scale.working_diameter))
    return depths(runs_of(body), runs_of(body & ~lines), body.shape, weights)


def _without_protrusions(cells: Runs, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a mask without what is narrow of cells, each cell on its own."""
    inner = np.zeros(shape, np.uint8)
    interior(cells, inner)
    opened = cv2.morphologyEx(
        inner, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    )
    # The border pixels that kept neighbours apart come back.
    wide = cv2.dilate(opened, np.ones((3, 3), np.uint8))
    return np.asarray(wide, np.uint8).reshape(shape)
