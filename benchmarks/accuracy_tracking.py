"""Compare trackers with the truth: rows for the table of `docs/ACCURACY.md`.

Perturbed true labels test the tracker alone; the standard demo is segmented, corrected, tracked
and measured from its images.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_metrics import (
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
from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.background.tiled_interpolation import TiledBackground
from pyama_core.processing.extraction.features import measure_frame
from pyama_core.processing.segmentation.instances import InstanceSegmenter
from pyama_core.processing.segmentation.log_std import LogStdSegmenter
from pyama_core.processing.tracking.iou import IoUTracker
from pyama_core.processing.tracking.lineage import LineageTracker
from pyama_core.processing.tracking.lineage_parameters import LineageParameters

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

Image = NDArray[Any]
Segment = Callable[[Image], Image]
Totals = dict[tuple[int, int], float]

COLUMNS = (
    "movie",
    "tracker",
    "TRA",
    "LNK",
    "CT",
    "TF",
    "BC",
    "identity switches per 100",
    "links right",
    "cells under one id",
    "cells (true)",
    "ms per frame",
)


@dataclass(frozen=True)
class Row:
    """What one tracker made of one movie; `trace_error` is the median, NaN without images."""

    movie: str
    tracker: str
    metrics: Mapping[str, float]
    switches_per_100: float
    link_accuracy: float
    whole_cells: float
    n_found: int
    n_true: int
    ms_per_frame: float
    trace_error: float = np.nan

    def cells(self) -> tuple[str, ...]:
        """Return the fields of `COLUMNS` as text."""
        metrics = [f"{self.metrics[name]:.4f}" for name in ("TRA", "LNK", "CT", "TF", "BC")]
        return (
            self.movie,
            self.tracker,
            *(text.replace("nan", "–") for text in metrics),
            f"{self.switches_per_100:.2f}",
            f"{self.link_accuracy:.4f}",
            f"{self.whole_cells:.3f}",
            f"{self.n_found} ({self.n_true})",
            f"{self.ms_per_frame:.2f}",
        )


def track_scenario(scenario: Scenario) -> list[Row]:
    """Track a movie with the exact tracker and with the lineage tracker."""
    seen = scenario.seen
    if seen.dtype != np.bool_:
        seen = renumbered(seen, 3)
    rows = []
    trackers = {"iou": IoUTracker(), "lineage": LineageTracker()}
    if scenario.parents:
        trackers["lineage, divisions"] = LineageTracker(LineageParameters(divisions=True))
    for name, tracker in trackers.items():
        began = time.perf_counter()
        labels = [tracker.update(frame) for frame in seen]
        spent = 1000 * (time.perf_counter() - began) / len(seen)
        rows.append(_row(scenario, name, tracker, labels, spent))
    return rows


def _row(
    scenario: Scenario,
    name: str,
    tracker: IoUTracker | LineageTracker,
    labels: list[Image],
    ms_per_frame: float,
) -> Row:
    matches = [match_frame(*pair) for pair in zip(scenario.truth, labels, strict=True)]
    parents = {}
    if isinstance(tracker, LineageTracker):
        parents = {track.cell: track.parent for track in tracker.tracks() if track.parent}
    kept = identity(matches)
    return Row(
        movie=scenario.name,
        tracker=name,
        metrics=challenge_metrics(matches, scenario.parents, parents),
        switches_per_100=kept.switches_per_100,
        link_accuracy=kept.link_accuracy,
        whole_cells=kept.whole_cells,
        n_found=tracker.n_cells,
        n_true=len(np.unique(scenario.truth)) - 1,
        ms_per_frame=ms_per_frame,
    )


@dataclass(frozen=True)
class Demo:
    """A demo in memory: images, truth and true totals of fluorescence per frame and cell."""

    phase: list[Image]
    fluorescence: list[Image]
    scenario: Scenario
    totals: Totals


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
    truth = np.stack(labels)
    return Demo(phase, fluorescence, Scenario(f"demo, seed {seed}", truth, truth, parents), totals)


def track_demo(demo: Demo, name: str, segment: Segment) -> list[Row]:
    """Segment, correct, track and measure a demo from its images."""
    masks = np.stack([segment(frame) for frame in demo.phase])
    corrected = _corrected(demo.fluorescence, masks > 0)
    scenario = dataclasses.replace(
        demo.scenario, name=f"{demo.scenario.name}, segmented by {name}", seen=masks
    )
    rows = []
    for tracker_name, tracker in (
        ("iou", IoUTracker()),
        ("lineage", LineageTracker()),
        ("lineage, divisions", LineageTracker(LineageParameters(divisions=True))),
    ):
        began = time.perf_counter()
        labels = [tracker.update(frame) for frame in masks]
        spent = 1000 * (time.perf_counter() - began) / len(masks)
        found: Totals = {}
        for t, (label, image) in enumerate(zip(labels, corrected, strict=True)):
            measured = measure_frame(label, image)
            keys = [(t, cell) for cell in measured.cell.tolist()]
            found |= zip(keys, measured.intensity_total.tolist(), strict=True)
        matches = [match_frame(*pair) for pair in zip(scenario.truth, labels, strict=True)]
        errors = relative_trace_errors(matches, demo.totals, found)
        row = _row(scenario, tracker_name, tracker, labels, spent)
        rows.append(dataclasses.replace(row, trace_error=float(np.median(errors))))
    return rows


def _corrected(images: list[Image], masks: NDArray[np.bool_]) -> list[Image]:
    background = TiledBackground(images[0].shape)
    corrected = []
    for image, mask in zip(images, masks, strict=True):
        medians = background.tile_medians(image, mask)
        if medians is None:
            raise ValueError("Expected frames with background, found one that is all cells.")
        corrected.append(background.correct(image, medians))
    return corrected


def scenarios(seed: int = 0) -> Iterator[Scenario]:
    """Yield perturbed truths of rising difficulty: a demo, a crowd, real cells."""
    demo = load_demo(seed).scenario
    yield demo
    yield from _perturbed(demo, "demo")
    labels, _ = crowd(200, 30, 512, radius=12, speed=3, seed=seed)
    plain = Scenario("crowd of 200 that touch", labels, labels)
    yield plain
    yield from _perturbed(plain, "crowd")
    labels, parents = crowd(150, 30, 512, 12, 2, seed=seed, division_rate=0.01)
    yield Scenario(f"crowd with {len(parents) // 2} divisions", labels, labels, parents)
    for radius, speed, memory in ((12, 6, 0.5), (7, 6, 0.0), (7, 10, 0.8), (5, 15, 0.8)):
        labels, _ = crowd(150, 30, 512, radius, speed, memory, seed)
        name = f"crowd of 150, diameter {2 * radius}, steps of {speed} px, persistence {memory}"
        yield Scenario(name, labels, labels)
    masks = sorted((DATA / "t98g" / "masks").glob("*.png"))
    if masks:
        frames = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in masks]
        truth = np.stack(frames).astype(np.uint16)
        yield Scenario("t98g labels", truth, truth)
        for fraction in (0.05, 0.2):
            fewer = without_objects(truth, fraction, seed)
            yield Scenario(f"t98g labels, {fraction:.0%} of objects missed", fewer, fewer)


def _perturbed(plain: Scenario, name: str) -> Iterator[Scenario]:
    """Yield a movie with missed objects, missed frames, merged cells, drift and jumps."""
    truth, parents = plain.truth, plain.parents
    n_frames, size = truth.shape[:2]
    for fraction in (0.05, 0.2):
        fewer = without_objects(truth, fraction, 1)
        yield Scenario(f"{name}, {fraction:.0%} of objects missed", fewer, fewer, parents)
    fewer = without_frames(truth, 9, 2)
    yield Scenario(f"{name}, 2 frames in 9 missed", fewer, fewer, parents)
    merged = with_merged_neighbours(truth, 3, 1)
    yield Scenario(f"{name}, each cell merged for 3 frames", truth, merged, parents)
    drifting = shifted(truth, np.full((n_frames, 2), 2))
    yield Scenario(f"{name}, drift of 2 px per frame and axis", drifting, drifting, parents)
    jumping = shifted(truth, jumps(n_frames, size // 10, 6, 1))
    yield Scenario(f"{name}, 6 jumps of up to {size // 10} px", jumping, jumping, parents)
    yield Scenario(f"{name}, each 3rd frame", truth[::3], truth[::3], parents)


def exact(_: Sequence[Image]) -> Segment:
    """Return the exact segmentation."""
    return LogStdSegmenter().segment


def instances(frames: Sequence[Image]) -> Segment:
    """Return the segmentation into cells, prepared with three frames."""
    segmenter = InstanceSegmenter()
    segmenter.prepare([frames[0], frames[len(frames) // 2], frames[-1]])
    return segmenter.segment


def tracking_rows() -> list[Row]:
    """Return all rows."""
    rows = []
    for seed in (0, 101, 202):
        demo = load_demo(seed)
        for name, prepare in (("log-std", exact), ("instances", instances)):
            rows += track_demo(demo, name, prepare(demo.phase))
    return rows + [row for scenario in scenarios() for row in track_scenario(scenario)]


def as_markdown(rows: list[Row]) -> str:
    """Return the table, and a line on the traces of each demo."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    traces = [
        f"- {row.movie}, {row.tracker}: {row.trace_error:.2%}"
        for row in rows
        if not np.isnan(row.trace_error)
    ]
    if traces:
        lines += ["", "Median relative error of the total intensity per cell and frame:", ""]
        lines += traces
    return "\n".join([*lines, ""])
