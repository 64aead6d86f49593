"""A Dask cluster for tests: scheduler and workers as processes, each of which can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PRELOAD = Path(__file__).with_name("dask_preload.py")
PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class DaskCluster:
    """Processes of a cluster; `settings` are those of Dask, by their names."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def start_scheduler(self, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        words = ["scheduler", "--host", self.host, "--port", str(self.port), "--no-dashboard"]
        scheduler = self._start(words, {}, prefix)
        deadline = time.monotonic() + PATIENCE_S
        while not prefix and not self._answers():
            assert scheduler.poll() is None, self.printed()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return scheduler

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False

    def start_worker(
        self, *, threads: int = 1, prefix: tuple[str, ...] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker without a nanny, so that what dies stays dead."""
        words = ["worker", self.address, "--no-nanny", "--nthreads", str(threads)]
        words += ["--no-dashboard", "--memory-limit", "0", "--preload", str(PRELOAD)]
        words += ["--local-directory", str(self.folder)]
        return self._start(words, {"OMP_NUM_THREADS": "1", **environment}, prefix)

    def _start(
        self, words: list[str], environment: dict[str, str], prefix: tuple[str, ...]
    ) -> subprocess.Popen[bytes]:
        log = self.folder / f"{len(self.processes)}-{words[0]}.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "dask", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.settings, **environment},
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def printed(self) -> str:
        logs = sorted(self.folder.glob("*.txt"))
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in logs)

    def end(self) -> None:
        for process in self.processes:
            for member in _tree(process.pid):
                with contextlib.suppress(psutil.Error):
                    member.resume()
                    member.kill()
            process.wait(PATIENCE_S)


def _tree(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        return [*top.children(recursive=True), top]
    return []


@contextlib.contextmanager
def cluster(folder: Path, n_workers: int = 2, **settings: str) -> Iterator[DaskCluster]:
    """Run a scheduler and some workers; all end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    running = DaskCluster(folder, settings)
    try:
        running.start_scheduler()
        for _ in range(n_workers):
            running.start_worker()
        yield running
    finally:
        running.end()


@dataclass
class Command:
    """A running `pyama run`, in a process of its own, and what it says."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def wait_for_line(self, *parts: str) -> str:
        """Read on until a line has all parts."""
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            self.said.append(line)
            if all(part in line for part in parts):
                return line
        raise AssertionError(f"the run ended without {parts}:\n{''.join(self.said)}")

    def finish(self, seconds: float = 240) -> int:
        """Wait for the end, and return the exit code."""
        output, rest = self.process.communicate(timeout=seconds)
        self.said += [rest, output]
        return self.process.returncode

    @property
    def told(self) -> str:
        return "".join(self.said)


@contextlib.contextmanager
def pyama(*words: object, prefix: tuple[str, ...] = (), **environment: str) -> Iterator[Command]:
    """Run the command; it is killed if the block ends first."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "pyama_core", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        yield Command(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_until(true: object, seconds: float = PATIENCE_S) -> None:
    """Wait until a callable says so."""
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def at_work(folder: Path) -> dict[int, list[int]]:
    """Which FOV was begun by which processes, as `dask_preload` notes in a folder."""
    begun: dict[int, list[int]] = {}
    for path in sorted(folder.glob("begun-*.json"), key=lambda path: path.stat().st_mtime_ns):
        note = json.loads(path.read_text(encoding="utf-8"))
        begun.setdefault(note["fov"], []).append(note["pid"])
    return begun
