"""Objects that hold several cells: who is in them, and which pixel is whose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.measures import runs_by_object
from pyama_core.processing.tracking.kernels.redrawn import nearest_values
from pyama_core.processing.tracking.lineage.kernels.moved_runs import paint_moved
from pyama_core.processing.tracking.lineage.pairing import COVERED, UNPAIRED, Overlaps
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]
UInt32Array = NDArray[np.uint32]


def find_shared(
    cells: TrackState, objects: Objects, overlaps: Overlaps, partner: IntArray, may_join: BoolArray
) -> dict[int, list[int]]:
    """Return the objects that hold several cells, with the indices of these.

    A cell that has no object of its own is in the object that covers at least half of it, if that
    is large enough: by at least half of the cell's area larger than the other cells in it
    together. (One that is not is another cell that has come to lie where this one was.) But where
    this cell and the object's were in objects of several in the frame before, they still are.

    Parameters
    ----------
    partner
        (n_objects,) int64: the cell that each object was linked to, or `UNPAIRED`.
    may_join
        (n_cells,) bool: the cells to look for.
    """
    asked = (overlaps.cover >= COVERED) & may_join[overlaps.cell]
    held: dict[int, list[int]] = {}
    asked_pairs = np.flatnonzero(asked)
    order = np.lexsort((cells.cell[overlaps.cell[asked_pairs]], -overlaps.common[asked_pairs]))
    explained = np.where(partner == UNPAIRED, 0.0, cells.area[partner] if cells.cell.size else 0.0)
    placed, stays = np.zeros(cells.cell.size, np.bool_), cells.merged & (cells.age == 1)
    for pair in asked_pairs[order]:
        cell, target = int(overlaps.cell[pair]), int(overlaps.object[pair])
        fits = objects.area[target] > explained[target] + cells.area[cell] / 2
        fits |= stays[cell] and partner[target] != UNPAIRED and stays[partner[target]]
        if fits and not placed[cell]:
            placed[cell] = True
            explained[target] += cells.area[cell]
            own = [] if partner[target] == UNPAIRED else [int(partner[target])]
            held.setdefault(target, own).append(cell)
    return {target: held[target] for target in sorted(held) if len(held[target]) > 1}


@dataclass(frozen=True)
class Split:
    """A shared object, divided among its cells.

    Attributes
    ----------
    object
        Its index.
    window
        The part of the frame that holds it.
    members
        (n,) int64: the cells with at least one pixel.
    piece
        int64 array of the shape of the window: 1 + the place in `members`, 0 outside the object.
    """

    object: int
    window: tuple[slice, slice]
    members: IntArray
    piece: IntArray


def split_shared(
    shared: dict[int, list[int]],
    cells: TrackState,
    moved: Float64Array,
    objects: Objects,
) -> list[Split]:
    """Give each pixel of shared objects to the cell whose mask, moved to here, is nearest.

    Masks are moved to where each cell is expected or, if that covers more of the object, all by
    the step that brings their common centroid to that of the object: cells that touch move on.
    """
    order, first = runs_by_object(cells.runs, cells.cell.size)
    splits = []
    for target, members in shared.items():
        top, left, bottom, right = objects.box[target].tolist()
        window = (slice(top, bottom), slice(left, right))
        inside = objects.seen_in(objects.box[target], [target]) > 0
        runs_of = [order[first[member] : first[member + 1]] for member in members]
        area = cells.area[members]
        expected = area @ (cells.seen_at + moved)[members] / area.sum()
        seeds = [
            _seeds(cells, runs_of, members, moved - (top, left) + step, inside)
            for step in (np.zeros(2), objects.position[target] - expected)
        ]
        best = seeds[int(np.count_nonzero(seeds[1]) > np.count_nonzero(seeds[0]))]
        piece = nearest_seed(best, inside)
        present = np.unique(piece[inside])
        renumbered = np.searchsorted(present, piece) + 1
        splits.append(
            Split(
                target,
                window,
                np.array(members)[present - 1],
                np.where(inside, renumbered, 0),
            )
        )
    return splits


def _seeds(
    cells: TrackState,
    runs_of: list[IntArray],
    members: list[int],
    moved: Float64Array,
    inside: BoolArray,
) -> UInt32Array:
    """Paint the moved masks of cells, numbered from 1, where the object is."""
    seeds = np.zeros(inside.shape, np.uint32)
    for number, (member, mine) in enumerate(zip(members, runs_of, strict=True), 1):
        down, across = np.rint(moved[member]).astype(np.int64).tolist()
        paint_moved(cells.row, cells.runs, mine, (down, across), number, seeds)
    seeds[~inside] = 0
    return seeds


def nearest_seed(seeds: UInt32Array, inside: BoolArray) -> UInt32Array:
    """Return for each pixel inside the number of the nearest seed pixel, 0 outside.

    Of several that are as near it is the leftmost, then the uppermost one. Where there is no seed
    all is 1.

    Examples
    --------
    >>> import numpy as np
    >>> seeds = np.array([[1, 0, 0, 0, 2, 0]], np.uint32)
    >>> nearest_seed(seeds, np.array([[True] * 5 + [False]]))
    array([[1, 1, 1, 2, 2, 0]], dtype=uint32)
    """
    return nearest_values(seeds, inside) if seeds.any() else inside.astype(np.uint32)
