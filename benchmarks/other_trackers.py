"""Other programs that link objects from frame to frame, each asked about the same objects."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.link_metrics import Ids
from pyama_core.processing.tracking.objects import Objects

MAX_GAP = 2
"""Frames for which all trackers may miss a cell."""

Node = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """The objects of a movie: their centroids and areas, and the labels that they had."""

    position: list[NDArray[np.float64]]
    area: list[NDArray[np.int64]]
    labels: list[NDArray[np.int64]]

    @classmethod
    def of(cls, frames: Iterable[NDArray[Any]]) -> Seen:
        """Measure all frames."""
        found = [Objects.of(frame) for frame in frames]
        return cls(
            [o.position for o, _ in found], [o.area for o, _ in found], [n for _, n in found]
        )

    @property
    def diameter(self) -> float:
        """Median equivalent diameter in pixels."""
        return float(2 * np.sqrt(np.median(np.concatenate(self.area)) / np.pi))


@dataclass(frozen=True)
class Found:
    """Numbers per object and frame, mothers, and processor time per frame."""

    ids: list[Ids]
    parents: dict[int, int]
    ms_per_frame: float


def _numbered(seen: Seen, edges: Iterable[tuple[Node, Node]], ms: float) -> Found:
    """Give numbers to objects: what has several successors divides, all else goes on."""
    after: dict[Node, list[Node]] = defaultdict(list)
    before: dict[Node, Node] = {}
    for first, second in sorted(edges):
        after[first].append(second)
        before.setdefault(second, first)
    number: dict[Node, int] = {}
    parents: dict[int, int] = {}
    n = 0
    for t, labels in enumerate(seen.labels):
        for i in range(labels.size):
            mother = before.get((t, i))
            if mother is not None and len(after[mother]) == 1:
                number[t, i] = number[mother]
                continue
            n += 1
            number[t, i] = n
            if mother is not None:
                parents[n] = number[mother]
    ids = [
        {label: number[t, i] for i, label in enumerate(labels.tolist())}
        for t, labels in enumerate(seen.labels)
    ]
    return Found(ids, parents, ms)


def laptrack(seen: Seen, reach: float, divisions: bool) -> Found:
    """Link centroids by laptrack."""
    from laptrack import LapTrack

    began = time.process_time()
    model = LapTrack(
        cutoff=reach**2,
        gap_closing_cutoff=reach**2,
        gap_closing_max_frame_count=MAX_GAP,
        splitting_cutoff=reach**2 if divisions else False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = model.predict([p.copy() for p in seen.position])
    spent = 1000 * (time.process_time() - began) / len(seen.labels)
    edges = [((int(a[0]), int(a[1])), (int(b[0]), int(b[1]))) for a, b in graph.edges]
    return _numbered(seen, edges, spent)


def trackpy(seen: Seen, reach: float, _divisions: bool) -> Found:
    """Link centroids by trackpy, which knows no divisions."""
    import trackpy as program

    program.quiet()
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(
            program.link_iter(
                iter(seen.position), reach, memory=MAX_GAP, adaptive_stop=reach / 8,
                adaptive_step=0.8,
            )
        )  # fmt: skip
    spent = 1000 * (time.process_time() - began) / len(seen.labels)
    ids = [
        {label: int(k) + 1 for label, k in zip(labels.tolist(), numbers, strict=True)}
        for labels, (_, numbers) in zip(seen.labels, found, strict=True)
    ]
    return Found(ids, {}, spent)


OtherTracker = Callable[[Seen, float, bool], Found]
OTHERS: dict[str, OtherTracker] = {"laptrack": laptrack, "trackpy": trackpy}
"""What each is asked with: the objects, how far one can go in pixels, whether cells divide."""


def installed() -> dict[str, OtherTracker]:
    """Return the programs that are there."""
    return {name: run for name, run in OTHERS.items() if find_spec(name)}
