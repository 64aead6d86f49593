"""Who every cell was: parent, first and last frame, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Fate = Literal["end of movie", "left the frame", "lost", "divided", "merged"]
FATES: tuple[Fate, ...] = ("end of movie", "left the frame", "lost", "divided", "merged")

NEAR_EDGE_PX = 10
"""A cell last seen within so many pixels of the edge has left the frame."""

EVEN, WORTH, AGAINST = 2.25, 0.6, 0.4
"""Log odds that a link is right as which another one is as likely; what further ones count, for it
and against it."""

SURE_DIVISION = 0.85
"""Divisions that are less probable than this do not end the mother."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Track:
    """One row of the table of cells.

    Attributes
    ----------
    cell
        Label of the cell.
    parent
        Label of its mother, None where it has none.
    first_frame, last_frame
        Frames, from 0, in which it was seen first and last.
    fate
        ``end of movie``: seen in the last frame. ``left the frame``: last seen at the edge.
        ``divided``: its daughters took its place. ``merged``: last seen as a part of an object
        that another cell owns. ``lost``: none of these.
    n_frames, n_merged
        In how many frames it was seen, and in how many of them its object held other cells too.
    link_confidence, link_frame
        How probable it is that the least sure of its links from frame to frame is right, from 0 to
        1 (0.9 where another cell was as likely by what is weighed), and the frame that it leads to;
        None where a tracker does not tell, or there is no link.
    unsure_links
        All links that are less sure than 0.97: the frame that each leads to, and how sure it is.
    generation
        How many divisions led to it; None where nobody looked for divisions.
    fate_probability
        How probable it is that it divided, where that is its fate; that it did not, where it is
        another; None where nobody looked for divisions.
    birth_probability
        How probable the division is that it came from.
    cycle_frames
        Frames from the division that it came from to its own.
    n_joined, n_cut
        In how many frames its object was put together of several that were segmented, or cut out of
        one, because other frames told so; None where none was in the whole movie.
    """

    cell: int
    parent: int | None
    first_frame: int
    last_frame: int
    fate: Fate
    n_frames: int
    n_merged: int
    link_confidence: float | None = None
    link_frame: int | None = None
    unsure_links: tuple[tuple[int, float], ...] | None = None
    generation: int | None = None
    fate_probability: float | None = None
    birth_probability: float | None = None
    cycle_frames: int | None = None
    n_joined: int | None = None
    n_cut: int | None = None

    @property
    def is_whole_life(self) -> bool:
        """Whether the cell was seen from one sure division to the next."""
        return self._is_surely_born and self._surely_divided

    @property
    def is_cut_off(self) -> bool:
        """Whether one end of its life was a sure division, and the other is beyond the movie."""
        ended = self._is_surely_born and self.fate == "end of movie"
        return ended or (self.first_frame == 0 and self._surely_divided)

    @property
    def _is_surely_born(self) -> bool:
        return self.parent is not None and _is_sure(self.birth_probability)

    @property
    def _surely_divided(self) -> bool:
        return self.fate == "divided" and _is_sure(self.fate_probability)


def _is_sure(probability: float | None) -> bool:
    return probability is not None and probability >= SURE_DIVISION


class TrackTable:
    """One row per cell, filled in frame by frame, whether a cell can still be found or not."""

    def __init__(self) -> None:
        self._parent = np.zeros(0, np.int64)
        self._first = np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)
        self._n_frames = np.zeros(0, np.int64)
        self._n_merged = np.zeros(0, np.int64)
        self._fate = np.zeros(0, np.int64)
        self._n_cells = 0

    def begin(self, parents: IntArray, frame: int) -> None:
        """Add new cells, numbered onwards, with their parents (0 for none)."""
        n_cells = self._n_cells + parents.size
        if n_cells > self._parent.size:
            room = max(n_cells, 2 * self._parent.size) - self._parent.size
            for name in ("_parent", "_first", "_last", "_n_frames", "_n_merged", "_fate"):
                setattr(self, name, np.append(getattr(self, name), np.zeros(room, np.int64)))
        new = slice(self._n_cells, n_cells)
        self._parent[new], self._first[new] = parents, frame
        self._fate[new] = FATES.index("lost")
        self._n_cells = n_cells

    def see(self, cells: IntArray, merged: NDArray[np.bool_], frame: int) -> None:
        """Note that cells were seen, and which of them in an object with others."""
        self._last[cells - 1] = frame
        self._n_frames[cells - 1] += 1
        self._n_merged[cells - 1] += merged

    def end(self, cells: IntArray, fate: Fate) -> None:
        """Note what became of cells."""
        self._fate[cells - 1] = FATES.index(fate)

    def tracks(self, n_frames: int) -> list[Track]:
        """Return all cells of a movie of `n_frames`, by label."""
        return [
            Track(
                cell=i + 1,
                parent=int(self._parent[i]) or None,
                first_frame=int(self._first[i]),
                last_frame=int(self._last[i]),
                fate=FATES[0] if self._last[i] == n_frames - 1 else FATES[self._fate[i]],
                n_frames=int(self._n_frames[i]),
                n_merged=int(self._n_merged[i]),
            )
            for i in range(self._n_cells)
        ]
