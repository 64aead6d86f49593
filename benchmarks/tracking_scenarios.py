"""Movies of label images that are hard to track, with the truth about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.tracker import LookAheadTracker, Tracker

Labels = NDArray[np.uint16]


@dataclass(frozen=True)
class Scenario:
    """A movie to track.

    Attributes
    ----------
    name
        What is hard about it.
    truth
        (T, Y, X) label images whose labels are cells. Objects that are missing in `seen` are
        missing here too: to follow a cell across them is right, to find it there impossible.
    seen
        (T, Y, X) what a segmentation would give: label images whose labels mean nothing, or masks.
    parents
        Mother of each daughter.
    all_known
        Whether two labels of the truth are two cells. Where the truth is only what is beyond
        doubt, a cell may have another label after a doubtful moment.
    images
        In which the objects are found, if there are any: (Y, X) each.
    """

    name: str
    truth: Labels
    seen: NDArray[Any]
    parents: Mapping[int, int] = field(default_factory=dict)
    all_known: bool = True
    images: Sequence[NDArray[Any]] | None = None

    def show_to(self, tracker: Tracker) -> list[NDArray[Any]]:
        """Let a tracker see the movie as a run does; return its label images."""
        images = [None] * len(self.seen) if self.images is None else self.images
        frames = list(zip(self.seen, images, strict=True))
        if isinstance(tracker, LookAheadTracker):
            for frame, image in frames:
                tracker.preview(frame, image)
        return [tracker.update(frame, image) for frame, image in frames]


def without_objects(labels: Labels, fraction: float, seed: int) -> Labels:
    """Miss a fraction of the objects, each frame on its own."""
    rng = np.random.default_rng(seed)
    seen = labels.copy()
    for frame in seen:
        cells = np.unique(frame[frame > 0])
        frame[np.isin(frame, cells[rng.random(cells.size) < fraction])] = 0
    return seen


def without_frames(labels: Labels, every: int, length: int) -> Labels:
    """Miss all objects of some frames in a row."""
    seen = labels.copy()
    for start in range(every, len(seen) - length, every):
        seen[start : start + length] = 0
    return seen


def with_merged_neighbours(labels: Labels, length: int, seed: int) -> Labels:
    """Join each cell once, for some frames, with its nearest neighbour by a bridge."""
    rng = np.random.default_rng(seed)
    seen = labels.copy()
    for cell in np.unique(labels[labels > 0]).tolist():
        present = np.flatnonzero((labels == cell).any(axis=(1, 2)))
        if present.size < length + 2:
            continue
        start = int(rng.choice(present[1 : -length or None]))
        centre = _centres(labels[start])
        others = [other for other in centre if other != cell]
        if cell not in centre or not others:
            continue
        near = min(others, key=lambda other: np.hypot(*(centre[other] - centre[cell])))
        for frame, true in zip(
            seen[start : start + length], labels[start : start + length], strict=True
        ):
            now = _centres(true)
            if cell in now and near in now:
                bridge = np.zeros(frame.shape, np.uint8)
                ends = [tuple(np.rint(now[end][::-1]).astype(int).tolist()) for end in (cell, near)]
                cv2.line(bridge, ends[0], ends[1], 1, 9)
                joined = int(frame[true == cell].max())
                frame[np.isin(frame, np.unique(frame[true == near]))] = joined
                frame[(bridge > 0) & (frame == 0)] = joined
    return seen


def _centres(frame: Labels) -> dict[int, NDArray[np.float64]]:
    return {
        int(cell): np.argwhere(frame == cell).mean(axis=0) for cell in np.unique(frame[frame > 0])
    }


def shifted(labels: Labels, shifts: NDArray[np.int64]) -> Labels:
    """Move each frame by the sum of the (row, column) shifts so far; what leaves is gone."""
    moved = np.zeros_like(labels)
    for frame, out, (y, x) in zip(labels, moved, np.cumsum(shifts, axis=0).tolist(), strict=True):
        height, width = frame.shape
        source = frame[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
        out[max(y, 0) : height - max(-y, 0), max(x, 0) : width - max(-x, 0)] = source
    return moved


def jumps(n_frames: int, size: int, n_jumps: int, seed: int) -> NDArray[np.int64]:
    """Return the shift of each frame: none but for some jumps, which go back and forth."""
    rng = np.random.default_rng(seed)
    shifts = np.zeros((n_frames, 2), np.int64)
    frames = np.sort(rng.choice(np.arange(2, n_frames), n_jumps, replace=False))
    jump = rng.integers(-size, size + 1, (n_jumps, 2))
    shifts[frames] = jump - np.vstack([[0, 0], jump[:-1]])
    return shifts


def renumbered(labels: Labels, seed: int) -> Labels:
    """Give the objects of each frame labels that tell nothing about the cells."""
    rng = np.random.default_rng(seed)
    largest = int(labels.max())
    return np.stack(
        [np.append(0, rng.permutation(largest) + 1).astype(labels.dtype)[f] for f in labels]
    )


def crowd(
    n_cells: int,
    n_frames: int,
    size: int,
    radius: float,
    speed: float,
    memory: float = 0.5,
    seed: int = 0,
    division_rate: float = 0.0,
) -> tuple[Labels, dict[int, int]]:
    """Discs that walk at random, push each other away and flatten where they touch.

    Parameters
    ----------
    speed
        Root mean square of the steps in pixels, before cells push each other.
    memory
        The part of a step that the next one repeats.
    division_rate
        Divisions per cell and frame.

    Returns
    -------
    labels, parents
    """
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, size, (n_cells, 2))
    step = rng.normal(0, speed / np.sqrt(2), centre.shape)
    ids = np.arange(1, n_cells + 1)
    age = np.full(n_cells, 8)
    n_ids, parents = n_cells, {}
    frames = []
    for t in range(n_frames + 20):
        if t >= 20:
            frames.append(_discs(centre, ids, size, radius * np.minimum(0.75 + age / 32, 1)))
            dividing = (rng.random(ids.size) < division_rate) & (age >= 8)
            for i in np.flatnonzero(dividing):
                way = rng.normal(0, 1, 2)
                way *= 0.7 * radius / np.hypot(*way)
                parents |= {n_ids + 1: int(ids[i]), n_ids + 2: int(ids[i])}
                centre = np.vstack([centre, centre[i] - way])
                centre[i] += way
                step = np.vstack([step, -step[i]])
                ids = np.append(ids, n_ids + 2)
                age = np.append(age, 0)
                ids[i], age[i], n_ids = n_ids + 1, 0, n_ids + 2
        kick = rng.normal(0, speed / np.sqrt(2), centre.shape)
        step = memory * step + np.sqrt(1 - memory**2) * kick
        centre = centre + (step if t >= 20 else 0)
        age += 1
        for _ in range(4 if t >= 20 else 30):
            apart = centre[:, np.newaxis] - centre
            distance = np.hypot(apart[..., 0], apart[..., 1]) + np.eye(len(centre)) * 1e9
            push = np.clip(1.9 * radius - distance, 0, None) / np.maximum(distance, 1e-6)
            centre = np.clip(centre + 0.25 * (apart * push[..., np.newaxis]).sum(axis=1), 0, size)
    return np.stack(frames), parents


def _discs(
    centre: NDArray[np.float64], ids: NDArray[np.int64], size: int, radius: NDArray[np.float64]
) -> Labels:
    """Give each pixel to the nearest centre within its radius."""
    labels = np.zeros((size, size), np.uint16)
    nearest = np.full((size, size), np.inf)
    reach = int(radius.max()) + 2
    for (y, x), cell, own in zip(centre, ids, radius, strict=True):
        top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
        window = np.s_[top : int(y) + reach + 1, left : int(x) + reach + 1]
        rows, columns = np.indices(nearest[window].shape)
        distance = (rows + top - y) ** 2 + (columns + left - x) ** 2
        closer = (distance < nearest[window]) & (distance < own**2)
        nearest[window][closer] = distance[closer]
        labels[window][closer] = cell
    return labels
