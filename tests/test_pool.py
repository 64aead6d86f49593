from __future__ import annotations

import ctypes
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from pyama_core.errors import ShortageError
from pyama_core.processing.workflow import pool as pool_module
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.worker_process import PipeConnection
from runs import worker_processes

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@contextmanager
def pool_of(n_workers: int, level: int = logging.INFO, warm_ups=()):
    pool = WorkerPool(n_workers, level, warm_ups)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@pytest.fixture(scope="module", autouse=True)
def _import_path():
    """Let spawned workers find the functions below."""
    before = os.environ.get("PYTHONPATH")
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = here if before is None else f"{here}{os.pathsep}{before}"
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


# What workers do in these tests


def add(a, b=0):
    return a + b


def pid_after(seconds=0.0):
    time.sleep(seconds)
    return os.getpid()


def raise_lookup_error(text):
    raise LookupError(text)


def die(way):
    if way == "exit":
        os._exit(7)
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.string_at(0)


def touch_and_sleep(path):
    Path(path).touch()
    time.sleep(60)


def wait_for_cancel(path):
    """Touch a file, then wait to be told to stop."""
    Path(path).touch()
    deadline = time.monotonic() + 20
    while not PipeConnection().cancelled():
        if time.monotonic() > deadline:
            return "nobody said stop"
        time.sleep(0.005)
    return "stopped"


def send_all(messages):
    for message in messages:
        PipeConnection().send(message)


def log_something():
    logger = logging.getLogger("pyama_core.somewhere")
    logger.info("to %s", "you")
    logger.debug("in private")
    try:
        raise_lookup_error("lost")
    except LookupError:
        logger.exception("what now")
    logging.getLogger("another_package").warning("not ours")


def interrupt_self():
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def environment_of_threads():
    import cv2

    return os.environ["OMP_NUM_THREADS"], cv2.getNumThreads()


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_all(pool, n_workers) -> None:
    """Wait until so many workers take calls."""
    pids: set[int] = set()
    while len(pids) < n_workers:
        pids = {call.result(60) for call in [pool.submit(pid_after, 0.3) for _ in range(n_workers)]}


def drain(pool) -> list[object]:
    messages = []
    while True:
        try:
            messages.append(pool.get(timeout=0.3))
        except queue.Empty:
            return messages


@pytest.fixture(scope="module")
def shared_pool():
    """A pool of two for tests that do it no harm."""
    with pool_of(2) as pool:
        wait_for_all(pool, 2)
        yield pool


# Results


def test_results_and_arguments_travel(shared_pool):
    futures = [shared_pool.submit(add, i, b=i) for i in range(20)]
    assert [future.result(30) for future in futures] == [2 * i for i in range(20)]


def test_map_works_as_for_any_executor(shared_pool):
    assert list(shared_pool.map(add, range(5))) == list(range(5))


def test_all_workers_work_at_once_and_each_is_kept(shared_pool):
    wait([shared_pool.submit(pid_after, 0.2) for _ in range(2)])
    rounds = [[shared_pool.submit(pid_after, 0.1) for _ in range(2)] for _ in range(2)]
    pids = [{future.result(30) for future in pair} for pair in rounds]
    assert len(pids[0]) == 2
    assert pids[0] == pids[1]
    assert os.getpid() not in pids[0]


def test_an_exception_travels_and_the_worker_goes_on(shared_pool):
    with pytest.raises(LookupError, match="where"):
        shared_pool.submit(raise_lookup_error, "where").result(30)
    assert shared_pool.submit(add, 1).result(30) == 1


def test_a_call_or_result_that_cannot_be_pickled_fails_alone(shared_pool):
    with pytest.raises(Exception, match=r"pickle|local object"):
        shared_pool.submit(add, lambda: None).result(30)
    assert shared_pool.submit(add, 2).result(30) == 2


def test_a_queued_call_that_is_cancelled_is_passed_over(shared_pool):
    busy = [shared_pool.submit(pid_after, 0.4) for _ in range(2)]
    unwanted = [shared_pool.submit(add, i) for i in range(3)]
    last = shared_pool.submit(add, 5)
    assert all(future.cancel() for future in unwanted)
    assert last.result(30) == 5
    wait(busy)
    with pytest.raises(CancelledError):
        unwanted[0].result(0)


def test_workers_use_one_thread_for_linear_algebra_and_images(shared_pool):
    assert shared_pool.submit(environment_of_threads).result(30) == ("1", 1)


@posix_only
def test_workers_leave_ctrl_c_to_the_main_process(shared_pool):
    future = shared_pool.submit(interrupt_self)
    # A KeyboardInterrupt that came back as a result would end the tests.
    assert future.exception(30) is None
    assert future.result() == "still here"


# Messages


def test_messages_of_workers_arrive_in_order(shared_pool):
    drain(shared_pool)
    future = shared_pool.submit(send_all, list(range(5000)))
    assert drain(shared_pool) == list(range(5000))
    future.result(30)


def test_log_records_arrive_formatted_with_tracebacks_as_text(shared_pool):
    drain(shared_pool)
    shared_pool.submit(log_something).result(30)
    records = drain(shared_pool)
    assert [r.getMessage() for r in records] == ["to you", "what now"]
    assert records[1].exc_info is None
    assert "LookupError: lost" in records[1].exc_text


def test_asking_for_a_message_that_does_not_come_ends_in_time(shared_pool):
    drain(shared_pool)
    started = time.monotonic()
    with pytest.raises(queue.Empty):
        shared_pool.get(timeout=0.2)
    assert 0.15 < time.monotonic() - started < 2
    with pytest.raises(queue.Empty):
        shared_pool.get(block=False)


# Deaths


@pytest.mark.slow
def test_workers_that_die_fail_their_own_call_only_and_are_replaced():
    ways = ("exit",) if os.name == "nt" else ("exit", "kill", "segfault")
    before = set(worker_processes())
    with pool_of(2) as pool:
        for way in ways:
            wait_for_all(pool, 2)
            other = pool.submit(pid_after, 0.5)
            fatal = pool.submit(die, way)
            queued = [pool.submit(add, i) for i in range(4)]
            with pytest.raises(BrokenExecutor):
                fatal.result(60)
            assert [future.result(60) for future in queued] == list(range(4))
            assert psutil.pid_exists(other.result(60))
        wait_for_all(pool, 2)
        wait_until(lambda: len(set(worker_processes()) - before) == 2)


def test_an_idle_worker_that_is_killed_fails_no_call():
    with pool_of(1) as pool:
        pid = pool.submit(pid_after).result(60)
        psutil.Process(pid).kill()
        wait_until(lambda: not psutil.pid_exists(pid))
        time.sleep(1.0)
        assert pool.submit(pid_after).result(60) != pid


def test_a_worker_that_cannot_be_replaced_leaves_no_call_without_an_answer(monkeypatch):
    with pool_of(1) as pool:
        pool.submit(add, 1).result(60)

        def refuse(self, log_level):
            raise OSError("no more processes")

        monkeypatch.setattr(
            "pyama_core.processing.workflow.pool_process.WorkerProcess.__init__", refuse
        )
        fatal = pool.submit(die, "exit")
        queued = [pool.submit(add, i) for i in range(2)]
        with pytest.raises(BrokenExecutor, match=r"worker process \d+ ended with code 7"):
            fatal.result(10)
        for future in (*queued, pool.submit(add, 3)):
            with pytest.raises(ShortageError, match=r"cannot start a worker .*no more processes"):
                future.result(10)


# Ends


def test_cancel_lets_the_busy_end_in_good_order_and_drops_what_is_queued_or_comes_later(tmp_path):
    with pool_of(2) as pool:
        futures = [pool.submit(wait_for_cancel, tmp_path / str(i)) for i in range(2)]
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        queued = [pool.submit(add, i) for i in range(3)]
        pool.cancel()
        assert [future.result(5) for future in futures] == ["stopped"] * 2
        later = [pool.submit(add, i) for i in range(3)]
        done, waiting = wait([*queued, *later], 5)
        assert not waiting
        assert all(future.cancelled() for future in done)


def test_cancel_does_not_wait_for_workers_that_are_still_compiling(tmp_path):
    # Nobody could ask a compiler to stop; but neither has it begun anything.
    with pool_of(2, warm_ups=[partial(touch_and_sleep, tmp_path / "begun")]) as pool:
        future = pool.submit(add, 1)
        wait_until((tmp_path / "begun").exists, 60)
        started = time.monotonic()
        pool.cancel()
        wait([future], 10)
        assert future.cancelled()
    assert time.monotonic() - started < 5


def test_no_worker_is_started_for_what_is_left_to_do_when_a_pool_is_cancelled(
    tmp_path, monkeypatch
):
    started = []

    class Counted(pool_module.WorkerProcess):
        def __init__(self, log_level):
            started.append(self)
            super().__init__(log_level)

    monkeypatch.setattr(pool_module, "WorkerProcess", Counted)
    with pool_of(2, warm_ups=[partial(touch_and_sleep, tmp_path / "begun")]) as pool:
        wait_until((tmp_path / "begun").exists, 60)
        for supervisor in pool._supervisors:
            supervisor.own_calls.append(pool_module.Call.of(b"p", partial(add, 1)))
        pool.cancelled = True
        assert not any(map(pool.has_call_for, pool._supervisors))
        pool.cancel()
    assert len(started) <= 2


def test_cancel_waits_for_no_call_that_does_not_listen(tmp_path):
    with pool_of(1) as pool:
        future = pool.submit(touch_and_sleep, tmp_path / "begun")
        wait_until((tmp_path / "begun").exists, 60)
        started = time.monotonic()
        pool.cancel()
        with pytest.raises(BrokenExecutor):
            future.result(10)
    assert time.monotonic() - started < 5


@posix_only
def test_a_worker_ignores_the_signals_of_its_parent_even_while_it_starts(capfd):
    with pool_of(1) as pool:
        for number in [signal.SIGINT, signal.SIGTERM] * 5:
            for worker in worker_processes():
                worker.send_signal(number)
            time.sleep(0.05)
        assert pool.submit(add, 1, 2).result(60) == 3
    assert capfd.readouterr().err == ""


def test_shutting_down_leaves_no_process_and_takes_no_call():
    before = set(worker_processes())
    pool = WorkerPool(2)
    assert pool.submit(add, 1).result(60) == 1
    assert len(set(worker_processes()) - before) == 2
    pool.shutdown()
    assert set(worker_processes()) == before
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(add, 1)
    pool.shutdown()


def test_shutting_down_can_drop_what_is_queued():
    with pool_of(1) as pool:
        running = pool.submit(pid_after, 0.3)
        queued = [pool.submit(add, i) for i in range(3)]
        wait_until(running.running)
        pool.shutdown(wait=True, cancel_futures=True)
        assert running.done()
        assert all(future.cancelled() for future in queued)


def test_shutting_down_without_dropping_finishes_what_is_queued():
    with pool_of(1) as pool:
        futures = [pool.submit(add, i) for i in range(3)]
        thread = threading.Thread(target=pool.shutdown)
        thread.start()
        try:
            assert [future.result(20) for future in futures] == [0, 1, 2]
        finally:
            thread.join()


START_A_POOL = """
import os, time
from pyama_core.processing.workflow import pool as pool_module
from pyama_core.processing.workflow.pool import WorkerPool
if __name__ == "__main__":
    pool = WorkerPool(1)
    pool.submit(os.getpid).result()
    pool.submit(time.sleep, 60)
    print("ready", flush=True)
    time.sleep(60)
"""


@posix_only
def test_workers_end_when_the_main_process_is_killed(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(START_A_POOL)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=3)
        assert alive == []
