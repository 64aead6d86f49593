"""Made movies that are as hard to track as cells: crowds that divide and die, and faulty masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_scenarios import Labels

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Colony:
    """What a movie of cells is made from.

    Attributes
    ----------
    n_cells, n_frames, size
        Cells in the first frame, frames, and the side of a frame in pixels.
    radius
        Mean radius of cells; that of each cell differs by a sixth (standard deviation).
    speed
        Root mean square of the steps in pixels, of most cells.
    memory
        The part of a step that the next one repeats.
    fast, fast_speed
        The part of the cells that are faster, and their speed.
    divisions, deaths
        Per cell and frame. Cells round up and shrink before they divide; those that die shrink
        and vanish within three frames.
    lobes
        Number of protrusions of a cell, which wander around it; 0 for discs.
    gap
        Cells keep so many radii apart, from centre to centre, as far as there is room.
    seed
        Of all chance.
    """

    n_cells: int = 150
    n_frames: int = 30
    size: int = 512
    radius: float = 12.0
    speed: float = 3.0
    memory: float = 0.5
    fast: float = 0.0
    fast_speed: float = 0.0
    divisions: float = 0.0
    deaths: float = 0.0
    lobes: int = 0
    gap: float = 1.9
    seed: int = 0

    def movie(self, every: int = 1) -> tuple[Labels, dict[int, int]]:
        """Return label images of every n-th frame and the mother of each daughter in them.

        Who was born between two frames that are shown, and divided again, is passed over: its
        daughters' mother is the last ancestor that is seen.
        """
        shown, parents = _Simulation(self, every).run()
        seen = set(np.unique(shown).tolist())
        return shown, {
            cell: ancestor
            for cell in parents
            if cell in seen and (ancestor := _seen_ancestor(cell, parents, seen))
        }


def _seen_ancestor(cell: int, parents: dict[int, int], seen: set[int]) -> int:
    while (cell := parents.get(cell, 0)) and cell not in seen:
        pass
    return cell


_ROUND_UP = 3
"""Frames before a division in which a cell is round and small, and in which a dying one shrinks."""


class _Simulation:
    """The state of a colony; arrays have one entry per cell that lives."""

    def __init__(self, colony: Colony, every: int) -> None:
        self._colony, self._every = colony, every
        self._rng = np.random.default_rng(colony.seed)
        n = colony.n_cells
        self._ids = np.arange(1, n + 1)
        self._centre = self._rng.uniform(0, colony.size, (n, 2))
        self._radius = colony.radius * self._rng.normal(1, 1 / 6, n).clip(0.6, 1.5)
        self._speed = np.where(self._rng.random(n) < colony.fast, colony.fast_speed, colony.speed)
        self._step = self._kick()
        self._age = np.full(n, 99)
        self._until = np.full(n, -1)  # frames until it divides or is dead; -1: neither
        self._dying = np.zeros(n, np.bool_)
        self._angle = self._rng.uniform(0, 2 * np.pi, (n, max(colony.lobes, 1)))
        self._reach = self._rng.uniform(0.5, 1.6, self._angle.shape)
        self._n_ids = n
        self._parents: dict[int, int] = {}

    def _kick(self) -> Points:
        return self._rng.normal(0, 1, (self._ids.size, 2)) * self._speed[:, None] / np.sqrt(2)

    def run(self) -> tuple[Labels, dict[int, int]]:
        """Let cells settle, then live; return what is shown and who came from whom."""
        colony = self._colony
        self._push(60)
        frames = []
        for t in range((colony.n_frames - 1) * self._every + 1):
            if t:
                self._live()
            if t % self._every == 0:
                frames.append(self._paint())
        return np.stack(frames), self._parents

    def _live(self) -> None:
        colony, rng = self._colony, self._rng
        self._step = colony.memory * self._step
        self._step += np.sqrt(1 - colony.memory**2) * self._kick()
        quiet = self._until >= 0
        self._centre = self._centre + np.where(quiet[:, None], 0.3, 1.0) * self._step
        self._age += 1
        self._angle += rng.normal(0, 0.25, self._angle.shape)
        self._reach = (self._reach + rng.normal(0, 0.12, self._reach.shape)).clip(0.4, 1.8)
        self._until[quiet] -= 1
        self._divide()
        self._bury()
        free = (self._until < 0) & (self._age >= 8)
        chance = rng.random(self._ids.size)
        starts = free & (chance < colony.divisions + colony.deaths)
        self._dying[starts] = chance[starts] >= colony.divisions
        self._until[starts] = _ROUND_UP
        self._push(4)

    def _divide(self) -> None:
        """Put two daughters in the place of each mother whose time has come."""
        for i in np.flatnonzero((self._until == 0) & ~self._dying):
            way = self._rng.normal(0, 1, 2)
            way *= 0.7 * self._radius[i] / np.hypot(*way)
            mother = int(self._ids[i])
            self._parents |= {self._n_ids + 1: mother, self._n_ids + 2: mother}
            self._centre = np.vstack([self._centre, self._centre[i] - way])
            self._centre[i] += way
            self._step = np.vstack([self._step, -0.5 * way])
            self._step[i] = 0.5 * way
            self._angle = np.vstack([self._angle, self._angle[i] + np.pi / 2])
            self._reach = np.vstack([self._reach, self._reach[i]])
            for name in ("_radius", "_speed"):
                values = getattr(self, name)
                setattr(self, name, np.append(values, values[i]))
            self._ids = np.append(self._ids, self._n_ids + 2)
            self._ids[i] = self._n_ids + 1
            self._age = np.append(self._age, 0)
            self._age[i] = 0
            self._until = np.append(self._until, -1)
            self._until[i] = -1
            self._dying = np.append(self._dying, False)
            self._n_ids += 2

    def _bury(self) -> None:
        kept = ~((self._until == 0) & self._dying)
        for name in ("_ids", "_centre", "_radius", "_speed", "_step", "_age", "_until", "_dying"):
            setattr(self, name, getattr(self, name)[kept])
        self._angle, self._reach = self._angle[kept], self._reach[kept]

    def _push(self, n_times: int) -> None:
        """Let cells that overlap push each other apart, and keep them in the frame."""
        for _ in range(n_times):
            apart = self._centre[:, np.newaxis] - self._centre
            distance = np.hypot(apart[..., 0], apart[..., 1]) + np.eye(len(apart)) * 1e9
            radius = self._radius * self._grown()
            room = self._colony.gap / 2 * (radius[:, np.newaxis] + radius)
            push = np.clip(room - distance, 0, None) / np.maximum(distance, 1e-6)
            moved = self._centre + 0.25 * (apart * push[..., np.newaxis]).sum(axis=1)
            self._centre = np.clip(moved, 0, self._colony.size)

    def _grown(self) -> Points:
        """Return the part of its full radius that each cell has; daughters grow for ten frames."""
        return np.minimum(0.72 + self._age / 36, 1)

    def _paint(self) -> Labels:
        """Give each pixel to the cell in whose shape it lies deepest."""
        size = self._colony.size
        labels = np.zeros((size, size), np.uint16)
        nearest = np.ones((size, size))
        dying = (self._until >= 0) & self._dying
        shrunk = np.where(dying, 0.4 + 0.15 * self._until, 1.0)
        round_up = (self._until >= 0) & ~self._dying
        radius = self._radius * self._grown() * np.where(round_up, 0.9, shrunk)
        for i in range(self._ids.size):
            spread = self._colony.lobes > 0 and not round_up[i] and not dying[i]
            reach = int(radius[i] * (3.0 if spread else 1.0)) + 2
            top, left = (max(int(c) - reach, 0) for c in self._centre[i])
            window = np.s_[top : int(self._centre[i, 0]) + reach + 1,
                           left : int(self._centre[i, 1]) + reach + 1]  # fmt: skip
            rows, columns = np.indices(nearest[window].shape)
            depth = _depth(rows + top, columns + left, self._centre[i], radius[i])
            if spread:
                for angle, far in zip(self._angle[i], self._reach[i], strict=True):
                    way = far * radius[i] * np.array([np.sin(angle), np.cos(angle)])
                    for part, width in ((0.6, 0.6), (1.0, 0.42)):
                        lobe = _depth(
                            rows + top,
                            columns + left,
                            self._centre[i] + part * way,
                            width * radius[i],
                        )
                        depth = np.minimum(depth, lobe)
            closer = depth < nearest[window]
            nearest[window][closer] = depth[closer]
            labels[window][closer] = self._ids[i]
        return labels


def _depth(
    rows: NDArray[np.int64], columns: NDArray[np.int64], centre: Points, radius: float
) -> Points:
    """Return the squared distance from a disc's centre, 1 at its outline."""
    return np.asarray(((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / radius**2)


@dataclass(frozen=True)
class Faults:
    """What a segmentation does wrong, as rates per cell and frame, and how long it goes on.

    Attributes
    ----------
    split, merged, missed, spurious
        The part of the cells, at any time, that are cut in two, are one object with their nearest
        neighbour (if that is near enough to touch), or are not seen; and of things that are none,
        per cell.
    duration
        Mean number of frames that a fault goes on, for what makes a program fail in one frame is
        mostly there in the next; 1 for faults that know nothing of each other.
    seed
        Of all chance.
    """

    split: float = 0.0
    merged: float = 0.0
    missed: float = 0.0
    spurious: float = 0.0
    duration: float = 2.0
    seed: int = 0

    def of(self, truth: Labels) -> Labels:
        """Return the label images that a segmentation with these faults would give."""
        rng = np.random.default_rng(self.seed)
        largest = int(truth.max()) + 1
        split, merged, missed = (
            self._times(rng, rate, len(truth), largest)
            for rate in (self.split, self.merged, self.missed)
        )
        angle = rng.uniform(0, np.pi, largest)
        dirt = self._dirt(rng, truth)
        frames = []
        for t, true in enumerate(truth):
            seen = true.astype(np.int64)
            cells = np.unique(true[true > 0])
            centre = {int(c): np.argwhere(true == c).mean(axis=0) for c in cells}
            for cell in cells[merged[t, cells]].tolist():
                _join_with_nearest(seen, true, cell, centre)
            for cell in cells[split[t, cells]].tolist():
                _cut(seen, true, cell, centre[cell], angle[cell] + rng.normal(0, 0.2), largest)
            seen[np.isin(true, cells[missed[t, cells]]) & np.isin(seen, cells)] = 0
            for y, x, radius in dirt[t]:
                spot = np.zeros(true.shape, np.uint8)
                cv2.circle(spot, (int(x), int(y)), int(radius), 1, -1)
                seen[(spot > 0) & (seen == 0)] = seen.max() + 1
            frames.append(seen.astype(np.uint16))
        return np.stack(frames)

    def _times(
        self, rng: np.random.Generator, rate: float, n_frames: int, n: int
    ) -> NDArray[np.bool_]:
        """Return in which frames each of n has the fault: chains that stay `duration` frames."""
        state = rng.random(n) < rate
        states = []
        stop = 1 / self.duration
        start = min(rate * stop / max(1 - rate, 1e-9), 1.0)
        for _ in range(n_frames):
            states.append(state)
            chance = rng.random(n)
            state = np.where(state, chance >= stop, chance < start)
        return np.stack(states)

    def _dirt(self, rng: np.random.Generator, truth: Labels) -> list[Points]:
        """Return row, column and radius of the spurious objects of each frame."""
        area = np.bincount(truth[0].ravel())[1:]
        radius = float(np.sqrt(np.median(area[area > 0]) / np.pi))
        n = int(np.count_nonzero(area))
        times = self._times(rng, self.spurious, len(truth), n)
        place = rng.uniform(0, min(truth.shape[1:]), (n, 2))
        size = radius * rng.uniform(0.4, 0.9, n)
        return [
            np.column_stack([place + rng.normal(0, 1, place.shape), size])[there] for there in times
        ]


def _join_with_nearest(
    seen: NDArray[np.int64], true: Labels, cell: int, centre: dict[int, Points]
) -> None:
    """Give a cell's pixels to its nearest neighbour, with a bridge, if they nearly touch."""
    others = [other for other in centre if other != cell]
    if not others:
        return
    near = min(others, key=lambda other: float(np.hypot(*(centre[other] - centre[cell]))))
    mine = np.zeros(true.shape, np.uint8)
    mine[true == cell] = 1
    if not (cv2.dilate(mine, np.ones((9, 9), np.uint8))[true == near]).any():
        return
    kernel = np.ones((9, 9), np.uint8)
    both = ((true == cell) | (true == near)).astype(np.uint8)
    closed = cv2.morphologyEx(both, cv2.MORPH_CLOSE, kernel) > 0
    number = int(seen[true == near].max())
    seen[seen == int(seen[true == cell].max())] = number
    seen[closed & (seen == 0)] = number


def _cut(
    seen: NDArray[np.int64], true: Labels, cell: int, centre: Points, angle: float, new: int
) -> None:
    """Cut a cell in two along a line of two pixels through a place near its centre."""
    rows, columns = np.nonzero((true == cell) & (seen == cell))
    across = (rows - centre[0]) * np.cos(angle) - (columns - centre[1]) * np.sin(angle)
    seen[rows[across > 1], columns[across > 1]] = new + cell
    middle = np.abs(across) <= 1
    seen[rows[middle], columns[middle]] = 0
