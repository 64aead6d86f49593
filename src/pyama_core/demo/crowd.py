"""The life of crowded cells: they walk, push each other, grow, divide, are dim or bright."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.expression import TimeCourse, switched_on
from pyama_core.demo.kinds import Habit

_N_MODES = 4
_SPINE = 7  # points along a cell that keep their distance from those of others
_SWEEPS = 120
_DIVIDING = 0.3  # part of the cells that divide, of those that do so once
_ROUNDING_FRAMES, _SPREADING_FRAMES = 2.0, 5.0
_WALK_MEMORY, _SHAPE_MEMORY, _TURN = 0.7, 0.97, 0.04
_MAX_WAVES = 0.22
_REGROWTH = 1.02


@dataclass(frozen=True)
class Body:
    """A cell of a crowd at one moment: a stadium whose outline may be wavy.

    Parameters
    ----------
    key : int
        Number of the cell within its scene.
    parent : int or None
        Key of the mother.
    y, x : float
        Centre, in pixels.
    velocity : complex
        ``vy + i·vx`` in pixels per frame.
    angle : float
        Direction ``atan2(dx, dy)`` of its long axis, in radians.
    radius : float
        Half of its width, in pixels.
    half : float
        Half of the length of its straight part, in pixels.
    taper : float
        How much narrower the straight part is at its ends.
    modes : tuple of complex
        Waves of the outline, from the second, as parts of the radius.
    condensed : float
        0: as usual, 1: round, small and bright, as in a division.
    mass : float
        1; a daughter starts with a half.
    brightness : float
        Of the marker, in counts per pixel, at mass 1 and not condensed.
    divides : float
        At this half length, or in this frame, it divides; infinite if never.
    born : int
        The frame of its birth, long ago for those of the first frame.
    texture : int
        Which texture it wears.
    share : float
        What part of the reporter a daughter inherited.
    course : TimeCourse
        The reporter.
    """

    key: int
    parent: int | None
    y: float
    x: float
    velocity: complex
    angle: float
    radius: float
    half: float
    taper: float
    modes: tuple[complex, ...]
    condensed: float
    mass: float
    brightness: float
    divides: float
    born: int
    texture: int
    share: float
    course: TimeCourse

    @property
    def width(self) -> float:
        """Half of the width as it is now, in pixels."""
        return self.radius * (1 - 0.2 * self.condensed) * math.sqrt(0.5 + 0.5 * self.mass)

    @property
    def straight(self) -> float:
        """Half of the straight part as it is now, in pixels."""
        return self.half * (1 - 0.8 * self.condensed) * math.sqrt(0.5 + 0.5 * self.mass)

    @property
    def reach(self) -> float:
        """Radius of a circle that holds the outline, in pixels."""
        return self.straight + self.width * (1 + sum(abs(mode) for mode in self.modes))

    @property
    def axis(self) -> complex:
        """Direction of the long axis, ``dy + i·dx``."""
        return complex(math.cos(self.angle), math.sin(self.angle))

    @property
    def level(self) -> float:
        """Counts of the marker per pixel: the same material in whatever area there is."""
        full = math.pi * self.radius**2 + 4 * self.radius * self.half
        now = math.pi * self.width**2 + 4 * self.width * self.straight
        return self.brightness * self.mass * full / now

    def depth(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how deep pixels lie below the outline, positive inside, in pixels."""
        offset = (y - self.y) + 1j * (x - self.x)
        along = (offset * np.conj(self.axis)).real
        tip = np.minimum(np.abs(along) / (self.straight + self.width), 1)
        along = np.clip(along, -self.straight, self.straight)
        direction = offset / np.maximum(np.abs(offset), 1e-9)
        outline = np.ones(offset.shape)
        power = direction
        for mode in self.modes:
            power = power * direction
            outline += (1 - self.condensed) * (np.conj(mode) * power).real
        outline *= 1 - self.taper * (1 - self.condensed) * tip**2
        distance = np.abs(offset - along * self.axis)
        return np.asarray(self.width * outline - distance, dtype=np.float64)


def live_in_crowds(
    habit: Habit, frames: int, size: int, rng: np.random.Generator
) -> Iterator[tuple[Body, ...]]:
    """Yield the cells of each frame, those outside of it too, by key."""
    cells = _keep_apart(_first(habit, frames, size, rng), habit.gap)
    n_born = len(cells)
    for frame in range(frames):
        if frame:
            cells, n_born = _divide(habit, cells, frame, n_born, rng)
            cells = [_age(habit, _walk(habit, cell, rng), frame, rng) for cell in cells]
            cells = _keep_apart(cells, habit.gap)
        yield tuple(cells)


def _first(habit: Habit, frames: int, size: int, rng: np.random.Generator) -> list[Body]:
    """Place the first cells: two thirds in clumps, the others anywhere."""
    typical, longer = sum(habit.radius) / 2, sum(habit.length) / 2
    area = typical**2 * (math.pi + 4 * longer)
    n = max(2, round(habit.crowd * size**2 / area))
    edge = habit.margin
    n_clumps = max(1, round(n / 8))
    middles = rng.uniform(2 * edge + 0.1, 0.9 - 2 * edge, (n_clumps, 2)) * size
    cells = []
    for key in range(n):
        if rng.uniform() < 0.67:
            spread = 1.6 * typical * math.sqrt(1 + longer)
            place = middles[key % n_clumps] + rng.normal(0, spread, 2)
        else:
            place = rng.uniform(edge, 1 - edge, 2) * size
        cells.append(_new(habit, key, complex(*place), frames, rng))
    return cells


def _new(habit: Habit, key: int, place: complex, frames: int, rng: np.random.Generator) -> Body:
    radius = rng.uniform(*habit.radius)
    half = radius * rng.uniform(*habit.length)
    divides = math.inf
    if habit.growth is not None:
        divides = _longest(habit, radius, rng)
    elif rng.uniform() < _DIVIDING and frames >= 2 * _ROUNDING_FRAMES:
        divides = float(rng.integers(2, frames))
    low, high = np.log(habit.brightness)
    return Body(
        key=key,
        parent=None,
        y=place.real,
        x=place.imag,
        velocity=_gauss(rng, habit.speed),
        angle=rng.uniform(0, math.pi),
        radius=radius,
        half=half,
        taper=habit.taper,
        modes=_waves(habit, rng),
        condensed=0.0,
        mass=1.0,
        brightness=float(np.exp(rng.uniform(low, high))),
        divides=divides,
        born=-1000,
        texture=int(rng.integers(1000)),
        share=1.0,
        course=_brighter(switched_on(rng), habit.reporter),
    )


def _brighter(course: TimeCourse, factor: float) -> TimeCourse:
    return replace(course, plateau=factor * course.plateau)


def _longest(habit: Habit, radius: float, rng: np.random.Generator) -> float:
    """Return the half length at which a growing cell divides."""
    return radius * habit.length[1] * rng.uniform(1.0, 1.15)


def _walk(habit: Habit, cell: Body, rng: np.random.Generator) -> Body:
    kick = math.sqrt(1 - _WALK_MEMORY**2) * _gauss(rng, habit.speed)
    velocity = _WALK_MEMORY * cell.velocity + kick
    angle = cell.angle + rng.normal(0, _TURN if habit.growth is None else _TURN / 4)
    return replace(
        cell, y=cell.y + velocity.real, x=cell.x + velocity.imag, velocity=velocity, angle=angle
    )


def _age(habit: Habit, cell: Body, frame: int, rng: np.random.Generator) -> Body:
    """Let a cell grow, change its outline, and condense around its division."""
    if habit.growth is not None:
        # The whole length, caps included, doubles.
        whole = (cell.half + cell.radius) * 2 ** (1 / habit.growth)
        return replace(cell, half=whole - cell.radius)
    before = max(0.0, 1 - (cell.divides - 1 - frame) / _ROUNDING_FRAMES)
    after = max(0.0, 1 - (frame - cell.born) / _SPREADING_FRAMES)
    waves = _SHAPE_MEMORY * np.array(cell.modes)
    waves += math.sqrt(1 - _SHAPE_MEMORY**2) * np.array(_waves(habit, rng))
    return replace(
        cell,
        modes=_bounded(waves),
        condensed=min(1.0, before + after),
        mass=min(1.0, _REGROWTH * cell.mass),
    )


def _divide(
    habit: Habit, cells: Sequence[Body], frame: int, n_born: int, rng: np.random.Generator
) -> tuple[list[Body], int]:
    """Replace those whose time has come by two daughters, end to end or side by side."""
    left = []
    for cell in cells:
        grown = cell.half if habit.growth is not None else frame
        if grown < cell.divides:
            left.append(cell)
            continue
        for side in (1, -1):
            left.append(_daughter(habit, cell, n_born, side, frame, rng))
            n_born += 1
    return left, n_born


def _daughter(
    habit: Habit, mother: Body, key: int, side: int, frame: int, rng: np.random.Generator
) -> Body:
    new = replace(
        mother,
        key=key,
        parent=mother.key,
        born=frame,
        share=0.5 * mother.share,
        texture=int(rng.integers(1000)),
    )
    if habit.growth is not None:
        half = (mother.half - mother.radius - 0.5 * habit.gap) / 2
        shift = side * (half + mother.radius + 0.5 * habit.gap) * mother.axis
        new = replace(new, half=half, divides=_longest(habit, mother.radius, rng))
    else:
        new = replace(new, mass=0.5, condensed=1.0, divides=math.inf, modes=_waves(habit, rng))
        shift = side * (new.width + 0.5 * habit.gap) * 1j * mother.axis
        new = replace(new, velocity=habit.speed * shift / abs(shift))
    return replace(new, y=mother.y + shift.real, x=mother.x + shift.imag)


def _keep_apart(cells: Sequence[Body], gap: float) -> list[Body]:
    """Push and turn cells until points along their spines are far enough from those of others."""
    from scipy.spatial import cKDTree

    n = len(cells)
    places = np.array([complex(cell.y, cell.x) for cell in cells])
    angles = np.array([cell.angle for cell in cells])
    straight = np.array([cell.straight for cell in cells])
    # Waves reach out of the stadium; most of them are allowed to touch.
    widths = np.array([c.width * (1 + sum(map(abs, c.modes))) for c in cells]) + gap / 2
    steps = np.linspace(-1, 1, _SPINE)
    owner = np.repeat(np.arange(n), _SPINE)
    for _ in range(_SWEEPS):
        arms = (straight[:, None] * steps * np.exp(1j * angles)[:, None]).ravel()
        points = places[owner] + arms
        tree = cKDTree(np.stack([points.real, points.imag], axis=1))
        pairs = tree.query_pairs(2 * float(widths.max()), output_type="ndarray")
        one, two = pairs[:, 0], pairs[:, 1]
        apart = points[one] - points[two]
        distance = np.maximum(np.abs(apart), 1e-6)
        lacking = widths[owner[one]] + widths[owner[two]] - distance
        touch = (owner[one] != owner[two]) & (lacking > 0.02)
        if not touch.any():
            break
        one, two = one[touch], two[touch]
        push = (0.3 * lacking[touch] / distance[touch]) * apart[touch]
        at = np.concatenate([one, two])
        force = np.concatenate([push, -push])
        times = np.maximum(np.bincount(owner[at], minlength=n), 1)
        shift = np.bincount(owner[at], force.real, n) + 1j * np.bincount(owner[at], force.imag, n)
        places = places + np.maximum(1, 3 / times) * shift / times
        torque = (np.conj(arms[at]) * force).imag
        turn = np.bincount(owner[at], torque, n) / times
        angles = angles + np.clip(turn / np.maximum(straight, 4.0) ** 2, -0.1, 0.1)
    return [
        replace(cell, y=float(place.real), x=float(place.imag), angle=float(angle))
        for cell, place, angle in zip(cells, places, angles, strict=True)
    ]


def _waves(habit: Habit, rng: np.random.Generator) -> tuple[complex, ...]:
    if not habit.modes:
        return ()
    fall = habit.modes / (1 + np.arange(_N_MODES))
    waves = fall * (rng.normal(0, 1, _N_MODES) + 1j * rng.normal(0, 1, _N_MODES))
    return _bounded(waves)


def _bounded(waves: NDArray[Any]) -> tuple[complex, ...]:
    """Scale waves down where they would make an outline too ragged."""
    scale = min(1.0, _MAX_WAVES / max(float(np.abs(waves).sum()), 1e-9))
    return tuple(complex(wave) * scale for wave in waves)


def _gauss(rng: np.random.Generator, scale: float) -> complex:
    re, im = rng.normal(0, scale / math.sqrt(2), 2)
    return complex(re, im)
