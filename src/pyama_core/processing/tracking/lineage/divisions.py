"""Divisions: two new objects that together are what one cell was."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.pairing import UNPAIRED
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_LEAST_SISTER_RATIO = 0.5
_LARGEST_OFFSET = 0.5  # of the mother's diameter, from her centre to that of both daughters


@dataclass(frozen=True, order=True)
class Division:
    """A mother and her two daughters, as indices of a cell and of objects; the best sort first."""

    offset: float
    mother: int
    daughters: tuple[int, int]


def find_divisions(
    cells: TrackState,
    expected: Float64Array,
    objects: Objects,
    partner: IntArray,
    available: BoolArray,
    reach: Float64Array,
    conservation: float,
) -> list[Division]:
    """Find the divisions between the cells of earlier frames and the objects of this one.

    The daughters are the object that the mother was linked to and a new one, or two new ones. Both
    lie within `reach` (in pixels) of where she is expected, their common centroid within half her
    diameter; the larger is at most twice the size of the smaller; the sum of their areas (and of
    their brightness, where it is known) is that of the mother to within the fraction
    `conservation`.
    Of divisions that share a cell or an object, the one with the smallest offset counts.

    Parameters
    ----------
    partner
        (n_objects,) int64: the cell that each object was linked to, or `UNPAIRED`.
    available
        (n_objects,) bool: the objects that can be daughters.
    """
    new = np.flatnonzero(available & (partner == UNPAIRED))
    if new.size == 0 or cells.cell.size == 0:
        return []
    diameter = equivalent_diameter(cells.area)
    mothers, near, _ = neighbours(expected, reach, objects.position[new])
    linked = np.full(cells.cell.size, UNPAIRED)
    has_cell = np.flatnonzero(available & (partner != UNPAIRED))
    linked[partner[has_cell]] = has_cell
    paired = np.zeros(cells.cell.size, np.bool_)
    paired[partner[partner != UNPAIRED]] = True
    found = []
    ends = np.flatnonzero(np.diff(mothers)) + 1
    for group in np.split(np.arange(mothers.size), ends):
        mother, daughters = int(mothers[group[0]]) if group.size else 0, np.sort(new[near[group]])
        own = linked[mother]
        if own != UNPAIRED:
            if np.hypot(*(objects.position[own] - expected[mother])) > reach[mother]:
                continue
            pairs = [(int(own), int(daughter)) for daughter in daughters]
        elif paired[mother]:
            continue
        else:
            pairs = list(itertools.combinations(daughters.tolist(), 2))
        for first, second in pairs:
            offset = _offset(cells, expected, objects, mother, [first, second], conservation)
            if offset <= _LARGEST_OFFSET * diameter[mother]:
                found.append(Division(offset / diameter[mother], mother, (first, second)))
    return _without_conflicts(found)


def _offset(
    cells: TrackState,
    expected: Float64Array,
    objects: Objects,
    mother: int,
    daughters: list[int],
    conservation: float,
) -> float:
    """Return how far two objects' common centroid is from a mother's; infinite if not hers."""
    area = objects.area[daughters]
    if area.min() < _LEAST_SISTER_RATIO * area.max():
        return np.inf
    for whole, parts in (
        (cells.area[mother], area),
        (cells.brightness[mother], objects.brightness[daughters]),
    ):
        if abs(parts.sum() - whole) > conservation * abs(whole):  # false where it is not known
            return np.inf
    centre = area @ objects.position[daughters] / area.sum()
    return float(np.hypot(*(centre - expected[mother])))


def _without_conflicts(found: list[Division]) -> list[Division]:
    """Keep the best divisions, so that no cell and no object is in two of them."""
    kept: list[Division] = []
    mothers: set[int] = set()
    taken: set[int] = set()
    for division in sorted(found):
        if division.mother not in mothers and taken.isdisjoint(division.daughters):
            kept.append(division)
            mothers.add(division.mother)
            taken.update(division.daughters)
    return kept
