"""Pieces that a segmentation breaks off a cell in some frames, and what tells them from cells.

A new object in the place of a cell is a fragment of it, until it lies clearly apart. A fragment
that is one object with its cell again has never been a cell of its own, and is not split off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.links import COVERED, UNPAIRED, Overlaps
from pyama_core.processing.tracking.remembered import Objects, Remembered, equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_APART = 1.5  # of the sum of both radii, from centroid to centroid


def origins(cells: Remembered, overlaps: Overlaps, objects: Objects) -> IntArray:
    """Return for each object the id of the cell that it would be a fragment of, 0 for none.

    At least half of a fragment lies where cells were; it is of the one that it shares most pixels
    with, or of the cell that this one is a fragment of.
    """
    inside = np.bincount(overlaps.object, overlaps.common, minlength=objects.area.size)
    origin = np.zeros(objects.area.size, np.int64)
    order = np.lexsort((-cells.cell[overlaps.cell], overlaps.common))
    root = np.where(cells.fragment_of > 0, cells.fragment_of, cells.cell)
    origin[overlaps.object[order]] = root[overlaps.cell[order]]
    return np.where(inside >= COVERED * objects.area, origin, 0)


def swallow(cells: Remembered, overlaps: Overlaps, partner: IntArray) -> tuple[IntArray, BoolArray]:
    """Give objects that hold a cell and its fragments to the cell.

    Parameters
    ----------
    partner
        (n_objects,) int64: the cell that each object was linked to, or `UNPAIRED`.

    Returns
    -------
    partner
        The same, where a fragment was linked to the object that covers its cell: the cell.
    swallowed
        (n_cells,) bool: the fragments that have ended.
    """
    waiting = np.ones(cells.cell.size, np.bool_)
    waiting[partner[partner != UNPAIRED]] = False
    swallowed = waiting & (cells.fragment_of > 0) & overlaps.covered()
    partner = partner.copy()
    pairs = np.flatnonzero((overlaps.cover >= COVERED) & waiting[overlaps.cell])
    linked = partner[overlaps.object[pairs]]
    pairs, linked = pairs[linked != UNPAIRED], linked[linked != UNPAIRED]
    back = cells.fragment_of[linked] == cells.cell[overlaps.cell[pairs]]
    partner[overlaps.object[pairs[back]]] = overlaps.cell[pairs[back]]
    swallowed[linked[back]] = True
    return partner, swallowed


def attached(cells: Remembered) -> IntArray:
    """Return `fragment_of` of remembered cells anew, 0 for those that have come apart."""
    index = cells.index_of(cells.fragment_of)
    fragments = np.flatnonzero(index >= 0)
    origin = index[fragments]
    position = cells.seen_at + cells.drift
    distance = np.hypot(*(position[fragments] - position[origin]).T)
    radius = equivalent_diameter(cells.area) / 2
    near = distance <= _APART * (radius[fragments] + radius[origin])
    still = np.zeros(cells.cell.size, np.int64)
    still[fragments[near]] = cells.fragment_of[fragments[near]]
    return still
