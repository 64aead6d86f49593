"""How many links between the objects of frames a tracker found, whatever its masks look like.

All trackers are asked the same: about the objects of a segmentation that are one true cell, in
consecutive frames in which there is one. A tracker that divides or joins objects is neither
rewarded nor punished for that, but for the numbers that it gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.fates import Track

Ids = dict[int, int]
"""The number that a tracker gave to each object, by its label in the segmentation."""


@dataclass(frozen=True)
class Asked:
    """The objects that are one true cell each.

    Attributes
    ----------
    nodes
        Of each true cell its (frame, label in the segmentation), by frame.
    parents
        Mother of each daughter.
    all_known
        Whether two cells are never one in truth, even if one ends and the other begins.
    """

    nodes: Mapping[int, Sequence[tuple[int, int]]]
    parents: Mapping[int, int] = field(default_factory=dict)
    all_known: bool = True

    @classmethod
    def about(
        cls,
        truth: NDArray[Any],
        seen: NDArray[Any],
        parents: Mapping[int, int],
        all_known: bool = True,
    ) -> Asked:
        """Find the objects that cover more than half of a true cell and of which it is more."""
        nodes: dict[int, list[tuple[int, int]]] = {}
        for t, (true, found) in enumerate(zip(truth, seen, strict=True)):
            cells, objects, common = _common(true, found)
            true_area = np.bincount(true.ravel(), minlength=int(cells.max(initial=0)) + 1)
            found_area = np.bincount(found.ravel(), minlength=int(objects.max(initial=0)) + 1)
            is_one = (2 * common > true_area[cells]) & (2 * common > found_area[objects])
            for cell, label in zip(cells[is_one].tolist(), objects[is_one].tolist(), strict=True):
                nodes.setdefault(cell, []).append((t, label))
        return cls(nodes, parents, all_known)

    @property
    def divisions(self) -> dict[int, tuple[int, int]]:
        """The two daughters of each mother of two, all of which are seen."""
        daughters: dict[int, list[int]] = {}
        for daughter, mother in sorted(self.parents.items()):
            if daughter in self.nodes and mother in self.nodes:
                daughters.setdefault(mother, []).append(daughter)
        return {m: (d[0], d[1]) for m, d in daughters.items() if len(d) == 2}


def _common(true: NDArray[Any], found: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the pairs of labels that overlap, and by how many pixels."""
    both = (true > 0) & (found > 0)
    width = int(found.max(initial=0)) + 1
    pair, common = np.unique(true[both].astype(np.int64) * width + found[both], return_counts=True)
    return pair // width, pair % width, common


def ids_of_objects(seen: NDArray[Any], labels: Sequence[NDArray[Any]]) -> list[Ids]:
    """Return the number of each object: that which most of its pixels have in a label image."""
    ids: list[Ids] = []
    for objects, numbers in zip(seen, labels, strict=True):
        first, second, common = _common(objects, numbers)
        order = np.argsort(common, kind="stable")
        ids.append(dict(zip(first[order].tolist(), second[order].tolist(), strict=True)))
    return ids


@dataclass(frozen=True)
class LinkScore:
    """How well links were found.

    Attributes
    ----------
    complete
        The part of the true cells (of those that are seen twice or more) all of whose links were
        found.
    links, precision
        The part of the true links that were found; and of the found links between objects that
        are true cells, those that are true.
    division_recall, division_precision
        The part of the true divisions that were found, and of the found ones that are true; NaN
        where there are none.
    n_divisions
        How many true ones there are.
    """

    complete: float
    links: float
    precision: float
    division_recall: float
    division_precision: float
    n_divisions: int

    @property
    def division_f1(self) -> float:
        """Harmonic mean of recall and precision."""
        both = self.division_recall + self.division_precision
        return 2 * self.division_recall * self.division_precision / both if both > 0 else 0.0


def score_links(
    asked: Asked, ids: Sequence[Ids], found_parents: Mapping[int, int] | None = None
) -> LinkScore:
    """Score the numbers that a tracker gave to objects, and the mothers that it told.

    Parameters
    ----------
    ids
        One per frame.
    found_parents
        Mother of each daughter, as numbers of the tracker.
    """
    n_links = n_right = n_complete = n_cells = n_wrong = 0
    owner: dict[int, list[tuple[int, int]]] = {}
    for cell, nodes in asked.nodes.items():
        numbers = [ids[t].get(label, 0) for t, label in nodes]
        for (t, _), number in zip(nodes, numbers, strict=True):
            if number:
                owner.setdefault(number, []).append((t, cell))
        links = [a == b != 0 for a, b in itertools.pairwise(numbers)]
        n_links += len(links)
        n_right += sum(links)
        n_cells += bool(links)
        n_complete += bool(links) and all(links)
    for seen in owner.values():
        for (t, a), (u, b) in itertools.pairwise(sorted(seen)):
            may_be = not asked.all_known and asked.nodes[a][-1][0] == t
            may_be &= asked.nodes[b][0][0] == u
            n_wrong += a != b and asked.parents.get(b) != a and not may_be
    recall, precision = _score_divisions(asked, ids, found_parents or {})
    return LinkScore(
        complete=n_complete / max(n_cells, 1),
        links=n_right / max(n_links, 1),
        precision=n_right / max(n_right + n_wrong, 1),
        division_recall=recall,
        division_precision=precision,
        n_divisions=len(asked.divisions),
    )


def sure_links(
    asked: Asked, ids: Sequence[Ids], tracks: Sequence[Track]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how sure a tracker is of its links between true cells, and which of them are wrong.

    Links of which it tells nothing more are given as 1. Where a cell is missed in between, the
    least sure one counts.
    """
    told = {track.cell: dict(track.unsure_links or ()) for track in tracks}
    owner: dict[int, list[tuple[int, int]]] = {}
    for cell, nodes in asked.nodes.items():
        for t, label in nodes:
            owner.setdefault(ids[t].get(label, 0), []).append((t, cell))
    sure, wrong = [], []
    for number, seen in sorted(owner.items()):
        for (t, a), (u, b) in itertools.pairwise(sorted(seen) if number else []):
            sure.append(min(told[number].get(v, 1.0) for v in range(t + 1, max(u, t + 1) + 1)))
            wrong.append(a != b and asked.parents.get(b) != a)
    return np.array(sure), np.array(wrong)


_LATE = 3
"""A division may be found so many frames late."""


def _score_divisions(
    asked: Asked, ids: Sequence[Ids], found_parents: Mapping[int, int]
) -> tuple[float, float]:
    found: dict[int, set[int]] = {}
    for daughter, mother in found_parents.items():
        found.setdefault(mother, set()).add(daughter)
    n_right = 0
    for mother, daughters in asked.divisions.items():
        t, label = asked.nodes[mother][-1]
        number = ids[t].get(label, 0)
        told = found.get(number, set()) | {number} if number in found else set[int]()
        early = [
            {ids[t].get(label, 0) for t, label in asked.nodes[daughter][:_LATE]}
            for daughter in daughters
        ]
        n_right += any(a != b and {a, b} <= told for a, b in itertools.product(early[0], early[1]))
    first, last = dict[int, int](), dict[int, int]()
    for t, numbers in enumerate(ids):
        last.update(dict.fromkeys(numbers.values(), t))
        first = dict.fromkeys(numbers.values(), t) | first
    n_true, n_found = len(asked.divisions), 0
    for mother, daughters in found.items():
        # While she goes on as one of them, each other one is a division; she ends with two.
        later = [each for each in daughters if first.get(each, 0) > last.get(mother, -1)]
        n_found += len(daughters) - len(later) + (len(later) > 1)
    return (
        n_right / n_true if n_true else np.nan,
        n_right / n_found if n_found else np.nan,
    )
