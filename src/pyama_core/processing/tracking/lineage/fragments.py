"""Pieces that a segmentation breaks off a cell in some frames, and what tells them from cells.

A new object in the place of a cell is a fragment of it, until it lies clearly apart, or a line
that is far stronger than most runs between them, where images tell of lines. A fragment
that is one object with its cell again has never been a cell of its own, and is not split off; nor
is any other new cell, before it has been seen on its own in a few frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.pairing import COVERED, UNPAIRED, Overlaps
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

PROVEN = 3
"""A cell that was seen as an object of its own in so many frames is no piece of another."""

_APART = 1.5  # of the sum of both radii, from centroid to centroid


def origins(cells: TrackState, overlaps: Overlaps, objects: Objects) -> IntArray:
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


def proven(cells: TrackState) -> BoolArray:
    """Return which cells have been seen on their own often enough to be believed in."""
    return np.asarray(cells.n_alone >= PROVEN)


def absorb_fragments(
    cells: TrackState, objects: Objects, overlaps: Overlaps, partner: IntArray
) -> tuple[IntArray, IntArray]:
    """End the tracks of what had been broken off a cell and is one object with it again.

    A cell that was broken and is whole again has two tracks, its own and that of the fragment. Its
    object is the partner of one of them, and covers at least half of the other one, which waits.
    Which of the two ends is decided in this order:

    1. a waiting fragment that an object covers ends;
    2. the partner ends, and the object is the waiting cell's, if it is a fragment of that cell, or
       if of the two only the waiting one is proven (and no fragment itself);
    3. the waiting cell ends if it is not proven.

    Where neither is known as a fragment of the other, the object must have room for both: it is
    larger than the partner by more than half of the waiting cell. Else one cell has come to lie
    where another was. Pairs that share most pixels are decided first.

    Parameters
    ----------
    partner
        (n_objects,) int64: the cell that each object was linked to, or `UNPAIRED`.

    Returns
    -------
    partner
        The same, but for objects that were a fragment's and are now the cell's.
    owner
        (n_cells,) int64: the cell in whose object a track has ended; itself where it has not.
    """
    waiting = np.ones(cells.cell.size, np.bool_)
    waiting[partner[partner != UNPAIRED]] = False
    is_fragment, certain = cells.fragment_of > 0, proven(cells)
    into, partner = np.arange(cells.cell.size), partner.copy()
    pairs = np.flatnonzero((overlaps.cover >= COVERED) & waiting[overlaps.cell])
    pairs = pairs[partner[overlaps.object[pairs]] != UNPAIRED]
    order = np.lexsort((cells.cell[overlaps.cell[pairs]], -overlaps.common[pairs]))
    for pair in pairs[order].tolist():
        cell, target = int(overlaps.cell[pair]), int(overlaps.object[pair])
        owner = int(partner[target])
        has_room = objects.area[target] > cells.area[owner] + cells.area[cell] / 2
        if cells.fragment_of[owner] == cells.cell[cell] or (
            has_room and certain[cell] and not certain[owner] and not is_fragment[cell]
        ):
            partner[target] = cell
            into[owner] = cell
        elif is_fragment[cell] or (has_room and not certain[cell]):
            into[cell] = owner
    return partner, into


def attached(cells: TrackState) -> IntArray:
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
