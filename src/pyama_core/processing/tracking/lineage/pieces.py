"""Pieces of one cell that a segmentation parts for long, told by all frames of them together.

What one frame cannot tell, and no few frames around it, the whole movie may. Two tracks are the
pieces of one cell if they are one object now and then, and whenever they are two

- they lie nearer to each other than two cells that touch; the halves of a cell do, which never come
  apart, but daughters part; and
- along the border between them runs a weaker line than along most borders of the movie, on the mean
  of all frames. What a segmentation takes for the outline of a cell may be that of a vacuole or of
  a fold, but that seldom goes all the way across. If they are two for many frames, there is hardly
  any line in a quarter of these: one that is weak, but always the same, parts two cells.

The second is asked where there are images in which outlines are bright, as in phase contrast:
brighter, in the middle of all borders, than the brighter of two neighbours, as the outlines of
cells that shine are not. Where it cannot be asked, two count as pieces that are one object before
and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.borders import MANY
from pyama_core.processing.tracking.lineage.first_look import Sighting
from pyama_core.processing.tracking.lineage.tracklets import Tracklets

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]
Pair = tuple[int, int]

NEAR = 0.9
"""Of the sum of both radii: pieces of a cell have their centroids so near."""

_WEAK, _NONE = 0.9, 0.05  # of the usual line between cells of the movie
_QUARTER, _HARDLY_ANY = 4, 1 / 3  # in so many of the frames there is less than that of the mean
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
    told = _told_by_lines(tracks, sightings)
    rows = tracks.rows_of_each()
    found = set()
    for a, b in absorbed.union(together):
        i, j = tracks.of_both(rows[a], rows[b])
        distance, apart = tracks.distances(i, j), tracks.object[i] != tracks.object[j]
        if not apart.any() or distance[apart].max() > NEAR:
            continue
        by_distance = (a, b) in absorbed and bool(distance.max() <= NEAR)
        if told.get((a, b), by_distance):
            found.add((a, b))
    return found


def surely_two(tracks: Tracklets, sightings: Sequence[Sighting]) -> set[Pair]:
    """Return the pairs of cells, lower id first, with a line between them that surely parts two."""
    a, b, *_, sure = _borders_between(tracks, sightings)
    return set(zip(a[sure].tolist(), b[sure].tolist(), strict=True))


def _told_by_lines(tracks: Tracklets, sightings: Sequence[Sighting]) -> dict[Pair, bool]:
    """Return of pairs that touch in some frames whether the line between them is that of pieces.

    Nothing where there are few pairs, or lines that are not brighter than both cells.
    """
    a, b, line, beyond, _ = _borders_between(tracks, sightings)
    order = np.lexsort((line, b, a))
    a, b, line, beyond = a[order], b[order], line[order], beyond[order]
    first = np.flatnonzero(np.diff([a, b], prepend=-1).any(axis=0))
    n_frames = np.diff(first, append=a.size)
    if first.size < MANY or np.median(np.add.reduceat(beyond, first) / n_frames) <= 0:
        return {}
    mean, low = np.add.reduceat(line, first) / n_frames, line[first + (n_frames - 1) // _QUARTER]
    usual = np.median(mean)
    is_one = mean < _WEAK * usual
    is_one &= (n_frames <= _LONG) | (low < np.maximum(_HARDLY_ANY * mean, _NONE * usual))
    often = n_frames >= _FEW
    pairs = zip(a[first][often].tolist(), b[first][often].tolist(), strict=True)
    return dict(zip(pairs, is_one[often].tolist(), strict=True))


def _borders_between(
    tracks: Tracklets, sightings: Sequence[Sighting]
) -> tuple[IntArray, IntArray, Float64Array, Float64Array, BoolArray]:
    """Return the borders of all frames between cells that are objects of their own.

    Both cells, the lower id first; how bright it is, held against both and the brighter one; and
    whether it surely parts two cells.
    """
    cells, values = [np.empty((2, 0), np.int64)], [np.empty((3, 0))]
    end = 0
    for sighting in sightings:
        begin, end = end, end + sighting.cell.size
        alone = ~sighting.merged
        cell_of = np.zeros(sighting.n_objects, np.int64)
        cell_of[sighting.object[alone]] = tracks.cell[begin:end][alone]
        first, second, line, beyond, _, sure = sighting.borders
        pairs = np.sort([cell_of[first], cell_of[second]], axis=0)
        kept = pairs[0] > 0  # neither is shared
        cells.append(pairs[:, kept])
        values.append(np.stack([line, beyond, sure])[:, kept])
    a, b = np.concatenate(cells, axis=1)
    line, beyond, sure = np.concatenate(values, axis=1)
    return a, b, line, beyond, sure > 0


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)
