"""What the frames around tell of a frame: pieces that are one cell, objects that are two.

A segmentation sees one frame. Where that has two readings, it may take the one here and the other
in the next frame, and a cell that is cut in one frame in ten has no track of ten frames. So each
frame is read again when the two frames after it are known: neighbouring objects that are one object
before it and after it are put together, and an object that is two before it and after it is cut.
Cells that divide, or come to touch for good, look like neither.

All that is asked is how much alike objects are in size and shape, and, where outlines are bright,
whether a line runs between two that is stronger than most: across that nothing is put together.
Where cells of a movie change so much from frame to frame that most are hardly alike, as at long
intervals, nothing is decided.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.pixel_runs import Runs, find_runs
from pyama_core.processing.tracking.kernels.overlaps import common_pixels
from pyama_core.processing.tracking.lineage.borders import Borders
from pyama_core.processing.tracking.lineage.kernels.likeness import hang_together, likenesses
from pyama_core.processing.tracking.lineage.merges import nearest_seed
from pyama_core.processing.tracking.objects import Objects, equivalent_diameter

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

REACH = 2
"""So many frames before and after are asked."""

_ALIKE = 0.5  # the usual likeness of objects and those of the next frame, from which on time tells
_LEAST = 0.45  # likeness of what is believed in
_MARGIN = 0.4  # of the likeness that would be lost if the reading were true and the other taken
_LEAST_MARGIN = 0.08
_GAP, _LEAST_GAP = 0.05, 3  # pieces of a cell are so near: of its diameter, and in pixels
_SHARED = 0.3  # the part of a piece that lies in what it is a piece of
_MOST_PIECES = 6
_INSIDE, _PART, _COVERED = 0.5, 0.15, 0.5  # of the part, and of the whole: parts of an object


class Cut(NamedTuple):
    """An object that is several cells.

    Attributes
    ----------
    object
        Its index.
    corner, shape
        Of the window that holds it.
    parts
        The pixels of the window that belong to each cell but the first, packed by `np.packbits`.
    """

    object: int
    corner: tuple[int, int]
    shape: tuple[int, int]
    parts: list[NDArray[np.uint8]]


class Read(NamedTuple):
    """The objects of a frame as they are read.

    Attributes
    ----------
    objects
        All of them.
    joined, cut
        Which were put together from several, and which are parts of one.
    unchanged
        Of each object of the segmentation its index in these, -1 for those that were put together
        or cut.
    """

    objects: Objects
    joined: BoolArray
    cut: BoolArray
    unchanged: IntArray


@dataclass(frozen=True)
class Reading:
    """How a frame is to be read.

    Attributes
    ----------
    n_objects
        Of the segmentation.
    joined
        Pairs of indices of objects: the first takes in the second.
    cuts
        The objects that are several cells.
    is_told
        Whether the frames around tell anything of this one.
    """

    n_objects: int
    joined: Sequence[tuple[int, int]] = ()
    cuts: Sequence[Cut] = ()
    is_told: bool = False

    def read(self, objects: Objects) -> Read:
        """Return the objects of the frame in this reading."""
        n = objects.area.size
        if not (self.joined or self.cuts):
            none = np.zeros(n, np.bool_)
            return Read(objects, none, none, np.arange(n))
        number, is_cut, patches = np.arange(1, n + 1), [], []
        for kept, gone in self.joined:
            number[gone] = kept + 1
        for cut in self.cuts:
            labels = np.full(cut.shape, cut.object + 1)
            is_cut.append(cut.object + 1)
            for packed in cut.parts:
                n += 1
                is_cut.append(n)
                part = np.unpackbits(packed, count=labels.size).reshape(cut.shape)
                labels[part.view(np.bool_)] = n
            patches.append((cut.object, cut.corner, labels))
        found, numbers = objects.redrawn(number, patches)
        was_joined = np.isin(numbers, [kept + 1 for kept, _ in self.joined])
        was_cut = np.isin(numbers, is_cut)
        same = np.flatnonzero(~(was_joined | was_cut))
        unchanged = np.full(self.n_objects, -1)
        unchanged[numbers[same] - 1] = same
        return Read(found, was_joined, was_cut, unchanged)


class Readings:
    """Reads the frames of a movie again, each when the frames after it are known.

    Memory is that of five frames. Time is linear in the number of runs of pixels, and small beside
    that of following cells, but where there is something to decide.

    Parameters
    ----------
    may_join, may_cut
        What may be decided.
    """

    def __init__(self, may_join: bool, may_cut: bool) -> None:
        self._may = (may_join, may_cut)
        self._past: deque[Objects] = deque(maxlen=REACH)  # as they were read, the latest first
        self._coming: deque[Objects] = deque()  # as they were segmented
        self._borders: deque[Borders] = deque()  # between them

    def see(self, objects: Objects, borders: Borders) -> Iterator[tuple[Reading, Objects, Borders]]:
        """Take note of the next frame; yield the reading of the one that can be told by now.

        With it come the objects as they are read, and the borders between those that are as they
        were segmented, which are sure only where frames around tell of the frame.
        """
        self._coming.append(objects)
        self._borders.append(borders)
        if len(self._coming) > REACH:
            yield self._next()

    def rest(self) -> Iterator[tuple[Reading, Objects, Borders]]:
        """Yield the readings of the frames that are left, after the last one was seen."""
        while self._coming:
            yield self._next()

    def _next(self) -> tuple[Reading, Objects, Borders]:
        frame, borders = self._coming.popleft(), self._borders.popleft()
        reading = _reading(frame, borders, list(self._past), list(self._coming), *self._may)
        read = reading.read(frame)
        self._past.appendleft(read.objects)
        borders = borders.between(read.unchanged)
        if not reading.is_told:
            borders = borders._replace(sure=np.zeros_like(borders.sure))
        return reading, read.objects, borders


class _Overlaps(NamedTuple):
    """Pairs of an object of a frame and one of another, with their common pixels, sorted."""

    mine: IntArray
    theirs: IntArray
    common: IntArray

    @classmethod
    def of(cls, frame: Objects, other: Objects) -> _Overlaps:
        theirs, mine, common = common_pixels(frame.runs, other.runs, frame.area.size)
        order = np.lexsort((theirs, mine))
        return cls(mine[order], theirs[order], common[order])

    def usual(self, frame: Objects, other: Objects) -> float:
        """Return the intersection over union that half of the pixels of objects lie beyond.

        Of each object of either frame the largest one. By pixels, as pieces are small and many.
        """
        area, size = frame.area, other.area
        iou = self.common / (area[self.mine] + size[self.theirs] - self.common)
        best, its_best = np.zeros(area.size), np.zeros(size.size)
        np.maximum.at(best, self.mine, iou)
        np.maximum.at(its_best, self.theirs, iou)
        best, weight = np.append(best, its_best), np.append(area, size)
        order = np.argsort(best, kind="stable")
        reached = np.cumsum(weight[order])
        return float(best[order[np.searchsorted(reached, reached[-1] / 2)]])


class _Choice(NamedTuple):
    """A change of the reading, and what speaks for it."""

    gain: float
    objects: tuple[int, ...]
    cut: Cut | None


def _reading(
    frame: Objects,
    borders: Borders,
    past: list[Objects],
    future: list[Objects],
    may_join: bool,
    may_cut: bool,
) -> Reading:
    """Return how a frame is to be read, given those before, as read, and after; nearest first."""
    n_objects = frame.area.size
    if not (past and future and n_objects and (may_join or may_cut)):
        return Reading(n_objects)
    sides = [[(other, _Overlaps.of(frame, other)) for other in others] for others in (past, future)]
    if any(side[0][1].usual(frame, side[0][0]) < _ALIKE for side in sides):
        return Reading(n_objects)
    judge = _Judge(frame, [*past, *future], len(past))
    choices: list[_Choice | None] = []
    if may_join:
        groups = [{group for of in side for group in _pieces(frame, of[1])} for side in sides]
        parted = set(zip(*(ends[borders.strong].tolist() for ends in borders[:2]), strict=True))
        choices += [
            judge.join(group)
            for group in sorted(groups[0] & groups[1])
            if parted.isdisjoint(itertools.combinations(group, 2))
        ]
    if may_cut:
        parts = [[_parts(frame, *of) for of in side] for side in sides]
        both = [{index for held in side for index in held} for side in parts]
        choices += [judge.cut(i, [*parts[0], *parts[1]]) for i in sorted(both[0] & both[1])]
    return _taken(n_objects, [choice for choice in choices if choice is not None])


def _taken(n_objects: int, choices: list[_Choice]) -> Reading:
    """Return the reading that follows from the best choices, none of which share an object."""
    taken: set[int] = set()
    joined: list[tuple[int, int]] = []
    cuts: list[Cut] = []
    for choice in sorted(choices, key=lambda each: (-each.gain, each.objects)):
        if not taken.isdisjoint(choice.objects):
            continue
        taken.update(choice.objects)
        joined += [(choice.objects[0], other) for other in choice.objects[1:]]
        if choice.cut is not None:
            cuts.append(choice.cut)
    return Reading(n_objects, joined, cuts, is_told=True)


def _pieces(frame: Objects, table: _Overlaps) -> set[tuple[int, ...]]:
    """Return the groups of objects of which much lies in one object of another frame."""
    within = table.common >= _SHARED * frame.area[table.mine]
    mine, theirs = _several(table.mine[within], table.theirs[within])
    groups: set[tuple[int, ...]] = set()
    for pieces in _by(theirs, mine).values():
        groups.update(itertools.combinations(pieces, 2))
        if 2 < len(pieces) <= _MOST_PIECES:
            groups.add(tuple(pieces))
    return groups


def _parts(frame: Objects, other: Objects, table: _Overlaps) -> dict[int, list[int]]:
    """Return the objects that hold several objects of another frame, which cover most of them."""
    area = frame.area[table.mine]
    within = table.common >= _INSIDE * other.area[table.theirs]
    within &= table.common >= _PART * area
    covered = np.bincount(table.mine[within], table.common[within])
    theirs, mine = _several(table.theirs[within], table.mine[within])
    return {
        index: parts
        for index, parts in _by(mine, theirs).items()
        if covered[index] >= _COVERED * frame.area[index]
    }


def _several(values: IntArray, keys: IntArray) -> tuple[IntArray, IntArray]:
    """Return the pairs whose key others have too."""
    more = (np.bincount(keys) > 1)[keys]
    return values[more], keys[more]


def _by(keys: IntArray, values: IntArray) -> dict[int, list[int]]:
    held: dict[int, list[int]] = defaultdict(list)
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        held[key].append(value)
    return held


@dataclass(frozen=True)
class _Judge:
    """Weighs the readings of a frame against each other by other frames, the past ones first."""

    frame: Objects
    others: list[Objects]
    n_past: int

    def join(self, pieces: tuple[int, ...]) -> _Choice | None:
        """Return what speaks for objects being one, None if not enough."""
        box, area = self.frame.box_around(pieces), self.frame.area[list(pieces)]
        one, each = self._like(self.frame.runs_in(box, pieces), box, len(pieces))
        # A piece that is as much like a cell alone as with the other one is that cell, grown.
        gain = self._gain(one, each.max(axis=0), float(area.max() / area.sum()))
        if gain is None or float((one - area @ each / area.sum()).mean()) < 0:
            return None
        gap = max(_LEAST_GAP, round(_GAP * float(equivalent_diameter(area.sum()))))
        window = self.frame.seen_in(box, pieces)
        return _Choice(gain, pieces, None) if hang_together(window, len(pieces), gap) else None

    def cut(self, index: int, parts: list[dict[int, list[int]]]) -> _Choice | None:
        """Return the best cut of an object along objects of other frames, None if none is good.

        Parameters
        ----------
        parts
            Per other frame, the objects that lie in each object of this one.
        """
        box = self.frame.box[index]
        inside = self.frame.seen_in(box, [index]) > 0
        best: _Choice | None = None
        for other, held in zip(self.others, parts, strict=True):
            if index not in held:
                continue
            seeds = other.seen_in(box, held[index])
            seeds[~inside] = 0
            piece = nearest_seed(seeds, inside)
            sizes = np.bincount(piece[inside], minlength=len(held[index]) + 1)[1:]
            whole, each = self._like(find_runs(read_only(piece), 0), box, sizes.size)
            shares = sizes / sizes.sum()
            gain = self._gain(shares @ each, whole, float(shares.max()))
            if gain is not None and (best is None or gain > best.gain):
                packed = [np.packbits(piece == number) for number in range(2, sizes.size + 1)]
                best = _Choice(
                    gain, (index,), Cut(index, (int(box[0]), int(box[1])), piece.shape, packed)
                )
        return best

    def _like(
        self, pieces: Runs, box: IntArray, n_pieces: int
    ) -> tuple[Float64Array, Float64Array]:
        """Return how much all pieces together, and each, are like an object of each other frame."""
        corner = (int(box[0]), int(box[1]))
        found = [
            likenesses(
                pieces, n_pieces, corner, other.runs, other.outlines, other.area, other.position
            )
            for other in self.others
        ]
        return np.array([each[0] for each in found]), np.stack([each[1:] for each in found], axis=1)

    def _gain(self, new: Float64Array, old: Float64Array, largest: float) -> float | None:
        """Return by how much a reading is better on the side where it gains less.

        None if it is not clearly better in a frame of the past and in one of the future.

        Parameters
        ----------
        new, old
            Likeness by frame.
        largest
            The largest part of the whole: the likeness that is left to it if it is one of several.
        """
        need = np.maximum(_LEAST_MARGIN, _MARGIN * (1 - largest) * new)
        clear = (new >= _LEAST) & (new - old >= need)
        if not (clear[: self.n_past].any() and clear[self.n_past :].any()):
            return None
        gain = new - old
        return float(min(gain[: self.n_past].max(), gain[self.n_past :].max()))
