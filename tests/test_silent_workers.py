"""Workers that do not answer: stopped, stuck on a file server, out of memory."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import psutil
import pytest

from inline import run_inline
from pyama_core.errors import ShortageError
from pyama_core.processing.workflow import pool as pool_module
from pyama_core.processing.workflow import pool_process, worker_process
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.pool_process import WorkerDiedError
from runs import data_files, describe, new_context, worker_processes
from test_pool import (  # noqa: F401 - a fixture is used by its name
    _import_path,
    add,
    pid_after,
    pool_of,
    touch_and_sleep,
    wait_until,
)

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
    pytest.mark.slow,
]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only there the system ends them")


def stop_in_the_middle_of_a_message():
    """Announce a long message, send none of it and fall silent."""
    os.write(worker_process._own_end[0]._connection.fileno(), b"\x00\x10\x00\x00begun")
    os.kill(os.getpid(), signal.SIGSTOP)


def cancel_and_check(pool: WorkerPool, future) -> None:
    """Do what a run does that is cancelled."""
    pool.cancel()
    deadline = time.monotonic() + 20
    while not future.done():
        assert time.monotonic() < deadline, "nobody ended a silent worker"
        pool.check()
        time.sleep(0.05)


def test_a_worker_that_is_stopped_in_a_call_is_killed_when_it_does_not_answer(tmp_path):
    with pool_of(1) as pool:
        future = pool.submit(touch_and_sleep, tmp_path / "begun")
        wait_until((tmp_path / "begun").exists, 60)
        worker_processes()[0].suspend()
        cancel_and_check(pool, future)
        error = future.exception()
        assert isinstance(error, WorkerDiedError)
        assert error.silent
        assert "did not answer for 2 s; killed" in str(error)


def test_a_worker_that_falls_silent_in_the_middle_of_a_message_holds_up_no_other():
    with pool_of(2) as pool:
        silent = pool.submit(stop_in_the_middle_of_a_message)
        assert [pool.submit(add, i).result(60) for i in range(6)] == list(range(6))
        assert not silent.done()
        cancel_and_check(pool, silent)
        assert isinstance(silent.exception(), WorkerDiedError)


def test_a_worker_that_is_stopped_before_it_is_given_a_long_call_is_killed_all_the_same():
    with pool_of(1) as pool:
        pool.submit(add, 1).result(60)
        worker_processes()[0].suspend()
        future = pool.submit(add, b"x" * 10_000_000)
        wait_until(future.running)
        cancel_and_check(pool, future)
        assert isinstance(future.exception(), WorkerDiedError)


def test_an_idle_worker_that_is_stopped_holds_up_no_end_and_alarms_nobody(caplog):
    caplog.set_level(logging.DEBUG)
    with pool_of(1) as pool:
        pool.submit(add, 1).result(60)
        process = worker_processes()[0]
        process.suspend()
        started = time.monotonic()
    assert time.monotonic() - started < 10
    assert f"worker process {process.pid} did not answer" in caplog.text
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("when", ["idle", "in the middle of a message"])
def test_a_worker_that_cannot_be_killed_is_named_and_not_waited_for(monkeypatch, caplog, when):
    # As if it waited for a file server that is gone: the signal has no effect before it is back.
    for module in (pool_module, pool_process):
        monkeypatch.setattr(module, "KILLED_S", 0.2)
    monkeypatch.setattr(pool_process.WorkerProcess, "kill", lambda self, *, silent: None)
    pool = WorkerPool(1)
    pid = pool.submit(pid_after).result(60)
    if when == "idle":
        psutil.Process(pid).suspend()
    else:
        future = pool.submit(stop_in_the_middle_of_a_message)
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    supervisor = pool._supervisors[0]
    try:
        pool.cancel()
        pool.shutdown(wait=True)
        if when == "idle":
            assert f"worker process {pid} cannot even be killed" in caplog.text
        else:
            with pytest.raises(WorkerDiedError, match=f"process {pid} cannot even be killed"):
                future.result(0)
        assert multiprocessing.active_children() == []
    finally:
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # its supervisor was quicker
            os.waitpid(pid, 0)
        supervisor.thread.join(20)


@pytest.mark.parametrize("method", ["_attend", "_hear", "_speak", "_bury"])
def test_a_lack_of_memory_in_the_thread_of_a_worker_fails_calls_and_hangs_nobody(
    monkeypatch, method
):
    with pool_of(1) as pool:
        pool.submit(add, 1).result(60)

        def refuse(self, *_):
            raise MemoryError

        monkeypatch.setattr(pool_module._Supervisor, method, refuse)
        calls = [pool.submit(os._exit, 3), pool.submit(add, 1)]
        for call in calls:
            with pytest.raises((BrokenExecutor, ShortageError), match="MemoryError"):
                call.result(20)


def raise_memory_error():
    raise MemoryError("not for threads")


def test_workers_that_cannot_start_are_given_up_with_their_own_words(monkeypatch):
    monkeypatch.setattr(pool_process, "run_worker", _unfit_worker)
    with pool_of(2) as pool:
        for _ in range(2):
            with pytest.raises(ShortageError, match="cannot start a worker process: no room for"):
                pool.submit(add, 1).result(60)


def _unfit_worker(connection, log_level):
    worker_process._LIBRARIES["numpy"] = 1 << 40
    worker_process.require_memory = _no_room
    worker_process.run_worker(connection, log_level)


def _no_room(n_megabytes, purpose):
    raise MemoryError(f"no room for {n_megabytes}")


def test_a_worker_that_dies_while_it_starts_costs_no_call(monkeypatch):
    killed: list[int] = []

    def strike():
        while not killed:
            for process in worker_processes():
                process.kill()
                killed.append(process.pid)

    with pool_of(1) as pool:
        thread = threading.Thread(target=strike)
        thread.start()
        future = pool.submit(pid_after)
        thread.join()
        assert future.result(60) not in killed


# Runs


WORDS = ["--pc", "0", "--fl", "1", "--fl", "2", "--workers", "2", "--segmentation", "log-std"]


def start_run(image: Path, out: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "pyama_core", "run", str(image), "-o", str(out), *WORDS]
    return subprocess.Popen(
        [*words, "--tracking", "iou"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def children_at_work(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until workers are at work; return them."""
    assert process.stderr is not None
    while "segmentation" not in (line := process.stderr.readline()):
        assert line, "the run ended before it worked"
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_whose_workers_are_stopped_can_be_stopped_and_completed(demo, tmp_path, number):
    out = tmp_path / "out"
    with start_run(demo.image, out) as process:
        workers = children_at_work(process)
        for worker in workers:
            worker.suspend()
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
        assert process.returncode == 130
        _, alive = psutil.wait_procs(workers, timeout=5)
        assert alive == []
    assert "FOV " in told
    assert "did not answer for 2 s; killed" in told
    assert list(out.rglob(".pyama.lock*")) == []
    assert run_inline(describe(demo), new_context(out)).ok
    fresh = tmp_path / "fresh"
    assert run_inline(describe(demo), new_context(fresh)).ok
    assert data_files(out) == data_files(fresh)


@linux_only
def test_even_stopped_workers_do_not_outlive_a_main_process_that_is_killed(demo, tmp_path):
    with start_run(demo.image, tmp_path / "out") as process:
        workers = children_at_work(process)
        for worker in workers:
            worker.suspend()
        process.kill()
        _, alive = psutil.wait_procs(workers, timeout=5)
        for worker in alive:
            worker.kill()
        assert alive == []
    shutil.rmtree(tmp_path / "out")
