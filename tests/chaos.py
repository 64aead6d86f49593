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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pyama_core.demo import write_demo
from pyama_core.io.storage.naming import RESULTS_NAME

COMMAND = Path(__file__).with_name("chaos_command.py")
TIME_LIMIT_S = 120
ORPHAN_LIMIT_S = 10
VICTIMS = ("group", "main")


@dataclass(frozen=True)
class Experiment:
    """An image, an undisturbed run of it, and the boundaries that this run passed, in order."""

    image: Path
    keep: str
    whole: dict[str, bytes]
    boundaries: list[str]
    duration_s: float
    scratch: Path | None = None


@dataclass
class Tally:
    """What happened in many rounds."""

    rounds: int = 0
    killed: int = 0
    runs: int = 0
    """Runs that were left alone, to finish."""
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.rounds} rounds, {self.killed} kills, {self.runs} runs to finish"
        return "\n  ".join([f"{counts}, {len(self.faults)} faults", *self.faults])


def prepare(
    folder: Path,
    *,
    fovs: int = 1,
    frames: int = 6,
    size: int = 64,
    keep: str = "all",
    scratch: Path | None = None,
) -> Experiment:
    """Make an experiment and run it undisturbed: the first run may have to compile.

    The quickest of the others tells how long one takes, for other programs may have been busy.
    """
    image = write_demo(folder / "demo", fovs=fovs, frames=frames, size=size, seed=3).image
    log = folder / "boundaries.txt"
    first = folder / "undisturbed"
    _finish(image, first, keep, scratch, CHAOS_LOG=str(log))
    whole, durations_s = data_files(first), []
    for again in (folder / "undisturbed again", folder / "and again"):
        started = time.monotonic()
        _finish(image, again, keep, scratch)
        durations_s.append(time.monotonic() - started)
        assert data_files(again) == whole
    return Experiment(image, keep, whole, chosen_boundaries(log), min(durations_s), scratch)


def _finish(image: Path, out: Path, keep: str, scratch: Path | None, **environment: str) -> None:
    with command(image, out, keep, scratch, **environment) as process:
        code = process.wait(TIME_LIMIT_S)
    assert code == 0, f"the undisturbed run ended with {code}"


def chosen_boundaries(log: Path) -> list[str]:
    """All boundaries of a run in order, of the writes of each output first, middle and last.

    How often the results file is rewritten depends on time, so only the first time counts.
    """
    lines = list(dict.fromkeys(log.read_text(encoding="utf-8").splitlines()))
    writes: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        kind, name, _, _ = line.split(" ")
        if kind == "write":
            writes[name].append(line)
    left_out = {line for w in writes.values() for line in w} - {
        line for w in writes.values() for line in (w[0], w[len(w) // 2], w[-1])
    }
    for line in lines:
        _, name, count, _ = line.split(" ")
        if count != "1" and name in ("run", RESULTS_NAME):
            left_out.add(line)
    return [line for line in lines if line not in left_out]


@dataclass(frozen=True)
class Kill:
    """A death, at a boundary or after some time, of all processes or of the main one alone."""

    at: str | float
    victim: str

    def __str__(self) -> str:
        when = self.at if isinstance(self.at, str) else f"after {self.at:.2f} s"
        return f"{self.victim} {when}"


@contextlib.contextmanager
def command(
    image: Path, out: Path, keep: str = "all", scratch: Path | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in a process group of its own; nothing of it outlives the block."""
    words = [sys.executable, str(COMMAND), "run", str(image), "-o", str(out)]
    words += ["--pc", "0", "--fl", "1", "--workers", "2", "--batch-size", "1", "--keep", keep]
    words += [] if scratch is None else ["--scratch", str(scratch)]
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


def play_round(experiment: Experiment, out: Path, kills: Sequence[Kill]) -> Tally:
    """Die several times, running again at once each time; finish, compare."""
    tally, what = Tally(rounds=1), "; ".join(map(str, kills))
    with contextlib.ExitStack() as stack:
        # Orphans may still be at work when the next run begins: they must not write into it.
        groups = [_run_and_die(experiment, out, kill, stack, tally) for kill in kills]
        for _ in range(3):
            tally.runs += 1
            with command(experiment.image, out, experiment.keep, experiment.scratch) as again:
                code = again.wait(TIME_LIMIT_S)
            if code == 0:
                break
        else:
            tally.faults.append(f"{what}: never finished, last exit code {code}")
        deadline = time.monotonic() + ORPHAN_LIMIT_S
        while any(map(members, groups)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if any(map(members, groups)):
            tally.faults.append(f"{what}: orphans are still alive")
    tally.faults += [f"{what}: {fault}" for fault in compare(experiment, out)]
    return tally


def _run_and_die(
    experiment: Experiment, out: Path, kill: Kill, stack: contextlib.ExitStack, tally: Tally
) -> int:
    """Run until death or the end; return the process group."""
    bomb = {"CHAOS_AT": kill.at, "CHAOS_VICTIM": kill.victim} if isinstance(kill.at, str) else {}
    process = stack.enter_context(
        command(experiment.image, out, experiment.keep, experiment.scratch, **bomb)
    )
    if not isinstance(kill.at, str):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(kill.at)
        if process.poll() is None:
            if kill.victim == "group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    code = process.wait(TIME_LIMIT_S)
    tally.killed += code == -signal.SIGKILL
    if code not in (0, -signal.SIGKILL):
        tally.faults.append(f"{kill}: the run ended with {code}")
    return process.pid


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


def random_rounds(
    experiment: Experiment, kills: int, seed: int, in_a_row: int = 1
) -> list[list[Kill]]:
    """Plan rounds that kill at random times, each up to some times in a row."""
    chance = random.Random(seed)
    rounds: list[list[Kill]] = []
    while kills:
        count = min(kills, chance.randint(1, in_a_row))
        rounds.append(
            [
                Kill(chance.uniform(0.1, 1.1) * experiment.duration_s, chance.choice(VICTIMS))
                for _ in range(count)
            ]
        )
        kills -= count
    return rounds


def boundary_rounds(
    experiment: Experiment, victims: Sequence[str], in_a_row: int = 1
) -> list[list[Kill]]:
    """Plan a kill at every boundary; the victims take turns.

    The kills of a round follow the order of the boundaries, and lie as far apart as they can, so
    that a run that goes on after one of them gets to the next.
    """
    kills = [Kill(at, who) for at, who in zip(experiment.boundaries, itertools.cycle(victims))]
    stride = -(-len(kills) // in_a_row)
    return [kills[first::stride] for first in range(stride)]


def play(
    experiment: Experiment,
    rounds: Iterable[Sequence[Kill]],
    folder: Path,
    lanes: int = 2,
    tell: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Play rounds, each into a fresh folder, a few at a time; `tell` hears how it stands."""

    def play_one(numbered: tuple[int, Sequence[Kill]]) -> Tally:
        index, kills = numbered
        out = folder / f"round {index}"
        tally = play_round(experiment, out, kills)
        shutil.rmtree(out, ignore_errors=True)
        return tally

    total = Tally()
    with ThreadPoolExecutor(lanes) as pool:
        for tally in pool.map(play_one, enumerate(rounds)):
            total.rounds += tally.rounds
            total.killed += tally.killed
            total.runs += tally.runs
            total.faults += tally.faults
            tell(total)
    return total


def main() -> None:
    """Kill for a long time and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in-a-row", type=int, default=3, help="kills before a run may finish")
    parser.add_argument("--keep", default="all", help="what runs keep")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment = prepare(folder, fovs=2, keep=arguments.keep)
        _say(f"{len(experiment.boundaries)} boundaries, {arguments.kills} random kills")
        row = arguments.in_a_row
        plans = {"random": random_rounds(experiment, arguments.kills, arguments.seed, row)}
        plans |= {victim: boundary_rounds(experiment, [victim], row) for victim in VICTIMS}
        any_fault = False
        for what, rounds in plans.items():

            def tell(tally: Tally, what: str = what) -> None:
                seconds = time.monotonic() - started
                _say(f"{what}: {tally}; {seconds:.0f} s since the start")

            any_fault |= bool(play(experiment, rounds, folder, tell=tell).faults)
    raise SystemExit(any_fault)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
