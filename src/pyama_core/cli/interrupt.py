"""What ends a run from outside: Ctrl-C, a request to terminate, a terminal that is closed.

Once stops, and keeps what is finished; twice ends everything at once. The signals are heard by a
thread of their own: the main thread may be waiting for a file server that does not answer, and
would hear of nothing.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

from pyama_core.cli.streams import echo
from pyama_core.processing.workflow.fov_locks import release_all_held
from pyama_core.processing.workflow.threads import start_thread
from pyama_core.processing.workflow.worker_process import STOP_SIGNALS

logger = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""How long a run may take to come to its end once it is told to stop."""
_EXIT_CODE = 130
_PASSING_S = 1.0
_SHOW_CURSOR = "\x1b[?25h"
"""What draws progress hides the cursor."""
_HANGUP = getattr(signal, "SIGHUP", None)
_TOO_LONG = getattr(signal, "SIGXCPU", None)
_INSISTING = tuple(number for number in STOP_SIGNALS if number != _HANGUP)
"""A terminal that closes may say so more than once, and means the same."""


@contextlib.contextmanager
def cancel_on_interrupt(cancel: threading.Event) -> Iterator[None]:
    """Turn the first signal to stop into a cancellation, a second one into the end.

    Parameters
    ----------
    cancel : threading.Event
        Set at the first signal. If the block has not come to its end ten seconds later, the
        process does.

    Raises
    ------
    ShortageError
        The thread that listens cannot be started.
    """
    ear, bell = socket.socketpair()
    bell.setblocking(False)
    heard = _Listener(ear, cancel)
    listener = threading.Thread(target=heard.listen, name="pyama signals", daemon=True)
    with contextlib.ExitStack() as stack:
        stack.callback(ear.close)
        stack.enter_context(bell)
        start_thread(listener)
        stack.callback(listener.join)
        stack.callback(bell.shutdown, socket.SHUT_WR)
        stack.callback(heard.leave_time_for_the_end)
        stack.enter_context(_ringing(bell))
        yield


@contextlib.contextmanager
def _ringing(bell: socket.socket) -> Iterator[None]:
    """Let signals be written to a socket; the main thread is left alone by those to stop."""
    numbers = [number for number in (*STOP_SIGNALS, _TOO_LONG) if number is not None]
    if _HANGUP is not None and signal.getsignal(_HANGUP) == signal.SIG_IGN:
        numbers.remove(_HANGUP)  # nohup
    before_fd = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _leave_it_to_the_listener) for number in numbers}
    mask = None
    if hasattr(signal, "pthread_sigmask"):
        # While the main thread is within the system, other threads would not be given them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)


def _leave_it_to_the_listener(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; but a signal without a handler would not be written to the socket."""


class _Listener:
    """Hears signals as bytes from a socket, until that is closed."""

    def __init__(self, ear: socket.socket, cancel: threading.Event) -> None:
        self._ear = ear
        self._cancel = cancel
        self._deadline: float | None = None
        self._took_too_long = False

    def leave_time_for_the_end(self) -> None:
        """Keep what comes again for every further second from ending a run that is ending."""
        if self._took_too_long and _TOO_LONG is not None:
            signal.signal(_TOO_LONG, signal.SIG_IGN)

    def listen(self) -> None:
        while True:
            try:
                if self._deadline is not None:
                    self._ear.settimeout(max(0.01, self._deadline - time.monotonic()))
                heard = self._ear.recv(64)
            except TimeoutError:
                _say(
                    f"error: the run has not stopped within {PATIENCE_S:.0f} s, perhaps because a "
                    "disk or file server does not answer; it is ended now, and what was finished "
                    "stays"
                )
                end_at_once()
            if not heard:
                return
            for number in heard:
                self._act_on(number)

    def _act_on(self, number: int) -> None:
        if self._deadline is not None:
            if number in _INSISTING:
                end_at_once()
        elif number in STOP_SIGNALS or number == _TOO_LONG:
            self._deadline = time.monotonic() + PATIENCE_S
            self._cancel.set()
            if number == _HANGUP:
                _in_passing(partial(logger.warning, "the terminal was closed: stopping"))
            elif number == _TOO_LONG:
                self._took_too_long = True
                text = "the limit on processor time (ulimit -t) is reached: stopping"
                _in_passing(partial(logger.warning, text))
            else:
                _say("stopping; press Ctrl-C again to stop at once")


def end_at_once() -> None:
    """End this process and its workers now; what they leave is swept by the next run."""
    for worker in multiprocessing.active_children():
        worker.kill()
    _in_passing(release_all_held)
    if sys.stderr.isatty():
        _say(_SHOW_CURSOR)
    os._exit(_EXIT_CODE)


def _say(text: str) -> None:
    _in_passing(partial(echo, text, err=True))


def _in_passing(act: Callable[[], object]) -> None:
    """Do something that a terminal or disk may not let happen, without waiting for it for long."""

    def do() -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody may be there any more
            act()

    with contextlib.suppress(RuntimeError, MemoryError):
        thread = threading.Thread(target=do, name="pyama last words", daemon=True)
        thread.start()
        thread.join(_PASSING_S)
