"""Tracking that follows cells through gaps, contacts, divisions and movements of the stage."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_frame
from pyama_core.processing.tracking.fates import Track, TrackTable
from pyama_core.processing.tracking.lineage.borders import Borders
from pyama_core.processing.tracking.lineage.first_look import FirstLook, Sighting
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.readings import Read, Reading, Readings
from pyama_core.processing.tracking.lineage.second_look import Lineages, look_again
from pyama_core.processing.tracking.objects import Objects
from pyama_core.processing.tracking.tracker import require_room

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


class LineageTracker:
    """Give objects the numbers of cells, and remember who became what.

    Two looks are taken. The first goes frame by frame (`FirstLook`): objects and cells are paired
    so that the total of the log odds is the largest, which are learned from the movie itself, of
    place, mask and size (`evidence`). Beyond that:

    - cells are looked for where they should be by now: moved with the field of view, and on by as
      much of each cell's last step as steps have been found to persist in this movie;
    - a cell missed in up to `max_gap` frames gets its number back;
    - an object that several cells have merged into is divided among them until they part. What is
      new beside a cell may be a piece of it, until it is seen apart or behind a strong line.

    The second (`second_look`) mends the tracks of the whole movie, with both ends known:

    - two cells that are in one object more often than apart were pieces of one, and so was what
      broke off a cell for up to `max_broken` frames and is one object with it again;
    - so were two that are one object now and then and never come apart (`pieces`), where the line
      between them is weak in the images of all frames;
    - a cell that is never seen on its own again was not in the object of another that is;
    - two that pass each other are exchanged, where both fit better the other way round;
    - with `divisions`, tracks that begin beside each other where one was are its daughters;
    - an end and a beginning that nothing else explains may be one cell.

    Before either, each frame is read again once the two after it are known (`readings`): what is
    one object before and after it is put together, and what is several is cut.

    For that, all frames are shown to `preview` before the first `update`. Without it cells are told
    from what came before alone, and no divisions are found. Time is linear in the number of runs of
    pixels, memory in that of cells, of which some 150 bytes per frame are kept.

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
    >>> frames = (cell, np.zeros_like(cell), cell)
    >>> for frame in frames:
    ...     tracker.preview(frame)
    >>> for frame in frames:
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
        self._is_bright = not self.parameters.looks_at_borders()
        self._shape: tuple[int, int] | None = None
        self._first_look = FirstLook(self.parameters)
        self._shifts: list[Float64Array] = []
        may = self.parameters.alternatives == "auto"
        self._readings = Readings(
            may_join=may and self.parameters.max_broken > 0,
            may_cut=may and self.parameters.split_merged,
        )
        self._images: deque[NDArray[Any] | None] = deque()  # of frames that are not read yet
        self._read: list[Reading] = []
        self._n_joined = Counter[int]()
        self._n_cut = Counter[int]()
        self._previewed: list[Sighting] = []
        self._lineages: Lineages | None = None
        self._table = TrackTable()
        self._n_cells = 0
        self._n_updated = 0

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
        tracks = self._table.tracks(self._n_updated)
        if self._lineages is None:
            return tracks
        tracks = [self._lineages.told(track) for track in tracks]
        if not (self._n_joined or self._n_cut):
            return tracks
        return [
            replace(track, n_joined=self._n_joined[track.cell], n_cut=self._n_cut[track.cell])
            for track in tracks
        ]

    def preview(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> None:
        """Take note of the next frame: all must have been seen before the first `update`.

        Raises
        ------
        InputError
            As in `update`, or if that was called already.
        """
        if self._n_updated:
            raise InputError("Expected all frames to be previewed before the first update.")
        frame, image = self._checked(frame, image)
        self._shape = (frame.shape[0], frame.shape[1])
        objects, _ = Objects.of(frame)
        looks = image is not None and not self._is_bright
        borders = Borders.of(objects, np.asarray(image)) if looks else Borders.none()
        self._images.append(None if looks else image)
        self._look_at(self._readings.see(objects, borders))

    def _look_at(self, readings: Iterable[tuple[Reading, Objects, Borders]]) -> None:
        """Take the first look at frames, of which it is known by now how to read them."""
        shape = self._shape or (0, 0)
        for reading, objects, borders in readings:
            image = self._images.popleft()
            if image is not None:
                objects = objects.in_light_of(image)
            self._previewed.append(self._first_look.see(objects, image, shape, borders))
            self._read.append(reading)

    def update(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the label image of the next frame, with the ids of cells as labels.

        Parameters
        ----------
        frame
            (Y, X) bool mask, whose objects are its 4-connected components, or integer label
            image, whose objects are the pixels of equal label.
        image
            (Y, X). With `brightness_channel` a frame of it, its background at 0, used for the
            brightness of dividing cells alone; else one of the channel in which cells are found,
            used for the borders between them alone, when it is previewed.

        Returns
        -------
        ndarray
            (Y, X) of the tracker's dtype. New cells are numbered by frame, then by first pixel.

        Raises
        ------
        InputError
            If the frame is neither bool nor integer, has negative labels or another shape than
            the frame before, or is not the one that was previewed; if the image has another shape
            or cannot be measured.
        TooManyCellsError
            If an id does not fit the dtype; the tracker is then as it was before.
        """
        frame, image = self._checked(frame, image)
        image = image if self._is_bright else None
        shape = (frame.shape[0], frame.shape[1])
        if self._previewed or self._images:
            objects, joined, cut, _ = self._previewed_objects(Objects.of(frame)[0])
            sighting, number = self._previewed_frame()
            of_time = self._lineages.joined[self._n_updated] if self._lineages else ()
            self._n_joined.update({*number[joined[sighting.object]].tolist(), *of_time})
            self._n_cut.update(np.unique(number[cut[sighting.object]]).tolist())
        else:
            objects = Objects.of(frame, image)[0]
            sighting = self._first_look.see(objects, image, shape, Borders.none(), self.dtype)
            number = sighting.cell
        out = np.zeros(shape, self.dtype)
        sighting.paint(objects, number, out)
        self._shape = shape
        self._write_down(sighting, number)
        return out

    def _previewed_objects(self, objects: Objects) -> Read:
        """Return the objects of the next frame as it is read."""
        self._look_at(self._readings.rest())
        t = self._n_updated
        n_objects = self._read[t].n_objects if t < len(self._read) else 0
        if t >= len(self._read) or objects.area.size != n_objects:
            raise InputError(
                f"Expected the frames that were previewed, found {objects.area.size} objects in "
                f"frame {t}, which had {n_objects}; preview the same frames first."
            )
        return self._read[t].read(objects)

    def _previewed_frame(self) -> tuple[Sighting, IntArray]:
        """Return what was seen in the next frame, and the numbers of the cells in it."""
        t = self._n_updated
        if self._lineages is None:
            self._lineages = look_again(
                self._previewed, self.parameters, self._first_look.motion, self._shape or (0, 0)
            )
        number = self._lineages.number[t]
        require_room(self._lineages.n_cells, self.dtype)
        return self._previewed[t], number

    def _write_down(self, sighting: Sighting, number: IntArray) -> None:
        """Add a frame to the table of cells."""
        cells = np.unique(number)
        new = cells[cells > self._n_cells]
        parent = {} if self._lineages is None else self._lineages.parent
        self._table.begin(
            np.array([parent.get(c, 0) for c in new.tolist()], np.int64), self._n_updated
        )
        merged = np.unique(number[sighting.merged & (_n_in_object(sighting, number) > 1)])
        self._table.see(cells, np.isin(cells, merged), self._n_updated)
        if self._lineages is None:
            for cell, fate in sighting.ended:
                self._table.end(np.array([cell]), fate)
        else:
            for cell in new.tolist():
                self._table.end(np.array([cell]), self._lineages.fate[cell])
        self._n_cells = max(self._n_cells, int(cells.max(initial=0)))
        self._n_updated += 1
        self._shifts.append(sighting.shift)

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


def _n_in_object(sighting: Sighting, number: IntArray) -> IntArray:
    """Return how many cells are in the object of each."""
    n = int(number.max(initial=0)) + 1
    of_each = np.unique(sighting.object * n + number) // n
    return np.bincount(of_each, minlength=sighting.n_objects)[sighting.object]
