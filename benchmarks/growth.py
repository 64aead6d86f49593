"""Part 3: how the time grows with frames, positions, cells, pixels and workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.experiment import (
    EXACT,
    describe,
    fresh,
    ready_workers,
    run,
    time_steps,
    written_bytes,
)
from benchmarks.report import Part, Table, Target
from benchmarks.scenes import Scene, write_ome_tiff
from benchmarks.timing import Times, calls_in_turn, fitted_exponent, in_turn, timed
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.workflow.flusher import Flusher
from pyama_core.processing.workflow.pipeline import ForeignExecutor

Sizes = dict[int, Times]


def measure(folder: Path, *, quick: bool, side: int = 512) -> Part:
    """Measure runs of growing size, and algorithms on growing frames."""
    cv2.setNumThreads(1)
    rounds = 2 if quick else 4
    with ready_workers(1) as executor:
        lengths = (20, 40, 80) if quick else (20, 40, 80, 160, 320)
        frames = _runs(folder, executor, rounds, [(1, n) for n in lengths], side)
        positions = _runs(folder, executor, rounds, [(n, 20) for n in (1, 2, 4, 8)], side)
    by_frames = dict(zip(lengths, frames, strict=True))
    by_positions = dict(zip((1, 2, 4, 8), positions, strict=True))
    pixels = _pixels((512, 1024, 2048) if quick else (512, 1024, 2048, 4096), 3 * rounds)
    cells = _cells(4 * side, (10, 100, 1_000, 10_000), 3 * rounds)
    workers = _workers(folder, rounds, frames=20, side=2 * side)
    return _part(by_frames, by_positions, pixels, cells, workers)


def _runs(
    folder: Path,
    executor: ForeignExecutor,
    rounds: int,
    sizes: Sequence[tuple[int, int]],
    side: int,
) -> list[Times]:
    """Time runs by one worker over (positions, frames)."""
    cases: dict[str, Callable[[], float]] = {}
    for fovs, frames in sizes:
        path = folder / f"growth_{fovs}_{frames}.ome.tif"
        write_ome_tiff(path, fovs=fovs, frames=frames, side=side, n_cells=25)
        metadata, out = describe(path), folder / "out"
        work = partial(run, metadata, out, 1, executor)
        cases[path.name] = partial(fresh, out, work, written_bytes(metadata))
    next(iter(cases.values()))()
    return list(in_turn(cases, rounds).values())


def _measure(labels: NDArray[Any], image: NDArray[Any]) -> object:
    """Measure what a run measures if its request says nothing else."""
    parameters = ExtractionParameters()
    selection = select_features(parameters.features)
    return measure_cells(labels, [image], selection, parameters.background_ring)


class _Chain:
    """All algorithms on one frame after the other."""

    def __init__(self, scene: Scene) -> None:
        self._frames = [(scene.phase(t), scene.fluorescence(t)) for t in (0, 1)]
        self._segmenter, self._tracker = LogStdSegmenter(), IoUTracker()
        self._background = TiledBackground((scene.side, scene.side))
        self._turn = count()

    def __call__(self) -> object:
        phase, light = self._frames[next(self._turn) % 2]
        mask = self._segmenter.segment(phase)
        medians = self._background.estimate(light, mask)
        assert medians is not None
        corrected = self._background.correct(light, medians)
        return _measure(self._tracker.update(mask), corrected)


def _pixels(sides: Sequence[int], rounds: int) -> Sizes:
    """Time all algorithms on square frames with as many cells per area."""
    chains = {str(side): _Chain(Scene(side, max(1, side * side // 11_650))) for side in sides}
    return {int(side): times for side, times in calls_in_turn(chains, rounds).items()}


def _cells(side: int, numbers: Sequence[int], rounds: int) -> dict[str, Sizes]:
    """Time algorithms on frames that differ in the number of cells, not in what they cover."""
    cases: dict[str, Callable[[], object]] = {}
    image = np.ones((side, side), np.float32)
    for n in numbers:
        scene = Scene(side, n)
        cases[f"all steps {n}"] = _Chain(scene)
        cases[f"tracking {n}"] = partial(_track, IoUTracker(), [scene.mask(0), scene.mask(1)])
        cases[f"extraction {n}"] = partial(_measure, scene.labels.astype(np.uint16), image)
    found = calls_in_turn(cases, rounds)
    return {
        step: {n: found[f"{step} {n}"] for n in numbers}
        for step in ("all steps", "tracking", "extraction")
    }


def _track(tracker: IoUTracker, masks: Sequence[np.ndarray]) -> None:
    for mask in masks:
        tracker.update(mask)


def _workers(folder: Path, rounds: int, *, frames: int, side: int) -> dict[str, Times]:
    """Time all steps but the copying over 8 positions, by 1 and by 2 workers, and mere counting."""
    path = write_ome_tiff(folder / "workers.ome.tif", fovs=8, frames=frames, side=side, n_cells=90)
    metadata, out, turn = describe(path), folder / "workers", count(1)
    with ready_workers(1) as one, ready_workers(2) as two:

        def process(n_workers: int, executor: ForeignExecutor) -> float:
            # Another parameter each time, so that everything but the copies is made again.
            sigma = 3 + 1e-6 * next(turn)
            params = {**EXACT, "segmentation": {"method": "log-std", "n_sigma": sigma}}
            return timed(partial(run, metadata, out, n_workers, executor, params))

        def unflushed(n_workers: int, executor: ForeignExecutor) -> float:
            with mock.patch.object(Flusher, "add"):
                return process(n_workers, executor)

        def apart(executor: ForeignExecutor, parts: Sequence[Sequence[int]]) -> float:
            sigma = 3 + 1e-6 * next(turn)
            params = {**EXACT, "segmentation": {"method": "log-std", "n_sigma": sigma}}
            submit = partial(executor.executor.submit, time_steps, metadata, out)
            return timed(lambda: [call.result() for call in [submit(p, params) for p in parts]])

        cases = {
            "1": partial(process, 1, one),
            "2": partial(process, 2, two),
            "unflushed, 1": partial(unflushed, 1, one),
            "unflushed, 2": partial(unflushed, 2, two),
            "apart, 1": partial(apart, one, [range(8)]),
            "apart, 2": partial(apart, two, [range(4), range(4, 8)]),
            "counting, 1": partial(_count, one, [2]),
            "counting, 2": partial(_count, two, [1, 1]),
        }
        for case in cases.values():
            case()
        return in_turn(cases, rounds)


def _count(executor: ForeignExecutor, parts: Sequence[int]) -> float:
    """Seconds of work that needs a processor and nothing else, in parts for workers."""
    return timed(lambda: wait([executor.executor.submit(_spin, n) for n in parts]))


def _spin(n: int) -> None:
    for _ in range(n * 5_000_000):
        pass


def _exponent(sizes: Sizes) -> float:
    return fitted_exponent(list(sizes), [times.median for times in sizes.values()])


def _part(
    frames: Sizes,
    positions: Sizes,
    pixels: Sizes,
    cells: dict[str, Sizes],
    workers: dict[str, Times],
) -> Part:
    by_pixels = {side * side: times for side, times in pixels.items()}
    grown: dict[str, Sizes] = {
        "run, against frames (512², 1 worker)": frames,
        "run, against positions (20 × 512², 1 worker)": positions,
        "all algorithms, one frame, against pixels": by_pixels,
        **{f"{step}, one frame of 2048², against cells": sizes for step, sizes in cells.items()},
    }
    exponents = {name: _exponent(sizes) for name, sizes in grown.items()}
    extraction = cells["extraction"]
    many, few = extraction[max(extraction)].median, extraction[min(extraction)].median
    rows = [
        (
            name,
            ", ".join(f"{size:,}: {times.median:.3g} s" for size, times in sizes.items()),
            f"{exponents[name]:.2f}",
        )
        for name, sizes in grown.items()
    ]
    return Part(
        "Growth",
        [
            Table("", ("time of", "at", "exponent"), rows, "Times are medians."),
            _table_of_workers(workers),
        ],
        [
            Target("2 workers against 1, 8 positions", workers["1"].median / workers["2"].median,
                   1.8, False),
            Target("growth in frames", _exponent(frames), 1.05, True, "(exponent)"),
            Target("growth in positions", _exponent(positions), 1.05, True, "(exponent)"),
            Target("growth in pixels", _exponent(by_pixels), 1.05, True, "(exponent)"),
            Target("extraction, 10,000 cells against 10", many / few, 1.5, True),
        ],
        {"growth": grown, "workers": workers, "exponents": exponents},
    )  # fmt: skip


def _table_of_workers(workers: dict[str, Times]) -> Table:
    names = {
        "": "steps after the copying, 8 positions",
        "unflushed, ": "the same without flushing to disk",
        "apart, ": "the same by processes that share nothing",
        "counting, ": "counting, as much",
    }
    rows = []
    for prefix, name in names.items():
        one, two = workers[f"{prefix}1"], workers[f"{prefix}2"]
        rows.append((name, str(one), str(two), f"{one.median / two.median:.2f} ×"))
    notes = (
        "Counting needs a processor alone: its gain is what the machine had to give just then. "
        "Processes that share nothing do the same steps without a run around them: what they gain "
        "is what processors, memory and page cache allow together. Flushing takes a processor "
        "that is idle beside one worker, and not beside two."
    )
    return Table("Workers", ("", "1 worker", "2 workers", "gain"), rows, notes)
