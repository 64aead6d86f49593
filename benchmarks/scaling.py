"""Many workers: what sending work elsewhere costs, and where it stops to pay.

``python -m benchmarks.scaling overhead``   local processes, Dask and shards, on the same positions
``python -m benchmarks.scaling steps``      seconds of each step, by the log of a run on one worker
``python -m benchmarks.scaling simulate``   10,000 positions on 1,000 workers: the real scheduling
                                            code of the main process, with a stand-in for the work
``python -m benchmarks.scaling check``      the model of docs/SCALING.md, fitted to small
                                            simulations, against larger ones
``python -m benchmarks.scaling dask``       tasks per second through a real Dask scheduler
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import json
import logging
import queue
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from pyama_core.demo import write_demo
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.storage.locks import LockTicket
from pyama_core.io.storage.naming import find_records, fov_folder_name, record_name
from pyama_core.io.storage.records import load_record, save_record
from pyama_core.processing.workflow.crews import Work, Workers
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus
from pyama_core.processing.workflow.pipeline import carry_out
from pyama_core.processing.workflow.progress import ProgressDrainer
from pyama_core.processing.workflow.request import RunRequest, request_run
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.events import ProgressEvent
from pyama_core.processing.workflow.services.source_identity import identify
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

CHANNELS = ["--pc", "0", "--fl", "1", "--fl", "2"]
EXACT = ["--segmentation", "log-std", "--tracking", "iou"]
"""The quickest methods: what is beside the work weighs most."""
_STEPS = ("copying", "segmentation", "correction", "tracking", "extraction")


def say(**figures: object) -> None:
    """Print figures as a line of JSON."""
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


# Overhead


def overhead(folder: Path, *, fovs: int, frames: int, size: int, rounds: int) -> None:
    """Time the same run by local processes, by Dask, and in two shards, in turn."""
    image = write_demo(folder / "demo", fovs=fovs, frames=frames, size=size, seed=0).image
    _command(image, folder / "warm", "--fovs", "0", "--workers", "1")
    cases = {"local": _local, "dask": _dask, "shards": _shards}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    processor: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds):
        for name, run in cases.items():
            out = folder / f"{name} {turn}"
            started, before = time.perf_counter(), _processor_seconds()
            run(image, out)
            seconds[name].append(time.perf_counter() - started)
            processor[name].append(_processor_seconds() - before)
            say(case=name, seconds=round(seconds[name][-1], 2), cpu=round(processor[name][-1], 2))
            shutil.rmtree(out)
    for what, times in (("seconds", seconds), ("processor seconds", processor)):
        best = {name: round(min(each), 2) for name, each in times.items()}
        say(
            what=what,
            best=best,
            over_local={n: round(best[n] / best["local"] - 1, 3) for n in best},
        )


def _processor_seconds() -> float:
    """Seconds of all processes that have ended: what else the computer does is not in them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _words(image: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "pyama_core", "run", str(image), "-o", str(out)]
    return [*words, *CHANNELS, *more]


def _command(image: Path, out: Path, *more: str) -> None:
    subprocess.run(_words(image, out, *more), check=True, capture_output=True)  # noqa: S603


def _local(image: Path, out: Path) -> None:
    _command(image, out, "--workers", "2", "--batch-size", "2")


def _dask(image: Path, out: Path) -> None:
    _command(image, out, "--cluster", "local", "--workers", "2")


def _shards(image: Path, out: Path) -> None:
    parts = [
        subprocess.Popen(  # noqa: S603
            _words(image, out, "--shard", part, "--workers", "1", "--batch-size", "1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for part in ("1/2", "2/2")
    ]
    if any(part.wait() for part in parts):
        raise RuntimeError("a shard failed")
    finish = [sys.executable, "-m", "pyama_core", "finish", str(out)]
    subprocess.run(finish, check=True, capture_output=True)  # noqa: S603


# The parts of the model


def steps(folder: Path, *, fovs: int, frames: int, size: int) -> None:
    """Tell what each step of a position takes on one worker, and on each of two at once."""
    image = write_demo(folder / "demo", fovs=fovs, frames=frames, size=size, seed=0).image
    _command(image, folder / "warm", "--fovs", "0", "--workers", "1")
    for n_workers in (1, 2):
        out = folder / f"out {n_workers}"
        started = time.perf_counter()
        _command(image, out, "--cluster", "local", "--workers", str(n_workers))
        seconds = time.perf_counter() - started
        size_bytes = sum(path.stat().st_size for path in out.rglob("*.npy"))
        copied = sum(path.stat().st_size for path in out.rglob("*_[pf][cl]_ch_*.npy"))
        say(
            workers=n_workers,
            seconds=round(seconds, 1),
            steps={name: round(value, 2) for name, value in _seconds_of_steps(out).items()},
            megabytes_read_per_fov=round(copied / fovs / 1e6),
            megabytes_written_per_fov=round(size_bytes / fovs / 1e6),
        )


_LINE = re.compile(r"(\S+ \S+) \w+ +\S+ \[\d+\] FOV (\d+): (\w+): (\d+)/\4$")


def _seconds_of_steps(out: Path) -> dict[str, float]:
    """Median seconds between the ends of steps of one FOV; copying has no beginning in the log."""
    ends: dict[int, dict[str, float]] = {}
    for line in (out / "pyama.log").read_text(encoding="utf-8").splitlines():
        if (match := _LINE.match(line)) and match[3] in _STEPS:
            when = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp()  # noqa: DTZ007
            ends.setdefault(int(match[2]), {})[match[3]] = when
    return {
        after: statistics.median(each[after] - each[before] for each in ends.values())
        for before, after in itertools.pairwise(_STEPS)
    }


# Simulation


class StandIns:
    """As many workers as wanted, each of which takes a while and says what real ones say."""

    def __init__(self, n_workers: int, seconds: float) -> None:
        self._n_free = n_workers
        self._n_workers = n_workers
        self._seconds = seconds
        self._waiting: queue.SimpleQueue[tuple[int, Future[list[FovOutcome]]] | None] = (
            queue.SimpleQueue()
        )
        self._said: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.first_handed_out: float | None = None

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Return the next message."""
        return self._said.get(block, timeout)

    def hand_out(
        self, fovs: Sequence[int], tickets: Mapping[int, LockTicket]
    ) -> Future[list[FovOutcome]]:
        """Take a field of view."""
        if self.first_handed_out is None:
            self.first_handed_out = time.monotonic()
        answer: Future[list[FovOutcome]] = Future()
        answer.set_running_or_notify_cancel()
        self._waiting.put((fovs[0], answer))
        return answer

    @contextlib.contextmanager
    def at_work(self, work: Work) -> Iterator[tuple[Workers, ProgressDrainer]]:
        """Work until all is done."""
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        backlog = max(100, 2 * self._n_workers)  # as with Dask
        with ProgressDrainer(self, work.on_progress) as drainer:
            yield (
                Workers(self.hand_out, True, lambda: None, copies=True, backlog=lambda: backlog),
                drainer,
            )
        self._waiting.put(None)
        thread.join()

    def _work(self) -> None:
        at_work: list[tuple[float, int, Future[list[FovOutcome]]]] = []
        while True:
            now = time.monotonic()
            while at_work and at_work[0][0] <= now:
                _, fov, answer = heapq.heappop(at_work)
                self._n_free += 1
                for step in _STEPS:
                    self._said.put(
                        ProgressEvent(step=step, fov=fov, t=40, T=40, message=f"{step}: 40/40")
                    )
                answer.set_result([FovOutcome(fov, FovStatus.DONE)])
            if not self._n_free:
                time.sleep(max(0.0, min(0.02, at_work[0][0] - now)))
                continue
            with contextlib.suppress(queue.Empty):
                call = self._waiting.get(timeout=0.005 if at_work else 0.05)
                if call is None:
                    return
                fov, answer = call
                ends = time.monotonic() + _takes(fov, self._seconds)
                heapq.heappush(at_work, (ends, fov, answer))
                self._n_free -= 1


@dataclass(frozen=True)
class Simulated:
    """How a simulated run went.

    Attributes
    ----------
    before, at_work
        Seconds until the first position was handed out, and from there to the end of the run.
    by_workers_alone
        What the second would be if the main process took no time at all.
    """

    fovs: int
    workers: int
    seconds_per_fov: float
    before: float
    at_work: float
    by_workers_alone: float
    megabytes_before: int
    megabytes_at_most: int

    @property
    def seconds(self) -> float:
        """Return how long the run took."""
        return self.before + self.at_work


def simulate(folder: Path, *, n_fovs: int, n_workers: int, seconds: float) -> Simulated:
    """Let the real main process hand out positions that are worked on in thought only."""
    request = _request_of_many(folder, n_fovs)
    before_mb = _peak_megabytes()
    stand_ins = StandIns(n_workers, seconds)
    started = time.monotonic()
    outcome = carry_out(lambda: request, executor=stand_ins)
    ended = time.monotonic()
    if len(outcome.with_status(FovStatus.DONE)) != n_fovs:
        raise RuntimeError(f"not all is done: {outcome.refusal}")
    assert stand_ins.first_handed_out is not None
    return Simulated(
        fovs=n_fovs,
        workers=n_workers,
        seconds_per_fov=seconds,
        before=stand_ins.first_handed_out - started,
        at_work=ended - stand_ins.first_handed_out,
        by_workers_alone=_end_of_last(n_fovs, n_workers, seconds),
        megabytes_before=before_mb,
        megabytes_at_most=_peak_megabytes(),
    )


def _takes(fov: int, seconds: float) -> float:
    """Return how long a stand-in takes for a position: 0.75 to 1.25 times as long as said."""
    return seconds * (0.75 + (fov * 7919 % 101) / 200)


def _end_of_last(n_fovs: int, n_workers: int, seconds: float) -> float:
    """Return when the last position ends if each worker takes the next as soon as it is free."""
    free_at = [0.0] * n_workers
    for fov in range(n_fovs):
        heapq.heappush(free_at, heapq.heappop(free_at) + _takes(fov, seconds))
    return max(free_at)


_TO_FIT = ((500, 500, 0.2), (1000, 1000, 0.2))
_TO_FORETELL = ((500, 50, 3), (1000, 1000, 10), (2000, 200, 3), (4000, 1000, 6), (4000, 1000, 2))


def check_model(
    folder: Path,
    to_fit: Sequence[tuple[int, int, float]] = _TO_FIT,
    to_foretell: Sequence[tuple[int, int, float]] = _TO_FORETELL,
) -> None:
    """Fit the model of docs/SCALING.md to small simulations, and foretell larger ones by it."""

    def simulated(n_fovs: int, n_workers: int, seconds: float) -> Simulated:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            return simulate(Path(name), n_fovs=n_fovs, n_workers=n_workers, seconds=seconds)

    fitted = [simulated(*case) for case in to_fit]
    n_fovs = sum(each.fovs for each in fitted)
    before = sum(each.before for each in fitted) / n_fovs
    per_second = n_fovs / sum(each.at_work for each in fitted)
    say(before_ms_per_fov=round(1000 * before, 1), fovs_per_second=round(per_second))
    for case in to_foretell:
        was = simulated(*case)
        model = before * was.fovs + max(was.by_workers_alone, was.fovs / per_second)
        say(**_in_short(was), model=round(model, 1), off=f"{was.seconds / model - 1:+.0%}")


def _in_short(was: Simulated) -> dict[str, object]:
    figures = {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in asdict(was).items()
    }
    return figures | {"seconds": round(was.seconds, 1)}


def _peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _request_of_many(folder: Path, n_fovs: int) -> RunRequest:
    """Request a run of many positions, with records of a real one's size."""
    import numpy as np
    import tifffile

    demo = write_demo(folder / "demo", fovs=1, frames=40, size=64, seed=0).image
    _command(demo, folder / "one", "--workers", "1")
    [path] = find_records(folder / "one")
    record = load_record(path)
    if record is None:
        raise RuntimeError("no record")
    image = folder / "many.tif"
    tifffile.imwrite(image, np.ones((n_fovs, 2, 3, 16, 16), np.uint16), photometric="minisblack")
    source, metadata = load_microscopy_file(image, axes="PTCYX")
    source.close()
    out = folder / "many"
    out.mkdir()
    context = ProcessingContext(output_dir=out, channels=Channels(pc=0, fl=[1, 2]))
    analysis = parse_analysis(context, metadata.channel_names)
    source_of_many = identify(metadata)
    for fov in range(n_fovs):
        outputs = {
            name.replace("demo_fov_000", f"many_{fov_folder_name(fov)}"): entry
            for name, entry in record.outputs.items()
        }
        place = out / fov_folder_name(fov)
        place.mkdir()
        news = {"fov": fov, "base_name": "many", "source": source_of_many, "outputs": outputs}
        named = record.model_copy(update=news)
        save_record(place / record_name(metadata.base_name, fov), named)
    return request_run(metadata, analysis, out, range(n_fovs), batch_size=1, n_workers=2)


# Dask


def tasks(folder: Path, *, n_fovs: int) -> None:
    """Hand out positions to two real Dask workers that have nothing to do for them."""
    from distributed import Client, LocalCluster

    from pyama_core.executors.dask import dask_executor

    request = _request_of_many(folder, n_fovs)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_do_nothing)
        started = time.perf_counter()
        outcome = carry_out(lambda: request, executor=dask_executor(client))
        seconds = time.perf_counter() - started
    if len(outcome.with_status(FovStatus.DONE)) != n_fovs:
        raise RuntimeError(f"not all is done: {outcome.refusal}")
    say(fovs=n_fovs, seconds=round(seconds, 1), per_second=round(n_fovs / seconds, 1))


def _do_nothing() -> None:
    """Let the work of this worker be nothing but what it says of it."""
    from pyama_core.executors import dask_worker

    def say_all(request, connection, fov, ticket, reading):  # type: ignore[no-untyped-def]
        del request, ticket, reading
        for step in _STEPS:
            event = ProgressEvent(step=step, fov=fov, t=40, T=40, message=f"{step}: 40/40")
            connection.send(event)
        return FovOutcome(fov, FovStatus.DONE), None

    dask_worker.run_whole_fov = say_all


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("overhead", "steps", "simulate", "check", "dask"))
    parser.add_argument("--fovs", type=int, help="positions; default 8, or 10000 of a simulation")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--exact", action="store_true", help="by the quickest methods")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1000, help="of a simulation")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a stand-in per position")
    given = parser.parse_args()
    if given.exact:
        CHANNELS.extend(EXACT)
    package = logging.getLogger("pyama_core")
    package.propagate = False
    package.addHandler(logging.NullHandler())
    size = {"fovs": given.fovs or 8, "frames": given.frames, "size": given.size}
    with tempfile.TemporaryDirectory(prefix="pyama-scaling-") as name:
        folder = Path(name)
        if given.what == "overhead":
            overhead(folder, **size, rounds=given.rounds)
        elif given.what == "steps":
            steps(folder, **size)
        elif given.what == "check":
            check_model(folder)
        elif given.what == "dask":
            tasks(folder, n_fovs=given.fovs or 2000)
        else:
            n_fovs = given.fovs or 10_000
            n_workers, seconds = given.workers, given.seconds
            was = simulate(folder, n_fovs=n_fovs, n_workers=n_workers, seconds=seconds)
            say(**_in_short(was))


if __name__ == "__main__":
    main()
