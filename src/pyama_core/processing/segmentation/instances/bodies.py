"""Cells that are evenly dark, as bacteria are: outlined where their body meets the halo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

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
Float64Array = NDArray[np.float64]

ROUNDS = 2  # to tell dark pixels of a cell from its bright ones
EDGE = 0.6  # of a body, from its dark level (0) to the bright one (1)
EVEN = 0.25  # standard deviation within a body, of the step between these levels, at most
LEAST_BODY = 0.2  # of what the outline took in is deep within the body
ENOUGH_DARK = 0.35  # of the area of all cells, or the movie does not show dark bodies
HALO_FROM, HALO_TO = 0.11, 0.28  # from bodies, in cell diameters: there a halo is still bright
LEAST_HALO = 0.1  # of it there, of the depth of bodies
ENOUGH_EMPTY = 0.3  # of a frame beyond, to tell the brightness of the background


def shows_bodies(frames: Iterable[tuple[Int32Array, Float32Array]], diameter: float) -> bool | None:
    """Return whether a movie shows dark bodies in halos, by some of its frames together.

    Not by each of its own: an outline must not be drawn now in one way, now in the other.

    Parameters
    ----------
    frames
        Labels and brightness of each, as `outline_bodies` takes them; looked at one by one.
    diameter
        Of cells, in pixels of the images.

    Returns
    -------
    bool or None
        None where they show no cells.
    """
    n_dark = n_pixels = 0
    lacks: list[bool] = []
    for labels, image in frames:
        found = _Found.of(labels, image)
        n_dark, n_pixels = n_dark + found.n_dark, n_pixels + int(found.area.sum())
        if found.is_body.any():
            lacking = _lacks_halo(found.outlined(labels, image), image, diameter, found)
            lacks += [] if lacking is None else [lacking]
    if not n_pixels:
        return None
    return 0 < n_dark >= ENOUGH_DARK * n_pixels and 2 * sum(lacks) <= len(lacks)


def outline_bodies(
    labels: Int32Array, image: Float32Array, diameter: float, shown: bool | None = None
) -> Int32Array:
    """Return labels that end where dark bodies end, if it is such that a movie shows.

    The outline of a cell lies in its halo. Where cells are textured, no brightness tells how much
    of that is theirs. Others are evenly dark, with a step at their border: what is brighter
    than about its middle is then taken from them, as far as it is connected to their outside.
    Where much of the area of cells is of this sort, objects in which even what is dark is brighter
    than the middle of a typical step are gaps between bodies, and left out. Where no halo is seen
    around them, as in bright field, the bright fringe belongs to the cell: then all labels stay.

    Parameters
    ----------
    labels
        (Y, X) cells, 0 outside, each one 4-connected part.
    image
        (Y, X) brightness.
    diameter
        Of cells, in pixels of the image.
    shown
        Whether the movie shows such bodies (`shows_bodies`); if None, this frame tells.
    """
    if shown is False:
        return labels
    found = _Found.of(labels, image)
    few = found.n_dark < ENOUGH_DARK * found.area.sum()
    if not found.is_body.any() or (shown is None and few):
        return labels
    out = found.outlined(labels, image)
    if shown is None and _lacks_halo(out, image, diameter, found):
        return labels
    others = relabel(found.cells, np.where(found.is_body | found.is_gap, 0, found.which))
    paint(others, found.which.astype(np.int32), out)
    return out


@dataclass(frozen=True)
class _Found:
    """Which labels are bodies, by their brightness; all arrays by label."""

    cells: Runs
    area: NDArray[np.int64]
    dark: Float64Array
    middle: Float64Array
    limit: Float64Array
    is_body: BoolArray

    @classmethod
    def of(cls, labels: Int32Array, image: Float32Array) -> Self:
        cells, n_labels = find_runs(read_only(labels), 0), int(labels.max(initial=0))
        levels = two_levels(cells, image, n_labels, ROUNDS)
        dark, step = levels[:, 0], levels[:, 1] - levels[:, 0]
        limit = dark + EDGE * step
        n_deep, spread = spread_of_dark(cells, labels, image, limit)
        area = np.zeros(n_labels + 1, np.int64)
        np.add.at(area, cells.label, cells.stop - cells.start)
        is_body = (n_deep >= LEAST_BODY * area) & (spread < EVEN * step)
        return cls(cells, area, dark, dark + step / 2, limit, is_body)

    @property
    def n_dark(self) -> int:
        """Pixels of bodies, as they were labelled."""
        return int(self.area[self.is_body].sum())

    @property
    def which(self) -> NDArray[np.int64]:
        """All labels, and 0."""
        return np.arange(self.area.size)

    @property
    def is_gap(self) -> BoolArray:
        """Which are gaps between bodies, of which there must be some."""
        return np.asarray(self.dark > np.median(self.middle[self.is_body]))

    def outlined(self, labels: Int32Array, image: Float32Array) -> Int32Array:
        """Return the labels of bodies alone, as far as they go."""
        within = labels.copy()
        shed(self.cells, image, self.limit, within)
        bodies = keep_largest(find_runs(read_only(within), 0), self.area.size - 1, 0.0)
        return _painted(
            relabel(bodies, np.where(self.is_body & ~self.is_gap, self.which, 0)), within
        )


def _lacks_halo(
    outlined: Int32Array, image: Float32Array, diameter: float, found: _Found
) -> bool | None:
    """Return whether it is hardly brighter around bodies than far away; None if all is near."""
    bodies = outlined > 0
    near, around = (_within(part * diameter, bodies) for part in (HALO_FROM, HALO_TO))
    some = image[::3, ::3]  # tells as much of the background, and takes less time
    empty, halo = some[~around[::3, ::3]], image[around & ~near]
    if empty.size < ENOUGH_EMPTY * some.size or halo.size == 0:
        return None
    background = float(np.median(empty))
    depth = background - float(np.median(found.dark[found.is_body]))
    return float(halo.mean()) - background < LEAST_HALO * depth


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
