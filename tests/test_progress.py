from __future__ import annotations

import logging
import queue
import threading
import time

import pytest

from pyama_core.processing.workflow.progress import ProgressDrainer, ProgressEvent


def event(t: int, fov: int = 0) -> ProgressEvent:
    return ProgressEvent(
        step="segmentation", fov=fov, t=t, T=1000, message=f"segmentation: {t}/1000"
    )


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("pyama_core.worker", level, __file__, 1, message, None, None)


class Broken:
    """A source that raises, after the messages it has."""

    def __init__(self, error: Exception, messages=()):
        self.error = error
        self.messages = list(messages)
        self.n_calls = 0

    def get(self, block=True, timeout=None):
        self.n_calls += 1
        if self.messages:
            return self.messages.pop(0)
        raise self.error


def warnings_of(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_every_event_queued_before_the_end_arrives_in_order():
    source, seen = queue.Queue(), []
    with ProgressDrainer(source, seen.append):
        for t in range(1000):
            source.put(event(t))
    assert [e["t"] for e in seen] == list(range(1000))


def test_a_slow_callback_loses_nothing_and_does_not_hold_up_who_reports():
    source, seen = queue.Queue(), []

    def slowly(e):
        time.sleep(0.01)
        seen.append(e)

    with ProgressDrainer(source, slowly) as drainer:
        started = time.monotonic()
        for t in range(30):
            source.put(event(t))
            drainer.put(event(t, fov=1))
        reporting = time.monotonic() - started
    assert reporting < (time.monotonic() - started) / 2
    for fov in (0, 1):
        assert [e["t"] for e in seen if e["fov"] == fov] == list(range(30))


def test_events_of_this_process_and_of_workers_both_arrive():
    source, seen = queue.Queue(), []
    with ProgressDrainer(source, seen.append) as drainer:
        drainer.put(event(1))
        source.put(event(2))
    assert {e["t"] for e in seen} == {1, 2}


def test_an_event_arrives_while_the_work_goes_on():
    source, arrived = queue.Queue(), threading.Event()
    with ProgressDrainer(source, lambda _: arrived.set()) as drainer:
        source.put(event(1))
        assert arrived.wait(5)
        arrived.clear()
        drainer.put(event(2))
        assert arrived.wait(5)


def test_the_callback_runs_in_a_thread_of_its_own():
    source, threads = queue.Queue(), []
    with ProgressDrainer(source, lambda _: threads.append(threading.current_thread())):
        source.put(event(1))
    assert threads != [threading.current_thread()]
    assert all(thread.daemon for thread in threads)


@pytest.mark.parametrize("malformed", [None, 7, "text", {"step": "x"}, (1, 2), object(), b"\0"])
def test_a_malformed_event_is_logged_and_the_next_arrives(malformed, caplog):
    source, seen = queue.Queue(), []
    with ProgressDrainer(source, seen.append):
        source.put(malformed)
        source.put(event(1))
    assert seen == [event(1)]
    assert any("malformed" in message for message in warnings_of(caplog))


def test_a_callback_that_raises_is_logged_and_called_again(caplog):
    source, seen = queue.Queue(), []

    def raising(e):
        seen.append(e)
        raise ZeroDivisionError("no screen")

    with ProgressDrainer(source, raising):
        for t in range(3):
            source.put(event(t))
    assert [e["t"] for e in seen] == [0, 1, 2]
    assert caplog.text.count("the progress callback failed") == 3


@pytest.mark.parametrize(
    "error", [EOFError(), ConnectionResetError(), BrokenPipeError(), OSError()]
)
def test_a_dead_queue_is_told_once_and_this_process_still_reports(error, caplog):
    source, seen = Broken(error, [event(1)]), []
    with ProgressDrainer(source, seen.append) as drainer:
        time.sleep(0.4)
        drainer.put(event(2))
    assert [e["t"] for e in seen] == [1, 2]
    assert source.n_calls == 2
    assert sum("the queue is gone" in message for message in warnings_of(caplog)) == 1


def test_a_message_that_cannot_be_read_is_logged_and_the_next_arrives(caplog):
    seen = []

    class Unreadable(Broken):
        def get(self, block=True, timeout=None):
            self.n_calls += 1
            if self.n_calls == 1:
                raise self.error
            if self.n_calls == 2:
                return event(1)
            raise queue.Empty

    with ProgressDrainer(Unreadable(ImportError("no such class")), seen.append):
        pass
    assert seen == [event(1)]
    assert "could not be read" in caplog.text


def test_a_queue_that_only_raises_neither_floods_the_log_nor_holds_up_the_end(caplog):
    source = Broken(ValueError("the queue is closed"))
    started = time.monotonic()
    with ProgressDrainer(source, None):
        time.sleep(0.3)
    assert time.monotonic() - started < 10
    assert source.n_calls < 100
    assert warnings_of(caplog)[-1].startswith("progress is no longer reported")


def test_a_dead_queue_does_not_keep_the_processor_busy():
    with ProgressDrainer(Broken(EOFError()), None):
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.25


def test_log_records_of_workers_reach_the_handlers_of_this_process(caplog):
    caplog.set_level(logging.INFO, logger="pyama_core")
    source = queue.Queue()
    with ProgressDrainer(source, None):
        source.put(record("from a worker", logging.WARNING))
        source.put(record("too quiet", logging.DEBUG))
    assert "from a worker" in caplog.text
    assert "too quiet" not in caplog.text


def test_events_become_log_lines_without_a_callback(caplog):
    caplog.set_level(logging.INFO, logger="pyama_core")
    source = queue.Queue()
    with ProgressDrainer(source, None):
        source.put(event(30, fov=4))
    assert "FOV 4: segmentation: 30/1000" in caplog.text


def test_an_exception_in_the_block_still_ends_the_thread():
    source, seen = queue.Queue(), []
    source.put(event(1))
    with pytest.raises(ZeroDivisionError), ProgressDrainer(source, seen.append):
        raise ZeroDivisionError
    assert seen == [event(1)]
