"""The life of the cells of one field of view, frame by frame.

Cells walk at random with a memory of their direction, deform slowly and keep their distance, so
that a segmentation that closes small gaps can tell them apart. Some settle in the middle of the
movie, some leave over the edge and some enter, one divides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.cell import Cell, Role
from pyama_core.demo.expression import always_on, switched_on
from pyama_core.demo.parameters import DemoParameters

MIN_GAP_PX = 27.0
"""Least distance between the outlines of two cells that are not sisters."""

N_TEXTURES = 8

_PX_PER_CELL = 140
_MARGIN_PX = 14.0
_MAX_SPEED = 3.0
_WALK_MEMORY = 0.85
_SHAPE_MEMORY = 0.95
_SHAPE_SPREAD = np.array([0.09, 0.045, 0.025, 0.015])
_MAX_SHAPE = 0.2
_ROUNDING_FRAMES = 4
_SISTER_GAP_PX = 1.0
_SISTER_GAP_PER_FRAME = 4.0
_MAX_SWEEPS = 400


def live(parameters: DemoParameters, rng: np.random.Generator) -> Iterator[tuple[Cell, ...]]:
    """Yield the cells of each frame of one field of view.

    Cells outside the frame are among them, so that what enters does not come out of nowhere.

    Parameters
    ----------
    parameters : DemoParameters
        Size and length of the movie.
    rng : numpy.random.Generator
        Decides everything.

    Yields
    ------
    tuple of Cell
        Those that are there, by key.
    """
    size = parameters.size
    cells = _keep_apart(_cast(parameters, rng), 0, size)
    for frame in range(parameters.frames):
        if frame:
            cells = _divide(cells, frame, size, rng)
            cells = [_age(_walk(cell, size, rng), frame, rng) for cell in cells]
            cells = [cell for cell in _keep_apart(cells, frame, size) if not _is_gone(cell, size)]
        yield tuple(cell for cell in cells if cell.appears <= frame)


def _cast(parameters: DemoParameters, rng: np.random.Generator) -> list[Cell]:
    """Place the first generation: who divides, leaves, enters, settles later or just stays."""
    frames, size = parameters.frames, parameters.size
    n = math.ceil((size / _PX_PER_CELL) ** 2)
    n_each = math.ceil(n / 10) if n >= 4 else 0
    cells: list[Cell] = []
    if parameters.has_division:
        mother = replace(
            _new_cell(len(cells), size, rng),
            full_radius=rng.uniform(25.0, 27.0),
            divides=max(3, round(frames * rng.uniform(0.4, 0.6))),
        )
        cells.append(_place_inside(mother, cells, size, rng))
    for role in [Role.LEAVING, Role.ENTERING] * n_each:
        cells.append(_place_at_edge(_new_cell(len(cells), size, rng), role, cells, parameters, rng))
    n_inside = n - n_each - parameters.has_division
    for index in range(n_inside):
        settles = index < n_each and frames > 1
        cell = replace(
            _new_cell(len(cells), size, rng),
            appears=int(rng.integers(1, max(2, frames // 2 + 1))) if settles else 0,
        )
        cells.append(_place_inside(cell, cells, size, rng))
    return cells


def _new_cell(key: int, size: int, rng: np.random.Generator) -> Cell:
    speed = rng.uniform(0.8, 2.0)
    return Cell(
        key=key,
        parent=None,
        role=Role.STAYING,
        appears=0,
        divides=None,
        y=0.0,
        x=0.0,
        velocity=_gauss(rng, speed),
        speed=speed,
        # In the smallest frames, a cell must leave most of the frame to the background.
        full_radius=min(rng.uniform(20.0, 27.0), size / 4),
        full_modes=_bounded(_SHAPE_SPREAD * _gauss_modes(rng)),
        rounding=0.0,
        contrast=1.0,
        angle=rng.uniform(0, 2 * math.pi),
        spin=rng.normal(0, 0.015),
        texture=int(rng.integers(N_TEXTURES)),
        churn=rng.uniform(0, 2 * math.pi),
        share=1.0,
        courses=(switched_on(rng), always_on(rng)),
    )


def _place_inside(cell: Cell, others: Sequence[Cell], size: int, rng: np.random.Generator) -> Cell:
    # A mother needs room for two.
    margin = _margin(cell, size) if cell.divides is None else size / 4
    candidates = rng.uniform(margin, size - margin, (50, 2))
    return _roomiest(cell, others, candidates)


def _place_at_edge(
    cell: Cell,
    role: Role,
    others: Sequence[Cell],
    parameters: DemoParameters,
    rng: np.random.Generator,
) -> Cell:
    """Place a cell so that it has time to leave or enter while the movie lasts."""
    size, frames = parameters.size, parameters.frames
    speed = rng.uniform(2.2, 2.8)
    if role is Role.LEAVING:
        way = np.clip(speed * (frames - 3) - cell.reach, 0, 2.5 * cell.reach)
        depth = way * rng.uniform(0.5, 1.0)
    else:
        depth = -cell.reach - speed * frames * rng.uniform(0.05, 0.4)
    edge = int(rng.integers(4))
    along = rng.uniform(0.15, 0.85, 50) * size
    across = np.full(50, depth if edge < 2 else size - depth)
    candidates = np.stack([across, along] if edge % 2 else [along, across], axis=1)
    inward = (1 if edge < 2 else -1) * (1 if edge % 2 else 1j)
    return replace(
        _roomiest(cell, others, candidates),
        role=role,
        speed=speed,
        velocity=inward * (speed if role is Role.ENTERING else -speed),
    )


def _roomiest(cell: Cell, others: Sequence[Cell], candidates: NDArray[np.float64]) -> Cell:
    """Put a cell at the candidate (y, x) that is farthest from the others."""
    room = np.full(len(candidates), np.inf)
    for other in others:
        distance = np.hypot(*(candidates - [other.y, other.x]).T)
        room = np.minimum(room, distance - cell.reach - other.reach)
    # A cap, or the first cells would flee into the corners.
    best = candidates[np.argmax(np.minimum(room, 2 * MIN_GAP_PX))]
    return replace(cell, y=float(best[0]), x=float(best[1]))


def _walk(cell: Cell, size: int, rng: np.random.Generator) -> Cell:
    """Move a cell by one frame: a persistent random walk, or straight over the edge."""
    kick = _gauss(rng, cell.speed)
    velocity, role = cell.velocity, cell.role
    if role is Role.STAYING:
        velocity = _WALK_MEMORY * velocity + math.sqrt(1 - _WALK_MEMORY**2) * kick
        velocity *= min(1.0, _MAX_SPEED / max(abs(velocity), 1e-9))
    y, x = cell.y + velocity.real, cell.x + velocity.imag
    if role is Role.ENTERING and _inside_by(y, x, size) > cell.reach + _MARGIN_PX:
        role = Role.STAYING
    return replace(cell, y=y, x=x, velocity=velocity, role=role)


def _age(cell: Cell, frame: int, rng: np.random.Generator) -> Cell:
    """Deform a cell, turn its texture, let it round up before and spread after a division."""
    drift = math.sqrt(1 - _SHAPE_MEMORY**2) * _SHAPE_SPREAD * _gauss_modes(rng)
    rounding = 0.0
    if cell.appears:
        rounding = math.exp(-(frame - cell.appears) / 3.0) if frame >= cell.appears else 1.0
    if cell.divides is not None:
        rounding = min(1.0, max(0.0, 1 - (cell.divides - 1 - frame) / _ROUNDING_FRAMES))
    settling = cell.parent is None and frame == cell.appears
    return replace(
        cell,
        full_modes=_bounded(_SHAPE_MEMORY * np.array(cell.full_modes) + drift),
        full_radius=cell.full_radius if cell.parent is None else min(22.0, cell.full_radius + 0.15),
        rounding=rounding,
        contrast=0.6 if settling else 1.0,
        angle=cell.angle + cell.spin,
        churn=cell.churn + 0.12,
    )


def _divide(cells: Sequence[Cell], frame: int, size: int, rng: np.random.Generator) -> list[Cell]:
    """Replace the mother, when her time has come, by two daughters side by side."""
    survivors = [cell for cell in cells if cell.divides != frame]
    for mother in cells:
        if mother.divides != frame:
            continue
        axis = complex(np.exp(2j * math.pi * rng.uniform()))
        share = rng.uniform(0.45, 0.55)
        for side, part in ((1, share), (-1, 1 - share)):
            radius = mother.full_radius * 0.74
            shift = side * axis * (0.9 * radius + _SISTER_GAP_PX / 2)
            daughter = replace(
                _new_cell(max(cell.key for cell in [mother, *survivors]) + 1, size, rng),
                parent=mother.key,
                appears=frame,
                y=mother.y + shift.real,
                x=mother.x + shift.imag,
                velocity=side * axis,
                full_radius=radius,
                share=mother.share * part,
                courses=mother.courses,
            )
            survivors.append(daughter)
    return survivors


def _keep_apart(cells: Sequence[Cell], frame: int, size: int) -> list[Cell]:
    """Push cells apart until every gap is wide enough, and those that stay into the frame."""
    centres = np.array([[cell.y, cell.x] for cell in cells])
    reach = np.array([cell.reach for cell in cells])
    margin = np.array([_margin(cell, size) for cell in cells])[:, None]
    least = reach[:, None] + reach[None, :] + _gaps(cells, frame)
    for _ in range(_MAX_SWEEPS):
        centres = np.clip(centres, margin, size - margin)
        apart = centres[:, None] - centres[None, :]
        distance = np.maximum(np.hypot(apart[..., 0], apart[..., 1]), 1e-6)
        lacking = np.maximum(least - distance, 0)
        np.fill_diagonal(lacking, 0)
        if not lacking.any():
            break
        # A little more than needed, or the last thousandth of a pixel takes many sweeps.
        push = np.where(lacking > 0, 0.5 * lacking + 0.05, 0) / distance
        centres = centres + (apart * push[..., None]).sum(axis=1)
    return [
        replace(cell, y=float(y), x=float(x)) for cell, (y, x) in zip(cells, centres, strict=True)
    ]


def _gaps(cells: Sequence[Cell], frame: int) -> NDArray[np.float64]:
    """Least gap between the outlines of each pair, in pixels; sisters part slowly."""
    gaps = np.full((len(cells), len(cells)), MIN_GAP_PX)
    parents = [cell.parent for cell in cells]
    for i, first in enumerate(cells):
        for j, parent in enumerate(parents):
            if first.parent is not None and first.parent == parent:
                age = frame - first.appears
                gaps[i, j] = min(MIN_GAP_PX, _SISTER_GAP_PX + _SISTER_GAP_PER_FRAME * age)
    return gaps


def _margin(cell: Cell, size: int) -> float:
    """How far from the edge the centre of a cell must be, in pixels."""
    return min(cell.reach + _MARGIN_PX, 0.4 * size) if cell.role is Role.STAYING else -math.inf


def _is_gone(cell: Cell, size: int) -> bool:
    return cell.role is Role.LEAVING and _inside_by(cell.y, cell.x, size) < -cell.reach - 1


def _inside_by(y: float, x: float, size: int) -> float:
    """Distance of a point from the edge of the frame, negative outside."""
    return min(y, x, size - y, size - x)


def _gauss(rng: np.random.Generator, scale: float) -> complex:
    re, im = rng.normal(0, scale / math.sqrt(2), 2)
    return complex(re, im)


def _gauss_modes(rng: np.random.Generator) -> NDArray[np.complex128]:
    pairs = rng.normal(0, math.sqrt(0.5), (2, len(_SHAPE_SPREAD)))
    return np.asarray(pairs[0] + 1j * pairs[1])


def _bounded(modes: NDArray[np.complex128]) -> tuple[complex, ...]:
    """Scale modes down where they would make an outline too ragged."""
    scale = min(1.0, _MAX_SHAPE / max(float(np.abs(modes).sum()), 1e-9))
    return tuple(complex(mode) * scale for mode in modes)
