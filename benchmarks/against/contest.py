"""Programs that do the same work, in processes of their own that are called in turn."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.timing import Times

logger = logging.getLogger("benchmarks")

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Contestant:
    """A program, or one way to use it.

    Attributes
    ----------
    name
        As it stands in the table.
    make
        ``module:function``: given the size of the work, the function returns the call to be timed.
    packages
        Of which the versions are told, and without which it cannot take part.
    rounds
        How often it is called at most; once, and without a rehearsal, if that takes minutes.
    """

    name: str
    make: str
    packages: tuple[str, ...]
    rounds: int = 5


@dataclass(frozen=True)
class Finish:
    """What a contestant took, and what came out; or why it could not take part."""

    contestant: Contestant
    times: Times | None = None
    outcome: str = ""
    versions: str = ""
    why_not: str = ""


class _Player:
    """The process of a contestant, on one core."""

    def __init__(
        self, contestant: Contestant, size: Mapping[str, int], python: str, core: int | None
    ) -> None:
        self.contestant = contestant
        self.seconds: list[float] = []
        self.outcome = ""
        task = {
            "make": contestant.make,
            "size": dict(size),
            "packages": contestant.packages,
            "rehearse": contestant.rounds > 1,
        }
        paths = [str(_ROOT), str(_ROOT / "src"), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(  # noqa: S603 - what the caller named
            [python, "-m", "benchmarks.against.player", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            cwd=_ROOT,
            env={
                **os.environ,
                **dict.fromkeys(_ONE_THREAD, "1"),
                "PYTHONPATH": os.pathsep.join(paths),
            },
        )
        if core is not None:
            psutil.Process(self._process.pid).cpu_affinity([core])
        self.versions: dict[str, str | None] = {}
        said = self._answer()
        self.versions, self.why_not = said.get("versions", {}), said.get("why_not", "")

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"why_not": f"its process ended with {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def play(self) -> None:
        """Have it do its work once."""
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        answer = self._answer()
        if "spent" in answer:
            self.seconds.append(answer["spent"])
            self.outcome = answer["outcome"]
        else:
            self.why_not = answer["why_not"]

    def finish(self) -> Finish:
        """Return how it did."""
        if self.why_not:
            return Finish(self.contestant, why_not=self.why_not)
        versions = ", ".join(f"{name} {found}" for name, found in self.versions.items())
        return Finish(self.contestant, Times(tuple(self.seconds)), self.outcome, versions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def compete(
    contestants: Sequence[Contestant],
    size: Mapping[str, int],
    *,
    rounds: int,
    pythons: Mapping[str, str] | None = None,
) -> list[Finish]:
    """Call all that are installed in turn, each in a process of its own, on one core.

    Parameters
    ----------
    contestants
        Who takes part.
    size
        Of the work.
    rounds
        How often each is called, if it does not ask for less.
    pythons
        For packages that cannot be installed beside the others, the interpreter of theirs.
    """
    core = _core()
    with ExitStack() as stack:
        players = []
        for contestant in contestants:
            began = time.monotonic()
            python = (pythons or {}).get(contestant.packages[0], sys.executable)
            players.append(stack.enter_context(_Player(contestant, size, python, core)))
            ready = players[-1].why_not or f"ready in {time.monotonic() - began:.1f} s"
            logger.info("  %s: %s", contestant.name, ready)
        for i in range(rounds):
            for player in players:
                if i < player.contestant.rounds and not player.why_not:
                    player.play()
        return [player.finish() for player in players]


def _core() -> int | None:
    """Return the core to use: the last that this process may use; None where none can be chosen."""
    if sys.platform == "darwin":
        return None
    cores = psutil.Process().cpu_affinity()
    assert cores is not None
    return int(cores[-1])
