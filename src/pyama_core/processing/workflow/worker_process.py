"""The life of a worker process: its line to the main process, its logging, its end.

One duplex pipe joins each worker to the main process. Events and log records go up, the wish to
cancel comes down, and when the other end closes, however the main process came to its end, the
worker ends too. A pipe of its own for each worker, rather than one shared queue, means that a
worker that is killed while it sends can neither garble nor block what the others send, and that
there is no server process that could die.

This module is the first thing that a worker imports, hence it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Protocol, TypeVar

ResultT = TypeVar("ResultT")

CANCEL = "cancel"

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_S = 1.0
"""Steps look up before every frame. What is cut off costs what that would have cost: the step."""
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerLink(Protocol):
    """A worker's line to the main process; it travels to the worker, so it can be pickled."""

    def send(self, message: object) -> None:
        """Send an event or a log record; never raises because nobody listens."""

    def cancelled(self) -> bool:
        """Whether the run was cancelled."""


class _Line:
    """The worker's end of its pipe; there is one per process, made by `start_worker`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._turning = threading.Lock()
        self._at_work = False
        self.cancelled = threading.Event()

    def send(self, message: object) -> None:
        with self._sending, contextlib.suppress(OSError):
            self._connection.send(message)

    def listen(self) -> None:
        """Wait for orders; end the process when the main process is gone."""
        try:
            while True:
                if self._connection.recv() == CANCEL:
                    self._cancel()
        except (EOFError, OSError):
            # Not sys.exit: that would end this thread, and the work would go on for nobody.
            os._exit(1)

    def _cancel(self) -> None:
        if self.cancelled.is_set():
            return
        with self._turning:
            self.cancelled.set()
            if not self._at_work:
                # Imports and compilation may take long and ask nobody whether to go on.
                os._exit(1)
        # Nor does the work itself where a method is new and compiles, or a disk does not answer.
        patience = threading.Timer(_PATIENCE_S, self._end_work)
        patience.daemon = True
        patience.start()

    def _end_work(self) -> None:
        with self._turning:
            if self._at_work:
                os._exit(1)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Whoever cancels waits a little for what is done inside to come to its own end."""
        with self._turning:
            self._at_work = True
        try:
            yield
        finally:
            with self._turning:
                self._at_work = False


_lines: list[_Line] = []
"""The process's line, if it is a worker: an initializer has no other way to leave it."""


class PipeLink:
    """The line of whichever worker process this object finds itself in."""

    def send(self, message: object) -> None:
        """Send a message to the main process."""
        _lines[0].send(message)

    def cancelled(self) -> bool:
        """Whether the main process said to stop."""
        return _lines[0].cancelled.is_set()


class _SendingHandler(logging.Handler):
    """Sends log records to the main process, with their arguments and tracebacks as text."""

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        plain = copy.copy(record)
        plain.msg, plain.args = record.getMessage(), None
        if record.exc_info:
            plain.exc_text = logging.Formatter().formatException(record.exc_info)
            plain.exc_info = None
        self._line.send(plain)


def start_worker(connection: Connection, log_level: int) -> None:
    """Prepare a fresh process for work; the initializer of its executor.

    Parameters
    ----------
    connection : Connection
        The worker's end of a duplex pipe.
    log_level : int
        Level below which records of this package are not sent.
    """
    for name in _THREAD_LIMITS:
        os.environ[name] = "1"
    # Ctrl-C reaches every process of a terminal, and whoever stops a job may send SIGTERM to all
    # of it; only the main process decides what that means.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    line = _Line(connection)
    _lines[:] = [line]
    logger = logging.getLogger("pyama_core")
    logger.handlers[:] = [_SendingHandler(line)]
    logger.setLevel(log_level)
    logger.propagate = False
    try:
        threading.Thread(target=line.listen, name="pyama orders", daemon=True).start()
    except (RuntimeError, MemoryError):
        # Without it nobody could stop this process; the main process says that it died.
        os._exit(1)


@contextlib.contextmanager
def deaf_to_stop_signals() -> Iterator[None]:
    """Let processes that are started inside not die of a signal before they can ignore it.

    Where there are no signal masks to inherit, such a process dies with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def work(call: Callable[[], ResultT]) -> ResultT:
    """Do a call that, when the run is cancelled, ends by itself in good order."""
    with _lines[0].working():
        return call()


def prepare_worker() -> None:
    """Import what the work needs, while the main process is still copying."""
    import cv2

    import pyama_core.processing.workflow.worker  # noqa: F401

    cv2.setNumThreads(1)
