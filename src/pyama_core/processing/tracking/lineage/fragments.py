"""Pieces that a segmentation breaks off a cell in some frames, and what tells them from cells.

A new object in the place of a cell is a fragment of it, until it lies clearly apart. A fragment
that is one object with its cell again has never been a cell of its own, and is not split off; nor
is any other new cell, before it has been seen on its own in a few frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import rows_of
from pyama_core.processing.tracking.lineage.pairing import COVERED, UNPAIRED, Overlaps
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, equivalent_diameter, runs_of_each

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

PROVEN = 3
"""A cell that was seen as an object of its own in so many frames is no piece of another."""

_APART = 1.5  # of the sum of both radii, from centroid to centroid
_GAP_PX = 1  # at most so many pixels between the pieces of a broken cell, in rows and in columns


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
) -> tuple[IntArray, BoolArray]:
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
    absorbed
        (n_cells,) bool: the tracks that have ended in another cell's object.
    """
    waiting = np.ones(cells.cell.size, np.bool_)
    waiting[partner[partner != UNPAIRED]] = False
    is_fragment, certain = cells.fragment_of > 0, proven(cells)
    absorbed = waiting & is_fragment & overlaps.covered()
    partner = partner.copy()
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
            absorbed[owner] = True
        elif has_room and not certain[cell]:
            absorbed[cell] = True
    return partner, absorbed


def join_pieces(
    cells: TrackState,
    objects: Objects,
    overlaps: Overlaps,
    partner: IntArray,
    available: BoolArray,
    may_break: BoolArray,
) -> tuple[IntArray, BoolArray]:
    """Give cells that have fallen into pieces the other pieces beside the object that they are.

    A piece is a new object of which half at least lies where the cell was, and which touches what
    the cell has already: what a segmentation cuts through stays side by side, but cells that come
    up, or have parted, stand apart. It is joined if that brings the area nearer to what the cell
    had; those that share most pixels come first.

    Parameters
    ----------
    partner
        (n_objects,) int64: the cell that each object was linked to, or `UNPAIRED`.
    available
        (n_objects,) bool: the objects that can be pieces, or can be completed by them.
    may_break
        (n_cells,) bool: the cells whose pieces are joined.

    Returns
    -------
    partner
        The same; the partner of a piece is its cell.
    broken
        (n_cells,) bool: the cells that have several pieces now.
    """
    broken = np.zeros(cells.cell.size, np.bool_)
    own = np.full(cells.cell.size, UNPAIRED)
    linked = np.flatnonzero(available & (partner != UNPAIRED))
    own[partner[linked]] = linked
    area = np.where(own == UNPAIRED, 0, objects.area[own] if objects.area.size else 0)
    lies_in = 2 * overlaps.common >= objects.area[overlaps.object]
    is_new = available & (partner == UNPAIRED)
    pairs = np.flatnonzero(
        lies_in & is_new[overlaps.object] & (may_break & (own != UNPAIRED))[overlaps.cell]
    )
    partner = partner.copy()
    if pairs.size == 0:
        return partner, broken
    order = np.lexsort(
        (overlaps.object[pairs], cells.cell[overlaps.cell[pairs]], -overlaps.common[pairs])
    )
    contacts = _Contacts(objects)
    parts = {cell: [own[cell]] for cell in np.unique(overlaps.cell[pairs]).tolist()}
    for pair in pairs[order].tolist():
        cell, piece = int(overlaps.cell[pair]), int(overlaps.object[pair])
        joined = area[cell] + objects.area[piece]
        nearer = abs(joined - cells.area[cell]) < abs(area[cell] - cells.area[cell])
        if not nearer or partner[piece] != UNPAIRED:
            continue
        if any(contacts.touch(piece, part) for part in parts[cell]):
            partner[piece], area[cell], broken[cell] = cell, joined, True
            parts[cell].append(piece)
    return partner, broken


class _Contacts:
    """Tells which objects of a frame touch."""

    def __init__(self, objects: Objects) -> None:
        runs = objects.runs
        self._of = runs_of_each(runs, objects.area.size)
        self._row, self._start, self._stop = rows_of(runs), runs.start, runs.stop

    def touch(self, one: int, other: int) -> bool:
        """Return whether at most `_GAP_PX` pixels lie between two objects."""
        a, b = self._of[one][:, np.newaxis], self._of[other]
        near = abs(self._row[a] - self._row[b]) <= _GAP_PX + 1
        near &= self._start[a] <= self._stop[b] + _GAP_PX
        near &= self._start[b] <= self._stop[a] + _GAP_PX
        return bool(near.any())


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
