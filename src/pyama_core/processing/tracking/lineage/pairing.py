"""Which object may be which cell, and how much speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.assignment import best_assignment
from pyama_core.processing.tracking.kernels.overlaps import common_pixels
from pyama_core.processing.tracking.lineage.evidence import Evidence, sure
from pyama_core.processing.tracking.lineage.kernels.moved_runs import move_runs
from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, at_edge

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

UNPAIRED = -1
COVERED = 0.5
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a remembered cell, moved to where it should be now, and an object.

    Attributes
    ----------
    cell, object
        (n_pairs,) int64: their indices, sorted by object, then by the id of the cell.
    iou
        (n_pairs,) float64: intersection over union.
    common
        (n_pairs,) int64: common pixels.
    cover
        (n_pairs,) float64: the part of the moved cell that lies in the object.
    cut_by_edge
        (n_pairs,) bool: the edge of the frame may have cut off a part of the cell or the object:
        one of the two touches it, and at least half of the smaller one lies in the larger. Their
        IoU then says little, for the union lacks what lies beyond the edge.
    n_cells
        Number of cells.
    """

    cell: IntArray
    object: IntArray
    iou: Float64Array
    common: IntArray
    cover: Float64Array
    cut_by_edge: BoolArray
    n_cells: int

    @classmethod
    def of(
        cls, cells: TrackState, moved: Float64Array, objects: Objects, shape: tuple[int, int]
    ) -> Self:
        """Overlap remembered cells, each moved by (row, column) in pixels, with the objects."""
        shift = np.rint(moved).astype(np.int64)
        runs, area = move_runs(cells.row, cells.runs, shift, *shape)
        cell, target, common = common_pixels(objects.runs, runs, objects.area.size)
        order = np.lexsort((cells.cell[cell], target))
        cell, target, common = cell[order], target[order], common[order]
        smaller = np.minimum(area[cell], objects.area[target])
        touches = at_edge(cells.box, shape)[cell] | at_edge(objects.box, shape)[target]
        return cls(
            cell=cell,
            object=target,
            iou=common / (area[cell] + objects.area[target] - common),
            common=common,
            cover=common / area[cell],
            cut_by_edge=touches & (common >= COVERED * smaller),
            n_cells=cells.cell.size,
        )

    def best(self) -> Float64Array:
        """Return the largest IoU of each cell, 0 where it overlaps nothing."""
        best = np.zeros(self.n_cells)
        np.maximum.at(best, self.cell, self.iou)
        return best

    def covered(self) -> BoolArray:
        """Return which cells lie mostly in one object: these are where they were."""
        covered = np.zeros(self.n_cells, np.bool_)
        covered[self.cell[self.cover >= COVERED]] = True
        return covered


@dataclass(frozen=True)
class Paired:
    """The cells and objects that were paired, by index, and how sure that is from 0 to 1."""

    cell: IntArray
    object: IntArray
    confidence: Float64Array


def pair_cells(
    cells: TrackState,
    moved: Float64Array,
    objects: Objects,
    overlaps: Overlaps,
    min_iou: float,
    reach: Float64Array,
    evidence: Evidence,
) -> Paired:
    """Pair cells with objects, one to one, so that the total of the log odds is the largest.

    A pair is possible from an IoU of `min_iou` on; where the frame cuts one of the two off, also
    if half of one lies in the other; and if the object is less than `reach` from where the cell is
    expected and more speaks for it than against it.

    Parameters
    ----------
    moved
        (n_cells, 2) float64: how far each cell should have moved since it was last seen.
    reach
        (n_cells,) float64 ≥ 0: how far from there it may be, in pixels.
    """
    cell, target, iou, cut = _candidates(cells, moved, objects, overlaps, min_iou, reach)
    distance = np.hypot(*(objects.position[target] - (cells.seen_at + moved)[cell]).T)
    odds = evidence.log_odds(cells, objects, cell, target, distance, iou, cut)
    possible = np.flatnonzero((odds > 0) | (iou >= min_iou) | cut)
    cell, target = cell[possible], target[possible]
    weight = np.maximum(odds[possible], _LEAST_WEIGHT * (1 + iou[possible]))
    chosen = best_assignment(target, cell, weight)
    return Paired(cell[chosen], target[chosen], sure(cell, target, weight, chosen))


def _candidates(
    cells: TrackState,
    moved: Float64Array,
    objects: Objects,
    overlaps: Overlaps,
    min_iou: float,
    reach: Float64Array,
) -> tuple[IntArray, IntArray, Float64Array, BoolArray]:
    """Return the pairs to look at, by object, then by id: cell, object, IoU, cut by the edge."""
    n = max(cells.cell.size, 1)
    i, j, distance = neighbours(cells.seen_at + moved, reach, objects.position)
    near = distance < reach[i]
    overlap = (overlaps.iou >= min_iou) | overlaps.cut_by_edge
    overlapping = overlaps.object * n + overlaps.cell
    pair = np.unique(np.concatenate([overlapping[overlap], j[near] * n + i[near]]))
    order = np.argsort(overlapping, kind="stable")
    index = np.append(order, -1)[np.searchsorted(overlapping, pair, sorter=order)]
    known = np.append(overlapping, -1)[index] == pair
    iou = np.where(known, np.append(overlaps.iou, 0)[index], 0.0)
    cut = known & np.append(overlaps.cut_by_edge, False)[index]
    cell, target = pair % n, pair // n
    order = np.lexsort((cells.cell[cell], target))
    return cell[order], target[order], iou[order], cut[order]
