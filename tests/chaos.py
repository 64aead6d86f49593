"""Kill the command anywhere, run it again until it finishes, compare every byte.

Run `python -m tests.chaos --kills 1000` for a long time of it; `test_chaos.py` does some of it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pyama_core.demo import write_demo
from pyama_core.io.naming import RESULTS_NAME

COMMAND = Path(__file__).with_name("chaos_command.py")
TIME_LIMIT_S = 120
ORPHAN_LIMIT_S = 10
VICTIMS = ("group", "main")


@dataclass(frozen=True)
class Experiment:
    """An image, an undisturbed run of it, and the boundaries that this run passed."""

    image: Path
    whole: dict[str, bytes]
    boundaries: list[str]
    duration_s: float


@dataclass
class Tally:
    """What happened in many rounds."""

    rounds: int = 0
    killed: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)


def prepare(folder: Path, *, fovs: int = 1, frames: int = 6, size: int = 64) -> Experiment:
    """Make an experiment and run it undisturbed."""
    image = write_demo(folder / "demo", fovs=fovs, frames=frames, size=size, seed=3).image
    log = folder / "boundaries.txt"
    out = folder / "undisturbed"
    started = time.monotonic()
    with command(image, out, CHAOS_LOG=str(log)) as process:
        code = process.wait(TIME_LIMIT_S)
    assert code == 0, f"the undisturbed run ended with {code}"
    return Experiment(image, data_files(out), chosen_boundaries(log), time.monotonic() - started)


def chosen_boundaries(log: Path) -> list[str]:
    """All boundaries of a run, but of the writes of each output only first, middle and last.

    How often the results file is rewritten depends on time, so only the first time counts.
    """
    writes: dict[str, list[str]] = defaultdict(list)
    others = []
    for line in log.read_text(encoding="utf-8").splitlines():
        kind, name, count, _ = line.split(" ")
        if kind == "write":
            writes[name].append(line)
        elif count == "1" or name not in ("run", RESULTS_NAME):
            others.append(line)
    picked = {line for w in writes.values() for line in (w[0], w[len(w) // 2], w[-1])}
    return list(dict.fromkeys(sorted(picked) + others))


@contextlib.contextmanager
def command(image: Path, out: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in a process group of its own; nothing of it outlives the block."""
    words = [sys.executable, str(COMMAND), "run", str(image), "-o", str(out)]
    words += ["--pc", "0", "--fl", "1", "--workers", "2", "--batch-size", "1"]
    process = subprocess.Popen(
        words,
        env={**os.environ, **environment},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if "CHAOS_FAIL" in environment else subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None or members(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def members(group: int) -> list[int]:
    """Living processes of a process group."""
    alive = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.info["status"] != "zombie":
                alive.append(process.pid)
    return alive


def data_files(out: Path) -> dict[str, bytes]:
    """Content of all data files of an output folder."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.suffix in (".npy", ".csv")
    }


def round_at(experiment: Experiment, out: Path, place: str, victim: str, tally: Tally) -> None:
    """Die at a boundary, run again, compare."""
    with command(experiment.image, out, CHAOS_AT=place, CHAOS_VICTIM=victim) as process:
        code = process.wait(TIME_LIMIT_S)
        _after_death(experiment, out, code, process.pid, f"{victim} at {place}", tally)


def round_after(
    experiment: Experiment, out: Path, delay_s: float, victim: str, tally: Tally
) -> None:
    """Die after some time, run again, compare."""
    with command(experiment.image, out) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
        if process.poll() is None:
            if victim == "group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        code = process.wait(TIME_LIMIT_S)
        _after_death(experiment, out, code, process.pid, f"{victim} after {delay_s:.2f} s", tally)


def _after_death(
    experiment: Experiment, out: Path, code: int, group: int, what: str, tally: Tally
) -> None:
    tally.rounds += 1
    tally.killed += code == -signal.SIGKILL
    if code not in (0, -signal.SIGKILL):
        tally.faults.append(f"{what}: the run ended with {code}")
    # At once, while orphans may still be at work: they must not write into this run.
    for _ in range(3):
        tally.runs += 1
        with command(experiment.image, out) as again:
            code = again.wait(TIME_LIMIT_S)
        if code == 0:
            break
    else:
        tally.faults.append(f"{what}: never finished, last exit code {code}")
    deadline = time.monotonic() + ORPHAN_LIMIT_S
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    if members(group):
        tally.faults.append(f"{what}: orphans are still alive")
    tally.faults += [f"{what}: {fault}" for fault in compare(experiment, out)]


def compare(experiment: Experiment, out: Path) -> list[str]:
    """How an output folder differs from that of the undisturbed run."""
    found = data_files(out)
    faults = [
        f"{name} differs or is missing or too many"
        for name in sorted(found.keys() | experiment.whole.keys())
        if found.get(name) != experiment.whole.get(name)
    ]
    # Temporary files, locks and claims on locks all begin with a dot, and nothing else does.
    leftovers = [path for path in out.rglob("*") if path.name.startswith(".")]
    return faults + [f"{path.name} is left over" for path in leftovers]


Round = Callable[[Path, Tally], None]


def random_rounds(experiment: Experiment, kills: int, seed: int) -> list[Round]:
    """Plan rounds that kill at random times."""
    chance = random.Random(seed)
    rounds: list[Round] = []
    for _ in range(kills):
        delay_s = chance.uniform(0.2, 1.1) * experiment.duration_s
        victim = chance.choice(VICTIMS)
        rounds.append(
            lambda out, tally, delay_s=delay_s, victim=victim: round_after(
                experiment, out, delay_s, victim, tally
            )
        )
    return rounds


def boundary_rounds(experiment: Experiment, victims: Sequence[str]) -> list[Round]:
    """Plan a round for every boundary; the victims take turns."""
    return [
        lambda out, tally, place=place, victim=victim: round_at(
            experiment, out, place, victim, tally
        )
        for place, victim in zip(experiment.boundaries, itertools.cycle(victims))
    ]


def play(
    rounds: Sequence[Round],
    folder: Path,
    lanes: int = 2,
    tell: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Play rounds, each into a fresh folder, a few at a time; `tell` hears of each."""

    def play_one(numbered: tuple[int, Round]) -> Tally:
        index, play_round = numbered
        tally, out = Tally(), folder / f"round {index}"
        play_round(out, tally)
        shutil.rmtree(out, ignore_errors=True)
        return tally

    total = Tally()
    with ThreadPoolExecutor(lanes) as pool:
        for tally in pool.map(play_one, enumerate(rounds)):
            total.rounds += tally.rounds
            total.killed += tally.killed
            total.runs += tally.runs
            total.faults += tally.faults
            tell(tally)
    return total


def main() -> None:
    """Kill for a long time and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600, help="start no round after this")
    arguments = parser.parse_args()
    started = time.monotonic()

    def in_time(rounds: Sequence[Round]) -> Iterator[Round]:
        return itertools.takewhile(
            lambda _: time.monotonic() < started + 60 * arguments.minutes, rounds
        )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment = prepare(folder, fovs=2)
        _say(f"{len(experiment.boundaries)} boundaries, {arguments.kills} random kills")
        plans = {victim: boundary_rounds(experiment, [victim]) for victim in VICTIMS}
        plans["random"] = random_rounds(experiment, arguments.kills, arguments.seed)
        any_fault = False
        for what, rounds in plans.items():
            tally = play(in_time(rounds), folder, tell=lambda tally: list(map(_say, tally.faults)))
            any_fault |= bool(tally.faults)
            _say(
                f"{what}: {tally.rounds} rounds, {tally.killed} killed, "
                f"{tally.runs} runs to finish, {len(tally.faults)} faults, "
                f"{time.monotonic() - started:.0f} s since the start"
            )
    raise SystemExit(any_fault)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
