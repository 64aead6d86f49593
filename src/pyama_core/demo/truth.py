"""The truth about a synthetic experiment, as label images and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

TRACK_COLUMNS = ("fov", "cell", "parent", "first_frame", "last_frame", "fate")
INTENSITY_COLUMNS = (
    "fov",
    "cell",
    "frame",
    "channel",
    "intensity_total",
    "area",
    "position_x",
    "position_y",
)


class Being(Protocol):
    """Who is drawn, as far as its track goes."""

    @property
    def key(self) -> int:
        """Number of the cell within its scene."""
        ...

    @property
    def parent(self) -> int | None:
        """Key of the mother."""
        ...


class Visible(Protocol):
    """A drawn cell, as far as the truth goes."""

    @property
    def cell(self) -> Being:
        """Who it is."""
        ...

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        ...

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which of them are its own."""
        ...

    def signals(self, time: float) -> list[tuple[int, float]]:
        """Return the counts that are its own, with their channels."""
        ...


Seen = TypeVar("Seen", bound=Visible)


@dataclass(frozen=True)
class Track:
    """Who a cell was and when it could be seen."""

    cell: int
    parent: int | None
    first_frame: int
    last_frame: int
    fate: str


class TrackKeeper:
    """Gives the cells of one field of view their ids and remembers what became of them.

    Ids count from 1 in the order of first appearance. A cell whose last pixel has left the frame
    is gone for good.
    """

    def __init__(self) -> None:
        self._ids: dict[int, int] = {}
        self._parents: dict[int, int | None] = {}
        self._span: dict[int, tuple[int, int]] = {}

    def admit(self, patches: Sequence[Seen], frame: int) -> list[tuple[int, Seen]]:
        """Return the visible cells of the next frame with their ids, leaving out who was gone."""
        admitted = []
        for patch in patches:
            key, parent = patch.cell.key, patch.cell.parent
            first, last = self._span.get(key, (frame, frame - 1))
            if last != frame - 1:
                continue
            if key not in self._ids:
                self._ids[key] = len(self._ids) + 1
                self._parents[key] = None if parent is None else self._ids[parent]
            self._span[key] = (first, frame)
            admitted.append((self._ids[key], patch))
        return admitted

    def tracks(self, frames: int) -> list[Track]:
        """Return what is known after `frames` frames, by id."""
        mothers = set(self._parents.values())
        tracks = []
        for key, cell in self._ids.items():
            first, last = self._span[key]
            fate = "end of movie"
            if cell in mothers:
                fate = "divided"
            elif last < frames - 1:
                fate = "left the frame"
            tracks.append(Track(cell, self._parents[key], first, last, fate))
        return tracks


def label_image(cells: Sequence[tuple[int, Visible]], size: int) -> NDArray[np.uint16]:
    """Return the (Y, X) image of the ids of the cells, 0 where there is none."""
    labels = np.zeros((size, size), np.uint16)
    for cell, patch in cells:
        labels[patch.window][patch.mask] = cell
    return labels


def write_intensities(
    table: TextIO, fov: int, frame: int, time: float, cells: Sequence[tuple[int, Visible]]
) -> None:
    """Append the rows of one frame: what an ideal measurement within the true masks gives."""
    for cell, patch in cells:
        y, x = np.nonzero(patch.mask)
        position_x = patch.window[1].start + x.mean()
        position_y = patch.window[0].start + y.mean()
        for channel, total in patch.signals(time):
            table.write(
                f"{fov},{cell},{frame},{channel},{total:.3f},{len(x)},"
                f"{position_x:.3f},{position_y:.3f}\n"
            )


def write_tracks(table: TextIO, fov: int, tracks: Sequence[Track]) -> None:
    """Append one row per cell of a field of view."""
    for track in tracks:
        parent = "" if track.parent is None else track.parent
        table.write(
            f"{fov},{track.cell},{parent},{track.first_frame},{track.last_frame},{track.fate}\n"
        )
