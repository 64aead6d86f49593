"""Cells followed frame by frame: what can be known without knowing what comes after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import paint
from pyama_core.processing.tracking.fates import Fate
from pyama_core.processing.tracking.lineage.borders import Borders
from pyama_core.processing.tracking.lineage.drift import common_displacement
from pyama_core.processing.tracking.lineage.fragments import PROVEN, attached
from pyama_core.processing.tracking.lineage.matching import Matches, match_frame
from pyama_core.processing.tracking.lineage.merges import Split
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.motion import Motion
from pyama_core.processing.tracking.lineage.pairing import UNPAIRED
from pyama_core.processing.tracking.lineage.track_state import TrackState, observed_state
from pyama_core.processing.tracking.objects import Objects, at_edge
from pyama_core.processing.tracking.tracker import require_room

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_WHOLE = 1.5  # times its area before: beyond that a cell has lost a part, or got it back
_FADES = 0.8  # what the errors of a frame weigh in the next one


@dataclass(frozen=True)
class Sighting:
    """What was seen in a frame, and which cells it is, as far as one can know by then.

    Attributes
    ----------
    n_objects
        Number of objects of the segmentation.
    splits
        The objects that hold several cells; the members are ids of cells.
    cell, object
        (n,) int64: id of each cell that was seen, and the object that it is or is in.
    position, area, brightness
        (n, 2) and (n,) float64, in pixels: of the cell, or of its part of a shared object.
    at_edge, merged
        (n,) bool: whether it touches the edge of the frame; whether its object held other cells.
    confidence
        (n,) float64: how sure it is that this is the cell of the frames before; NaN for new ones,
        and for cells in an object that another one was linked to.
    fragment_of
        (n,) int64: id of the cell that a new one may be a piece of, 0 for none.
    absorbed
        Pairs of ids: tracks that have ended, and the cell in whose object.
    ended
        Pairs of ids and fates: what became of cells that were there in the frame before.
    shift
        (2,) float64: how far the field of view has moved since the frame before.
    borders
        Between objects that touch, if there was an image to measure them in.
    """

    n_objects: int
    splits: list[Split]
    cell: IntArray
    object: IntArray
    position: Float64Array
    area: Float64Array
    brightness: Float64Array
    at_edge: BoolArray
    merged: BoolArray
    confidence: Float64Array
    fragment_of: IntArray
    absorbed: list[tuple[int, int]]
    ended: list[tuple[int, Fate]]
    shift: Float64Array
    borders: Borders = field(default_factory=Borders.none)

    def paint(self, objects: Objects, number: IntArray, out: NDArray[Any]) -> None:
        """Write numbers of cells into a label image.

        Parameters
        ----------
        objects
            Those of the frame.
        number
            (n,) int64: the number of each cell that was seen.
        """
        of_object = np.zeros(self.n_objects, np.int64)
        of_object[self.object[~self.merged]] = number[~self.merged]
        paint(objects.runs, of_object.astype(out.dtype), out)
        for split in self.splits:
            inside = np.flatnonzero(self.merged & (self.object == split.object))
            order = np.argsort(self.cell[inside])
            place = inside[order[np.searchsorted(self.cell[inside][order], split.members)]]
            pieces = np.append(0, number[place])[split.piece].astype(out.dtype)
            np.copyto(out[split.window], pieces, where=split.piece > 0)


class FirstLook:
    """Gives objects the numbers of cells, frame by frame, and remembers what it needs for the next.

    Time and memory are linear in the number of runs of pixels of a frame.
    """

    def __init__(self, parameters: LineageParameters) -> None:
        self.parameters = parameters
        self.motion = Motion()
        self.n_cells = 0
        self._n_frames = 0
        self._shape: tuple[int, int] | None = None
        self._cells = TrackState.empty()

    def see(
        self,
        objects: Objects,
        image: NDArray[Any] | None,
        shape: tuple[int, int],
        borders: Borders,
        labels: np.dtype[Any] | None = None,
    ) -> Sighting:
        """Tell which cells the objects of the next frame are.

        If all ids do not fit the type of labels, nothing is remembered of the frame.
        """
        self._shape = shape
        cells = self._cells
        ahead = cells.drift + self.motion.ahead(cells.velocity, cells.age)
        matches = match_frame(cells, ahead, self.motion, objects, shape, self.parameters)
        ids = self._numbered(matches)
        if labels is not None:
            require_room(max(self.n_cells, int(ids.max(initial=0))), labels)
        splits = [
            replace(split, members=cells.cell[split.members], piece=split.piece.astype(np.uint16))
            for split in matches.splits
        ]
        seen, ids, held_by = _cells_of(objects, ids, splits, image)
        return self._admitted(objects, borders, seen, ids, held_by, splits, matches)

    def _numbered(self, matches: Matches) -> IntArray:
        """Return the id of each object, 0 for shared ones."""
        partner = matches.partner
        linked = partner != UNPAIRED
        is_new = ~linked
        shared = [split.object for split in matches.splits]
        is_new[shared] = False
        ids = np.zeros(partner.size, np.int64)
        ids[linked] = self._cells.cell[partner[linked]]
        ids[is_new] = self.n_cells + 1 + np.arange(np.count_nonzero(is_new))
        ids[shared] = 0
        return ids

    def _admitted(
        self,
        objects: Objects,
        borders: Borders,
        seen: Objects,
        ids: IntArray,
        held_by: IntArray,
        splits: list[Split],
        matches: Matches,
    ) -> Sighting:
        """Remember what was seen in a frame for the next ones, and return it."""
        cells = self._cells
        before = cells.index_of(ids)
        merged = np.isin(held_by, [split.object for split in splits])
        shift, velocity, errors, n_errors = self._learn_motion(seen, before, merged, matches)
        fragment_of = np.where(before < 0, matches.fragment_of[held_by], 0)
        state = observed_state(
            seen, ids, velocity, merged, fragment_of, cells, before, errors, n_errors
        )
        if self._n_frames == 0:  # how long these have been there, nobody knows: no doubt of them
            state = replace(state, n_alone=np.full(ids.size, PROVEN))
        elif borders.sure.any():
            state = _parted(state, ~merged, held_by, borders)
        waiting = ~np.isin(cells.cell, ids)
        absorbed = matches.into != np.arange(cells.cell.size)
        ended = self._ended(waiting, absorbed, matches)
        waiting &= ~absorbed & (cells.age <= self.parameters.max_gap)
        missed = cells.subset(waiting)
        missed = replace(missed, age=missed.age + 1, drift=missed.drift + shift)
        remembered = state.joined(missed)
        self._cells = replace(remembered, fragment_of=attached(remembered))
        self._n_frames += 1
        self.n_cells = max(self.n_cells, int(ids.max(initial=0)))
        shape = self._shape or (0, 0)
        return Sighting(
            n_objects=objects.area.size,
            splits=splits,
            cell=ids,
            object=held_by,
            position=seen.position,
            area=seen.area.astype(np.float64),
            brightness=seen.brightness,
            at_edge=at_edge(seen.box, shape),
            merged=merged,
            confidence=np.where(
                merged & (before != matches.partner[held_by]), np.nan, matches.confidence[held_by]
            ),
            fragment_of=fragment_of,
            absorbed=[
                (int(cells.cell[i]), int(cells.cell[matches.into[i]]))
                for i in np.flatnonzero(absorbed)
            ],
            ended=ended,
            shift=shift,
            borders=borders,
        )

    def _learn_motion(
        self, objects: Objects, before: IntArray, merged: BoolArray, matches: Matches
    ) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """Return how far the field of view has moved, and the velocities of the cells in it.

        A velocity is NaN where it cannot be told: the centroid of a part of a cell says little,
        whether other cells or the edge of the frame took the rest, or it was cut in two.
        """
        cells = self._cells
        shape = self._shape or (0, 0)
        known = np.flatnonzero((before >= 0) & ~merged & ~at_edge(objects.box, shape))
        known = known[~(cells.merged | at_edge(cells.box, shape))[before[known]]]
        past = before[known]
        way = objects.position[known] - cells.seen_at[past] - cells.drift[past] - matches.shift
        recent, shift = cells.age[past] == 1, matches.shift
        if self.parameters.correct_drift:
            rest = common_displacement(way[recent])
            shift, way = shift + rest, way - rest
        velocity = np.full((objects.area.size, 2), np.nan)
        velocity[known] = way / cells.age[past, np.newaxis]
        velocity[known[~_alike(objects.area[known], cells.area[past])]] = np.nan
        twice = recent & ~np.isnan(cells.velocity[past, 0]) & ~np.isnan(velocity[known, 0])
        error = objects.position[known] - (cells.seen_at + matches.moved)[past]
        self.motion = self.motion.after(
            cells.velocity[past[twice]],
            velocity[known[twice]],
            error[recent],
            np.log(objects.area[known[recent]] / cells.area[past[recent]]),
        )
        errors, n_errors = np.zeros((2, objects.area.size))
        has_past = before >= 0
        errors[has_past] = cells.errors[before[has_past]]
        n_errors[has_past] = cells.n_errors[before[has_past]]
        errors[known] = _FADES * errors[known] + (error**2).sum(axis=1) / 2 / cells.age[past]
        n_errors[known] = _FADES * n_errors[known] + 1
        return shift, velocity, errors, n_errors

    def _ended(
        self, waiting: BoolArray, absorbed: BoolArray, matches: Matches
    ) -> list[tuple[int, Fate]]:
        """Return what became of cells that were there in the frame before and are not now."""
        cells, border = self._cells, self.parameters.border
        box = cells.box + np.rint(matches.moved[:, [0, 1, 0, 1]]).astype(np.int64)
        newly = waiting & (cells.age == 1)
        merged = newly & (cells.merged | absorbed)
        left = newly & at_edge(box, self._shape or (0, 0), border) & ~merged
        fates: list[tuple[BoolArray, Fate]] = [
            (newly & ~merged & ~left, "lost"),
            (merged, "merged"),
            (left, "left the frame"),
        ]
        return [(cell, fate) for which, fate in fates for cell in cells.cell[which].tolist()]


def _parted(
    state: TrackState, alone: BoolArray, object_of: IntArray, borders: Borders
) -> TrackState:
    """Return the state of cells, where a fragment that a line surely parts from its cell is one.

    Parameters
    ----------
    alone, object_of
        Which cells are objects of their own, and the object that each is, or is in.
    borders
        Between objects.
    """
    fragments = np.flatnonzero(alone & (state.fragment_of > 0))
    origin = state.index_of(state.fragment_of[fragments])
    known = (origin >= 0) & alone[origin]
    fragments, origin = fragments[known], origin[known]
    ends = np.sort(object_of[np.stack([fragments, origin])], axis=0)
    sure = np.stack([borders.first, borders.second])[:, borders.sure]
    n = int(max(object_of.max(), borders.second.max())) + 1
    now = fragments[np.isin(ends[0] * n + ends[1], sure[0] * n + sure[1])]
    n_alone, fragment_of = state.n_alone.copy(), state.fragment_of.copy()
    n_alone[now] = np.maximum(n_alone[now], PROVEN)
    fragment_of[now] = 0
    return replace(state, n_alone=n_alone, fragment_of=fragment_of)


def _alike(area: IntArray, before: Float64Array) -> BoolArray:
    """Return where neither area is that of a part of the other."""
    return np.asarray(np.maximum(area, before) <= _WHOLE * np.minimum(area, before))


def _cells_of(
    objects: Objects,
    ids: IntArray,
    splits: list[Split],
    image: NDArray[Any] | None,
) -> tuple[Objects, IntArray, IntArray]:
    """Return the cells of a frame as objects, their ids, and the object that each is in."""
    if not splits:
        return objects, ids, np.arange(ids.size)
    held_by = dict(zip(ids.tolist(), range(ids.size), strict=True))
    patches = []
    for split in splits:
        corner = (split.window[0].start, split.window[1].start)
        patches.append((split.object, corner, np.append(0, split.members)[split.piece]))
        held_by |= dict.fromkeys(split.members.tolist(), split.object)
    seen, numbers = objects.redrawn(ids, patches, image)
    return seen, numbers, np.array([held_by[cell] for cell in numbers.tolist()], np.int64)
