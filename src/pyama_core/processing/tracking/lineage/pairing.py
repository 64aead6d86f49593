"""Which object may be which cell, and how much speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.assignment import best_assignment
from pyama_core.processing.tracking.kernels.overlaps import common_pixels
from pyama_core.processing.tracking.lineage.kernels.moved_runs import move_runs
from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, at_edge

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

UNPAIRED = -1
COVERED = 0.5
_LEAST_AREA_RATIO = 0.5


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


def pair_cells(
    cells: TrackState,
    moved: Float64Array,
    objects: Objects,
    overlaps: Overlaps,
    min_iou: float,
    reach: Float64Array,
) -> tuple[IntArray, IntArray]:
    """Pair cells with objects, one to one, so that the total weight is the largest.

    A pair is possible from an IoU of `min_iou` on, which is then its weight; where the frame cuts
    one of the two off, it is also possible if half of one lies in the other. A cell that no object
    covers by half has moved, so an object of like size (within a factor of 2) that is less than
    `reach` from the expected position may be it too. Nearness, 1 − (distance / reach)², adds up to
    `min_iou` to the weight: masks that overlap say more than distance does.

    Own work in the choice of weights; that cells are paired only within a gate around the position
    that their motion predicts is the usual way of multi-target tracking (see `matching`).

    Parameters
    ----------
    moved
        (n_cells, 2) float64: how far each cell should have moved since it was last seen.
    reach
        (n_cells,) float64 ≥ 0: how far from there it may be, in pixels.

    Returns
    -------
    cells, objects
        The indices of the paired cells and of their objects.
    """
    possible = (overlaps.iou >= min_iou) | overlaps.cut_by_edge
    cell, target = overlaps.cell[possible], overlaps.object[possible]
    weight = overlaps.iou[possible]
    far = np.flatnonzero(~overlaps.covered())
    if far.size:
        i, j, nearness = _near(cells, moved, objects, far, reach)
        pair, index = np.unique(
            np.concatenate([target, j]) * cells.cell.size + np.concatenate([cell, i]),
            return_inverse=True,
        )
        evidence = np.concatenate([weight, min_iou * nearness])
        weight = np.asarray(np.bincount(index, evidence), np.float64)
        cell, target = pair % cells.cell.size, pair // cells.cell.size
        order = np.lexsort((cells.cell[cell], target))
        cell, target, weight = cell[order], target[order], weight[order]
    chosen = best_assignment(target, cell, weight)
    return cell[chosen], target[chosen]


def _near(
    cells: TrackState,
    moved: Float64Array,
    objects: Objects,
    far: IntArray,
    reach: Float64Array,
) -> tuple[IntArray, IntArray, Float64Array]:
    """Return pairs of cells and objects within reach, with their nearness in ]0, 1]."""
    i, j, distance = neighbours((cells.seen_at + moved)[far], reach[far], objects.position)
    i = far[i]
    within = distance < reach[i]
    i, j, distance = i[within], j[within], distance[within]
    ratio = objects.area[j] / cells.area[i]
    like = (ratio >= _LEAST_AREA_RATIO) & (ratio <= 1 / _LEAST_AREA_RATIO)
    return i[like], j[like], 1 - (distance[like] / reach[i[like]]) ** 2
