"""What is known, between two frames, of the cells that may be seen again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import Runs, rows_of
from pyama_core.processing.tracking.objects import Objects

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrackState:
    """Cells that may be seen again: those of the frame before, and those missed for a few frames.

    Attributes
    ----------
    cell
        (n,) int64, the ids.
    area, brightness
        (n,) float64: of the cell when it was last seen on its own.
    seen_at
        (n, 2) float64: centroid in the frame in which it was last seen.
    drift
        (n, 2) float64: how far the field of view has moved since.
    velocity
        (n, 2) float64: its last displacement per frame, without that of the field of view; NaN
        where it is not known.
    box
        (n, 4) int64 as in `Objects`, where it was last seen.
    age
        (n,) int64: frames since then; 1 for the cells of the frame before.
    merged
        (n,) bool: whether its object held other cells too.
    fragment_of
        (n,) int64: the cell that it may be a piece of, broken off by the segmentation; 0 for none.
    n_alone
        (n,) int64: in how many frames it was seen as an object of its own.
    errors, n_errors
        (n,) float64: the sum of the squares in pixels² of how far along an axis it was from where
        it was expected, and the number of times; old times fade.
    row, runs
        The pixels in which it was last seen; `runs.first` has no meaning here.
    """

    cell: IntArray
    area: Float64Array
    brightness: Float64Array
    seen_at: Float64Array
    drift: Float64Array
    velocity: Float64Array
    box: IntArray
    age: IntArray
    merged: BoolArray
    fragment_of: IntArray
    n_alone: IntArray
    errors: Float64Array
    n_errors: Float64Array
    row: IntArray
    runs: Runs

    @classmethod
    def empty(cls) -> Self:
        """Return the state before the first frame."""
        none, pairs = np.empty(0), np.empty((0, 2))
        whole = np.empty(0, np.int64)
        return cls(
            cell=whole,
            area=none,
            brightness=none,
            seen_at=pairs,
            drift=pairs,
            velocity=pairs,
            box=np.empty((0, 4), np.int64),
            age=whole,
            merged=np.empty(0, np.bool_),
            fragment_of=whole,
            n_alone=whole,
            errors=none,
            n_errors=none,
            row=whole,
            runs=Runs(whole, whole, whole, whole),
        )

    def index_of(self, ids: IntArray) -> IntArray:
        """Return the index of each id, -1 for those that are not here."""
        order = np.argsort(self.cell)
        place = np.searchsorted(self.cell, ids, sorter=order)
        index = np.append(order, 0)[place]
        return np.where(np.append(self.cell, -1)[index] == ids, index, -1)

    def subset(self, kept: BoolArray) -> Self:
        """Return some of the cells."""
        number = np.cumsum(kept) - 1
        mine = kept[self.runs.label]
        runs = Runs(
            self.runs.first,
            self.runs.start[mine],
            self.runs.stop[mine],
            number[self.runs.label[mine]],
        )
        values = {name: getattr(self, name)[kept] for name in _PER_CELL}
        return type(self)(**values, row=self.row[mine], runs=runs)

    def joined(self, other: Self) -> Self:
        """Return the cells of both."""
        runs = Runs(
            self.runs.first,
            np.concatenate([self.runs.start, other.runs.start]),
            np.concatenate([self.runs.stop, other.runs.stop]),
            np.concatenate([self.runs.label, other.runs.label + self.cell.size]),
        )
        values = {
            name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _PER_CELL
        }
        return type(self)(**values, row=np.concatenate([self.row, other.row]), runs=runs)


def observed_state(
    objects: Objects,
    ids: IntArray,
    velocity: Float64Array,
    merged: BoolArray,
    fragment_of: IntArray,
    earlier: TrackState,
    before: IntArray,
    errors: Float64Array,
    n_errors: Float64Array,
) -> TrackState:
    """Return the state of the cells that were seen in a frame.

    Parameters
    ----------
    ids, velocity, merged, fragment_of, errors, n_errors
        See `TrackState`; of each object.
    earlier, before
        The state before, and the index of each object there, -1 for new cells. What
        is only known of a cell on its own is kept from there while it is merged.
    """
    known = before >= 0
    kept, past = known & merged, before[known & merged]
    area, brightness = objects.area.astype(np.float64), objects.brightness.copy()
    area[kept], brightness[kept] = earlier.area[past], earlier.brightness[past]
    origin = fragment_of.copy()
    origin[known] = earlier.fragment_of[before[known]]
    n_alone = (~merged).astype(np.int64)
    n_alone[known] += earlier.n_alone[before[known]]
    return TrackState(
        cell=ids,
        area=area,
        brightness=brightness,
        seen_at=objects.position,
        drift=np.zeros((ids.size, 2)),
        velocity=velocity,
        box=objects.box,
        age=np.ones(ids.size, np.int64),
        merged=merged,
        fragment_of=origin,
        n_alone=n_alone,
        errors=errors,
        n_errors=n_errors,
        row=rows_of(objects.runs),
        runs=objects.runs,
    )


_PER_CELL = (
    "cell",
    "area",
    "brightness",
    "seen_at",
    "drift",
    "velocity",
    "box",
    "age",
    "merged",
    "fragment_of",
    "n_alone",
    "errors",
    "n_errors",
)
