"""However a run is ended from outside, nothing of it is left and nothing foreign is printed."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos import members
from inline import run_inline
from pyama_core.demo import write_demo
from runs import data_files, describe, new_context

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX"),
    pytest.mark.slow,
]

WORDS = ["--pc", "0", "--fl", "1", "--fl", "2", "--workers", "2", "--batch-size", "3"]
EXACT_WORDS = ["--segmentation", "log-std", "--tracking", "iou"]


def words_of_a_run(image: Path, out: Path) -> list[str]:
    words = [sys.executable, "-m", "pyama_core", "run", str(image), "-o", str(out)]
    return [*words, *WORDS, *EXACT_WORDS]


def hear_hangups() -> None:
    """Let a process die of a closed terminal, even if the tests run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextlib.contextmanager
def started(image: Path, out: Path, log: Path, **options) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run as the leader of a session; wait until its workers are at work."""
    options = {"preexec_fn": hear_hangups, **options}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            words_of_a_run(image, out),
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            **options,
        )
    try:
        wait_for_words(process, log, "correction")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_words(process: subprocess.Popen[bytes], log: Path, words: str) -> None:
    deadline = time.monotonic() + 120
    while words not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def ended(process: subprocess.Popen[bytes], limit_s: float = 20.0) -> int:
    """Wait for the end of a run and of all that it started."""
    code = process.wait(limit_s)
    wait_for_the_end_of_all(process.pid)
    return code


def wait_for_the_end_of_all(group: int) -> None:
    deadline = time.monotonic() + 5
    while left := members(group):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """A movie that is worked on for seconds, so that a signal comes in time on a busy machine."""
    return write_demo(tmp_path_factory.mktemp("movie"), fovs=4, frames=120, size=256, seed=1)


@pytest.fixture(scope="module")
def whole(movie, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_inline(describe(movie), new_context(out)).ok
    return data_files(out)


def complete(movie, out: Path, whole: dict[str, bytes]) -> None:
    """Finish a run that was ended, which must then be as if nothing had happened."""
    assert run_inline(describe(movie), new_context(out)).ok
    assert data_files(out) == whole
    assert list(out.rglob(".*")) == []


_ORPHAN = re.compile(
    r"""Traceback [^\n]+\n  File "<string>", line 1, in <module>\n(?:  .*\n)+EOFError: .*\n"""
)
"""What Python says in a worker whose main process was killed while it started it."""
FOREIGN = ("Traceback", "resource_tracker", "Exception ignored", "leaked", "Process Spawn")


@pytest.mark.parametrize("whom", ["main", "group"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_ends_a_run_in_good_order(movie, whole, tmp_path, number, whom):
    out, log = tmp_path / "out", tmp_path / "log"
    with started(movie.image, out, log) as process:
        send = os.kill if whom == "main" else os.killpg
        send(process.pid, number)
        assert ended(process) == 130
    told = log.read_text()
    assert not any(words in told for words in FOREIGN), told
    assert "terminal was closed" in told or number != signal.SIGHUP
    assert list(out.rglob(".*")) == []
    complete(movie, out, whole)


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM),
        (signal.SIGQUIT,),
        (signal.SIGKILL,),
    ],
    ids=lambda numbers: "-".join(number.name for number in numbers),
)
def test_whoever_insists_ends_a_run_at_once_and_the_next_one_sweeps(
    movie, whole, tmp_path, numbers
):
    if signal.getsignal(numbers[0]) is signal.SIG_IGN:
        pytest.skip(f"{numbers[0].name} is ignored here, as in what a script starts behind itself")
    out, log = tmp_path / "out", tmp_path / "log"
    with started(movie.image, out, log) as process:
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05)
        assert ended(process, 5) in (130, -numbers[0])
    told = _ORPHAN.sub("", log.read_text())
    assert not any(words in told for words in FOREIGN), told
    complete(movie, out, whole)


def test_a_run_makes_no_name_in_shared_memory_that_could_be_left_there(movie, tmp_path):
    with started(movie.image, tmp_path / "out", tmp_path / "log") as process:
        maps = [Path(f"/proc/{pid}/maps") for pid in members(process.pid)]
        if not all(path.exists() for path in maps):
            pytest.skip("no list of what a process has mapped")
        assert [path for path in maps if "/dev/shm/sem." in path.read_text()] == []
        os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(tmp_path / "out")


def test_a_run_that_nohup_shields_goes_on_when_the_terminal_is_closed(movie, whole, tmp_path):
    out = tmp_path / "out"

    def shield() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started(movie.image, out, tmp_path / "log", preexec_fn=shield) as process:
        os.killpg(process.pid, signal.SIGHUP)
        assert ended(process, 120) == 0
    assert data_files(out) == whole


# Once, with three tests at a time on two cores, workers were ended before they had cleared away.
@pytest.mark.flaky(reruns=1)
@pytest.mark.parametrize("presses", [0, 1], ids=["hangup", "Ctrl-C, then hangup"])
def test_a_terminal_that_is_gone_ends_a_run_in_good_order(movie, whole, tmp_path, presses):
    """Bars are being drawn then, and every write to the terminal fails (EIO)."""
    out = tmp_path / "out"
    pid, terminal = pty.fork()
    if pid == 0:
        hear_hangups()
        words = words_of_a_run(movie.image, out)
        os.execv(words[0], words)
    shown = b""
    while b"correction" not in shown:
        shown += os.read(terminal, 4096)
    for _ in range(presses):
        os.write(terminal, b"\x03")
    os.close(terminal)
    deadline = time.monotonic() + 20
    while (ending := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline, "the run goes on without a terminal"
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ending[1]) == 130
    wait_for_the_end_of_all(pid)
    assert list(out.rglob(".*")) == []
    assert "Traceback" not in (out / "pyama.log").read_text()
    complete(movie, out, whole)


def test_a_limit_on_processor_time_ends_a_run_in_a_line(movie, whole, tmp_path):
    out, log = tmp_path / "out", tmp_path / "log"
    with started(movie.image, out, log) as process:
        used = psutil.Process(process.pid).cpu_times()
        spent = int(used.user + used.system) + 1
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (spent, spent + 30))
        os.kill(process.pid, signal.SIGXCPU)
        assert ended(process) == 130
    assert log.read_text().count("limit on processor time (ulimit -t) is reached") == 1
    complete(movie, out, whole)


# A main process that waits for a file server


STUCK = """
import os, sys, time
from pyama_core.io.readers.ome_tiff.source import OmeTiffSource
from pyama_core.cli import interrupt

def wait_for_ever(self, *_):
    print("stuck", file=sys.stderr, flush=True)
    reading, _ = os.pipe()
    os.read(reading, 1)

if __name__ == "__main__":
    interrupt.PATIENCE_S = 1.0
    for kind in OmeTiffSource.__mro__:
        if "read_frame" in vars(kind):
            kind.read_frame = wait_for_ever
            break
    from pyama_core.cli.app import main
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_waits_for_its_source_is_ended_and_its_locks_are_freed(
    movie, whole, tmp_path, number
):
    out, log, script = tmp_path / "out", tmp_path / "log", tmp_path / "stuck.py"
    script.write_text(STUCK)
    words = [sys.executable, str(script), *words_of_a_run(movie.image, out)[3:]]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            words, stdout=sink, stderr=sink, start_new_session=True, preexec_fn=hear_hangups
        )
    try:
        wait_for_words(process, log, "stuck")
        process.send_signal(number)
        assert ended(process) == 130
    finally:
        process.kill()
        process.wait()
    told = log.read_text()
    assert "not stopped within 1 s" in told
    assert not any(words in told for words in FOREIGN), told
    assert list(out.rglob(".pyama.lock*")) == []
    complete(movie, out, whole)
