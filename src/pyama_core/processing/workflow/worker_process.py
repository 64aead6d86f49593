"""The life of a worker process: its line to the main process, its calls, its logging, its end.

One duplex pipe joins each worker to the main process. Calls and the wish to cancel come down;
answers, events and log records go up; and when the other end closes, however the main process
came to its end, the worker ends too. A pipe of its own for each worker, rather than shared queues,
means that a worker that is killed while it sends can neither garble nor block what the others
send, that there is no server process that could die, and no semaphore that could be left behind.

A thread listens to the main process, and starts no other: where memory runs out, no thread can be
started, and a process in which nobody listens could not be ended.

This module is the first thing that a worker imports, hence it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Protocol

from pyama_core.io.memory import require_memory

# Orders to a worker, each the first byte of a message.
WORK = b"w"
"""Do a call, which is told when the run is cancelled, and ends by itself in good order."""
PREPARE = b"p"
"""Do a call that is cut off when the run is cancelled."""
CANCEL = b"c"
END = b"e"

# What a worker sends, likewise.
READY = b"r"
UNFIT = b"u"
"""It cannot begin; the reason follows."""
RESULT = b"a"
ERROR = b"x"
MESSAGE = b"m"

STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
_PATIENCE_S = 1.0
"""Steps look up before every frame. What is cut off costs what that would have cost: the step."""
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LIBRARIES = {
    "numpy": 160,
    "cv2": 256,
    "scipy.linalg": 256,
    "pyama_core.processing.workflow.worker": 256,
}
"""Megabytes of address space that suffice to load each.

Of SciPy the part that brings its linear algebra, which the compiler loads anyway: the rest of it
takes a tenth of a second more, and few movies come to that.
"""
_PR_SET_PDEATHSIG = 1


class MainConnection(Protocol):
    """A worker's line to the main process; it travels to the worker, so it can be pickled."""

    def send(self, message: object) -> None:
        """Send an event or a log record; never raises because nobody listens."""

    def cancelled(self) -> bool:
        """Whether the run was cancelled."""


class _PipeEnd:
    """The worker's end of its pipe; there is one per process, made by `run_worker`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._turning = threading.Lock()
        self._at_work = False
        self._calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.cancelled = threading.Event()

    def put(self, kind: bytes, content: bytes = b"") -> None:
        """Send something up; in vain if nobody is there any more, which ends the process."""
        with self._sending, contextlib.suppress(OSError):
            self._connection.send_bytes(kind + content)

    def send(self, message: object) -> None:
        self.put(MESSAGE, bytes(ForkingPickler.dumps(message)))

    # Orders

    def listen(self) -> None:
        """Take orders; end the process when the main process is gone."""
        try:
            while True:
                if self.cancelled.is_set() and not self._connection.poll(_PATIENCE_S):
                    self._end_work()
                self._obey(self._connection.recv_bytes())
        finally:
            # Not sys.exit: that would end this thread, and the work would go on for nobody.
            os._exit(1)

    def _obey(self, order: bytes) -> None:
        if order == CANCEL:
            self._cancel()
        else:
            self._calls.put(order)

    def _cancel(self) -> None:
        with self._turning:
            self.cancelled.set()
            if not self._at_work:
                # Imports and compilation may take long and ask nobody whether to go on.
                os._exit(1)

    def _end_work(self) -> None:
        """End work that does not: a method that is new and compiles, a disk that is silent."""
        with self._turning:
            if self._at_work:
                os._exit(1)

    # Calls

    def serve(self) -> None:
        """Do one call after the other until told to end."""
        while (order := self._calls.get()) != END:
            self.put(*self._answer(order[:1], order[1:]))

    def _answer(self, kind: bytes, call: bytes) -> tuple[bytes, bytes]:
        try:
            with self._working() if kind == WORK else contextlib.nullcontext():
                result = pickle.loads(call)()  # noqa: S301 - from the main process
            return RESULT, bytes(ForkingPickler.dumps(result))
        except BaseException as error:  # noqa: BLE001 - raised where the call was made
            return ERROR, _pickled(error)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Whoever cancels waits a little for what is done inside to come to its own end."""
        with self._turning:
            self._at_work = True
        try:
            yield
        finally:
            with self._turning:
                self._at_work = False


def _pickled(error: BaseException) -> bytes:
    """Pickle an error with its traceback as text, or what can be said of it."""
    try:
        error.add_note("".join(traceback.format_exception(error)))
        content = bytes(ForkingPickler.dumps(error))
        pickle.loads(content)  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - an error of a library may do anything
        return bytes(ForkingPickler.dumps(RuntimeError(f"{type(error).__name__}: {error}")))
    return content


_own_end: list[_PipeEnd] = []
"""The process's line, if it is a worker: what a call finds in its process."""


class PipeConnection:
    """The line of whichever worker process this object finds itself in."""

    def send(self, message: object) -> None:
        """Send a message to the main process."""
        _own_end[0].send(message)

    def cancelled(self) -> bool:
        """Whether the main process said to stop."""
        return _own_end[0].cancelled.is_set()


class _SendingHandler(logging.Handler):
    """Sends log records to the main process, with their arguments and tracebacks as text."""

    def __init__(self, line: _PipeEnd) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        plain = copy.copy(record)
        plain.msg, plain.args = record.getMessage(), None
        if record.exc_info:
            plain.exc_text = logging.Formatter().formatException(record.exc_info)
            plain.exc_info = None
        self._line.send(plain)


def run_worker(connection: Connection, log_level: int) -> None:
    """Live the life of a worker; the target of its process.

    Parameters
    ----------
    connection : Connection
        The worker's end of a duplex pipe.
    log_level : int
        Level below which records of this package are not sent.
    """
    line = _PipeEnd(connection)
    try:
        _set_up(line, log_level)
        _prepare()
        line.put(READY)
    except BaseException as error:  # noqa: BLE001 - told by the main process
        with contextlib.suppress(Exception):
            line.put(UNFIT, (str(error) or repr(error)).encode(errors="replace"))
        os._exit(1)
    try:
        line.serve()
    except BaseException:  # noqa: BLE001 - no memory for an answer; the main process sees the end
        os._exit(1)


def _set_up(line: _PipeEnd, log_level: int) -> None:
    for name in _THREAD_LIMITS:
        os.environ[name] = "1"
    # Ctrl-C reaches every process of a terminal, and whoever stops a job may send SIGTERM to all
    # of it; only the main process decides what that means.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _own_end[:] = [line]
    logger = logging.getLogger("pyama_core")
    logger.handlers[:] = [_SendingHandler(line)]
    logger.setLevel(log_level)
    logger.propagate = False
    threading.Thread(target=line.listen, name="pyama orders", daemon=True).start()
    _end_with_parent()


def _end_with_parent() -> None:
    """Let the system end this process with the thread that started it, even while it is stopped.

    Elsewhere than on Linux a stopped process ends as soon as it goes on and finds its pipe closed.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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


def _prepare() -> None:
    """Import what the work needs, while the main process is still copying."""
    for name, n_megabytes in _LIBRARIES.items():
        require_memory(n_megabytes, f"load {name}")
        importlib.import_module(name)

    import cv2

    cv2.setNumThreads(1)
