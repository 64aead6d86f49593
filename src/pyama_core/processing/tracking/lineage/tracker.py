"""Tracking that follows cells through gaps, contacts, divisions and movements of the stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_frame
from pyama_core.processing.runs.pixel_runs import paint
from pyama_core.processing.tracking.fates import Track, TrackTable
from pyama_core.processing.tracking.lineage.drift import common_displacement
from pyama_core.processing.tracking.lineage.fragments import PROVEN, attached
from pyama_core.processing.tracking.lineage.matching import Matches, match_frame
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.motion import Motion
from pyama_core.processing.tracking.lineage.pairing import UNPAIRED
from pyama_core.processing.tracking.lineage.track_state import TrackState, observed_state
from pyama_core.processing.tracking.objects import Objects, at_edge
from pyama_core.processing.tracking.tracker import TooManyCellsError

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


class LineageTracker:
    """Give objects the numbers of cells, frame by frame, and remember who became what.

    As in the tracking by overlap, an object is the cell whose mask it covers best: the one-to-one
    assignment with the largest total IoU. Beyond that:

    - masks are compared where cells should be by now: moved with the field of view, and on by as
      much of each cell's last step as steps have been found to persist in this movie;
    - a cell whose mask is left uncovered may be an object within `max_displacement`;
    - a cell missed in up to `max_gap` frames gets its number back;
    - an object that several cells have merged into is divided among them until they part;
    - a cell that falls into pieces side by side is put together for up to `max_broken` frames;
    - what broke off a cell, and is one object with it again, is that cell and no other (always);
    - with `divisions`, two objects that together are what a cell was are its daughters.

    Frames are seen once, front to back, so what is written is never revised. Time and memory are
    linear in the number of runs of pixels; neither grows with the number of frames, but for one
    row of the table of cells each.

    Parameters
    ----------
    parameters
        The defaults if None.
    dtype
        Of the label images to return: an integer type.

    Examples
    --------
    >>> import numpy as np
    >>> tracker = LineageTracker()
    >>> cell = np.array([[False, True, True, False, False]])
    >>> for frame in (cell, np.zeros_like(cell), cell):
    ...     print(tracker.update(frame))
    [[0 1 1 0 0]]
    [[0 0 0 0 0]]
    [[0 1 1 0 0]]
    >>> tracker.tracks()[0].fate
    'end of movie'
    """

    def __init__(
        self, parameters: LineageParameters | None = None, dtype: DTypeLike = np.uint16
    ) -> None:
        self.parameters = LineageParameters() if parameters is None else parameters
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "iu":
            raise InputError(f"Expected an integer dtype for label images, found {self.dtype}.")
        self._shape: tuple[int, int] | None = None
        self._n_cells = 0
        self._shifts: list[Float64Array] = []
        self._cells = TrackState.empty()
        self._motion = Motion()
        self._table = TrackTable()

    @property
    def n_cells(self) -> int:
        """Number of cells so far, which is the largest id."""
        return self._n_cells

    @property
    def shifts(self) -> Float64Array:
        """(T, 2) float64: rows and columns that the field of view moved since the frame before."""
        return np.array(self._shifts, np.float64).reshape(-1, 2)

    def tracks(self) -> list[Track]:
        """Return the cells of all frames so far, by id, with their fates."""
        return self._table.tracks(len(self._shifts))

    def update(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the label image of the next frame, with the ids of cells as labels.

        Parameters
        ----------
        frame
            (Y, X) bool mask, whose objects are its 4-connected components, or integer label
            image, whose objects are the pixels of equal label.
        image
            (Y, X), its background at 0, used for the brightness of dividing cells alone.

        Returns
        -------
        ndarray
            (Y, X) of the tracker's dtype. New cells are numbered by frame, then by first pixel.

        Raises
        ------
        InputError
            If the frame is neither bool nor integer, has negative labels or another shape than
            the frame before; if the image has another shape or cannot be measured.
        TooManyCellsError
            If an id does not fit the dtype; the tracker is then as it was before.
        """
        frame, image = self._checked(frame, image)
        shape = (frame.shape[0], frame.shape[1])
        objects = Objects.of(frame, image)[0]
        matches = match_frame(
            self._cells,
            self._cells.drift + self._motion.ahead(self._cells.velocity, self._cells.age),
            self._motion.spread,
            objects,
            shape,
            self.parameters,
        )
        ids, parents = self._numbered(matches)
        out = np.zeros(shape, self.dtype)
        paint(objects.runs, ids.astype(self.dtype), out)
        fragments = dict(zip(ids.tolist(), matches.fragment_of.tolist(), strict=True))
        shared = [self._cells.cell[split.members] for split in matches.splits]
        for split, members in zip(matches.splits, shared, strict=True):
            pieces = np.append(0, members)[split.piece].astype(self.dtype)
            np.copyto(out[split.window], pieces, where=split.piece > 0)
        if shared or matches.broken.any():
            objects, ids = Objects.of(out, image)
        self._admit(objects, ids, parents, fragments, np.concatenate([[0], *shared]), matches)
        self._shape = shape
        return out

    def _checked(
        self, frame: NDArray[Any], image: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return frame and image as arrays that fit each other and the frame before."""
        frame = np.asarray(frame)
        if self._shape not in (None, frame.shape):
            raise InputError(
                f"Expected a frame of shape {self._shape} like the one before, found {frame.shape}."
            )
        if image is None:
            return frame, None
        image = as_frame(image, "image")
        if image.shape != frame.shape:
            raise InputError(
                f"Expected an image of shape {frame.shape} like its label image, found "
                f"{image.shape}."
            )
        return frame, image

    def _numbered(self, matches: Matches) -> tuple[IntArray, IntArray]:
        """Return the id of each object (0 for shared ones), and the parents of new cells."""
        partner = matches.partner
        linked = partner != UNPAIRED
        is_new = ~linked
        is_new[[split.object for split in matches.splits]] = False
        n_cells = self._n_cells + int(np.count_nonzero(is_new))
        if n_cells > np.iinfo(self.dtype).max:
            raise TooManyCellsError(
                f"{n_cells} cells do not fit labels of dtype {self.dtype}; use a larger one."
            )
        ids = np.zeros(partner.size, np.int64)
        ids[linked] = self._cells.cell[partner[linked]]
        ids[is_new] = np.arange(self._n_cells + 1, n_cells + 1)
        parent = np.zeros(partner.size, np.int64)
        for division in matches.divisions:
            parent[list(division.daughters)] = self._cells.cell[division.mother]
        ids[[split.object for split in matches.splits]] = 0
        return ids, parent[is_new]

    def _admit(
        self,
        objects: Objects,
        ids: IntArray,
        parents: IntArray,
        fragments: dict[int, int],
        shared: IntArray,
        matches: Matches,
    ) -> None:
        """Write down what was seen in a frame, and remember it for the next ones."""
        frame, cells = len(self._shifts), self._cells
        before = cells.index_of(ids)
        merged = np.isin(ids, shared)
        shift, velocity = self._learn_motion(objects, before, merged, matches)
        self._table.begin(parents, frame)
        self._table.see(ids, merged, frame)
        origin = np.array([fragments.get(cell, 0) for cell in ids.tolist()], np.int64)
        broken = np.isin(ids, cells.cell[matches.broken])
        seen = observed_state(objects, ids, velocity, merged, broken, origin, cells, before)
        if frame == 0:  # how long these have been there, nobody knows: they are not doubted
            seen = replace(seen, n_alone=np.full(ids.size, PROVEN))
        waiting = ~np.isin(cells.cell, ids)
        mothers = [division.mother for division in matches.divisions]
        self._close(waiting, mothers, matches)
        waiting[mothers] = False
        waiting &= ~matches.absorbed & (cells.age <= self.parameters.max_gap)
        missed = cells.subset(waiting)
        missed = replace(missed, age=missed.age + 1, drift=missed.drift + shift)
        remembered = seen.joined(missed)
        self._cells = replace(remembered, fragment_of=attached(remembered))
        self._shifts.append(shift)
        self._n_cells += parents.size

    def _learn_motion(
        self, objects: Objects, before: IntArray, merged: BoolArray, matches: Matches
    ) -> tuple[Float64Array, Float64Array]:
        """Return how far the field of view has moved, and the velocities of the cells in it.

        A velocity is NaN where it cannot be told: the centroid of a part of a cell says little,
        whether other cells or the edge of the frame took the rest.
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
        twice = recent & ~np.isnan(cells.velocity[past, 0])
        error = objects.position[known] - (cells.seen_at + matches.moved)[past]
        self._motion = self._motion.after(
            cells.velocity[past[twice]], velocity[known[twice]], error[recent]
        )
        return shift, velocity

    def _close(self, waiting: BoolArray, mothers: list[int], matches: Matches) -> None:
        """Note what became of cells that were there in the frame before and are not now."""
        cells, border = self._cells, self.parameters.border
        shape = self._shape or (0, 0)
        box = cells.box + np.rint(matches.moved[:, [0, 1, 0, 1]]).astype(np.int64)
        newly = waiting & (cells.age == 1)
        merged = newly & (cells.merged | matches.absorbed)
        left = newly & at_edge(box, shape, border) & ~merged
        self._table.end(cells.cell[newly & ~merged & ~left], "lost")
        self._table.end(cells.cell[merged], "merged")
        self._table.end(cells.cell[left], "left the frame")
        self._table.end(cells.cell[mothers], "divided")
