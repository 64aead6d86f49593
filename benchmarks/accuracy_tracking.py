"""Compare methods with the truth about whole movies and write tables of `docs/ACCURACY.md`.

Run `python -m benchmarks.accuracy_tracking` in the repository, with the extra `bench` installed.
Demos of rising difficulty are segmented, corrected, tracked and measured from their images; true
labels, perturbed, test the trackers alone.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_metrics import (
    FrameMatch,
    challenge_metrics,
    identity,
    match_frame,
    relative_trace_errors,
)
from benchmarks.tracking_scenarios import (
    Scenario,
    crowd,
    jumps,
    renumbered,
    shifted,
    with_merged_neighbours,
    without_frames,
    without_objects,
)
from pyama_core.demo import scene
from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter
from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.tracker import LineageTracker
from pyama_core.processing.tracking.tracker import Tracker

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data"
BEGIN, END = "<!-- tracking: begin -->", "<!-- tracking: end -->"
BORDER = 20
"""Margin in pixels outside of the field of interest, as far as which cells may be slivers."""

SEEDS = (0, 101, 202)
logger = logging.getLogger("benchmarks.accuracy_tracking")

Image = NDArray[Any]
Segment = Callable[[Image], Image]
Totals = dict[tuple[int, int], float]
Row = tuple[str, ...]

MOVIE_COLUMNS = (
    "movie",
    "method",
    "F1 at IoU 0.5",
    "SEG",
    "DET",
    "TRA",
    "LNK",
    "CT",
    "TF",
    "BC",
    "switches per 100",
    "median trace error",
)
TRACKER_COLUMNS = ("movie", "tracker", "TRA", "LNK", "CT", "switches per 100", "links right", "ms")


@dataclass(frozen=True)
class Followed:
    """What a tracker made of a movie."""

    matches: list[FrameMatch]
    labels: list[Image]
    metrics: Mapping[str, float]
    ms_per_frame: float


def follow(scenario: Scenario, tracker: Tracker, border: int = 0) -> Followed:
    """Track a movie and compare it with the truth."""
    began = time.process_time()
    labels = scenario.show_to(tracker)
    spent = 1000 * (time.process_time() - began) / len(labels)
    matches = [match_frame(*pair, border) for pair in zip(scenario.truth, labels, strict=True)]
    parents = {track.cell: track.parent for track in tracker.tracks() if track.parent}
    metrics = challenge_metrics(matches, scenario.parents, parents)
    return Followed(matches, labels, metrics, spent)


# Movies from their images


@dataclass(frozen=True)
class Demo:
    """A demo in memory: images, truth and true totals of fluorescence per frame and cell."""

    phase: list[Image]
    fluorescence: list[Image]
    truth: Image
    parents: Mapping[int, int]
    totals: Totals

    def every(self, n: int) -> Demo:
        """Take every n-th frame, in which cells move n times as fast."""
        totals = {(t // n, cell): total for (t, cell), total in self.totals.items() if t % n == 0}
        return Demo(self.phase[::n], self.fluorescence[::n], self.truth[::n], self.parents, totals)

    def noisier(self, factor: float) -> Demo:
        """Add noise, `factor` times as much as there is between neighbouring pixels."""
        rng = np.random.default_rng(0)

        def noisy(image: Image) -> Image:
            step = np.diff(image.astype(np.float64), axis=1)
            sigma = factor * 1.4826 * np.median(np.abs(step)) / np.sqrt(2)
            found = image + rng.normal(0, sigma, image.shape)
            return np.rint(found.clip(0, 65535)).astype(image.dtype)

        return dataclasses.replace(
            self,
            phase=[noisy(image) for image in self.phase],
            fluorescence=[noisy(image) for image in self.fluorescence],
        )

    def out_of_focus(self, every: int) -> Demo:
        """Lose the cells of a phase-contrast frame now and then; they are not asked for there."""
        phase, truth = list(self.phase), self.truth.copy()
        for t in range(every, len(phase) - 1, every):
            phase[t] = cv2.GaussianBlur(phase[t], (0, 0), 40)
            truth[t] = 0
        return dataclasses.replace(self, phase=phase, truth=truth)


def load_demo(seed: int = 0, frames: int = 40, size: int = 512) -> Demo:
    """Make the first position of the standard demo; the second channel is always bright."""
    movie = Movie(DemoParameters(1, frames, size, seed), 0)
    phase, fluorescence, labels = [], [], []
    totals: Totals = {}
    for frame in movie.frames():
        phase.append(frame.planes[0])
        fluorescence.append(frame.planes[2])
        labels.append(frame.labels)
        for cell, patch in frame.cells:
            share = float(patch.fluorescence.sum(dtype=np.float64))
            totals[frame.index, cell] = share * patch.cell.total(1, frame.time)
    parents = {t.cell: t.parent for t in movie.tracks() if t.parent is not None}
    return Demo(phase, fluorescence, np.stack(labels), parents, totals)


@contextlib.contextmanager
def crowded(px_per_cell: float, gap_px: float) -> Iterator[None]:
    """Let demos have more cells, and nearer to each other."""
    with (
        mock.patch.object(scene, "_PX_PER_CELL", px_per_cell),
        mock.patch.object(scene, "MIN_GAP_PX", gap_px),
    ):
        yield


def demos() -> Iterator[tuple[str, Callable[[], Demo]]]:
    """Yield names, and what makes the demos, from the standard one to hard ones."""
    for seed in SEEDS:
        yield f"standard, seed {seed}", lambda seed=seed: load_demo(seed)  # type: ignore[misc]

    def dense(px_per_cell: float, gap_px: float) -> Demo:
        with crowded(px_per_cell, gap_px):
            return load_demo(0)

    yield "half as many cells again, gaps from 12 px", lambda: dense(115, 12)
    yield "twice as many cells, gaps from 3 px", lambda: dense(100, 3)
    yield "twice as fast", lambda: load_demo(0, 80).every(2)
    yield "5 times as fast", lambda: load_demo(0, 150).every(5)
    yield "3 times the noise", lambda: load_demo(0).noisier(3)
    yield "8 times the noise", lambda: load_demo(0).noisier(8)
    yield "one frame in 8 out of focus", lambda: load_demo(0).out_of_focus(8)


def exact(_: Sequence[Image]) -> tuple[Segment, float | None]:
    """Return the exact segmentation, which knows no diameter of cells."""
    return LogStdSegmenter().segment, None


def instances(frames: Sequence[Image]) -> tuple[Segment, float | None]:
    """Return the segmentation into cells, prepared with three frames, and their diameter."""
    segmenter = InstanceSegmenter()
    segmenter.prepare([frames[0], frames[(len(frames) - 1) // 2], frames[-1]])
    return segmenter.segment, segmenter.cell_diameter


Prepare = Callable[[Sequence[Image]], tuple[Segment, float | None]]
METHODS: dict[str, tuple[Prepare, Callable[[], Tracker]]] = {
    "exact": (exact, IoUTracker),
    "default": (instances, LineageTracker),
    "without divisions": (
        instances,
        lambda: LineageTracker(LineageParameters(divisions=False)),
    ),
}


def movie_rows(name: str, demo: Demo) -> Iterator[Row]:
    """Segment, correct, track and measure a demo from its images, by each method."""
    segmented: dict[Prepare, tuple[Image, float | None]] = {}
    for method, (prepare, new_tracker) in METHODS.items():
        if prepare not in segmented:
            segment, diameter = prepare(demo.phase)
            segmented[prepare] = np.stack([segment(frame) for frame in demo.phase]), diameter
        masks, diameter = segmented[prepare]
        truth = demo.truth.astype(np.uint16)
        scenario = Scenario(name, truth, masks, demo.parents, images=demo.phase)
        followed = follow(scenario, new_tracker(), BORDER)
        found: Totals = {}
        corrected = _corrected(demo.fluorescence, masks > 0, diameter)
        for t, (labels, image) in enumerate(zip(followed.labels, corrected, strict=True)):
            shapes, [channel] = measure_cells(labels, [image])
            keys = [(t, cell) for cell in shapes["cell"].tolist()]
            found |= zip(keys, channel["intensity_total"].tolist(), strict=True)
        errors = relative_trace_errors(followed.matches, demo.totals, found)
        metrics, matches = followed.metrics, followed.matches
        n_cells = sum(match.true.size + match.found.size for match in matches)
        hits = sum(int(np.count_nonzero(match.iou > 0.5)) for match in matches)
        measures = ("SEG", "DET", "TRA", "LNK", "CT", "TF", "BC")
        yield (
            name,
            method,
            f"{2 * hits / n_cells:.3f}",
            *(f"{metrics[measure]:.3f}".replace("nan", "–") for measure in measures),
            f"{identity(matches).switches_per_100:.2f}",
            f"{np.median(errors):.1%}" if errors.size else "–",
        )


def _corrected(
    images: list[Image], masks: NDArray[np.bool_], diameter: float | None
) -> list[Image]:
    parameters = TiledInterpolationParameters().for_cells_of(diameter)
    background = TiledBackground((images[0].shape[0], images[0].shape[1]), parameters)
    corrected = []
    for image, mask in zip(images, masks, strict=True):
        medians = background.estimate(image, mask)
        if medians is None:
            raise ValueError("Expected frames with background, found one that is all cells.")
        corrected.append(background.correct(image, medians))
    return corrected


# Trackers alone, on perturbed true labels


def scenarios() -> Iterator[Scenario]:
    """Yield perturbed truths of rising difficulty: a demo, a crowd, real cells."""
    demo = load_demo(0)
    yield from _perturbed(Scenario("demo", demo.truth, demo.truth, demo.parents), "demo")
    labels, _ = crowd(200, 30, 512, radius=12, speed=3, seed=0)
    plain = Scenario("crowd of 200 that touch", labels, labels)
    yield plain
    yield from _perturbed(plain, "crowd")
    labels, parents = crowd(150, 30, 512, 12, 2, seed=0, division_rate=0.01)
    yield Scenario(f"crowd with {len(parents) // 2} divisions", labels, labels, parents)
    for radius, speed, memory in ((12, 6, 0.5), (7, 6, 0.0), (5, 15, 0.8)):
        labels, _ = crowd(150, 30, 512, radius, speed, memory, 0)
        name = f"crowd of 150, diameter {2 * radius}, steps of {speed} px, persistence {memory}"
        yield Scenario(name, labels, labels)
    yield from _glioma()


def _perturbed(plain: Scenario, name: str) -> Iterator[Scenario]:
    """Yield a movie with missed objects, missed frames, merged cells, drift and jumps."""
    truth, parents = plain.truth, plain.parents
    n_frames, size = truth.shape[:2]
    fewer = without_objects(truth, 0.05, 1)
    yield Scenario(f"{name}, 5 % of objects missed", fewer, fewer, parents)
    fewer = without_frames(truth, 9, 2)
    yield Scenario(f"{name}, 2 frames in 9 missed", fewer, fewer, parents)
    merged = with_merged_neighbours(truth, 3, 1)
    yield Scenario(f"{name}, each cell merged for 3 frames", truth, merged, parents)
    drifting = shifted(truth, np.full((n_frames, 2), 2))
    yield Scenario(f"{name}, drift of 2 px per frame and axis", drifting, drifting, parents)
    jumping = shifted(truth, jumps(n_frames, size // 10, 6, 1))
    yield Scenario(f"{name}, 6 jumps of up to {size // 10} px", jumping, jumping, parents)


def _glioma() -> Iterator[Scenario]:
    """Yield the labels of t98g, some of them missed, and what is found in its images."""
    import tifffile

    folder = DATA / "t98g"
    masks = sorted((folder / "masks").glob("*.png"))
    if not masks:
        logger.warning("left out, as its images are absent: %s", folder)
        return
    frames = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in masks]
    truth = np.stack(frames).astype(np.uint16)
    images = [tifffile.imread(path) for path in sorted((folder / "raw").glob("*.tif"))]
    yield Scenario("t98g, true labels", truth, truth, images=images)
    fewer = without_objects(truth, 0.05, 0)
    yield Scenario("t98g, true labels, 5 % missed", fewer, fewer, images=images)
    segment, _ = instances(images)
    found = np.stack([segment(image) for image in images])
    yield Scenario("t98g, instances", truth, found, images=images)


def tracker_rows(scenario: Scenario) -> Iterator[Row]:
    """Track a movie with the exact tracker and with the lineage tracker."""
    seen = scenario.seen
    if seen.dtype != np.bool_:
        seen = renumbered(seen, 3)
    trackers: dict[str, Tracker] = {"iou": IoUTracker(), "lineage": LineageTracker()}
    if scenario.parents:
        trackers["without divisions"] = LineageTracker(LineageParameters(divisions=False))
    for name, tracker in trackers.items():
        followed = follow(dataclasses.replace(scenario, seen=seen), tracker)
        kept = identity(followed.matches)
        yield (
            scenario.name,
            name,
            *(f"{followed.metrics[measure]:.3f}" for measure in ("TRA", "LNK", "CT")),
            f"{kept.switches_per_100:.2f}",
            f"{kept.link_accuracy:.4f}",
            f"{followed.ms_per_frame:.1f}",
        )


def as_table(columns: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write_tables(report: Path) -> None:
    """Measure all, and replace the tables in the report; without py-ctcmetrics, say so."""
    if find_spec("ctc_metrics") is None:
        logger.warning("tracking is left out: install the extra bench to measure it")
        return
    movies: list[Row] = []
    for name, make in demos():
        movies += movie_rows(name, make())
        logger.info("measured %s", name)
    trackers = [row for scenario in scenarios() for row in tracker_rows(scenario)]
    text = report.read_text(encoding="utf-8") if report.exists() else f"{BEGIN}\n{END}\n"
    if BEGIN not in text:
        text += f"\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    tables = f"{as_table(MOVIE_COLUMNS, movies)}\n\n{as_table(TRACKER_COLUMNS, trackers)}"
    text = f"{before}{BEGIN}\n{tables}\n{END}{after}"
    report.write_text(text, encoding="utf-8", newline="\n")
    logger.info("wrote %s", report)


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy_tracking", description=__doc__
    )
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs", metavar="DIR")
    output: Path = parser.parse_args().output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)  # as in a worker
    write_tables(output / "ACCURACY.md")


if __name__ == "__main__":
    main()
