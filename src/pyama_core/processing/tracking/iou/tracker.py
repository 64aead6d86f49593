"""Tracking by overlap: an object is the cell whose mask it covers best in the frame before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import InputError
from pyama_core.processing.runs.measures import areas_and_boxes
from pyama_core.processing.runs.objects import components, labelled_objects
from pyama_core.processing.runs.pixel_runs import Runs, paint
from pyama_core.processing.tracking.assignment import best_assignment
from pyama_core.processing.tracking.fates import NEAR_EDGE_PX, Track, TrackTable
from pyama_core.processing.tracking.iou.method import IoUParameters
from pyama_core.processing.tracking.kernels.overlaps import common_pixels
from pyama_core.processing.tracking.objects import at_edge
from pyama_core.processing.tracking.tracker import TooManyCellsError


class IoUTracker:
    """Give the objects of consecutive frames the numbers of cells.

    Between two frames, the intersection over union of each pair of objects is taken from the
    masks themselves. Of all one-to-one assignments between pairs with IoU ≥ `min_iou`, the one
    with the largest total IoU is made (the same one always, if there are several). An object with
    a partner in the frame before is the same cell. One without is a new cell; new cells are
    numbered from 1 on, by frame, then by their first pixel (row, column). A cell without a
    partner in the next frame has ended.

    Remembers the frame before as runs of pixels, which take little memory.

    Parameters
    ----------
    parameters
        The defaults if None.
    dtype
        Of the label images to return: an integer type.

    Examples
    --------
    >>> import numpy as np
    >>> tracker = IoUTracker()
    >>> tracker.update(np.array([[True, True, False, False, True]]))
    array([[1, 1, 0, 0, 2]], dtype=uint16)
    >>> tracker.update(np.array([[True, False, True, True, True]]))
    array([[1, 0, 2, 2, 2]], dtype=uint16)
    """

    def __init__(
        self, parameters: IoUParameters | None = None, dtype: DTypeLike = np.uint16
    ) -> None:
        self.parameters = IoUParameters() if parameters is None else parameters
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "iu":
            raise InputError(f"Expected an integer dtype for label images, found {self.dtype}.")
        self._n_cells = 0
        self._shape: tuple[int, ...] | None = None
        self._runs: Runs | None = None
        self._areas: NDArray[np.int64] = np.empty(0, np.int64)
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._near_edge: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._n_frames = 0
        self._table = TrackTable()

    @property
    def n_cells(self) -> int:
        """Number of cells so far, which is the largest id."""
        return self._n_cells

    def tracks(self) -> list[Track]:
        """Return the cells of all frames so far, by id; none has a parent or has merged."""
        return self._table.tracks(self._n_frames)

    def update(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the label image of the next frame, with the ids of cells as labels.

        Parameters
        ----------
        frame
            (Y, X) bool mask, whose objects are its 4-connected components, or integer label
            image, whose objects are the pixels of equal label, in one part or several; labels may
            be any numbers ≥ 0, and 0 is background.
        image
            Not looked at.

        Returns
        -------
        ndarray
            (Y, X) of the tracker's dtype.

        Raises
        ------
        InputError
            If the frame is neither bool nor integer, has negative labels or another shape than
            the frame before.
        TooManyCellsError
            If an id does not fit the dtype; the tracker is then as it was before.
        """
        frame = np.asarray(frame)
        if self._shape not in (None, frame.shape):
            raise InputError(
                f"Expected a frame of shape {self._shape} like the one before, found {frame.shape}."
            )
        if frame.dtype == np.bool_:
            runs, n_objects = components(frame)
        else:
            runs, labels = labelled_objects(frame)
            n_objects = labels.size
        areas, _, _, box = areas_and_boxes(runs, n_objects)
        ids = self._predecessors(runs, areas)
        is_new = ids == 0
        n_cells = self._n_cells + int(np.count_nonzero(is_new))
        if n_cells > np.iinfo(self.dtype).max:
            raise TooManyCellsError(
                f"{n_cells} cells do not fit labels of dtype {self.dtype}; use a larger one."
            )
        ids[is_new] = np.arange(self._n_cells + 1, n_cells + 1)
        self._write_down(ids, int(np.count_nonzero(is_new)))
        self._shape, self._n_cells = frame.shape, n_cells
        self._runs, self._areas, self._ids = runs, areas, ids
        self._near_edge = at_edge(box, (frame.shape[0], frame.shape[1]), NEAR_EDGE_PX)
        out = np.zeros(frame.shape, self.dtype)
        paint(runs, ids.astype(self.dtype), out)
        return out

    def _write_down(self, ids: NDArray[np.int64], n_new: int) -> None:
        """Note the cells of a frame, and what became of those of the frame before."""
        self._table.begin(np.zeros(n_new, np.int64), self._n_frames)
        self._table.see(ids, np.zeros(ids.size, np.bool_), self._n_frames)
        gone = np.isin(self._ids, ids, invert=True)
        self._table.end(self._ids[gone & self._near_edge], "left the frame")
        self._n_frames += 1

    def _predecessors(self, runs: Runs, areas: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the id that each object had in the frame before, 0 where it had none."""
        ids = np.zeros(areas.size, np.int64)
        if self._runs is None:
            return ids
        current, previous, common = common_pixels(self._runs, runs, self._areas.size)
        iou = common / (areas[current] + self._areas[previous] - common)
        candidates = np.flatnonzero(iou >= self.parameters.min_iou)
        # In order of position and id, so that ties do not depend on how overlaps were found.
        order = np.lexsort((self._ids[previous[candidates]], current[candidates]))
        candidates = candidates[order]
        current, previous = current[candidates], previous[candidates]
        chosen = best_assignment(current, previous, iou[candidates])
        ids[current[chosen]] = self._ids[previous[chosen]]
        return ids
