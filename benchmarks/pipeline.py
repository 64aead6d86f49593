"""Part 2: a whole run against the floor under it, and against the plain pipeline."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from benchmarks import plain
from benchmarks.experiment import (
    DEFAULT,
    EXACT,
    describe,
    fresh,
    ready_workers,
    run,
    run_floor,
    time_steps,
    written_bytes,
)
from benchmarks.report import Part, Table, Target
from benchmarks.scenes import write_ome_tiff
from benchmarks.timing import Times, in_turn, touch_memory
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage import stacks
from pyama_core.processing.workflow.flusher import Flusher
from pyama_core.processing.workflow.pipeline import ForeignExecutor

N_WORKERS = 2


def measure(
    folder: Path, *, quick: bool, fovs: int = 4, frames: int = 40, side: int = 1024
) -> Part:
    """Measure runs, with start-up left out and with it."""
    rounds = 2 if quick else 5
    path = write_ome_tiff(
        folder / "pipeline.ome.tif", fovs=fovs, frames=frames, side=side, n_cells=90
    )
    metadata = describe(path)
    with ready_workers(N_WORKERS) as executor:
        cases = _cases(path, metadata, folder, executor, 5 * written_bytes(metadata) // 4)
        for name in ("floor", "run", "run with default settings"):
            cases[name]()
        by_default = {name: cases.pop(name) for name in ("run with default settings",)}
        found = in_turn(cases, rounds) | in_turn(by_default, 1 + rounds // 3)
        untouched = _cases(path, metadata, folder, executor, 0)
        untouched = in_turn({name: untouched[name] for name in ("floor", "run")}, 1 + rounds // 2)
        against_plain = _against_plain(folder, executor, fovs, 2 if quick else frames // 5, side)
    hashing = _cost_of_hashing(metadata, folder, rounds)
    steps = _steps(metadata, folder, 1 + rounds // 2)
    path.unlink()
    tables = [
        _table_of_runs(f"{fovs} × {frames} × {side}² × 2 channels, {N_WORKERS} workers", found),
        _table_of_untouched(untouched),
        _table_against_plain(against_plain),
        _table_of_safety(found, hashing),
        _table_of_steps(steps, frames),
    ]
    targets = [
        Target("whole pipeline, start-up excluded, in I/O floors", _floors(found), 2.5, True),
        Target("the same, memory not touched before", _floors(untouched), 2.5, True),
        Target("whole pipeline, times the plain one", _gain(against_plain), 12, False),
    ]
    data = {
        "runs": found,
        "untouched": untouched,
        "plain": against_plain,
        "checksums": hashing,
        "steps": steps,
    }
    return Part("Whole pipeline", tables, targets, data)


def _floors(found: dict[str, Times]) -> float:
    return found["run"].median / found["floor"].median


def _gain(found: dict[str, Times]) -> float:
    return found["plain"].median / found["run"].median


def _against_plain(
    folder: Path, executor: ForeignExecutor, fovs: int, frames: int, side: int
) -> dict[str, Times]:
    """Time runs of shorter movies, because the plain pipeline takes so long."""
    path = folder / "short.ome.tif"
    metadata = describe(write_ome_tiff(path, fovs=fovs, frames=frames, side=side, n_cells=90))
    out = folder / "out"
    works: dict[str, Callable[[], object]] = {
        "run": partial(run, metadata, out, N_WORKERS, executor),
        "plain": partial(plain.run_plain, metadata, out, N_WORKERS),
    }
    touched = 2 * written_bytes(metadata)
    return in_turn({name: partial(fresh, out, work, touched) for name, work in works.items()}, 1)


def _cases(
    path: Path,
    metadata: MicroscopyMetadata,
    folder: Path,
    executor: ForeignExecutor,
    touched: int,
) -> dict[str, Callable[[], float]]:
    out = folder / "out"

    def unflushed() -> None:
        with mock.patch.object(Flusher, "add"):
            run(metadata, out, N_WORKERS, executor)

    works: dict[str, Callable[[], object]] = {
        "floor": partial(run_floor, path, out),
        "run": partial(run, metadata, out, N_WORKERS, executor),
        "run without flushing": unflushed,
        "run with default settings": partial(run, metadata, out, N_WORKERS, executor, DEFAULT),
        "run with start-up": partial(run, metadata, out, N_WORKERS),
    }
    return {name: partial(fresh, out, work, touched) for name, work in works.items()}


def _cost_of_hashing(metadata: MicroscopyMetadata, folder: Path, rounds: int) -> dict[str, Times]:
    """Time one field of view in this process, with checksums and without, in processor time."""
    out = folder / "out"

    def process() -> float:
        shutil.rmtree(out, ignore_errors=True)
        touch_memory(written_bytes(metadata) // metadata.n_fovs)
        started = time.process_time()
        time_steps(metadata, out, [0])
        return time.process_time() - started

    def unhashed() -> float:
        with _no_hashing():
            return process()

    cases: dict[str, Callable[[], float]] = {"hashed": process, "unhashed": unhashed}
    for case in cases.values():
        case()
    found = in_turn(cases, 3 * rounds)
    shutil.rmtree(out)
    return found


def _steps(metadata: MicroscopyMetadata, folder: Path, rounds: int) -> dict[str, dict[str, Times]]:
    """Time the steps of one field of view in this process, exactly and by default."""
    out = folder / "out"
    found: dict[str, dict[str, list[float]]] = {"exact": {}, "default": {}}
    for turn in range(rounds + 1):
        for name, params in (("exact", EXACT), ("default", DEFAULT)):
            shutil.rmtree(out, ignore_errors=True)
            touch_memory(written_bytes(metadata) // metadata.n_fovs)
            for step, seconds in time_steps(metadata, out, [0], params).items():
                if turn > 0:  # in the first, kernels are loaded
                    found[name].setdefault(step, []).append(seconds)
    shutil.rmtree(out)
    return {
        name: {step: Times(tuple(seconds)) for step, seconds in steps.items()}
        for name, steps in found.items()
    }


class _NoHasher:
    """In the place of a hash object."""

    def update(self, data: memoryview | bytes, /) -> None:
        """Forget the bytes."""

    def hexdigest(self) -> str:
        """Return a digest of nothing."""
        return "0" * 32


@contextmanager
def _no_hashing() -> Iterator[None]:
    with mock.patch.object(stacks, "new_hasher", _NoHasher):
        yield


def _table_of_runs(what: str, found: dict[str, Times]) -> Table:
    floor = found["floor"].median
    rows = [(name, str(t), f"{t.median / floor:.2f} ×") for name, t in found.items()]
    notes = (
        "The floor is a bare loop that reads the same planes with the same reader and writes "
        "arrays of the same sizes. `run` has processes that are ready; `run with start-up` makes "
        "its own. Before each, as much memory was touched as its files will need. All but `run "
        "with default settings` follow the exact algorithm (segmentation log-std, tracking iou, "
        "basic features); by default there are labels per cell, lineages, and all features."
    )
    return Table(what, ("", "time", "of the floor"), rows, notes)


def _table_of_untouched(found: dict[str, Times]) -> Table:
    floor = found["floor"].median
    rows = [(name, str(t), f"{t.median / floor:.2f} ×") for name, t in found.items()]
    notes = (
        "On a virtual machine that gives its free memory back to its host, the first write to "
        "each page costs more than the work on it; elsewhere there is no difference."
    )
    return Table(
        "The same without touching memory first", ("", "time", "of the floor"), rows, notes
    )


def _table_against_plain(found: dict[str, Times]) -> Table:
    rows = [(name, str(times)) for name, times in found.items()]
    notes = "The same pipeline with the plain algorithms in it, on shorter movies."
    return Table("Against the plain pipeline", ("", "time"), rows, notes)


def _table_of_safety(found: dict[str, Times], hashing: dict[str, Times]) -> Table:
    pairs = {
        "checksums (one position, processor time)": (hashing["hashed"], hashing["unhashed"]),
        "flushing in the background": (found["run"], found["run without flushing"]),
    }
    rows = []
    for name, (safe, unsafe) in pairs.items():
        costs = [100 * (a / b - 1) for a, b in zip(safe.seconds, unsafe.seconds, strict=True)]
        quarters = statistics.quantiles(costs, n=4)
        cost = f"{quarters[1]:+.1f} % ({quarters[0]:+.1f} % – {quarters[2]:+.1f} %)"
        rows.append((name, str(safe), str(unsafe), cost))
    notes = "The cost is the median of neighbouring pairs, with its quartiles."
    return Table("What safety costs", ("", "with", "without", "cost"), rows, notes)


def _table_of_steps(steps: dict[str, dict[str, Times]], frames: int) -> Table:
    rows = []
    for step, exact in steps["exact"].items():
        default = steps["default"][step]
        per_frame = [f"{1e3 * times.median / frames:.2f} ms" for times in (exact, default)]
        rows.append((step, *per_frame, f"{default.median / exact.median:.2f} ×"))
    notes = "Reading, computing, checksums and writing of each step, one position in one process."
    columns = ("", "exact algorithm", "default settings", "ratio")
    return Table("Where the time goes, per frame of two channels", columns, rows, notes)
