"""Cells that are evenly dark, as bacteria are: outlined where their body meets the halo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.pixel_runs import Runs, find_runs, paint
from pyama_core.processing.segmentation.images import BoolArray, Float32Array
from pyama_core.processing.segmentation.instances.kernels.bodies import (
    shed,
    spread_of_dark,
    two_levels,
)
from pyama_core.processing.segmentation.kernels.parts import keep_largest, relabel

Int32Array = NDArray[np.int32]

ROUNDS = 2  # to tell dark pixels of a cell from its bright ones
EDGE = 0.6  # of a body, from its dark level (0) to the bright one (1)
EVEN = 0.25  # standard deviation within a body, of the step between these levels, at most
LEAST_BODY = 0.2  # of what the outline took in is deep within the body
ENOUGH_DARK = 0.35  # of the area of all cells, or the frame does not show dark bodies
HALO_FROM, HALO_TO = 0.11, 0.28  # from bodies, in cell diameters: there a halo is still bright
LEAST_HALO = 0.1  # of it there, of the depth of bodies
ENOUGH_EMPTY = 0.3  # of a frame beyond, to tell the brightness of the background


def outline_bodies(labels: Int32Array, image: Float32Array, diameter: float) -> Int32Array:
    """Return labels that end where dark bodies end, if it is such that a frame shows.

    The outline of a cell lies in its halo. Where cells are textured, no brightness tells how much
    of that is theirs. Others are evenly dark, with a step at their border: what is brighter
    than about its middle is then taken from them, as far as it is connected to their outside.
    A frame in which much of the area of cells is of this sort is taken to show nothing else, so
    that an outline is not drawn now in one way, now in the other; objects in which even what is
    dark is brighter than the middle of a typical step are gaps between bodies, and left out. Where
    no halo is seen around them, as in bright field, the bright fringe belongs to the cell: then all
    labels stay.

    Parameters
    ----------
    labels
        (Y, X) cells, 0 outside, each one 4-connected part.
    image
        (Y, X) brightness.
    diameter
        Of cells, in pixels of the image.
    """
    cells, n_labels = find_runs(read_only(labels), 0), int(labels.max(initial=0))
    levels = two_levels(cells, image, n_labels, ROUNDS)
    dark, step = levels[:, 0], levels[:, 1] - levels[:, 0]
    limit = dark + EDGE * step
    n_deep, spread = spread_of_dark(cells, labels, image, limit)
    area = np.bincount(cells.label, cells.stop - cells.start, n_labels + 1)
    is_body = (n_deep >= LEAST_BODY * area) & (spread < EVEN * step)
    if not is_body.any() or area[is_body].sum() < ENOUGH_DARK * area.sum():
        return labels
    within = labels.copy()
    shed(cells, image, limit, within)
    bodies = keep_largest(find_runs(read_only(within), 0), n_labels, 0.0)
    is_gap = dark > np.median((dark + step / 2)[is_body])
    which = np.arange(n_labels + 1)
    bodies = relabel(bodies, np.where(is_body & ~is_gap, which, 0))
    out = _painted(bodies, within)
    if _lacks_halo(out > 0, image, diameter, float(np.median(dark[is_body]))):
        return labels
    others = relabel(cells, np.where(is_body | is_gap, 0, which))
    paint(others, which.astype(np.int32), out)
    return out


def _lacks_halo(bodies: BoolArray, image: Float32Array, diameter: float, dark: float) -> bool:
    """Return whether it is hardly brighter around bodies than far from them."""
    near, around = (_within(part * diameter, bodies) for part in (HALO_FROM, HALO_TO))
    some = image[::3, ::3]  # tells as much of the background, and takes less time
    empty, halo = some[~around[::3, ::3]], image[around & ~near]
    if empty.size < ENOUGH_EMPTY * some.size or halo.size == 0:
        return False
    background = float(np.median(empty))
    return float(halo.mean()) - background < LEAST_HALO * (background - dark)


def _within(reach: float, mask: BoolArray) -> BoolArray:
    """Return the pixels that are so near to a mask, along either axis."""
    side = 2 * max(1, round(reach)) + 1
    near = cv2.dilate(mask.view(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray(near, np.uint8).reshape(mask.shape).view(np.bool_)


def _painted(runs: Runs, out: Int32Array) -> Int32Array:
    """Write the labels of runs, and nothing else, into an image; return it."""
    out[:] = 0
    paint(runs, np.arange(runs.label.max(initial=0) + 1, dtype=np.int32), out)
    return out
