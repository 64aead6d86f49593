"""How well runs with default settings measure the demo of each kind, on seeds of two sorts."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.account.finding import Figure
from benchmarks.made_kinds import KindScore, Run, score_kind
from pyama_core.demo.kinds import KINDS, DemoKind

TUNED, UNSEEN = (0, 1), (2, 3, 4, 5, 6)
"""Seeds that the demo and the segmentations were looked at with; seeds that they were not."""
SEEDS = {"seeds 0, 1": TUNED, "seeds 2–6": UNSEEN}
SIZES = {"frames": 40, "size": 512}


def demo_figures(run: Run) -> Iterator[Figure]:
    """Make and run all demos."""
    for kind in DemoKind:
        for name, seeds in SEEDS.items():
            scores = [score_seed(kind, seed, run) for seed in seeds]
            yield from summed_up(f"{kind}, {name}", kind, scores)


def score_seed(kind: DemoKind, seed: int, run: Run) -> KindScore:
    """Make one demo and run it."""
    with tempfile.TemporaryDirectory(prefix="pyama-account-") as folder:
        return score_kind(kind, Path(folder), run, seed=seed, **SIZES)


def summed_up(images: str, kind: DemoKind, scores: Sequence[KindScore]) -> Iterator[Figure]:
    """Yield the figures of several demos of a kind, each that of the worst seed."""
    method = scores[0].method.split("/")[0]

    def figure(what: str, worst: float, values: Sequence[float]) -> Figure:
        return Figure(images, what, {method: worst}, f"mean {statistics.mean(values):.3f}")

    for what, values in (
        ("F1 at IoU 0.5", [score.f1 for score in scores]),
        ("SEG", [score.seg for score in scores]),
    ):
        yield figure(what, min(values), values)
    n_good, n_tracks = (sum(getattr(s, name) for s in scores) for name in ("n_good", "n_tracks"))
    yield Figure(
        images, "good, of cells followed", {method: n_good / n_tracks}, f"{n_good} of {n_tracks}"
    )
    for channel in KINDS[kind].measured:
        name = KINDS[kind].channels[channel]
        errors = [score.errors[name] for score in scores]
        yield figure(f"trace error of {name}", max(errors), errors)
