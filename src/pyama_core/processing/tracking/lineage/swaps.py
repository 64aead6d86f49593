"""Two tracks that pass each other: whether they were exchanged there.

From frame to frame a cell is told from its neighbour by one step. Once the movie is known, it tells
too what each was like for some frames before, and which of the two it is like after: how large, how
bright, how fast and where to. Where both fit clearly better the other way round, they are exchanged
from there on, the clearest case first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.evidence import SURE, confidence_of
from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.motion import Motion
from pyama_core.processing.tracking.lineage.tracklets import Tracklets
from pyama_core.processing.tracking.objects import equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]
ScalarT = TypeVar("ScalarT", bound=np.generic)

_LOOK, _ENOUGH = 6, 3  # frames before and after that are asked, and as many must be there
_CLEARLY = 4.0  # log odds from which on two are exchanged
_PRIOR = 4.0  # how many steps of a cell's own weigh as much as what is usual in the movie
_FREEDOM = 4.0  # of Student's t distribution: what is rare is farther off than by a normal law
_LEAST_SPREAD, _FEW = 0.05, 10  # of logarithms: they are not known any better; cells that can tell
_FAR = 4.0  # usual steps, and a diameter, beyond which a cell does not go
_LONGEST = 3  # frames of a link
_MOST_PASSES = 5
_OF_ONE = 0.6745  # median of the absolute value of a standard normal value
_OF_PLANE = np.log(2)  # median of half the square of the length of two such values


def exchange(tracks: Tracklets, motion: Motion) -> Tracklets:
    """Return the tracks, exchanged from where on that fits better, with how sure that is."""
    for _ in range(_MOST_PASSES):
        better = _exchanged_once(tracks, motion)
        if better is None:
            break
        tracks = better
    return tracks


def _exchanged_once(tracks: Tracklets, motion: Motion) -> Tracklets | None:
    """Exchange each track once at most; None if nothing is to be exchanged."""
    sights = _Sights.of(tracks)
    ways = _Ways.of(sights, motion.persistence)
    if ways is None:
        return None
    a, b = _pairs(sights, ways)
    gain = ways.odds(a, b + 1) + ways.odds(b, a + 1) - ways.odds(a, a + 1) - ways.odds(b, b + 1)
    clear = np.flatnonzero(gain > _CLEARLY)
    if not clear.size:
        return None
    cell, confidence = tracks.cell.copy(), tracks.confidence.copy()
    taken: set[int] = set()
    for pair in clear[np.lexsort((b[clear], a[clear], -gain[clear]))].tolist():
        one, two = int(sights.cell[a[pair]]), int(sights.cell[b[pair]])
        if one in taken or two in taken:
            continue
        taken |= {one, two}
        since = sights.frame[a[pair] + 1]
        of_one = (tracks.frame >= since) & (tracks.cell == one)
        of_two = (tracks.frame >= since) & (tracks.cell == two)
        cell[of_one], cell[of_two] = two, one
        confidence[(of_one | of_two) & (tracks.frame == since)] = confidence_of(gain[pair])
    return replace(tracks, cell=cell, confidence=confidence)


class _Sights(NamedTuple):
    """Cells in frames, by cell, then by frame; the pieces of a cell are one.

    `alone` are those that share their object with no other cell, `whole` those that the edge does
    not cut either, and `sure` is of the link from the frame in which the cell was seen before.
    """

    cell: IntArray
    frame: IntArray
    position: Float64Array
    area: Float64Array
    brightness: Float64Array
    alone: BoolArray
    whole: BoolArray
    sure: Float64Array

    @classmethod
    def of(cls, tracks: Tracklets) -> Self:
        order = np.lexsort((tracks.frame, tracks.cell))
        cell, frame = tracks.cell[order], tracks.frame[order]
        is_first = np.append(True, (np.diff(cell) | np.diff(frame)) != 0)[: cell.size]
        index = np.cumsum(is_first) - 1
        area = np.asarray(np.bincount(index, tracks.area[order]), np.float64)
        moment = [
            np.bincount(index, tracks.area[order] * tracks.position[order, axis]) for axis in (0, 1)
        ]
        sure = np.full(area.size, np.inf)
        np.fmin.at(sure, index, tracks.confidence[order])
        alone = np.bincount(index, tracks.merged[order]) == 0
        return cls(
            cell[is_first],
            frame[is_first],
            np.stack(moment, axis=1) / area[:, np.newaxis],
            area,
            np.asarray(np.bincount(index, tracks.brightness[order]), np.float64),
            alone,
            alone & (np.bincount(index, tracks.at_edge[order]) == 0),
            sure,
        )


class _Around(NamedTuple):
    """Means of a value over the frames up to each sight of a cell, and from each on; how many."""

    before: Float64Array
    n_before: IntArray
    after: Float64Array
    n_after: IntArray

    @classmethod
    def of(cls, cell: IntArray, values: Float64Array, known: BoolArray) -> Self:
        total = np.append(0.0, np.cumsum(np.where(known, values, 0.0)))
        count = np.append(0, np.cumsum(known))
        here = np.arange(cell.size)
        low = np.maximum(np.searchsorted(cell, cell), here - _LOOK + 1)
        high = np.minimum(np.searchsorted(cell, cell, side="right"), here + _LOOK)
        n_before, n_after = count[here + 1] - count[low], count[high] - count[here]
        before = (total[here + 1] - total[low]) / np.maximum(n_before, 1)
        after = (total[high] - total[here]) / np.maximum(n_after, 1)
        return cls(before, n_before, after, n_after)

    def logarithms(self) -> Self:
        """Return the same of the logarithms of the means, of which those of 0 are not known."""
        before, after = (np.log(np.maximum(mean, 1e-9)) for mean in (self.before, self.after))
        n_before, n_after = self.n_before * (self.before > 0), self.n_after * (self.after > 0)
        return self._replace(before=before, n_before=n_before, after=after, n_after=n_after)

    def change(self, start: IntArray, end: IntArray) -> tuple[Float64Array, BoolArray]:
        """Return by how much cells differ before one sight and from another on, where known."""
        known = np.minimum(self.n_before[start], self.n_after[end]) >= _ENOUGH
        return np.where(known, self.after[end] - self.before[start], 0.0), known


@dataclass(frozen=True)
class _Ways:
    """How probable it is that a cell goes on as it does, as far as can be told from frames around.

    Attributes
    ----------
    sights
        What is told of.
    links
        The sights that are followed by another one of their cell, soon.
    properties
        What cells keep, with its usual changes.
    squares
        Half of the squares of steps.
    usual
        Of these the usual one.
    incoming, outgoing
        (n, 2) of each sight: the part of the step to it, and from it, that the next one repeats.
    """

    sights: _Sights
    links: IntArray
    properties: list[tuple[_Around, float]]
    squares: _Around
    usual: float
    incoming: Float64Array
    outgoing: Float64Array

    @classmethod
    def of(cls, sights: _Sights, persistence: float) -> Self | None:
        """Learn them from a movie; None where nothing can be learned."""
        cell, frame = sights.cell, sights.frame
        links = np.flatnonzero((np.diff(cell) == 0) & (np.diff(frame) <= _LONGEST))
        n_frames = (frame[links + 1] - frame[links])[:, np.newaxis]
        way = sights.position[links + 1] - sights.position[links]
        known = np.zeros(cell.size, np.bool_)
        known[links] = sights.alone[links] & sights.alone[links + 1]
        square, velocity = np.zeros(cell.size), np.zeros((cell.size, 2))
        square[links] = (way**2 / n_frames).sum(axis=1) / 2
        velocity[links] = np.where(known[links, np.newaxis], way / n_frames, 0.0)
        if np.count_nonzero(known) < _FEW or not np.median(square[known]) > 0:
            return None
        steps = _Around.of(cell, square, known)
        earlier = _one_before(cell, steps.before), _one_before(cell, steps.n_before)
        squares = steps._replace(before=earlier[0], n_before=earlier[1])
        kept = [squares.logarithms()]
        for value in (sights.area, sights.brightness):
            told = sights.whole & (value > 0)
            kept.append(_Around.of(cell, np.log(np.where(told, value, 1.0)), told))
        return cls(
            sights=sights,
            links=links,
            properties=[(each, _usual_change(each, links)) for each in kept],
            squares=squares,
            usual=float(np.median(square[known]) / _OF_PLANE),
            incoming=persistence * _one_before(cell, velocity) / 2,
            outgoing=persistence * velocity / 2,
        )

    def odds(self, start: IntArray, end: IntArray) -> Float64Array:
        """Return the log probability density that cells go from some sights on to others."""
        odds = np.zeros(start.size)
        for around, usual in self.properties:
            change = around.change(start, end)[0] / usual
            odds -= (_FREEDOM + 1) / 2 * np.log1p(change**2 / _FREEDOM)
        squares, position = self.squares, self.sights.position
        n_before, n_after = squares.n_before[start], squares.n_after[end]
        own = n_before * squares.before[start] + n_after * squares.after[end]
        n_frames = self.sights.frame[end] - self.sights.frame[start]
        variance = n_frames * (_PRIOR * self.usual + own) / (_PRIOR + n_before + n_after)
        expected = (self.incoming[start] + self.outgoing[end]) * n_frames[:, np.newaxis]
        error = ((position[end] - position[start] - expected) ** 2).sum(axis=1)
        place = np.log(variance) + (_FREEDOM + 2) / 2 * np.log1p(error / (_FREEDOM * variance))
        return np.asarray(odds - place)


def _one_before(cell: IntArray, values: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return of each sight the value of the one before of its cell, 0 where it is the first."""
    out = np.zeros_like(values)
    goes_on = np.flatnonzero(np.diff(cell) == 0)
    out[goes_on + 1] = values[goes_on]
    return out


def _usual_change(around: _Around, links: IntArray) -> float:
    """Return the standard deviation of changes over links, by the median; infinite if unknown."""
    change, known = around.change(links, links + 1)
    if np.count_nonzero(known) < _FEW:
        return np.inf
    return max(float(np.median(np.abs(change[known]))) / _OF_ONE, _LEAST_SPREAD)


def _pairs(sights: _Sights, ways: _Ways) -> tuple[IntArray, IntArray]:
    """Return the pairs of links that may have to be exchanged, by the sights they come from.

    Links over the same frames, one of which is not sure, of cells that are seen on their own for
    some frames before and after.
    """
    size = ways.properties[1][0]
    asked = ways.links[sights.alone[ways.links] & sights.alone[ways.links + 1]]
    asked = asked[np.minimum(size.n_before[asked], size.n_after[asked + 1]) >= _ENOUGH]
    longest = np.sqrt(2 * ways.usual) * _FAR
    reach = longest + equivalent_diameter(sights.area)
    over = sights.frame[asked] * (_LONGEST + 1) + sights.frame[asked + 1] - sights.frame[asked]
    found = [np.empty((2, 0), np.int64)]
    for frames in np.unique(over[sights.sure[asked + 1] < SURE]).tolist():
        mine = asked[over == frames]
        unsure = mine[sights.sure[mine + 1] < SURE]
        i, j, _ = neighbours(sights.position[unsure], reach[unsure], sights.position[mine + 1])
        a, b = unsure[i], mine[j]
        back = np.hypot(*(sights.position[a + 1] - sights.position[b]).T)
        near = (a != b) & (back <= reach[b])
        found.append(np.sort(np.stack([a[near], b[near]]), axis=0))
    a, b = np.unique(np.concatenate(found, axis=1), axis=1)
    return a, b
