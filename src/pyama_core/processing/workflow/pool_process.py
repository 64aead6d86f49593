"""A process of a pool, seen from outside: how it is begun, given a call, and seen to end."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from pyama_core.processing.workflow.worker_process import deaf_to_stop_signals, run_worker

ANSWER_S = 2.0
"""How long a worker that was told to stop may take; it gives itself half of it."""
KILLED_S = 5.0
"""How long the system may take to end a killed process, which may wait for a disk that hangs."""
_LARGEST_CODE = 255


class WorkerDiedError(BrokenExecutor):
    """The process that had a call is no more.

    Attributes
    ----------
    how : str
        Which process it was, and how it ended.
    silent : bool
        Whether it was killed because it did not answer.
    """

    def __init__(self, how: str, *, silent: bool) -> None:
        super().__init__(how)
        self.how = how
        self.silent = silent


@dataclass(frozen=True)
class Call:
    """A call on its way to a worker.

    Attributes
    ----------
    future : Future
        What its end is told to.
    kind, content : bytes
        What the worker is sent.
    """

    future: Future[Any]
    kind: bytes
    content: bytes

    @classmethod
    def of(cls, kind: bytes, function: Callable[[], Any]) -> Call:
        """Pack a function that takes nothing."""
        return cls(Future(), kind, bytes(ForkingPickler.dumps(function)))

    def drop(self) -> None:
        """Cancel a call that no worker has, and wake who waits for it."""
        if self.future.cancel():
            self.future.set_running_or_notify_cancel()

    def fail(self, error: BaseException) -> None:
        """Answer a call that no worker will answer."""
        if not self.future.done() and (
            self.future.running() or self.future.set_running_or_notify_cancel()
        ):
            self.future.set_exception(error)


class WorkerProcess:
    """A process of a pool, and this end of its pipe.

    Parameters
    ----------
    log_level : int
        From which on it sends what it logs.

    Attributes
    ----------
    ready, silent : bool
        Whether it has said that it takes calls, and whether it was killed for it said nothing.
    complaint : str
        Why it takes no calls.
    """

    def __init__(self, log_level: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, far_end = spawn.Pipe(duplex=True)
        self.ready = False
        self.silent = False
        self.complaint = ""
        self.process: SpawnProcess = spawn.Process(
            target=run_worker, args=(far_end, log_level), name="pyama worker"
        )
        try:
            if os.name == "posix":
                # Not later: it would make this thread hear signals again.
                resource_tracker.ensure_running()
            with deaf_to_stop_signals():
                self.process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            # It must be open there alone, or nobody would see the other end close.
            far_end.close()

    def kill(self, *, silent: bool) -> None:
        """End it, wherever it is; for any thread."""
        self.silent = self.silent or silent
        with contextlib.suppress(OSError, ValueError):
            self.process.kill()

    def wait_for_end(self) -> str:
        """See it end, if need be by force, and say how it ended."""
        self.connection.close()
        self.process.join(ANSWER_S)
        if self.process.exitcode is None:
            self.kill(silent=True)
            self.process.join(KILLED_S)
        code = self.process.exitcode
        if code is None:
            return self.give_up()
        name = f"worker process {self.process.pid}"
        self.process.close()
        if self.silent:
            return f"{name} did not answer for {ANSWER_S:.0f} s; killed"
        return f"{name} {ending_of(code)}"

    def give_up(self) -> str:
        """Wait no more for a process that does not even die, and say so."""
        # Nor at the end of this process.
        multiprocessing.process._children.discard(self.process)  # type: ignore[attr-defined]
        return (
            f"worker process {self.process.pid} cannot even be killed, as it waits for a disk or "
            "file server that does not answer; it ends when that does"
        )


def ending_of(code: int) -> str:
    """Say how a process ended, by its exit code."""
    if code > _LARGEST_CODE:  # Windows: what a process died of, such as access violations
        return f"ended with code {code:#x}"
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
