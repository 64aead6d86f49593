"""What `bright` finds where objects cover the frame: `python -m benchmarks.crowded_objects`.

Nuclei and spread cells of the demo, ever more of them, with default settings. From a crowd of 0.8
on the demo has cells lie on each other.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.accuracy_metrics import f1, score_frame, seg
from pyama_core.demo import crowd_movie
from pyama_core.demo.kinds import HABITS, DemoKind
from pyama_core.demo.movie import Frame
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter

SIDE, SEEDS = 512, (14, 15, 16)
"""Seeds 11 to 13 are those with which the segmentation was looked at."""
CROWDS = (0.15, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Found:
    """What was found in a frame, and what part of it cells cover."""

    covered: float
    n_true: int
    n_found: int
    f1: float
    seg: float


def crowded_frame(kind: DemoKind, crowd: float, seed: int) -> Frame:
    """Draw one frame of a demo with so many cells."""
    usual = HABITS[kind]
    HABITS[kind] = replace(usual, crowd=crowd)
    try:
        demo = DemoParameters(kind=kind, frames=1, size=SIDE, seed=seed, fovs=1)
        return next(iter(crowd_movie.CrowdMovie(demo, 0).frames()))
    finally:
        HABITS[kind] = usual


def look_at(frame: Frame) -> Found:
    """Find the cells of a frame, and hold them against the truth."""
    segmenter = ObjectSegmenter()
    segmenter.prepare([frame.planes[0]])
    labels = segmenter.segment(frame.planes[0])
    score = score_frame(frame.labels, labels)
    covered = float((frame.labels > 0).mean())
    return Found(covered, score.n_true, score.n_found, f1([score]), seg([score]))


def rows() -> Iterator[str]:
    """Yield the rows of the table."""
    for kind in (DemoKind.NUCLEI, DemoKind.CELLS):
        for crowd in CROWDS:
            found = [look_at(crowded_frame(kind, crowd, seed)) for seed in SEEDS]
            covered = statistics.mean(each.covered for each in found)
            n_true, n_found = (sum(getattr(e, n) for e in found) for n in ("n_true", "n_found"))
            scores = [statistics.mean(getattr(e, n) for e in found) for n in ("f1", "seg")]
            yield (
                f"| {kind} | {100 * covered:.0f} % | {n_found} (true: {n_true}) | "
                f"{scores[0]:.2f} | {scores[1]:.2f} |\n"
            )


def main() -> None:
    """Print the table."""
    sys.stdout.write("| demo | covered | objects found | F1 at IoU 0.5 | SEG |\n")
    sys.stdout.write(f"|{'---|' * 5}\n")
    for row in rows():
        sys.stdout.write(row)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
