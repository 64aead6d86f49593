"""What a cell was like when somebody corrected it, and the cell that it is now.

As long as the label image is the same, a cell is known by its number. After a re-run has made
another one, it is the cell that overlaps it by more than half in space and time. Space: in a frame,
the two are one if each other's centres are near, by the size of the smaller, and their boxes
overlap; two cells that touch are never one then, nor is a cell and what it has merged with. Time:
they are one in more than half of the frames in which either was seen, and for more than half of
its pixels there (a track that follows one cell for half of a movie, and a larger one for the other
half, is neither). So there is never more than one such cell, and no two cells become the same.
Frames that only one of two movies has do not count (a movie that was still being taken goes on).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pyama_core.io.frame_ranges import format_ranges, parse_ranges
from pyama_core.processing.workflow.edits.actions import Anchor, Sighting
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import FloatArray, FoundCells

_SIGHTINGS = 12
_NEAR = 0.5
"""Centres of one cell differ by at most this part of its radius."""
_ALIKE = 0.25
"""Boxes of one cell overlap by at least this part of their union."""


def describe_cell(cells: EditedCells, cell: int) -> Anchor:
    """Describe a cell so that it can be found again."""
    found, rows = cells.found, cells.rows_of(cell)
    there = rows[np.isfinite(found.x[rows]) & (found.area[rows] > 0)]
    places = np.linspace(0, there.size - 1, min(_SIGHTINGS, there.size)).round().astype(int)
    return Anchor(
        cell=cell,
        labels=found.labels,
        n_frames=found.n_frames,
        frames=format_ranges(found.frame[rows].tolist()),
        seen=tuple(_sighting(found, row) for row in there[places].tolist()),
    )


def _sighting(found: FoundCells, row: int) -> Sighting:
    top, left, bottom, right = found.box[row].round(2).tolist()
    return Sighting(
        frame=int(found.frame[row]),
        x=round(float(found.x[row]), 2),
        y=round(float(found.y[row]), 2),
        area=float(found.area[row]),
        box=(top, left, bottom, right),
    )


def find_again(cells: EditedCells, anchor: Anchor) -> int | None:
    """Return the cell that an anchor describes; None if there is none any more."""
    if anchor.labels == cells.found.labels:
        return anchor.cell if anchor.cell in cells else None
    n_frames = min(anchor.n_frames, cells.found.n_frames)
    then = {frame for frame in parse_ranges(anchor.frames, anchor.n_frames) if frame < n_frames}
    seen = [sighting for sighting in anchor.seen if sighting.frame in then]
    hits: dict[int, list[Sighting]] = {}
    for sighting in seen:
        if cell := _cell_at(cells, sighting):
            hits.setdefault(cell, []).append(sighting)
    same = []
    for cell, hit in hits.items():
        now = {frame for frame in cells.frames_of(cell).tolist() if frame < n_frames}
        # Of the frames that both have, some were compared.
        compared = [sighting for sighting in seen if sighting.frame in now]
        part = min(len(hit) / len(compared), _size(hit) / _size(compared))
        if part * len(then & now) > len(then | now) / 2:
            same.append(cell)
    return same[0] if len(same) == 1 else None


def _size(seen: Iterable[Sighting]) -> float:
    return sum(sighting.area for sighting in seen)


def _cell_at(cells: EditedCells, sighting: Sighting) -> int:
    """Return the cell that is where another was seen; 0 if there is none."""
    found = cells.found
    rows = found.rows_in(sighting.frame)
    radius = np.sqrt(np.minimum(found.area[rows], sighting.area) / np.pi)
    distance = np.hypot(found.x[rows] - sighting.x, found.y[rows] - sighting.y) / radius
    alike = _overlap(found.box[rows], _box_of(sighting)) >= _ALIKE
    near = np.flatnonzero(alike & (distance <= _NEAR))
    if near.size == 0:
        return 0
    label = int(found.cell[rows[near[np.argmin(distance[near])]]])
    return cells.number_of(label, sighting.frame)


def _box_of(sighting: Sighting) -> FloatArray:
    if sighting.box is not None:
        return np.array(sighting.box)
    half = np.sqrt(sighting.area) / 2
    x, y = sighting.x + 0.5, sighting.y + 0.5
    return np.array([y - half, x - half, y + half, x + half])


def _overlap(boxes: FloatArray, box: FloatArray) -> FloatArray:
    """Return the parts of their unions by which (n, 4) boxes overlap one."""
    shared = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    inside = np.prod(np.maximum(shared, 0), axis=-1)
    sizes = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    return np.asarray(inside / (sizes + np.prod(box[2:] - box[:2]) - inside))
