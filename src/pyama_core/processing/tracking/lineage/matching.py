"""What the objects of one frame are to the cells of the frames before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import paint
from pyama_core.processing.tracking.lineage.drift import LEAST_OVERLAP, best_shift, phase_shift
from pyama_core.processing.tracking.lineage.evidence import Evidence, reaches, spreads
from pyama_core.processing.tracking.lineage.fragments import (
    absorb_fragments,
    origins,
    proven,
)
from pyama_core.processing.tracking.lineage.kernels.moved_runs import move_runs
from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.merges import Split, find_shared, split_shared
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.motion import Motion, spread_of
from pyama_core.processing.tracking.lineage.pairing import UNPAIRED, Overlaps, Paired, pair_cells
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_CLEAR_OVERLAP = 0.5
_FAR = 3.0  # of the spread: one cell in 90 is farther
_FEW, _ENOUGH = 5, 10


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
    confidence
        (n_objects,) float64: how sure it is that the object is that cell, from 0 to 1; NaN for new
        ones.
    fragment_of
        (n_objects,) int64: id of the cell that each new object may be a piece of; 0 for none.
    into
        (n_cells,) int64: the cell in whose object a track has ended, of which it was a part; itself
        where it has not.
    shift
        (2,) float64: how far the field of view has moved since the frame before.
    moved
        (n_cells, 2) float64: how far each cell should have moved since it was last seen.
    """

    partner: IntArray
    splits: list[Split]
    confidence: Float64Array
    fragment_of: IntArray
    into: IntArray
    shift: Float64Array
    moved: Float64Array


def match_frame(
    cells: TrackState,
    predicted: Float64Array,
    motion: Motion,
    objects: Objects,
    shape: tuple[int, int],
    parameters: LineageParameters,
) -> Matches:
    """Match the objects of a frame with the cells of earlier ones.

    First one object for one cell at most, whether it was seen in the frame before or missed for a
    while; then the cells that have merged with others.

    Parameters
    ----------
    predicted
        (n_cells, 2) float64: how far each cell should have moved, if the field of view has not.
    motion
        How the cells of this movie move.
    shape
        Of the frame.
    """
    shift, overlaps = np.zeros(2), Overlaps.of(cells, predicted, objects, shape)
    if parameters.correct_drift:
        shift, overlaps = _aligned(cells, predicted, motion, objects, overlaps, shape)
    moved = predicted + shift
    partner = np.full(objects.area.size, UNPAIRED)
    paired = _paired(cells, moved, motion, objects, overlaps, shape, parameters)
    partner[paired.object] = paired.cell
    confidence = np.full(partner.size, np.nan)
    confidence[paired.object] = paired.confidence
    partner, into = absorb_fragments(cells, objects, overlaps, partner)
    splits: list[Split] = []
    if parameters.split_merged:
        waiting = (into == np.arange(into.size)) & proven(cells)
        waiting[partner[partner != UNPAIRED]] = False
        shared = find_shared(cells, objects, overlaps, partner, waiting)
        splits = split_shared(shared, cells, moved, objects) if shared else []
    fragment_of = np.where(partner == UNPAIRED, origins(cells, overlaps, objects), 0)
    return Matches(partner, splits, confidence, fragment_of, into, shift, moved)


def _paired(
    cells: TrackState,
    moved: Float64Array,
    motion: Motion,
    objects: Objects,
    overlaps: Overlaps,
    shape: tuple[int, int],
    parameters: LineageParameters,
) -> Paired:
    """Pair cells with objects; as long as nothing is known of how cells move, guess it first.

    The guess is a quarter of a diameter, made better by the pairs that it gives.
    """
    density = max(objects.area.size, _FEW) / (shape[0] * shape[1])

    def pairs(usual: float) -> Paired:
        spread = spreads(cells, usual)
        reach = reaches(cells, spread, parameters.max_displacement)
        evidence = Evidence(spread, motion.change, density, shape)
        return pair_cells(cells, moved, objects, overlaps, parameters.min_iou, reach, evidence)

    if np.isfinite(motion.spread):
        return pairs(motion.spread)
    guess = float(np.median(equivalent_diameter(cells.area))) / 4 if cells.cell.size else 1.0
    for _ in range(2):
        found = pairs(guess)
        if found.cell.size >= _ENOUGH:
            way = objects.position[found.object] - (cells.seen_at + moved)[found.cell]
            guess = spread_of((way**2).sum(axis=1))
    return pairs(guess)


def _aligned(
    cells: TrackState,
    predicted: Float64Array,
    motion: Motion,
    objects: Objects,
    overlaps: Overlaps,
    shape: tuple[int, int],
) -> tuple[Float64Array, Overlaps]:
    """Return how far the field of view has moved, and what overlaps if that is undone.

    Where most cells lie well on an object as it is, there was no jump, and nothing is done. Where
    most have one as near as cells of this movie usually are, only a jump that brings most to lie
    well on one is believed in. Those are asked that were seen last, at least half of all: after a
    frame that is out of focus, not the few objects in it.
    """
    if not (cells.cell.size and objects.area.size):
        return np.zeros(2), overlaps
    latest = np.asarray(cells.age <= np.median(cells.age))
    if overlaps.best()[latest].mean() >= _CLEAR_OVERLAP:
        return np.zeros(2), overlaps
    seen = cells.subset(latest)

    def total_overlap(shift: Float64Array) -> tuple[float, Float64Array]:
        found = Overlaps.of(seen, predicted[latest] + shift, objects, shape)
        return _overlap_and_rest(seen, predicted[latest] + shift, objects, found)

    candidate = phase_shift(_mask(seen, predicted[latest], shape), _mask_of_objects(objects, shape))
    stays = _are_near(seen, predicted[latest], motion, objects, shape)
    shift = best_shift(candidate, total_overlap, _CLEAR_OVERLAP if stays else LEAST_OVERLAP)
    if shift.any():
        overlaps = Overlaps.of(cells, predicted + shift, objects, shape)
    return shift, overlaps


def _are_near(
    cells: TrackState,
    predicted: Float64Array,
    motion: Motion,
    objects: Objects,
    shape: tuple[int, int],
) -> bool:
    """Return whether most cells have an object as near as cells of this movie usually are.

    By clearly more than chance would bring so near.
    """
    if not np.isfinite(motion.spread):
        return False
    reach = _FAR * spreads(cells, motion.spread)
    found = neighbours(cells.seen_at + predicted, reach, objects.position)[0]
    near = np.unique(found).size / cells.cell.size
    density = objects.area.size / (shape[0] * shape[1])
    chance = float(np.mean(1 - np.exp(-density * np.pi * reach**2)))
    return near >= (1 + chance) / 2


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
