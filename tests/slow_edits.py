"""The slow, obvious twin of corrections: cells are sets of (label, frame), looked at one by one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from pyama_core.io.frame_ranges import format_ranges, parse_ranges
from pyama_core.processing.workflow.edits.actions import (
    Correction,
    Cut,
    Join,
    Remove,
    SetParent,
    Verdict,
)


class RefusedError(Exception):
    """A correction that cannot be made."""


@dataclass
class SlowCells:
    """Cells of a field of view."""

    spots: dict[int, set[tuple[int, int]]]
    """Labels and frames of each cell."""
    parents: dict[int, int] = field(default_factory=dict)
    fates: dict[int, str] = field(default_factory=dict)
    said: dict[int, list[tuple[int, Verdict]]] = field(default_factory=dict)
    labels: frozenset[int] = frozenset()
    count: int = 0

    def frames(self, cell: int) -> list[int]:
        return sorted(frame for _, frame in self.spots[cell])

    def after(self, action: Correction) -> SlowCells:
        """Return the cells after a correction."""
        new = copy.deepcopy(self)
        if not set(action.cells) <= new.spots.keys():
            raise RefusedError
        if isinstance(action, Verdict):
            new.said.setdefault(action.cell, []).append((new.count, action))
        elif isinstance(action, Join):
            new._join(*action.cells)
        elif isinstance(action, Cut):
            new._cut(action)
        elif isinstance(action, Remove):
            new._remove(action)
        elif isinstance(action, SetParent):
            new._set_parent(action)
        new.count += 1
        return new

    def _join(self, a: int, b: int) -> None:
        if set(self.frames(a)) & set(self.frames(b)):
            raise RefusedError
        if self.frames(a)[0] > self.frames(b)[0]:
            a, b = b, a
        last = a if self.frames(a)[-1] > self.frames(b)[-1] else b
        self.fates[a] = self.fates[last]
        for child, parent in list(self.parents.items()):
            if parent == b:
                self.parents[child] = a
        self._orphan(b)
        self.spots[a] |= self.spots.pop(b)
        if a in self.said or b in self.said:
            both = self.said.get(a, []) + self.said.pop(b, [])
            self.said[a] = sorted(both, key=lambda entry: entry[0])
        del self.fates[b]
        for child, parent in list(self.parents.items()):
            if parent == a and self.frames(child)[0] <= self.frames(a)[-1]:
                self._orphan(child)

    def _cut(self, action: Cut) -> None:
        cell, new = action.cell, action.new_cell
        late = {spot for spot in self.spots[cell] if spot[1] >= action.frame}
        if not late or late == self.spots[cell] or new in self.spots or new in self.labels:
            raise RefusedError
        self.spots[cell] -= late
        self.spots[new] = late
        self.fates[new], self.fates[cell] = self.fates[cell], "lost"
        for child, parent in list(self.parents.items()):
            if parent == cell:
                self.parents[child] = new
        if cell in self.said:
            self.said[new] = list(self.said[cell])

    def _remove(self, action: Remove) -> None:
        cell = action.cell
        frames = self.frames(cell)
        taken = frames if action.frames is None else parse_ranges(action.frames, 1000)
        left = {spot for spot in self.spots[cell] if spot[1] not in taken}
        if left == self.spots[cell]:
            raise RefusedError
        if not left:
            self._orphan(cell)
            self.parents = {c: p for c, p in self.parents.items() if p != cell}
            for table in (self.spots, self.fates, self.said):
                table.pop(cell, None)
            return
        self.spots[cell] = left
        if self.frames(cell)[-1] != frames[-1] and self.fates[cell] != "divided":
            self.fates[cell] = "lost"

    def _set_parent(self, action: SetParent) -> None:
        cell, parent = action.cell, action.parent
        if parent is None:
            if cell not in self.parents:
                raise RefusedError
            self._orphan(cell)
            return
        if self.frames(parent)[-1] >= self.frames(cell)[0]:
            raise RefusedError
        self._orphan(cell)
        self.parents[cell] = parent
        self.fates[parent] = "divided"

    def _orphan(self, cell: int) -> None:
        parent = self.parents.pop(cell, None)
        if parent is None or parent in self.parents.values():
            return
        if self.fates[parent] == "divided":
            self.fates[parent] = "lost"

    def number(self, label: int, frame: int) -> int:
        """Return the cell of a label in a frame, 0 for none."""
        owners = [cell for cell, spots in self.spots.items() if (label, frame) in spots]
        return owners[0] if owners else 0


N_FRAMES = 9


@st.composite
def _frames(draw: st.DrawFn) -> set[int]:
    """Draw frames of a cell: mostly a few in a row, so that others fit before and after."""
    first = draw(st.integers(0, N_FRAMES - 1))
    frames = set(range(first, min(first + draw(st.integers(1, 4)), N_FRAMES)))
    return frames - ({first + 1} if draw(st.integers(0, 3)) == 0 else set())


@st.composite
def slow_cells(draw: st.DrawFn, most: int = 6) -> SlowCells:
    """Draw cells that a run may have found: a parent ends before its daughters begin."""
    spots: dict[int, set[tuple[int, int]]] = {}
    parents: dict[int, int] = {}
    fates: dict[int, str] = {}
    for label in range(1, draw(st.integers(2, most)) + 1):
        frames = draw(_frames())
        spots[label] = {(label, frame) for frame in frames}
        fates[label] = draw(st.sampled_from(["lost", "left the frame", "merged"]))
        if N_FRAMES - 1 in frames:
            fates[label] = "end of movie"
        before = [c for c in spots if max(f for _, f in spots[c]) < min(frames)]
        if before and draw(st.booleans()):
            parents[label] = draw(st.sampled_from(before))
            fates[parents[label]] = "divided"
    return SlowCells(spots, parents, fates, labels=frozenset(spots))


def corrections(cells: Sequence[int]) -> st.SearchStrategy[Correction]:
    """Draw a correction of some cells, which may or may not make sense."""
    cell = st.sampled_from(cells)
    frame = st.integers(0, N_FRAMES - 1)
    frames = st.sets(frame, min_size=1).map(format_ranges)
    different = st.tuples(cell, cell).filter(lambda pair: pair[0] != pair[1])
    several = len(set(cells)) > 1
    return st.one_of(
        st.builds(Verdict, cell=cell, good=st.booleans(), note=st.sampled_from(["", "a", "b"])),
        st.builds(Cut, cell=cell, frame=st.integers(1, N_FRAMES)),
        st.builds(Remove, cell=cell, frames=st.none() | frames),
        st.builds(SetParent, cell=cell, parent=st.none()),
        *(
            [
                different.map(lambda pair: Join(cell=pair[0], other=pair[1])),
                different.map(lambda pair: Join(cell=pair[0], other=pair[1])),
                different.map(lambda pair: SetParent(cell=pair[0], parent=pair[1])),
            ]
            if several
            else []
        ),
    )
