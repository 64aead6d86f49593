"""Divisions: who became two, weighed once it is known what became of both.

What a division looks like is weighed as one score: the log odds that two tracks are the daughters
of a third one, against cells that came to lie so by chance and cells that were cut in two.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.tracklets import Tracklets
from pyama_core.processing.tracking.objects import equivalent_diameter

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_NEAR = 1.6  # of the mother's diameter: daughters begin so near to where she was
_LOOK = 3  # frames after, of which the daughters' sizes are the medians
_ROUND = 5  # frames before, of which the mother's size is the largest: she shrinks to divide
_AGAIN = 3  # frames from one division to the next, at least

# The score: its weights were fitted on made movies and on nuclei as people mark them, and rounded.
_PLAIN = 3.0  # log odds of two of equal size, on opposite sides of their mother, who last
_LOPSIDED = 4.5  # per square
_ALIKE = 2.7  # per square of the logarithm of the ratio of sizes
_KEPT, _GROWN = 1.0, 0.1  # per square of log(kept) - 0.1 in units of log(1 + conservation)
_FAR = 1.5  # per square of the distance beyond contact
_PARTS = 15.0  # per distance that is lacking to contact when they are farthest apart
_ENDS, _ENOUGH = 1.0, 4  # per frame that one ends before that many
_SHORT, _FEW = 0.4, 3  # per frame that the movie ends before that many
_SWOLLEN, _GROWTH = 3.0, 0.2  # per logarithm of her size over what is usual of her, beyond growth
_LEAST = -100.0  # log odds
_YOUNG = 2.0  # a mother who was seen in less than three frames


@dataclass(frozen=True)
class Look:
    """What a division would look like.

    Attributes
    ----------
    mother
        Row in which the mother is seen last.
    daughters
        Rows in which the daughters are seen first.
    lopsided
        From the mother to the middle between the daughters, in halves of the way between them: 0
        where they lie on opposite sides of her, 1 where one lies in her place.
    apart
        Between the daughters, in sums of their radii.
    kept
        Logarithm of the area of both daughters over that of the mother.
    alike
        Logarithm of the ratio of the areas of the daughters, ≥ 0.
    parts
        The largest of that over the first frames.
    lasts
        Frames for which both are seen as two, fewer if one ends.
    is_whole
        Whether they are followed to the end of the movie, or left the frame.
    before
        Frames in which the mother was seen before.
    brighter
        Logarithm of the brightness of both daughters over hers, NaN where it is not known.
    swollen
        Logarithm of her area over what it was most of the time: much for one that another cell
        has merged with, who comes out again.
    """

    mother: int
    daughters: tuple[int, int]
    lopsided: float
    apart: float
    parts: float
    kept: float
    alike: float
    lasts: int
    is_whole: bool
    before: int
    brighter: float
    swollen: float

    def log_odds(self, conservation: float) -> float:
        """Return the log odds that this is a division, from how much it is like one.

        Parameters
        ----------
        conservation
            By what fraction the area and brightness of daughters may differ from their mother's.
        """
        odds = _PLAIN - _LOPSIDED * self.lopsided**2 - _ALIKE * self.alike**2
        for change in (self.kept, self.brighter):
            if not np.isnan(change):
                odds -= _KEPT * ((change - _GROWN) / np.log1p(conservation)) ** 2
        odds -= _FAR * max(self.apart - 1, 0) ** 2 + _PARTS * max(1 - self.parts, 0)
        odds -= _SWOLLEN * max(self.swollen - _GROWTH, 0)
        odds -= _YOUNG * (self.before < _FEW)
        if self.is_whole:
            return odds - _SHORT * max(_FEW - self.lasts, 0)
        return odds - _ENDS * max(_ENOUGH - self.lasts, 0)


@dataclass(frozen=True)
class Division:
    """A mother and her daughters.

    Attributes
    ----------
    mother
        Row in which the mother is seen last.
    daughters
        Rows in which the daughters are seen first.
    probability
        From a half to 1.
    """

    mother: int
    daughters: tuple[int, int]
    probability: float


def find_divisions(
    tracks: Tracklets, conservation: float
) -> tuple[list[Division], dict[int, float]]:
    """Return the divisions that are more probable than not, by frame; and how probable others are.

    Of those that share a cell the most probable counts; a cell divides again after three frames
    at the soonest. The others are given by the row in which the mother is seen last, of each row
    the most probable one.
    """
    found = [(look.log_odds(conservation), look) for look in looks(tracks)]
    others: dict[int, float] = {}
    for odds, look in found:
        others[look.mother] = max(others.get(look.mother, 0.0), _probability(min(odds, 0.0)))
    probable = sorted(
        ((odds, look) for odds, look in found if odds > 0),
        key=lambda each: (-each[0], each[1].mother, each[1].daughters),
    )
    taken: set[int] = set()
    times: dict[int, list[int]] = {}
    kept = []
    for odds, look in probable:
        t = int(tracks.frame[look.daughters[0]])
        cells = {int(tracks.cell[row]) for row in (look.mother, *look.daughters)}
        again = any(abs(t - u) < _AGAIN for cell in cells for u in times.get(cell, []))
        if again or not taken.isdisjoint(look.daughters):
            continue
        taken.update(look.daughters)
        for cell in cells:
            times.setdefault(cell, []).append(t)
        kept.append(Division(look.mother, look.daughters, _probability(odds)))
    kept.sort(key=lambda each: (int(tracks.frame[each.mother]), each.mother))
    return kept, {row: p for row, p in others.items() if row not in {each.mother for each in kept}}


def _probability(odds: float) -> float:
    return float(1 / (1 + np.exp(-max(odds, _LEAST))))


def looks(tracks: Tracklets) -> Iterator[Look]:
    """Yield what could be divisions: tracks that begin near another one, or two near one's end."""
    rows = tracks.rows_of_each()
    ends = np.cumsum(np.bincount(tracks.frame, minlength=tracks.n_frames))
    first = np.zeros(tracks.frame.size, np.bool_)
    first[[mine[0] for mine in rows if mine.size]] = True
    place = np.zeros(tracks.frame.size, np.int64)
    for mine in rows:
        place[mine] = np.arange(mine.size)
    for t in range(1, tracks.n_frames):
        now = np.arange(ends[t - 1], ends[t])
        past = np.arange(ends[t - 2] if t > 1 else 0, ends[t - 1])
        starts = now[first[now]]
        if not (starts.size and past.size):
            continue
        row_of = dict(zip(tracks.cell[now].tolist(), now.tolist(), strict=True))
        reach = _NEAR * equivalent_diameter(tracks.area[past])
        for n, start in enumerate(starts.tolist()):
            way = tracks.position[past] - tracks.position[start]
            for mother in past[np.hypot(*way.T) <= reach].tolist():
                own = row_of.get(int(tracks.cell[mother]))
                others = [own] if own is not None else starts[n + 1 :].tolist()
                for other in others:
                    look = _look(tracks, rows, place, mother, start, int(other))
                    if look is not None:
                        yield look


def _look(
    tracks: Tracklets,
    rows: list[IntArray],
    place: IntArray,
    mother: int,
    first: int,
    second: int,
) -> Look | None:
    """Measure one; None if the second is too far away."""
    before = rows[tracks.cell[mother]][: place[mother] + 1]
    whole = float(np.max(tracks.area[before[-_ROUND:]]))
    diameter = float(equivalent_diameter(np.array(whole)))
    ways = tracks.position[[first, second]] - tracks.position[mother]
    far = np.hypot(*ways.T)
    if far.max() > _NEAR * diameter or tracks.merged[[mother, first, second]].any():
        return None
    after = [rows[tracks.cell[row]][place[row] :] for row in (first, second)]
    area = np.array([_median(tracks.area[mine[:_LOOK]]) for mine in after])
    between = float(np.hypot(*(ways[0] - ways[1])))
    lasts = [int(tracks.frame[mine[-1]]) - int(tracks.frame[first]) + 1 for mine in after]
    kept_on = [
        bool(tracks.frame[mine[-1]] == tracks.n_frames - 1 or tracks.at_edge[mine[-1]])
        for mine in after
    ]
    ends = [n for n, on in zip(lasts, kept_on, strict=True) if not on]
    return Look(
        mother=mother,
        daughters=(first, second),
        lopsided=float(np.hypot(*ways.sum(axis=0)) / max(between, 1e-9)),
        apart=between / float(equivalent_diameter(area).sum() / 2),
        parts=_largest_apart(tracks, after[0], after[1]),
        kept=float(np.log(area.sum() / whole)),
        alike=float(abs(np.log(area[0] / area[1]))),
        lasts=min(ends, default=min(lasts)),
        is_whole=all(kept_on),
        before=before.size,
        brighter=_brighter(tracks, before, after),
        swollen=float(np.log(whole / _median(tracks.area[before]))),
    )


def _largest_apart(tracks: Tracklets, a: IntArray, b: IntArray) -> float:
    """Return how far two cells come apart in the frames after their first, in sums of radii."""
    first = tracks.frame[a[0]]
    a, b = (mine[tracks.frame[mine] < first + _ROUND] for mine in (a, b))
    _, i, j = np.intersect1d(tracks.frame[a], tracks.frame[b], return_indices=True)
    a, b = a[i], b[j]
    distance = np.hypot(*(tracks.position[a] - tracks.position[b]).T)
    radii = (equivalent_diameter(tracks.area[a]) + equivalent_diameter(tracks.area[b])) / 2
    return float((distance / radii).max())


def _brighter(tracks: Tracklets, before: IntArray, after: list[IntArray]) -> float:
    """Return the logarithm of the brightness of two cells over what one had, NaN if unknown."""
    one = _median(tracks.brightness[before[-_LOOK:]])
    two = sum(_median(tracks.brightness[mine[:_LOOK]]) for mine in after)
    return float(np.log(two / one)) if one > 0 and two > 0 else np.nan


def _median(values: Float64Array) -> float:
    """Return the median of few values, for which NumPy takes ten times as long."""
    return float(statistics.median(values.tolist()))
