"""The cells that a run found in a field of view, as far as corrections must know them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

BOX = ("box_top", "box_left", "box_bottom", "box_right")
PLACES = ("position_x", "position_y", "area", *BOX)
"""Columns of traces that tell where a cell is; what is not there is made up for."""


@dataclass(frozen=True)
class FoundCells:
    """Cells by their numbers in a label image, and where they were seen.

    Attributes
    ----------
    labels : str
        Checksum of the label image.
    n_frames : int
        Its frames.
    channels : tuple of int
        Channels in which the cells were measured.
    cell, frame
        (n,) int64: a row for each cell and frame in which it was seen, sorted by both.
    x, y, area
        (n,) float64: centroid and area in pixels; NaN where they are not known.
    box
        (n, 4) float64: first row, first column, last row + 1, last column + 1.
    known : frozenset of int
        All cells, also those that have no rows.
    parents, fates : mapping
        Of cells that have one.
    """

    labels: str
    n_frames: int
    channels: tuple[int, ...]
    cell: IntArray
    frame: IntArray
    x: FloatArray
    y: FloatArray
    area: FloatArray
    box: FloatArray
    known: frozenset[int]
    parents: Mapping[int, int]
    fates: Mapping[int, str]

    @classmethod
    def of(
        cls,
        rows: Mapping[str, NDArray[Any]],
        *,
        labels: str,
        n_frames: int,
        channels: tuple[int, ...] = (),
        parents: Mapping[int, int | None] | None = None,
        fates: Mapping[int, str] | None = None,
    ) -> Self:
        """Put together what tables tell.

        Parameters
        ----------
        rows
            Columns of traces: ``cell``, ``frame``, and of `PLACES` those that there are. Rows of
            several channels may follow each other.
        labels, n_frames, channels
            As the attributes.
        parents
            Of every cell that the table of cells has, None where there is none.
        fates
            What became of cells.
        """
        pairs = np.stack([np.asarray(rows[name], np.int64) for name in ("cell", "frame")])
        (cell, frame), index = np.unique(pairs, axis=1, return_index=True)
        places = {
            name: np.asarray(rows[name], np.float64)[index]
            if name in rows
            else np.full(cell.size, np.nan)
            for name in PLACES
        }
        x, y, area = (places[name] for name in PLACES[:3])
        box = np.stack([places[name] for name in BOX], axis=-1)
        parents = parents or {}
        return cls(
            labels=labels,
            n_frames=max(n_frames, int(frame.max(initial=-1)) + 1),
            channels=channels,
            cell=cell,
            frame=frame,
            x=x,
            y=y,
            area=area,
            box=np.where(np.isnan(box), squares(x, y, area), box),
            known=frozenset(np.unique(cell).tolist()) | frozenset(parents),
            parents={cell: parent for cell, parent in parents.items() if parent is not None},
            fates=dict(fates or {}),
        )

    def rows_of(self, label: int) -> slice:
        """Return the rows of a cell."""
        first, last = np.searchsorted(self.cell, [label, label + 1])
        return slice(int(first), int(last))

    def rows_in(self, frame: int) -> NDArray[np.intp]:
        """Return the rows of a frame."""
        order, begin = self._by_frame
        return order[begin[frame] : begin[frame + 1]] if frame + 1 < begin.size else order[:0]

    @functools.cached_property
    def _by_frame(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        order = np.argsort(self.frame, kind="stable")
        return order, np.searchsorted(self.frame[order], np.arange(self.n_frames + 1))


def squares(x: FloatArray, y: FloatArray, area: FloatArray) -> FloatArray:
    """Return (n, 4) squares of the same centres and areas; a box ends after the last pixel."""
    half = np.sqrt(area) / 2
    middle = np.stack([y, x, y, x], axis=-1) + 0.5
    return np.asarray(middle + half[..., np.newaxis] * np.array([-1.0, -1.0, 1.0, 1.0]))
