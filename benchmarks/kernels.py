"""Part 1: the algorithms on one frame against their plain references, one thread."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import cv2
import numpy as np

import reference
from benchmarks import plain
from benchmarks.report import Part, Table, Target
from benchmarks.scenes import Scene
from benchmarks.timing import Times, calls_in_turn, timed
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.selection import Selection, select_features
from pyama_core.processing.runs.objects import components
from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter
from pyama_core.processing.tracking.iou.tracker import IoUTracker

_SEGMENTATION_COPIES = 25.0


def measure(folder: Path, *, quick: bool, side: int = 2048, n_cells: int = 360) -> Part:
    """Measure segmentation, correction, tracking and extraction."""
    del folder  # nothing is written
    cv2.setNumThreads(1)
    scene = Scene(side, n_cells)
    rounds = 1 if quick else 5
    found = {
        name: _against_reference(fast, slow, rounds) for name, (fast, slow) in _cases(scene).items()
    }
    segmented, copies = _against_copies(scene, 15 * rounds)
    crowded = _crowded(4096 if side == 2048 else side, 10_000 if side == 2048 else n_cells, rounds)
    ratios = {name: times["plain"].median / times["fast"].median for name, times in found.items()}
    rows = [
        (name, str(times["fast"]), str(times["plain"]), f"{ratios[name]:.1f} ×")
        for name, times in found.items()
    ]
    rows.append(("extraction, all features of a run", str(_extraction(scene, rounds)), "", ""))
    rows.append(("(a copy of 16 MB)", str(copies), "", ""))
    labelling = crowded["tracking"].median / crowded["labelling"].median
    return Part(
        "Kernels",
        [
            Table(
                f"One frame of {side} × {side} uint16 with {n_cells} cells, one thread",
                ("", "pyama-core", "plain reference", "ratio"),
                rows,
                "The plain segmentation takes two uniform filters for the variance, the plain "
                "tracking one table of overlaps and a dense assignment; the references of the "
                "tests, exact windows, all pairs of full-frame masks, sums in Python, are far "
                "slower. One hot pixel is enough for logarithms of all pixels instead of integers.",
            ),
            Table(
                "10,000 cells in 4096 × 4096" if side == 2048 else "Many cells",
                ("tracking a frame", "labelling it alone", "labelling by OpenCV", "ratio"),
                [(*map(str, crowded.values()), f"{labelling:.2f} ×")],
            ),
        ],
        [
            Target("segmentation kernel, times the reference", ratios["segmentation"], 25, False),
            Target(
                "segmentation kernel, in copies of 16 MB",
                segmented.median / copies.median,
                _SEGMENTATION_COPIES,
                at_most=True,
                unit="copies",
            ),
            Target("correction kernel, times the reference", ratios["correction"], 15, False),
            Target("tracking, 360 cells, times the reference", ratios["tracking"], 8, False),
            Target("tracking, 10,000 cells, in labellings of the frame", labelling, 4, True),
            Target(
                "extraction of basic features, 360 cells, times the reference",
                ratios["extraction, basic features"],
                100,
                False,
            ),
        ],
        {
            "copy_16_mb": copies,
            "beside_copies": segmented,
            "kernels": found,
            "ratios": ratios,
            "crowded": crowded,
        },
    )


def _against_copies(scene: Scene, rounds: int) -> tuple[Times, Times]:
    """Time the segmentation and copies of 16 MB, in turn over more than fits into caches."""
    phase, segmenter, turn = scene.phase(1), LogStdSegmenter(), count()
    arrays = [np.ones(2_000_000) for _ in range(16)]

    def copy() -> None:
        i = next(turn)
        np.copyto(arrays[i % 16], arrays[(i + 8) % 16])

    found = calls_in_turn({"segmentation": lambda: segmenter.segment(phase), "copy": copy}, rounds)
    return found["segmentation"], found["copy"]


def _against_reference(
    fast: Callable[[], object], slow: Callable[[], object], rounds: int
) -> dict[str, Times]:
    """Time both in turn, the fast one five times as often."""
    fast()
    seconds: dict[str, list[float]] = {"fast": [], "plain": []}
    for _ in range(rounds):
        seconds["fast"] += [timed(fast) for _ in range(5)]
        seconds["plain"].append(timed(slow))
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def _cases(scene: Scene) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return the fast and the plain call of each step."""
    phase, light = scene.phase(1), scene.fluorescence(1)
    segmenter, background = LogStdSegmenter(), TiledBackground(phase.shape)
    mask = segmenter.segment(phase)
    wide = phase.copy()
    wide[0, 0] = np.iinfo(wide.dtype).max  # a hot pixel
    fast, slow = IoUTracker(), plain.PlainTracker()
    labels = IoUTracker().update(mask)
    corrected = light.astype(np.float32) - 500

    def correct() -> object:
        medians = background.estimate(light, mask)
        assert medians is not None
        return background.correct(light, medians)

    return {
        "segmentation": (lambda: segmenter.segment(phase), lambda: plain.segment_plain(phase)),
        "segmentation, intensities over 16 bits": (
            lambda: segmenter.segment(wide),
            lambda: plain.segment_plain(wide),
        ),
        "correction": (correct, lambda: reference.correct_plain(light, mask)),
        "tracking": (lambda: fast.update(mask), lambda: slow.update(mask)),
        "extraction, basic features": (
            lambda: measure_cells(labels, [corrected], Selection()),
            lambda: plain.measure_cells_plain(labels, [corrected]),
        ),
    }


def _extraction(scene: Scene, rounds: int) -> Times:
    """Time the extraction of what a run measures if its request says nothing else."""
    labels = IoUTracker().update(LogStdSegmenter().segment(scene.phase(1)))
    corrected = scene.fluorescence(1).astype(np.float32) - 500
    parameters = ExtractionParameters()
    selection, ring = select_features(parameters.features), parameters.background_ring
    measure_cells(labels, [corrected], selection, ring)
    return Times(
        tuple(
            timed(lambda: measure_cells(labels, [corrected], selection, ring))
            for _ in range(5 * rounds)
        )
    )


def _crowded(side: int, n_cells: int, rounds: int) -> dict[str, Times]:
    """Track frames with many cells, and label them alone."""
    masks = [Scene(side, n_cells).mask(t) for t in (0, 2)]
    tracker = IoUTracker()
    state = {"t": 0}

    def track() -> object:
        state["t"] += 1
        return tracker.update(masks[state["t"] % 2])

    cases: dict[str, Callable[[], object]] = {
        "tracking": track,
        "labelling": lambda: components(masks[0]),
        "opencv": lambda: cv2.connectedComponents(masks[0].view(np.uint8), connectivity=4),
    }
    return calls_in_turn(cases, 4 * rounds)
