"""What is put right once the whole movie is known: pieces, contacts, and who divided.

The first look decides each frame when it comes. Some of what it cannot know then, later frames
tell: whether two objects beside each other are the pieces of a cell or its daughters, whether an
object holds two cells or one has come to lie where another was. Tracks are looked at here, not
pixels, so that this costs little.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.fates import SURE_DIVISION, Fate, Track
from pyama_core.processing.tracking.lineage.divisions import Division, find_divisions
from pyama_core.processing.tracking.lineage.evidence import SURE
from pyama_core.processing.tracking.lineage.first_look import Sighting
from pyama_core.processing.tracking.lineage.gaps import Gaps, find_gaps
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.motion import Motion
from pyama_core.processing.tracking.lineage.pieces import NEAR, pieces_of_one, surely_two
from pyama_core.processing.tracking.lineage.swaps import exchange
from pyama_core.processing.tracking.lineage.tracklets import Tracklets

IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_TOGETHER = 0.98  # how sure it is that a cell is in an object of several, as made movies tell
_CLEARLY = 4  # what frames count in which two cells are seen clearly apart, against one together


@dataclass(frozen=True)
class Lineages:
    """The cells of a movie.

    Attributes
    ----------
    n_cells
        How many there are.
    number
        Per frame (n,) int64: the number of each cell that was seen, from 1.
    parent
        Mother of each daughter, by number.
    probability
        Of the division that each daughter comes from.
    divided
        How probable it is that a cell divided at its end, where anything speaks for it.
    sure
        Of each cell the frames in which it was seen, but for the first, and how sure the link to
        each is.
    fate
        What became of each cell that was not seen in the last frame.
    joined
        Per frame the numbers of the cells whose pieces are known as such from all frames.
    with_divisions
        Whether they were looked for.
    """

    n_cells: int
    number: list[IntArray]
    parent: dict[int, int]
    probability: dict[int, float]
    divided: dict[int, float]
    sure: dict[int, list[tuple[int, float]]]
    fate: dict[int, Fate]
    joined: list[IntArray]
    with_divisions: bool

    def told(self, track: Track) -> Track:
        """Return what is known of a cell, with how sure its links are and its lineage."""
        links = self.sure.get(track.cell, [])
        if links:
            frame, least = min(links, key=lambda link: (link[1], link[0]))
            unsure = tuple(link for link in links if link[1] < SURE)
            track = replace(track, link_confidence=least, link_frame=frame, unsure_links=unsure)
        if not self.with_divisions:
            return track
        generation, mother = 0, track.parent
        while mother is not None:
            generation, mother = generation + 1, self.parent.get(mother)
        of_division = self.divided.get(track.cell, 0.0)
        of_fate = of_division if track.fate == "divided" else 1 - of_division
        has_cycle = track.parent is not None and track.fate == "divided"
        return replace(
            track,
            generation=generation,
            fate_probability=1.0 if track.fate == "end of movie" else round(of_fate, 4),
            birth_probability=self.probability.get(track.cell),
            cycle_frames=track.last_frame - track.first_frame + 1 if has_cycle else None,
        )


def look_again(
    sightings: Sequence[Sighting],
    parameters: LineageParameters,
    motion: Motion,
    shape: tuple[int, int],
) -> Lineages:
    """Put right what the first look could not know, and number the cells anew."""
    tracks = Tracklets.of(sightings)
    fate: dict[int, Fate] = {cell: fate for s in sightings for cell, fate in s.ended}
    two = surely_two(tracks, sightings)
    together = {pair: n for pair, n in _frames_together(tracks).items() if pair not in two}
    pieces: set[tuple[int, int]] = set()
    if parameters.alternatives == "auto" and parameters.max_broken:
        pieces = pieces_of_one(tracks, sightings, together, parameters.max_broken) - two
    joined = _seen_apart(tracks, pieces)
    tracks = tracks.with_cells(_never_two(tracks, together, pieces))
    tracks = tracks.with_cells(_given_back(tracks))
    if parameters.max_broken:
        tracks = tracks.with_cells(
            _put_together(tracks, sightings, parameters.max_broken, parameters.max_gap)
        )
    tracks = exchange(tracks, motion)
    families = _Families({}, {}, set(), {})
    if parameters.divisions:
        tracks, families = _divided(tracks, *find_divisions(tracks, parameters.conservation))
    explained = np.isin(tracks.cell, np.array(sorted(families.parent), np.int64))
    explained |= tracks.fragment_of > 0
    gaps = find_gaps(
        tracks,
        motion,
        explained,
        np.isin(tracks.cell, np.array(sorted(families.ended), np.int64)),
        parameters.max_gap,
        parameters.max_displacement,
        shape[0] * shape[1],
    )
    tracks, owner = _closed(tracks, gaps)
    numbered = _numbered(tracks, families.of(owner), fate, joined)
    return replace(numbered, with_divisions=parameters.divisions)


@dataclass(frozen=True)
class _Families:
    """Who came from whom, by id.

    Attributes
    ----------
    parent, probability
        Of each daughter her mother, and how probable that division is.
    ended
        The mothers that ended with it, rather than go on as one of the daughters.
    otherwise
        Of other cells how probable it is that they divided at their end.
    """

    parent: dict[int, int]
    probability: dict[int, float]
    ended: set[int]
    otherwise: dict[int, float]

    def of(self, owner: IntArray) -> _Families:
        """Return the same, where cells are parts of others."""
        return _Families(
            {int(owner[cell]): int(owner[mother]) for cell, mother in self.parent.items()},
            {int(owner[cell]): p for cell, p in self.probability.items()},
            {int(owner[cell]) for cell in self.ended},
            {int(owner[cell]): p for cell, p in sorted(self.otherwise.items())},
        )


def _never_two(
    tracks: Tracklets,
    together: Mapping[tuple[int, int], int],
    pieces: set[tuple[int, int]],
) -> IntArray:
    """Return the cells anew: two that are in one object more often than apart are one.

    Somebody's fault it is either way: of a segmentation that cuts cells, or one that joins them.
    The reading with fewer faults is right, where frames in which they were seen clearly apart count
    several times: there one of the two may have been taken for another cell.

    Parameters
    ----------
    together
        In how many frames pairs of cells were in one object.
    pieces
        The pairs that are known to be one.
    """
    owner = np.arange(tracks.n_cells + 1)
    if not (together or pieces):
        return tracks.cell
    rows = tracks.rows_of_each()
    for a, b in sorted(pieces.union(together)):
        near, far = _frames_apart(tracks, rows[a], rows[b])
        if (a, b) in pieces or together[a, b] > near + _CLEARLY * far:
            first, second = _older(tracks, rows, int(owner[a]), int(owner[b]))
            owner[owner == second] = first
    return np.asarray(owner[tracks.cell], np.int64)


def _seen_apart(tracks: Tracklets, pairs: set[tuple[int, int]]) -> IntArray:
    """Return the rows in which either of a pair is seen while the other is an object of its own."""
    rows = tracks.rows_of_each()
    found = [np.empty(0, np.int64)]
    for a, b in sorted(pairs):
        i, j = tracks.of_both(rows[a], rows[b])
        found.append(i[tracks.object[i] != tracks.object[j]])
    return np.unique(np.concatenate(found))


def _frames_together(tracks: Tracklets) -> dict[tuple[int, int], int]:
    """Return in how many frames each pair of cells was in one object."""
    shared = np.flatnonzero(tracks.merged)
    order = shared[np.lexsort((tracks.cell[shared], tracks.object[shared], tracks.frame[shared]))]
    ends = np.flatnonzero(np.diff(tracks.frame[order]) | np.diff(tracks.object[order])) + 1
    together: Counter[tuple[int, int]] = Counter()
    for members in np.split(tracks.cell[order], ends):
        together.update(itertools.combinations(members.tolist(), 2))
    return together


def _frames_apart(tracks: Tracklets, a: IntArray, b: IntArray) -> tuple[int, int]:
    """Return in how many frames two cells were seen apart, but near or farther from each other."""
    a, b = tracks.of_both(a[~tracks.merged[a]], b[~tracks.merged[b]])
    far = int(np.count_nonzero(tracks.distances(a, b) > NEAR))
    return a.size - far, far


def _older(tracks: Tracklets, rows: list[IntArray], a: int, b: int) -> tuple[int, int]:
    """Return first the cell that was seen earlier, or is the larger one."""

    def rank(cell: int) -> tuple[int, float, int]:
        mine = rows[cell]
        return int(tracks.frame[mine[0]]), -float(tracks.area[mine[0]]), cell

    return (a, b) if rank(a) < rank(b) else (b, a)


def _given_back(tracks: Tracklets) -> IntArray:
    """Return the cells anew: parts of objects go back to the cell that goes on in them.

    A cell that is never seen on its own again, after it was found in an object with another one
    that is, was not in it, or is gone. If none of them is, all stay.
    """
    cell = tracks.cell.copy()
    last_alone = np.full(tracks.n_cells + 1, -1)
    alone = ~tracks.merged
    np.maximum.at(last_alone, cell[alone], tracks.frame[alone])
    shared = np.flatnonzero(tracks.merged)
    groups = np.unique(
        np.stack([tracks.frame[shared], tracks.object[shared]]), axis=1, return_inverse=True
    )[1].ravel()
    order = np.lexsort((cell[shared], -tracks.area[shared], groups))
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    for members in np.split(shared[order], ends):
        goes_on = last_alone[cell[members]] > tracks.frame[members]
        if goes_on.any():
            cell[members[~goes_on]] = cell[members[goes_on][0]]
    return cell


def _put_together(
    tracks: Tracklets, sightings: Sequence[Sighting], longest: int, max_gap: int
) -> IntArray:
    """Return the cells anew: what broke off a cell for a few frames is that cell.

    But not what comes off again after a frame of which most cells are missing, one out of focus.
    """
    owner = np.arange(tracks.n_cells + 1)
    first = tracks.first_frames()
    born = _born_of(tracks)
    for t, sighting in enumerate(sightings):
        for piece, whole in sighting.absorbed:
            apart = t - int(first[piece])
            if not (first[piece] > 0 and apart <= longest and first[whole] < first[piece]):
                continue
            again = next((b for b in born.get(whole, []) if b[0] > t), None)
            n_lost = sum(fate == "lost" for _, fate in sighting.ended)
            is_blurred = 2 * n_lost >= sightings[t - 1].cell.size
            if is_blurred and again is not None and again[0] - t <= max_gap:
                owner[again[1]] = piece
            else:
                owner[piece] = owner[whole]
    for piece in range(owner.size):  # owners are older, and so have smaller ids
        owner[piece] = owner[owner[piece]]
    return np.asarray(owner[tracks.cell], np.int64)


def _born_of(tracks: Tracklets) -> dict[int, list[tuple[int, int]]]:
    """Return the first frame and the id of all that may have broken off each cell, in order."""
    born: dict[int, list[tuple[int, int]]] = {}
    for row in np.flatnonzero(tracks.fragment_of > 0).tolist():
        pair = (int(tracks.frame[row]), int(tracks.cell[row]))
        born.setdefault(int(tracks.fragment_of[row]), []).append(pair)
    return born


def _divided(
    tracks: Tracklets, divisions: Sequence[Division], others: dict[int, float]
) -> tuple[Tracklets, _Families]:
    """Let mothers end where they surely divide; return who came from whom.

    Where that is less sure, she goes on as the daughter that she was taken for, so that nothing is
    lost if she did not divide.
    """
    cell, n_cells = tracks.cell.copy(), tracks.n_cells
    families = _Families({}, {}, set(), {})
    for division in divisions:
        mother = int(cell[division.mother])
        goes_on = division.probability < SURE_DIVISION and mother in cell[list(division.daughters)]
        if not goes_on:
            families.ended.add(mother)
        for row in division.daughters:
            if cell[row] == mother and goes_on:
                continue
            if cell[row] == mother:  # she was taken for one of them
                n_cells += 1
                cell[(cell == mother) & (tracks.frame >= tracks.frame[row])] = n_cells
            families.parent[int(cell[row])] = mother
            families.probability[int(cell[row])] = division.probability
    tracks = tracks.with_cells(cell, n_cells)
    last = tracks.last_rows()
    families.otherwise.update({int(cell[row]): p for row, p in others.items() if row in last})
    return tracks, families


def _closed(tracks: Tracklets, gaps: Gaps) -> tuple[Tracklets, IntArray]:
    """Let cells go on where they were found again; return of each id whose part it is."""
    confidence = tracks.confidence.copy()
    confidence[gaps.start] = gaps.confidence
    owner = np.arange(tracks.n_cells + 1)
    for end, start in sorted(zip(gaps.end.tolist(), gaps.start.tolist(), strict=True)):
        owner[tracks.cell[start]] = owner[tracks.cell[end]]
    return replace(tracks, cell=owner[tracks.cell], confidence=confidence), owner


def _numbered(
    tracks: Tracklets, families: _Families, fate: dict[int, Fate], joined: IntArray
) -> Lineages:
    """Return the cells, numbered by the frame they are first seen in, then by object."""
    number = np.zeros(tracks.n_cells + 1, np.int64)
    cells, first = np.unique(tracks.cell, return_index=True)
    number[cells[np.argsort(first, kind="stable")]] = np.arange(1, cells.size + 1)
    last = _last_of_each(tracks)
    number_of = {int(c): int(number[c]) for c in cells}
    parent, ended = families.parent, families.ended
    splits = np.cumsum(np.bincount(tracks.frame, minlength=tracks.n_frames))[:-1]
    return Lineages(
        n_cells=cells.size,
        number=np.split(number[tracks.cell], splits),
        parent={number_of[c]: number_of[p] for c, p in parent.items()},
        probability={number_of[c]: round(p, 4) for c, p in families.probability.items()},
        divided={number_of[c]: round(p, 4) for c, p in families.otherwise.items() if c in number_of}
        | {
            number_of[parent[c]]: round(p, 4)
            for c, p in families.probability.items()
            if parent[c] in ended
        },
        sure={int(number[c]): links for c, links in _links(tracks).items()},
        fate={
            int(number[c]): "divided" if c in ended else fate.get(original, "lost")
            for c, original in last.items()
        },
        joined=[
            np.unique(number[tracks.cell[joined[tracks.frame[joined] == t]]])
            for t in range(tracks.n_frames)
        ],
        with_divisions=False,
    )


def _last_of_each(tracks: Tracklets) -> dict[int, int]:
    """Return of each id what the first look called it where it is seen last; itself, if it can."""
    order = np.lexsort((tracks.cell == tracks.original, tracks.frame))
    return dict(zip(tracks.cell[order].tolist(), tracks.original[order].tolist(), strict=True))


def _links(tracks: Tracklets) -> dict[int, list[tuple[int, float]]]:
    """Return of each id the frames after its first in which it was seen, and how sure that is."""
    later = np.flatnonzero(tracks.frame > tracks.first_frames()[tracks.cell])
    later = later[np.lexsort((tracks.confidence[later], tracks.frame[later], tracks.cell[later]))]
    keys = np.stack([tracks.cell[later], tracks.frame[later]])
    place = np.flatnonzero(np.diff(keys, prepend=-1).any(axis=0))  # of pieces the least sure one
    confidence = np.nan_to_num(tracks.confidence[later[place]], nan=_TOGETHER).round(4)
    links: dict[int, list[tuple[int, float]]] = {}
    for cell, frame, sure in zip(*keys[:, place].tolist(), confidence.tolist(), strict=True):
        links.setdefault(cell, []).append((frame, sure))
    return links
