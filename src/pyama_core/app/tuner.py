"""Who tries parameters: a process of its own, so that the server answers while it computes.

It does one thing at a time. Of what the same page asks for of the same kind only the newest is of
use: what has not begun when a newer one comes is dropped. A process that dies, of a fault in a
library or for want of memory, is replaced when something is asked for next. One of which nothing
was asked for a while is ended, as frames and models that it keeps may fill much of the memory; the
next request starts another.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError
from enum import IntEnum
from typing import ParamSpec, TypeVar

from pyama_core.errors import PyamaError, ShortageError
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.pool_process import WorkerDiedError

P = ParamSpec("P")
T = TypeVar("T")

IDLE_S = 600.0
"""How long the process is kept when nothing is asked for."""
_NOTHING_IS_HEARD = 100
"""Level of log records above all that there are: what goes wrong is in the answer."""


class Haste(IntEnum):
    """What is done first, if several things wait."""

    OUTLINES = 0
    CORRECTION = 1
    TRACKING = 2


class StaleError(PyamaError):
    """Something newer was asked for before this began."""


class TrialDiedError(PyamaError):
    """The process that computes has ended in the middle of it."""


class Tuner:
    """Has things computed in a process of its own; safe to use from several threads."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: list[tuple[Haste, int, str]] = []
        self._newest: dict[tuple[str, Haste], int] = {}
        self._busy = False
        self._last_asked = time.monotonic()
        self._closed = False
        self._pool: WorkerPool | None = None

    def ask(
        self,
        page: str,
        haste: Haste,
        work: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Have something computed, and return it.

        Parameters
        ----------
        page : str
            Who asks: what it asks for next takes the place of this, if that has not begun.
        haste : Haste
            What kind it is, and what may wait for what.
        work : callable
            Called in the process with the arguments; all of them, and what it returns, travel.

        Raises
        ------
        StaleError
            A newer one of this kind came from the same page before this began.
        TrialDiedError
            The process ended meanwhile; the next request starts another.
        """
        self._wait_for_turn(page, haste)
        try:
            return self._in_process().submit(work, *args, **kwargs).result()
        except WorkerDiedError as error:
            raise TrialDiedError(
                f"the process that tries parameters has ended in the middle of it ({error.how}); "
                "nothing that was saved is lost, and it is started anew with the next change"
            ) from error
        except (BrokenExecutor, ShortageError):
            with self._turn:
                self._pool = None
            raise
        except CancelledError as error:
            raise StaleError("the server ends") from error
        finally:
            with self._turn:
                self._busy = False
                self._last_asked = time.monotonic()
                self._turn.notify_all()

    def _wait_for_turn(self, page: str, haste: Haste) -> None:
        with self._turn:
            number = next(self._numbers)
            mine = (haste, number, page)
            self._newest[page, haste] = number
            self._waiting.append(mine)
            self._turn.notify_all()  # those that are stale now end
            try:
                while self._busy or min(self._waiting) != mine:
                    self._refuse_stale(page, haste, number)
                    self._turn.wait()
                self._refuse_stale(page, haste, number)
                self._busy = True
            finally:
                self._waiting.remove(mine)
                if self._newest.get((page, haste)) == number:
                    del self._newest[page, haste]
                self._turn.notify_all()

    def _refuse_stale(self, page: str, haste: Haste, number: int) -> None:
        if self._closed or self._newest.get((page, haste), number) != number:
            raise StaleError("something newer was asked for before this began")

    def _in_process(self) -> WorkerPool:
        with self._turn:
            if self._closed:
                raise StaleError("the server ends")
            if self._pool is None:
                self._pool = WorkerPool(1, _NOTHING_IS_HEARD)
            return self._pool

    def end_if_idle(self, idle_s: float = IDLE_S) -> None:
        """End the process if nothing was asked of it for so many seconds."""
        with self._turn:
            since = time.monotonic() - self._last_asked
            if self._busy or self._waiting or since < idle_s:
                return
            pool, self._pool = self._pool, None
        if pool is not None:
            _end(pool)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        with self._turn:
            self._closed = True
            pool, self._pool = self._pool, None
            self._turn.notify_all()
        if pool is not None:
            _end(pool)


def _end(pool: WorkerPool) -> None:
    pool.cancel()
    pool.shutdown(wait=True, cancel_futures=True)
