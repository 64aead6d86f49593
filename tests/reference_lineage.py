"""The tracking of lineages once more: slow, obvious, with one full mask per cell.

Without correction of drift and without divisions, which have references of their own.
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
    broken: int = 0
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
        self.steps, self.errors = [], []

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

    def reach(self, cell):
        age, diameter = self.n_frames - cell.seen, 2 * np.sqrt(cell.area / np.pi)
        usual = np.inf
        if len(self.errors) >= 10:
            usual = 3 * np.sqrt(np.mean(self.errors)) * np.sqrt(age)
        return min(max(usual, diameter / 2), self.p.max_displacement * diameter * age)

    def waiting(self):
        return [c for c in self.cells if c.alive and self.n_frames - c.seen <= self.p.max_gap + 1]

    def weights(self, cells, masks, objects):
        weights = np.zeros((len(cells), len(objects)))
        for i, (cell, mask) in enumerate(zip(cells, masks, strict=True)):
            here = centre(cell.mask) + self.way(cell)
            common = np.array([(mask & o).sum() for o in objects])
            covered = mask.any() and (common * 2 >= mask.sum()).any()
            for j, target in enumerate(objects):
                iou = common[j] / (mask | target).sum()
                cut = touches_edge(cell.mask) or touches_edge(target)
                half = common[j] > 0 and common[j] * 2 >= min(mask.sum(), target.sum())
                if iou >= self.p.min_iou or (cut and half):
                    weights[i, j] = iou
                distance, reach = np.hypot(*(centre(target) - here)), self.reach(cell)
                like = 0.5 <= target.sum() / cell.area <= 2
                if not covered and distance < reach and like:
                    weights[i, j] += self.p.min_iou * (1 - (distance / reach) ** 2)
        return weights

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
            if i not in placed and objects[j].sum() > inside + cells[i].area / 2:
                held.setdefault(j, []).append(i)
                placed.add(i)
        return {j: members for j, members in held.items() if len(members) > 1}

    def pieces(self, cells, masks, objects, owner, shared):
        """The cell of each object that is a further piece of one."""
        own = {i: j for j, i in owner.items() if j not in shared}
        area = {i: objects[j].sum() for i, j in own.items()}
        asked = [
            (-(masks[i] & o).sum(), cells[i].number, j, i)
            for i in own
            for j, o in enumerate(objects)
            if j not in owner and j not in shared and 2 * (masks[i] & o).sum() >= o.sum()
        ]
        pieces = {}
        around = {i: np.argwhere(objects[j]) for i, j in own.items()}
        for _, _, j, i in sorted(asked):
            cell, joined = cells[i], area[i] + objects[j].sum()
            nearer = abs(joined - cell.area) < abs(area[i] - cell.area)
            here = np.argwhere(objects[j])
            touches = abs(here[:, np.newaxis] - around[i]).max(axis=2).min() <= 2
            may_break = cell.alone >= 3 and cell.broken < self.p.max_broken
            if j not in pieces and nearer and touches and may_break:
                pieces[j], area[i] = i, joined
                around[i] = np.concatenate([around[i], here])
        return pieces

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
        pairs = self.assign(self.weights(cells, masks, objects))
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
        absorbed = [i for i in free if covering[i] and cells[i].fragment_of]
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
            elif both and cell.alone < 3:
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
        pieces = self.pieces(cells, masks, objects, owner, shared)
        found = {}
        for j, target in enumerate(objects):
            if j in pieces:
                continue
            mine = [objects[k] for k, i in pieces.items() if j in owner and i == owner[j]]
            target = np.any([target, *mine], axis=0)
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
        self.close(cells, found, absorbed)
        self.observed_state(found, in_shared, {cells[i].number for i in pieces.values()})
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

    def observed_state(self, found, in_shared, broken):
        ways = {n: self.way(self.cells[n - 1]) for n in found}
        steps, errors = [], []
        for number, mask in found.items():
            cell, merged = self.cells[number - 1], number in in_shared
            whole = not (merged or cell.merged or touches_edge(mask) or touches_edge(cell.mask))
            velocity = None
            if cell.seen >= 0 and whole:
                age = self.n_frames - cell.seen
                velocity = (centre(mask) - centre(cell.mask)) / age
                if age == 1:
                    error = centre(mask) - centre(cell.mask) - ways[number]
                    errors.append(error @ error)
                    if cell.velocity is not None:
                        steps.append((cell.velocity, velocity))
            cell.area = cell.area if merged else mask.sum()
            cell.mask, cell.velocity, cell.merged = mask, velocity, merged
            cell.seen = self.n_frames
            cell.frames.append(self.n_frames)
            cell.n_merged += merged
            cell.broken = cell.broken + 1 if number in broken else 0
            cell.alone = 3 if self.n_frames == 0 else cell.alone + (not merged)
        self.steps += steps
        self.errors += errors
