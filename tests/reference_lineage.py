"""The tracking of lineages once more: slow, obvious, with one full mask per cell.

As cells are told from what came before alone; without correction of drift, which has a reference of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reference import objects_plain


@dataclass
class Cell:
    number: int
    mask: NDArray
    area: float
    velocity: NDArray | None
    seen: int
    first: int
    merged: bool = False
    fragment_of: int = 0
    alive: bool = True
    n_merged: int = 0
    alone: int = 0
    error: float = 0.0
    n_errors: float = 0.0
    frames: list = field(default_factory=list)
    fate: str = "lost"


def centre(mask):
    return np.argwhere(mask).mean(axis=0)


def touches_edge(mask, border=0):
    inner = np.zeros(mask.shape, bool)
    far = border + 1
    inner[far:-far, far:-far] = True
    return bool((mask & ~inner).any())


def moved(mask, way):
    out = np.zeros_like(mask)
    for y, x in np.argwhere(mask) + np.rint(way).astype(int):
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]:
            out[y, x] = True
    return out


class PlainLineage:
    """Checks label images frame by frame; `ambiguous` once several answers are right."""

    def __init__(self, parameters):
        self.p = parameters
        self.cells, self.n_frames, self.ambiguous = [], 0, False
        self.steps, self.errors, self.changes = [], [], []

    def persistence(self):
        square = sum(a @ a for a, _ in self.steps)
        if len(self.steps) < 10 or square == 0:
            return 0.0
        return min(max(sum(a @ b for a, b in self.steps) / square, 0.0), 1.0)

    def way(self, cell):
        if cell.velocity is None:
            return np.zeros(2)
        age = self.n_frames - cell.seen
        return cell.velocity * sum(self.persistence() ** k for k in range(1, age + 1))

    def usual(self):
        """How far along an axis cells are from where they are expected, by the median."""
        return np.sqrt(np.median(self.errors) / (2 * np.log(2))) if len(self.errors) >= 10 else None

    def change(self):
        if len(self.changes) < 10:
            return 0.4
        return min(max(np.median(self.changes) / 0.6745, 0.1), 0.4)

    def spread(self, cell, usual):
        diameter = 2 * np.sqrt(cell.area / np.pi)
        own = (4 * usual**2 + cell.error) / (4 + cell.n_errors)
        return np.sqrt((self.n_frames - cell.seen) * (own + (0.03 * diameter) ** 2))

    def reach(self, cell, usual):
        age, diameter = self.n_frames - cell.seen, 2 * np.sqrt(cell.area / np.pi)
        far = max(5 * self.spread(cell, usual), 1.5 * diameter)
        return min(far, self.p.max_displacement * diameter * age)

    def waiting(self):
        return [c for c in self.cells if c.alive and self.n_frames - c.seen <= self.p.max_gap + 1]

    def log_odds(self, cell, target, distance, iou, cut, usual, density):
        """Of an object being a cell."""
        variance, freedom = self.spread(cell, usual) ** 2, 4 + cell.n_errors
        square = min(distance**2, variance) if cut else distance**2
        place = -np.log(2 * np.pi * variance * density)
        place -= (freedom + 2) / 2 * np.log(1 + square / (freedom * variance))
        misfit = min((np.log(target.sum() / cell.area) / (1.5 * self.change())) ** 2 / 2, 4)
        if touches_edge(cell.mask) or touches_edge(target):
            misfit = 0
        return place - misfit + 4 * iou + 6

    def weights(self, cells, masks, objects, usual):
        weights = np.zeros((len(cells), len(objects)))
        for i, (cell, mask) in enumerate(zip(cells, masks, strict=True)):
            here = centre(cell.mask) + self.way(cell)
            for j, target in enumerate(objects):
                common = (mask & target).sum()
                iou = common / (mask | target).sum()
                cut = touches_edge(cell.mask) or touches_edge(target)
                cut = cut and common > 0 and common * 2 >= min(mask.sum(), target.sum())
                overlap = iou >= self.p.min_iou or cut
                distance = np.hypot(*(centre(target) - here))
                if not overlap and distance >= self.reach(cell, usual):
                    continue
                density = max(len(objects), 5) / mask.size
                odds = self.log_odds(cell, target, distance, iou, cut, usual, density)
                if odds > 0 or overlap:
                    weights[i, j] = max(odds, 0.001 * (1 + iou))
        return weights

    def pairs(self, cells, masks, objects):
        """The cells and their objects; how cells move is guessed first if it is not known."""
        usual = self.usual()
        if usual is None:
            usual = np.median([2 * np.sqrt(c.area / np.pi) for c in cells]) / 4 if cells else 1
            for _ in range(2):
                found = self.assign(self.weights(cells, masks, objects, usual))
                if len(found) >= 10:
                    ways = [
                        centre(objects[j]) - centre(cells[i].mask) - self.way(cells[i])
                        for i, j in found
                    ]
                    usual = np.sqrt(np.median([w @ w for w in ways]) / (2 * np.log(2)))
        return self.assign(self.weights(cells, masks, objects, usual))

    def assign(self, weights):
        """The best pairs; any other pairs must be worse, else this is ambiguous."""
        pairs = {
            (i, j)
            for i, j in zip(*linear_sum_assignment(weights, maximize=True), strict=True)
            if weights[i, j] > 0
        }
        total = sum(weights[pair] for pair in pairs)
        for pair in pairs:
            without = weights.copy()
            without[pair] = 0
            other = without[linear_sum_assignment(without, maximize=True)].sum()
            self.ambiguous |= other > total - 1e-9
        return pairs

    def share(self, cells, masks, objects, owner, may_join):
        """The cells in each object that holds several."""
        asked = [
            (-(masks[i] & o).sum(), cells[i].number, i, j)
            for i in may_join
            for j, o in enumerate(objects)
            if masks[i].any() and 2 * (masks[i] & o).sum() >= masks[i].sum()
        ]
        held = {j: [i] for j, i in owner.items()}
        placed = set()
        for _, _, i, j in sorted(asked):
            inside = sum(cells[k].area for k in held.get(j, []))
            fits = objects[j].sum() > inside + cells[i].area / 2
            if j in owner:
                pair = cells[i], cells[owner[j]]
                fits |= all(c.merged and c.seen == self.n_frames - 1 for c in pair)
            if i not in placed and fits:
                held.setdefault(j, []).append(i)
                placed.add(i)
        return {j: members for j, members in held.items() if len(members) > 1}

    def check_split(self, cells, members, target, out):
        """Each pixel is of a cell whose mask, moved to here, is nearest."""
        ways = {i: self.way(cells[i]) for i in members}
        area = np.array([cells[i].area for i in members])
        expected = np.array([centre(cells[i].mask) + ways[i] for i in members])
        step = centre(target) - area @ expected / area.sum()
        best = None
        for extra in (np.zeros(2), step):
            seeds = np.zeros(target.shape, int)
            for i in members:
                seeds[moved(cells[i].mask, ways[i] + extra) & target] = cells[i].number
            if best is None or np.count_nonzero(seeds) > np.count_nonzero(best):
                best = seeds
        places = np.argwhere(best > 0)
        for pixel in np.argwhere(target):
            square = ((places - pixel) ** 2).sum(axis=1)
            nearest = {int(best[tuple(p)]) for p in places[square == square.min()]}
            assert int(out[tuple(pixel)]) in nearest

    def step(self, frame, out):
        """Assert that a label image is right, and go on from it."""
        t, objects, cells = self.n_frames, objects_plain(frame), self.waiting()
        masks = [moved(cell.mask, self.way(cell)) for cell in cells]
        pairs = self.pairs(cells, masks, objects)
        if self.ambiguous:
            return
        owner = {j: i for i, j in pairs}
        free = [i for i in range(len(cells)) if i not in owner.values()]
        covering = {
            i: [
                j
                for j, o in enumerate(objects)
                if masks[i].any() and 2 * (masks[i] & o).sum() >= masks[i].sum()
            ]
            for i in free
        }
        absorbed = []
        claims = [
            (-(masks[i] & objects[j]).sum(), cells[i].number, i, j)
            for i in free
            for j in covering[i]
        ]
        for _, _, i, j in sorted(claims):
            if j not in owner:
                continue
            cell, other = cells[i], cells[owner[j]]
            both = objects[j].sum() > other.area + cell.area / 2
            if other.fragment_of == cell.number or (
                both and cell.alone >= 3 and other.alone < 3 and not cell.fragment_of
            ):
                absorbed.append(owner[j])
                owner[j] = i
            elif cell.fragment_of or (both and cell.alone < 3):
                absorbed.append(i)
        free = [i for i in range(len(cells)) if i not in owner.values()]
        shared = {}
        if self.p.split_merged:
            shared = self.share(
                cells,
                masks,
                objects,
                owner,
                [i for i in free if i not in absorbed and cells[i].alone >= 3],
            )
        found = {}
        for j, target in enumerate(objects):
            numbers = np.unique(out[target]).tolist()
            if j in shared:
                self.check_split(cells, shared[j], target, out)
                found |= {n: (out == n) & target for n in numbers}
            elif j in owner:
                assert numbers == [cells[owner[j]].number]
                found[numbers[0]] = target
            else:
                common = [
                    ((m & target).sum(), -c.number) for m, c in zip(masks, cells, strict=True)
                ]
                origin = 0
                if sum(c for c, _ in common) * 2 >= target.sum():
                    first = cells[common.index(max(common))]
                    origin = first.fragment_of or first.number
                number = len(self.cells) + 1
                assert numbers == [number]
                self.cells.append(
                    Cell(number, target, target.sum(), None, -1, t, fragment_of=origin)
                )
                found[number] = target
        assert set(np.unique(out).tolist()) - {0} == set(found)
        assert not out[~np.any([*objects, np.zeros(out.shape, bool)], axis=0)].any()
        in_shared = {n for j in shared for n in np.unique(out[objects[j]]).tolist()}
        several = {n for j in shared if len(here := np.unique(out[objects[j]])) > 1 for n in here}
        self.close(cells, found, absorbed)
        self.observed_state(found, in_shared)
        for number in several:
            self.cells[int(number) - 1].n_merged += 1
        self.n_frames += 1
        self.come_apart()

    def come_apart(self):
        here = {cell.number: cell for cell in self.waiting()}
        for cell in here.values():
            origin = here.get(cell.fragment_of)
            if origin is None:
                cell.fragment_of = 0
                continue
            distance = np.hypot(*(centre(cell.mask) - centre(origin.mask)))
            radii = np.sqrt(cell.area / np.pi) + np.sqrt(origin.area / np.pi)
            if distance > 1.5 * radii:
                cell.fragment_of = 0

    def close(self, cells, found, absorbed):
        for i, cell in enumerate(cells):
            if cell.number in found:
                continue
            if cell.seen == self.n_frames - 1 or i in absorbed:
                rows, columns = np.nonzero(cell.mask)
                (down, across), (height, width) = np.rint(self.way(cell)), cell.mask.shape
                border = self.p.border
                left = (
                    rows.min() + down <= border
                    or columns.min() + across <= border
                    or rows.max() + 1 + down >= height - border
                    or columns.max() + 1 + across >= width - border
                )
                if cell.seen == self.n_frames - 1:
                    cell.fate = "left the frame" if left else "lost"
                    if cell.merged or i in absorbed:
                        cell.fate = "merged"
            cell.alive = i not in absorbed

    def observed_state(self, found, in_shared):
        ways = {n: self.way(self.cells[n - 1]) for n in found}
        steps, errors, changes = [], [], []
        for number, mask in found.items():
            cell, merged = self.cells[number - 1], number in in_shared
            whole = not (merged or cell.merged or touches_edge(mask) or touches_edge(cell.mask))
            velocity = None
            if cell.seen >= 0 and whole:
                age = self.n_frames - cell.seen
                error = centre(mask) - centre(cell.mask) - ways[number]
                if max(mask.sum(), cell.area) <= 1.5 * min(mask.sum(), cell.area):
                    velocity = (centre(mask) - centre(cell.mask)) / age
                if age == 1:
                    errors.append(error @ error)
                    changes.append(abs(np.log(mask.sum() / cell.area)))
                    if cell.velocity is not None and velocity is not None:
                        steps.append((cell.velocity, velocity))
                cell.error = 0.8 * cell.error + error @ error / 2 / age
                cell.n_errors = 0.8 * cell.n_errors + 1
            cell.area = cell.area if merged else mask.sum()
            cell.mask, cell.velocity, cell.merged = mask, velocity, merged
            cell.seen = self.n_frames
            cell.frames.append(self.n_frames)
            cell.alone = 3 if self.n_frames == 0 else cell.alone + (not merged)
        self.steps += steps
        self.errors += errors
        self.changes += changes
