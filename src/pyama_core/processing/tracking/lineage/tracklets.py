"""The cells of a movie as the first look saw them, as one table of sightings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.first_look import Sighting
from pyama_core.processing.tracking.objects import equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tracklets:
    """One row per cell and frame, by frame, then by first pixel.

    Attributes
    ----------
    frame, object
        (n,) int64.
    cell
        (n,) int64: the id of the cell, from 1; `original` is what the first look gave.
    position
        (n, 2) float64, in pixels, the movements of the field of view undone.
    area, brightness
        (n,) float64.
    at_edge, merged
        (n,) bool.
    confidence
        (n,) float64: of the link to the frame in which the cell was seen before.
    fragment_of
        (n,) int64: see `Sighting`.
    n_cells
        The largest id.
    n_frames
        Of the movie.
    """

    frame: IntArray
    object: IntArray
    cell: IntArray
    original: IntArray
    position: Float64Array
    area: Float64Array
    brightness: Float64Array
    at_edge: BoolArray
    merged: BoolArray
    confidence: Float64Array
    fragment_of: IntArray
    n_cells: int
    n_frames: int

    @classmethod
    def of(cls, sightings: Sequence[Sighting]) -> Self:
        """Put the sightings of all frames together."""
        stage = np.cumsum([s.shift for s in sightings], axis=0).reshape(-1, 2)

        def column(name: str) -> NDArray[np.generic]:
            values = [getattr(sighting, name) for sighting in sightings]
            return np.concatenate(values) if values else np.empty(0)

        frame = np.repeat(np.arange(len(sightings)), [s.cell.size for s in sightings])
        cell = column("cell").astype(np.int64)
        return cls(
            frame=frame,
            object=column("object").astype(np.int64),
            cell=cell,
            original=cell,
            position=column("position").reshape(-1, 2).astype(np.float64) - stage[frame],
            area=column("area").astype(np.float64),
            brightness=column("brightness").astype(np.float64),
            at_edge=column("at_edge").astype(np.bool_),
            merged=column("merged").astype(np.bool_),
            confidence=column("confidence").astype(np.float64),
            fragment_of=column("fragment_of").astype(np.int64),
            n_cells=int(cell.max(initial=0)),
            n_frames=len(sightings),
        )

    def with_cells(self, cell: IntArray, n_cells: int | None = None) -> Self:
        """Return the same with other ids."""
        return replace(self, cell=cell, n_cells=self.n_cells if n_cells is None else n_cells)

    def first_frames(self) -> IntArray:
        """Return the first frame of each id, -1 for those that are not there."""
        first = np.full(self.n_cells + 1, -1)
        first[self.cell[::-1]] = self.frame[::-1]
        return first

    def last_rows(self) -> set[int]:
        """Return the rows in which cells are seen last."""
        return {int(rows[-1]) for rows in self.rows_of_each() if rows.size}

    def rows_of_each(self) -> list[IntArray]:
        """Return the rows of each id, by frame; empty for those that are not there."""
        order = np.argsort(self.cell, kind="stable")
        ends = np.cumsum(np.bincount(self.cell, minlength=self.n_cells + 1)).tolist()
        return [order[begin:end] for begin, end in itertools.pairwise([0, *ends])]

    def of_both(self, a: IntArray, b: IntArray) -> tuple[IntArray, IntArray]:
        """Return of the rows of two cells those of the frames in which both are seen."""
        _, i, j = np.intersect1d(self.frame[a], self.frame[b], return_indices=True)
        return a[i], b[j]

    def distances(self, a: IntArray, b: IntArray) -> Float64Array:
        """Return how far cells are from others, row by row, in sums of both radii.

        Radii are those of discs of their areas: two discs that touch are 1 apart.
        """
        way = np.hypot(*(self.position[a] - self.position[b]).T)
        radii = (equivalent_diameter(self.area[a]) + equivalent_diameter(self.area[b])) / 2
        return np.asarray(way / radii)
