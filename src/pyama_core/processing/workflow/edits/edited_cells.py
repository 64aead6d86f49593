"""What corrections make of the cells of a field of view: pixels, frames and relatives of each.

An edited cell is a list of pieces, each of which is a label of the label image within a range of
frames. A cell that nobody touched is one piece, its own label in all frames. So numbers of cells
follow for any frame, whether a table has a row for it or not.

Numbers of cells
    A joined cell keeps the number of the one that begins first. What is cut off gets a number
    from `FIRST_NEW_CELL` on, which stands in the log, so that it stays whatever is undone.

Relatives
    A parent is last seen before its daughter is first seen. A link of which a correction makes
    this untrue is gone; daughters of a cell that is cut belong to its last part.

Fates
    A cell that loses its last frames is lost, and so is one that is left without daughters after
    it had divided; one that is given a daughter has divided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges, parse_ranges
from pyama_core.processing.workflow.edits.actions import (
    Correction,
    Cut,
    Join,
    Remove,
    SetParent,
    Verdict,
)
from pyama_core.processing.workflow.edits.found import FoundCells, IntArray

FIRST_NEW_CELL = 50_001
"""Above the labels of any usual field of view, and within the 16 bits of their images."""
_END = 2**31
_T = TypeVar("_T")


class EditRefusedError(InputError):
    """A correction cannot be made of the cells that there are."""


@dataclass(frozen=True)
class Piece:
    """A label within the frames from `start` up to, but without, `stop`."""

    label: int
    start: int = 0
    stop: int = _END

    def without(self, start: int, stop: int) -> Iterable[Piece]:
        """Return what is left if some frames are taken out."""
        before = Piece(self.label, self.start, min(self.stop, start))
        after = Piece(self.label, max(self.start, stop), self.stop)
        return [piece for piece in (before, after) if piece.start < piece.stop]


@dataclass(frozen=True)
class Mark:
    """A verdict of a person on a cell; of several, later ones win.

    Attributes
    ----------
    order : int
        Place of the action among all.
    verdict : Verdict
        What was said.
    """

    order: int
    verdict: Verdict


class EditedCells:
    """The cells of a field of view under corrections; `apply` makes one more.

    Parameters
    ----------
    found : FoundCells
        What the run found.

    Attributes
    ----------
    parents, fates : dict
        Of cells that have one, by number.
    touched : set of int
        Labels whose pixels no longer all belong to the cell of their own number.
    """

    def __init__(self, found: FoundCells) -> None:
        self.found = found
        self.parents = dict(found.parents)
        self.fates = dict(found.fates)
        self.touched: set[int] = set()
        self._pieces: dict[int, list[Piece]] = {}
        self._owners: dict[int, set[int]] = {}
        self._gone: dict[int, str] = {}
        self._marks: dict[int, list[Mark]] = {}
        self._words: dict[int, list[tuple[int, str]]] = {}
        self._n_applied = 0

    # What cells are

    def __contains__(self, cell: int) -> bool:
        return cell in self._pieces or (cell in self.found.known and cell not in self._gone)

    def require(self, cells: Iterable[int]) -> None:
        """Make sure that cells exist.

        Raises
        ------
        EditRefusedError
            One of them does not.
        """
        for cell in cells:
            if cell not in self:
                why = f": {self._gone[cell]}" if cell in self._gone else ""
                raise EditRefusedError(f"there is no cell {cell}{why}")

    @property
    def restructured(self) -> list[int]:
        """Cells that exist and are not one whole label of their own number, in order."""
        return sorted(self._pieces)

    @property
    def largest(self) -> int:
        """Largest number that a cell has or had."""
        return max([*self.found.known, *self._pieces, 0])

    def pieces_of(self, cell: int) -> list[Piece]:
        """Return labels and frames that a cell consists of, by first frame."""
        return self._pieces.get(cell, [Piece(cell)])

    def frames_of(self, cell: int) -> IntArray:
        """Return the frames in which a cell was seen, in order."""
        return self.found.frame[self.rows_of(cell)]

    def rows_of(self, cell: int) -> NDArray[np.intp]:
        """Return the rows of `found` that belong to a cell, by frame."""
        rows = []
        for piece in self.pieces_of(cell):
            of_label = self.found.rows_of(piece.label)
            first, last = np.searchsorted(
                self.found.frame[of_label], [piece.start, piece.stop]
            ).tolist()
            rows.append(np.arange(of_label.start + first, of_label.start + last))
        joined = np.concatenate(rows)
        return joined[np.argsort(self.found.frame[joined], kind="stable")]

    def numbers_in(self, frame: int) -> dict[int, int]:
        """Return the cell of each touched label in a frame; 0 where it is none."""
        numbers = dict.fromkeys(sorted(self.touched), 0)
        for cell, pieces in self._pieces.items():
            for piece in pieces:
                if piece.start <= frame < piece.stop:
                    numbers[piece.label] = cell
        return numbers

    def number_of(self, label: int, frame: int) -> int:
        """Return the cell of a label in a frame; 0 where it is none."""
        if label not in self.touched:
            return label
        for cell in self._owners.get(label, ()):
            for piece in self._pieces[cell]:
                if piece.label == label and piece.start <= frame < piece.stop:
                    return cell
        return 0

    def row_numbers(self) -> IntArray:
        """Return the cell of each row of `found`; 0 where it is none."""
        numbers = np.where(np.isin(self.found.cell, list(self.touched)), 0, self.found.cell)
        for cell in self._pieces:
            numbers[self.rows_of(cell)] = cell
        return numbers

    def daughters_of(self, cell: int) -> list[int]:
        """Return the cells whose parent a cell is."""
        return sorted(child for child, parent in self.parents.items() if parent == cell)

    def marks_of(self, cell: int) -> list[Verdict]:
        """Return what was said about a cell, the last word last."""
        return [mark.verdict for mark in self._marks.get(cell, [])]

    @property
    def marked(self) -> list[int]:
        """Cells about which something was said, in order."""
        return sorted(self._marks)

    def words(self) -> Mapping[int, str]:
        """Return what was corrected, in words, by cell."""
        return {
            cell: "; ".join(text for _, text in said) for cell, said in sorted(self._words.items())
        }

    # Corrections

    def apply(self, action: Correction) -> None:
        """Make one more correction; nothing changes if it is refused.

        Raises
        ------
        EditRefusedError
            There is no such cell, or frame, or the correction contradicts itself.
        """
        self.require(action.cells)
        if isinstance(action, Verdict):
            self._judge(action)
        elif isinstance(action, Join):
            self._join(action)
        elif isinstance(action, Cut):
            self._cut(action)
        elif isinstance(action, Remove):
            self._remove(action)
        else:
            self._set_parent(action)
        self._n_applied += 1

    def _judge(self, action: Verdict) -> None:
        if action.channel is not None and action.channel not in self.found.channels:
            raise EditRefusedError(
                f"channel {action.channel} was not measured; "
                f"{format_ranges(self.found.channels) or 'none'} was"
            )
        self._marks.setdefault(action.cell, []).append(Mark(self._n_applied, action))
        self._say(action.cell, str(action).removeprefix(f"{action.cell} is "))

    def _join(self, action: Join) -> None:
        frames = {cell: self.frames_of(cell) for cell in action.cells}
        if (both := np.intersect1d(frames[action.cell], frames[action.other])).size:
            raise EditRefusedError(
                f"cells {action.cell} and {action.other} are both seen in "
                f"{_frames(both.tolist())}; cut or remove one of them there first"
            )
        first, second = sorted(action.cells, key=lambda cell: frames[cell].min(initial=_END))
        last = max(action.cells, key=lambda cell: frames[cell].max(initial=-1))
        pieces = [*self.pieces_of(first), *self.pieces_of(second)]
        if last in self.fates:
            self.fates[first] = self.fates[last]
        for child in self.daughters_of(second):
            self.parents[child] = first
        self._unlink(second)
        self._set_pieces(first, pieces)
        _take_over(self._marks, first, second, key=lambda mark: mark.order)
        _take_over(self._words, first, second, key=lambda said: said[0])
        self._forget(second, f"it was joined with {first}")
        self._say(first, f"joined with {second}")
        self._prune_links(first)

    def _cut(self, action: Cut) -> None:
        cell, new = action.cell, action.new_cell
        if new is None:
            raise EditRefusedError(f"the cell that is cut off {cell} needs a number")
        frames = self.frames_of(cell)
        if not (frames < action.frame).any() or not (frames >= action.frame).any():
            raise EditRefusedError(
                f"cell {cell} cannot be cut at frame {action.frame}: it is seen in "
                f"{_frames(frames.tolist())}"
            )
        if new in self or new in self.found.known:
            raise EditRefusedError(f"the number {new} of the new cell is that of another")
        pieces = self.pieces_of(cell)
        if cell in self.fates:
            self.fates[new], self.fates[cell] = self.fates[cell], "lost"
        for child in self.daughters_of(cell):
            self.parents[child] = new
        self._set_pieces(cell, [p for piece in pieces for p in piece.without(action.frame, _END)])
        self._set_pieces(new, [p for piece in pieces for p in piece.without(0, action.frame)])
        if cell in self._marks:
            self._marks[new] = list(self._marks[cell])
        self._words[new] = list(self._words.get(cell, []))
        self._say(cell, f"cut at frame {action.frame}, then {new}")
        self._say(new, f"cut off {cell} at frame {action.frame}")

    def _remove(self, action: Remove) -> None:
        cell, frames = action.cell, self.frames_of(action.cell)
        taken = set(frames.tolist())
        if action.frames is not None:
            taken &= parse_ranges(action.frames, _END)
            if not taken:
                raise EditRefusedError(
                    f"cell {cell} is not seen in frames {action.frames}, but in "
                    f"{_frames(frames.tolist())}"
                )
        left = [frame for frame in frames.tolist() if frame not in taken]
        if not left:
            for child in self.daughters_of(cell):
                del self.parents[child]
            self._unlink(cell)
            self._forget(cell, "it was removed")
            return
        pieces = self.pieces_of(cell)
        for start, stop in _ranges(action.frames or ""):
            pieces = [p for piece in pieces for p in piece.without(start, stop)]
        self._set_pieces(cell, pieces)
        if left[-1] != frames[-1] and self.fates.get(cell, "divided") != "divided":
            self.fates[cell] = "lost"
        self._say(cell, f"frames {action.frames} removed")

    def _set_parent(self, action: SetParent) -> None:
        cell, parent = action.cell, action.parent
        if parent is None and cell not in self.parents:
            raise EditRefusedError(f"cell {cell} has no parent")
        if parent is not None and not self._is_before(parent, cell):
            raise EditRefusedError(
                f"cell {parent} cannot be the parent of {cell}: it is seen in "
                f"{_frames(self.frames_of(parent).tolist())}, and {cell} in "
                f"{_frames(self.frames_of(cell).tolist())}; cut one of them first"
            )
        self._unlink(cell)
        if parent is not None:
            self.parents[cell] = parent
            if parent in self.fates:
                self.fates[parent] = "divided"
        self._say(cell, "no parent" if parent is None else f"parent {parent}")

    # Parts of corrections

    def _set_pieces(self, cell: int, pieces: Iterable[Piece]) -> None:
        if cell in self:
            self._disown(cell)
        self._pieces[cell] = sorted(pieces, key=lambda piece: (piece.start, piece.label))
        for piece in self._pieces[cell]:
            self.touched.add(piece.label)
            self._owners.setdefault(piece.label, set()).add(cell)

    def _disown(self, cell: int) -> None:
        for piece in self.pieces_of(cell):
            self.touched.add(piece.label)
            self._owners.get(piece.label, set()).discard(cell)

    def _forget(self, cell: int, why: str) -> None:
        """Take away a cell whose pixels are another's by now, or nobody's."""
        self._disown(cell)
        self._gone[cell] = why
        for of_cells in (self._pieces, self.fates, self._marks, self._words):
            of_cells.pop(cell, None)

    def _unlink(self, cell: int) -> None:
        """Take away the parent of a cell."""
        parent = self.parents.pop(cell, None)
        if parent is None or self.daughters_of(parent):
            return
        if self.fates.get(parent) == "divided":
            self.fates[parent] = "lost"

    def _prune_links(self, cell: int) -> None:
        """Take away links to daughters that are seen while the cell still is."""
        for child in self.daughters_of(cell):
            if not self._is_before(cell, child):
                self._unlink(child)

    def _is_before(self, parent: int, cell: int) -> bool:
        last, first = self.frames_of(parent), self.frames_of(cell)
        return bool(last.size and first.size and last[-1] < first[0])

    def _say(self, cell: int, words: str) -> None:
        self._words.setdefault(cell, []).append((self._n_applied, words))


def _take_over(said: dict[int, list[_T]], cell: int, other: int, key: Callable[[_T], int]) -> None:
    """Give a cell what was said about another, in the order in which it was said."""
    if cell in said or other in said:
        said[cell] = sorted([*said.get(cell, []), *said.get(other, [])], key=key)


def _ranges(text: str) -> list[tuple[int, int]]:
    """Return the ranges of a text as first frame and last frame + 1."""
    found = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.append((int(first), int(last or first) + 1))
    return found


def _frames(frames: Sequence[int]) -> str:
    """Name frames.

    Examples
    --------
    >>> _frames([3]), _frames([3, 4, 7]), _frames([])
    ('frame 3', 'frames 3-4,7', 'no frame')
    """
    if not frames:
        return "no frame"
    return f"frame{'s' if len(frames) > 1 else ''} {format_ranges(frames)}"
