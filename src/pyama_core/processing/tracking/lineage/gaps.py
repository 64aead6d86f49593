"""Tracks that end and tracks that begin a little later: which of them are one cell.

Between two frames an object is weighed against all others. Over the whole movie only those ends and
beginnings are left that nothing explains, so that a pair of them may be farther apart, or less
alike, than a link from frame to frame can be, and be certain still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.assignment import best_assignment
from pyama_core.processing.tracking.lineage.evidence import sure
from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.motion import Motion
from pyama_core.processing.tracking.lineage.tracklets import Tracklets
from pyama_core.processing.tracking.objects import equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


_USUAL = 0.5  # the part of the cells that are found again as near as is usual, the rest anywhere
_UNLIKE = 0.6  # standard deviation of the logarithms of ratios of the areas of any two cells
_LARGEST_RATIO = 2.0


@dataclass(frozen=True)
class Gaps:
    """Pairs of rows of the table of sightings, and how sure it is that they are one cell."""

    end: IntArray
    start: IntArray
    confidence: Float64Array


def find_gaps(
    tracks: Tracklets,
    motion: Motion,
    is_explained: BoolArray,
    has_divided: BoolArray,
    max_gap: int,
    max_displacement: float,
    n_pixels: int,
) -> Gaps:
    """Pair the ends of tracks with beginnings, one to one, so that the log odds are the largest.

    The odds that a beginning is a cell that ended up to `max_gap` frames ago: its probability
    density there (half of it normal around where the cell should be, half of it anywhere within
    `max_displacement` diameters per frame), over how many beginnings per pixel and frame there are
    in this movie; times how much more alike in size they are than any two cells.

    Parameters
    ----------
    is_explained
        (n,) bool: rows that begin a track for a known reason, as daughters do.
    has_divided
        (n,) bool: rows of cells that end for one.
    n_pixels
        Of a frame.
    """
    rows = [mine for mine in tracks.rows_of_each() if mine.size]
    if not rows:
        return _none()
    first, last = np.array([mine[0] for mine in rows]), np.array([mine[-1] for mine in rows])
    starts = first[(tracks.frame[first] > 0) & ~is_explained[first]]
    ends = last[(tracks.frame[last] < tracks.n_frames - 1) & ~has_divided[last]]
    if not (starts.size and ends.size):
        return _none()
    density = max(int(np.count_nonzero(~tracks.at_edge[starts])), 1) / (
        n_pixels * max(tracks.n_frames - 1, 1)
    )
    velocity = _velocities(tracks, rows)[np.isin(last, ends)]
    i, j, odds = [], [], []
    for age in range(1, max_gap + 2):
        left, right, weight = _pairs(
            tracks, motion, ends, starts, velocity, age, max_displacement, density
        )
        i.append(left)
        j.append(right)
        odds.append(weight)
    left, right, weight = np.concatenate(i), np.concatenate(j), np.concatenate(odds)
    order = np.lexsort((left, right))
    left, right, weight = left[order], right[order], weight[order]
    chosen = best_assignment(right, left, weight)
    confidence = sure(right, left, weight, chosen)
    return Gaps(ends[left[chosen]], starts[right[chosen]], confidence)


def _none() -> Gaps:
    return Gaps(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def _velocities(tracks: Tracklets, rows: list[IntArray]) -> Float64Array:
    """Return the last step of each track per frame, NaN where it cannot be told."""
    velocity = np.full((len(rows), 2), np.nan)
    for i, mine in enumerate(rows):
        a, b = mine[max(mine.size - 2, 0)], mine[-1]
        n_frames = tracks.frame[b] - tracks.frame[a]  # 0 for pieces of a cell too
        if n_frames and not (tracks.merged[[a, b]] | tracks.at_edge[[a, b]]).any():
            velocity[i] = (tracks.position[b] - tracks.position[a]) / n_frames
    return velocity


def _pairs(
    tracks: Tracklets,
    motion: Motion,
    ends: IntArray,
    starts: IntArray,
    velocity: Float64Array,
    age: int,
    max_displacement: float,
    density: float,
) -> tuple[IntArray, IntArray, Float64Array]:
    """Return the pairs that are `age` frames apart and more probable than not: end, start, odds."""
    expected = tracks.position[ends] + motion.ahead(velocity, np.full(ends.size, age))
    diameter = equivalent_diameter(tracks.area[ends])
    reach = max_displacement * diameter * age
    i, j, distance = neighbours(expected, reach, tracks.position[starts])
    end, start = ends[i], starts[j]
    possible = tracks.frame[start] - tracks.frame[end] == age
    possible &= ~(tracks.at_edge[end] & tracks.at_edge[start])
    ratio = np.log(tracks.area[start] / tracks.area[end])
    possible &= np.abs(ratio) <= np.log(_LARGEST_RATIO)
    i, j, distance, ratio = i[possible], j[possible], distance[possible], ratio[possible]
    usual = motion.spread if np.isfinite(motion.spread) else float(np.median(diameter)) / 2
    variance = age * (usual**2 + (0.03 * diameter[i]) ** 2)
    near = np.exp(-(distance**2) / (2 * variance)) / (2 * np.pi * variance)
    anywhere = 1 / (np.pi * reach[i] ** 2)
    odds = np.log((_USUAL * near + (1 - _USUAL) * anywhere) / density)
    change = 1.5 * motion.change
    odds += (ratio / _UNLIKE) ** 2 / 2 - (ratio / change) ** 2 / 2 + np.log(_UNLIKE / change)
    good = odds > 0
    return i[good], j[good], odds[good]
