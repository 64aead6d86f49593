"""Pieces of one cell that a segmentation parts for long, told by all frames of them together.

What one frame cannot tell, and no few frames around it, the whole movie may. Two tracks are the
pieces of one cell if they are one object now and then, and whenever they are two

- they lie nearer to each other than two cells that touch; the halves of a cell do, which never come
  apart, but daughters part; and
- along the border between them runs a weaker line than along most borders of the movie, on the mean
  of all frames. What a segmentation takes for the outline of a cell may be that of a vacuole or of
  a fold, but that seldom goes all the way across. If they are two for many frames, there is hardly
  any line in a quarter of these: one that is weak, but always there, parts two cells.

The second is asked where there are images in which outlines are bright, as in phase contrast:
brighter, in the middle of all borders, than the brighter of two neighbours, as the outlines of
cells that shine are not. Where it cannot be asked, two count as pieces that are one object before
and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.borders import MANY
from pyama_core.processing.tracking.lineage.first_look import Sighting
from pyama_core.processing.tracking.lineage.tracklets import Tracklets

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]
Pair = tuple[int, int]

NEAR = 0.9
"""Of the sum of both radii: pieces of a cell have their centroids so near."""

_WEAK, _HARDLY_ANY = 0.9, 0.3  # of the usual line between cells of the movie
_QUARTER = 4  # of the frames: in so many there is hardly any line
_FEW, _LONG = 2, 6  # frames in which two touch: the mean of these tells something; it tells all


def pieces_of_one(
    tracks: Tracklets, sightings: Sequence[Sighting], together: Iterable[Pair], longest: int
) -> set[Pair]:
    """Return the pairs of cells, lower id first, that are one cell in all frames.

    Parameters
    ----------
    tracks
        As the first look saw them.
    sightings
        The same, by frame.
    together
        The pairs that were in one object while both were followed.
    longest
        Frames for which a piece breaks off, of which it is known without this.
    """
    born = tracks.first_frames()
    absorbed = {
        _pair(piece, whole)
        for t, sighting in enumerate(sightings)
        for piece, whole in sighting.absorbed
        if 0 < born[piece] < t - longest and born[whole] < born[piece]
    }
    lines = _lines_between(tracks, sightings)
    usual = float(np.median([each.mean for each in lines.values()])) if lines else 0.0
    tells = len(lines) >= MANY and bool(np.median([each.beyond for each in lines.values()]) > 0)
    rows = tracks.rows_of_each()
    found = set()
    for a, b in absorbed.union(together):
        i, j = tracks.of_both(rows[a], rows[b])
        distance, apart = tracks.distances(i, j), tracks.object[i] != tracks.object[j]
        if not apart.any() or distance[apart].max() > NEAR:
            continue
        line = lines.get((a, b), _NOWHERE)
        if tells and line.n_frames >= _FEW:
            is_one = line.mean < _WEAK * usual
            is_one &= line.n_frames <= _LONG or line.low < _HARDLY_ANY * usual
        else:
            is_one = (a, b) in absorbed and distance.max() <= NEAR
        if is_one:
            found.add((a, b))
    return found


class _Line(NamedTuple):
    """What runs between two cells, on the mean of the frames in which they touch.

    Attributes
    ----------
    n_frames : int
        In how many they do.
    mean, beyond : float
        How bright it is, held against both cells, and against the brighter one.
    low : float
        How bright it is, held against both, in no more than a quarter of the frames.
    """

    n_frames: int
    mean: float
    beyond: float
    low: float

    @classmethod
    def of(cls, frames: Float64Array) -> Self:
        """Sum up a row per frame: how bright it is, held against both and the brighter one."""
        mean, beyond = frames.mean(axis=0).tolist()
        low = np.sort(frames[:, 0])[(len(frames) - 1) // _QUARTER]
        return cls(len(frames), mean, beyond, float(low))


_NOWHERE = _Line(0, 0.0, 0.0, 0.0)


def _lines_between(tracks: Tracklets, sightings: Sequence[Sighting]) -> dict[Pair, _Line]:
    """Return what runs between the cells that touch, where each is an object of its own."""
    lines: dict[Pair, list[tuple[float, float]]] = defaultdict(list)
    end = 0
    for sighting in sightings:
        begin, end = end, end + sighting.cell.size
        alone = ~sighting.merged
        cell_of = np.zeros(sighting.n_objects, np.int64)
        cell_of[sighting.object[alone]] = tracks.cell[begin:end][alone]
        first, second, line, beyond, *_ = sighting.borders
        cells = np.sort([cell_of[first], cell_of[second]], axis=0)
        for a, b, *values in zip(*cells.tolist(), line.tolist(), beyond.tolist(), strict=True):
            if a:  # neither is shared
                lines[a, b].append((values[0], values[1]))
    return {pair: _Line.of(np.array(values)) for pair, values in lines.items()}


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)
