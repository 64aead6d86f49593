"""Trackers that link the objects of a whole movie at once, as most programs for tracking do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import InputError
from pyama_core.processing.runs.pixel_runs import paint
from pyama_core.processing.tracking.fates import NEAR_EDGE_PX, Track, TrackTable
from pyama_core.processing.tracking.objects import Objects, at_edge
from pyama_core.processing.tracking.tracker import TooManyCellsError

Node = tuple[int, int]
"""A frame and the number of an object in it, both from 0."""


class MovieLinker(Protocol):
    """Another program, as `GraphTracker` asks it."""

    def see(
        self, objects: Objects, labels: NDArray[np.int64], frame: NDArray[Any], image: Any
    ) -> None:
        """Take note of the next frame, its objects, and their labels in it."""
        ...

    def edges(self) -> Iterable[tuple[Node, Node]]:
        """Return which object becomes which, later frames second."""
        ...


class GraphTracker:
    """Turns the links between the objects of a movie into label images and tracks.

    An object with one successor goes on in it under its id. With several it has divided, and each
    of them is a new cell. An object with several predecessors goes on with the lowest id, and the
    others have merged.

    Parameters
    ----------
    linker
        Says which object becomes which.
    dtype
        Of the label images to return: an integer type.
    """

    def __init__(self, linker: MovieLinker, dtype: DTypeLike = np.uint16) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "iu":
            raise InputError(f"Expected an integer dtype for label images, found {self.dtype}.")
        self._linker = linker
        self._at_edge: list[NDArray[np.bool_]] = []
        self._ids: list[NDArray[np.int64]] | None = None
        self._table = TrackTable()
        self._n_cells = 0
        self._n_updated = 0

    @property
    def n_cells(self) -> int:
        """Number of cells, known after the first update."""
        return self._n_cells

    def tracks(self) -> list[Track]:
        """Return the cells of all frames, by id."""
        return self._table.tracks(len(self._at_edge))

    def preview(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> None:
        """Take note of the next frame: all must have been seen before the first `update`."""
        if self._ids is not None:
            raise InputError("Expected all frames to be previewed before the first update.")
        frame = np.asarray(frame)
        objects, labels = Objects.of(frame)
        shape = (frame.shape[0], frame.shape[1])
        self._at_edge.append(at_edge(objects.box, shape, NEAR_EDGE_PX))
        self._linker.see(objects, labels, frame, image)

    def update(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the label image of the next frame, which must be as it was previewed.

        Raises
        ------
        InputError
            If there are more frames, or other objects in this one, than were previewed.
        TooManyCellsError
            If there are more cells than the dtype can number.
        """
        if self._ids is None:
            self._ids = self._link()
        objects = Objects.of(np.asarray(frame))[0]
        t = self._n_updated
        if t >= len(self._ids) or self._ids[t].size != objects.area.size:
            raise InputError(
                f"Expected the frames that were previewed, found {objects.area.size} objects in "
                f"frame {t}; preview the same frames first."
            )
        self._n_updated += 1
        out = np.zeros(np.shape(frame), self.dtype)
        paint(objects.runs, self._ids[t].astype(self.dtype), out)
        return out

    def _link(self) -> list[NDArray[np.int64]]:
        """Name all objects; return the ids per frame."""
        after: dict[Node, list[Node]] = defaultdict(list)
        before: dict[Node, list[Node]] = defaultdict(list)
        for first, second in sorted(self._linker.edges()):
            after[first].append(second)
            before[second].append(first)
        ids = [np.zeros(edges.size, np.int64) for edges in self._at_edge]
        n_cells = 0
        for t, edges in enumerate(self._at_edge):
            parents = []
            for i in range(edges.size):
                going_on = [ids[u][k] for u, k in before[t, i] if len(after[u, k]) == 1]
                if going_on:
                    ids[t][i] = min(going_on)
                    continue
                n_cells += 1
                ids[t][i] = n_cells
                parents.append(min((ids[u][k] for u, k in before[t, i]), default=0))
            self._table.begin(np.array(parents, np.int64), t)
            self._table.see(ids[t], np.zeros(edges.size, np.bool_), t)
        if n_cells > np.iinfo(self.dtype).max:
            raise TooManyCellsError(
                f"{n_cells} cells do not fit labels of dtype {self.dtype}; use a larger one."
            )
        self._n_cells = n_cells
        self._close(ids, after)
        return ids

    def _close(self, ids: list[NDArray[np.int64]], after: dict[Node, list[Node]]) -> None:
        """Note the fate of each cell, which is that of its last object."""
        for t, edges in enumerate(self._at_edge):
            for i in range(edges.size):
                cell, next_nodes = ids[t][i : i + 1], after[t, i]
                if len(next_nodes) > 1:
                    self._table.end(cell, "divided")
                elif next_nodes and ids[next_nodes[0][0]][next_nodes[0][1]] != cell[0]:
                    self._table.end(cell, "merged")
                elif not next_nodes:
                    self._table.end(cell, "left the frame" if edges[i] else "lost")
