"""What the objects of one frame are to the cells of the frames before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import paint
from pyama_core.processing.tracking.lineage.divisions import Division, find_divisions
from pyama_core.processing.tracking.lineage.drift import best_shift, phase_shift
from pyama_core.processing.tracking.lineage.fragments import (
    absorb_fragments,
    join_pieces,
    origins,
    proven,
)
from pyama_core.processing.tracking.lineage.kernels.moved_runs import move_runs
from pyama_core.processing.tracking.lineage.merges import Split, find_shared, split_shared
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.pairing import UNPAIRED, Overlaps, pair_cells
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_CLEAR_OVERLAP = 0.5
_FAR = 3.0  # of normal errors, one in 8,000 is farther


@dataclass(frozen=True)
class Matches:
    """What was found out about one frame.

    Attributes
    ----------
    partner
        (n_objects,) int64: index of the remembered cell that each object is, or is a piece of, or
        `UNPAIRED`.
    splits
        The objects that hold several cells.
    divisions
        Mothers and daughters; a mother is nobody's partner any more.
    fragment_of
        (n_objects,) int64: id of the cell that each new object may be a piece of; 0 for none.
    absorbed
        (n_cells,) bool: tracks that have ended in the object of a cell of which they were a part.
    broken
        (n_cells,) bool: cells that are the partner of several objects, their pieces.
    shift
        (2,) float64: how far the field of view has moved since the frame before.
    moved
        (n_cells, 2) float64: how far each cell should have moved since it was last seen.
    """

    partner: IntArray
    splits: list[Split]
    divisions: list[Division]
    fragment_of: IntArray
    absorbed: BoolArray
    broken: BoolArray
    shift: Float64Array
    moved: Float64Array


def match_frame(
    cells: TrackState,
    predicted: Float64Array,
    spread: float,
    objects: Objects,
    shape: tuple[int, int],
    parameters: LineageParameters,
) -> Matches:
    """Match the objects of a frame with the cells of earlier ones.

    First one object for one cell at most, whether it was seen in the frame before or missed for a
    while; then the cells that have merged with others, then mothers.

    Parameters
    ----------
    predicted
        (n_cells, 2) float64: how far each cell should have moved, if the field of view has not.
    spread
        Root mean square of how far cells of this movie are from there, in pixels.
    shape
        Of the frame.
    """
    shift, overlaps = _aligned(cells, predicted, objects, shape, parameters.correct_drift)
    moved = predicted + shift
    partner = np.full(objects.area.size, UNPAIRED)
    reach = _reach(cells, spread, parameters.max_displacement)
    linked, targets = pair_cells(cells, moved, objects, overlaps, parameters.min_iou, reach)
    partner[targets] = linked
    partner, absorbed = absorb_fragments(cells, objects, overlaps, partner)
    splits: list[Split] = []
    if parameters.split_merged:
        waiting = ~absorbed & proven(cells)
        waiting[partner[partner != UNPAIRED]] = False
        shared = find_shared(cells, objects, overlaps, partner, waiting)
        splits = split_shared(shared, cells, moved, objects, shape) if shared else []
    whole = np.ones(objects.area.size, np.bool_)
    whole[[split.object for split in splits]] = False
    may_break = proven(cells) & (cells.n_broken < parameters.max_broken)
    partner, broken = join_pieces(cells, objects, overlaps, partner, whole, may_break)
    divisions: list[Division] = []
    if parameters.divisions:
        whole[np.isin(partner, np.flatnonzero(broken))] = False
        divisions = find_divisions(
            cells,
            cells.seen_at + moved,
            objects,
            partner,
            whole,
            parameters.max_displacement * equivalent_diameter(cells.area),
            parameters.conservation,
        )
        for division in divisions:
            partner[list(division.daughters)] = UNPAIRED
    fragment_of = np.where(partner == UNPAIRED, origins(cells, overlaps, objects), 0)
    fragment_of[[daughter for d in divisions for daughter in d.daughters]] = 0
    return Matches(partner, splits, divisions, fragment_of, absorbed, broken, shift, moved)


def _reach(cells: TrackState, spread: float, max_displacement: float) -> Float64Array:
    """Return how far cells may be from where they are expected, in pixels.

    Three times as far as cells of this movie usually are, and more by the square root of the number
    of frames since the cell was seen, as for a random walk; but at least a radius, and no farther
    than `max_displacement` diameters per frame.

    References
    ----------
    Y. Bar-Shalom, T. E. Fortmann, "Tracking and Data Association", Academic Press (1988): gates as
    a multiple of the error of the prediction. K. Jaqaman et al., "Robust single-particle tracking
    in live-cell time-lapse sequences", Nature Methods 5, 695-702 (2008): radii from the motion of
    the particles themselves, growing with the length of the gap, between an upper and a lower
    bound. The bounds in units of the cell's own size are own work.
    """
    diameter = equivalent_diameter(cells.area)
    usual = np.fmax(_FAR * spread * np.sqrt(cells.age), diameter / 2)
    return np.fmin(usual, max_displacement * diameter * cells.age)


def _aligned(
    cells: TrackState,
    predicted: Float64Array,
    objects: Objects,
    shape: tuple[int, int],
    correct_drift: bool,
) -> tuple[Float64Array, Overlaps]:
    """Return how far the field of view has moved, and what overlaps if that is undone.

    Where most cells lie well on an object as it is, there was no jump, and nothing is done. Those
    are asked that were seen last, at least half of all: after a frame that is out of focus, not
    the few objects in it.
    """
    overlaps = Overlaps.of(cells, predicted, objects, shape)
    shift = np.zeros(2)
    if not (correct_drift and cells.cell.size and objects.area.size):
        return shift, overlaps
    latest = cells.age <= np.median(cells.age)
    if overlaps.best()[latest].mean() >= _CLEAR_OVERLAP:
        return shift, overlaps
    seen = cells.subset(latest)

    def total_overlap(shift: Float64Array) -> tuple[float, Float64Array]:
        found = Overlaps.of(seen, predicted[latest] + shift, objects, shape)
        return _overlap_and_rest(seen, predicted[latest] + shift, objects, found)

    candidate = phase_shift(_mask(seen, predicted[latest], shape), _mask_of_objects(objects, shape))
    shift = best_shift(candidate, total_overlap)
    if shift.any():
        overlaps = Overlaps.of(cells, predicted + shift, objects, shape)
    return shift, overlaps


def _overlap_and_rest(
    cells: TrackState, moved: Float64Array, objects: Objects, found: Overlaps
) -> tuple[float, Float64Array]:
    """Return the mean best IoU, and the median way from cells to the objects they overlap best."""
    best = found.best()
    is_best = found.iou == best[found.cell]
    rest = objects.position[found.object] - (cells.seen_at + moved)[found.cell]
    median = np.median(rest[is_best], axis=0) if is_best.any() else np.zeros(2)
    return float(best.mean()), median


def _mask(cells: TrackState, moved: Float64Array, shape: tuple[int, int]) -> BoolArray:
    runs, area = move_runs(cells.row, cells.runs, np.rint(moved).astype(np.int64), *shape)
    mask = np.zeros(shape, np.bool_)
    paint(runs, np.ones(area.size, np.bool_), mask)
    return mask


def _mask_of_objects(objects: Objects, shape: tuple[int, int]) -> BoolArray:
    mask = np.zeros(shape, np.bool_)
    paint(objects.runs, np.ones(objects.area.size, np.bool_), mask)
    return mask
