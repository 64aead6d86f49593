"""One run at a Dask scheduler: what is handed out, what is heard, and what is left of it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import queue
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyama_core.errors import PyamaError, ShortageError
from pyama_core.executors.dask_messages import decode
from pyama_core.executors.dask_worker import (
    Done,
    Plan,
    PlanOnWorker,
    work_on_fov,
)
from pyama_core.io.storage.leases import take_back
from pyama_core.io.storage.locks import LockTicket
from pyama_core.processing.workflow.crews import Work
from pyama_core.processing.workflow.outcome import FovOutcome
from pyama_core.processing.workflow.pool_process import WorkerDiedError

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as DaskFuture

logger = logging.getLogger(__name__)

_LEAST_BACKLOG = 100
_LOOK_EVERY_S = 5.0
_TELL_EVERY_S = 60.0
_ANSWER_S = 5.0
"""How long workers may take to hear that the run is cancelled, and the last messages to come."""


@dataclasses.dataclass(eq=False)
class _Call:
    """A field of view that was handed out; `task` is what Dask has of it."""

    fov: int
    ticket: LockTicket
    answer: Future[list[FovOutcome]]
    task: DaskFuture | None = None


class DaskSession:
    """A run, as the client of the scheduler.

    Parameters
    ----------
    client : distributed.Client
        The client.
    work : Work
        What is to be done.
    max_readers : int
        How many workers may read the microscope file at once.
    """

    def __init__(self, client: Client, work: Work, max_readers: int) -> None:
        self._client = client
        self._work = work
        self._max_readers = max_readers
        self._run = self._scheduler = ""
        self._address = client.scheduler.address
        self._n_submitted = 0
        self._inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._heard: Counter[str] = Counter()
        self._expected: dict[str, int] = {}
        self._lock = threading.Lock()
        self._calls: set[_Call] = set()
        self._returned: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._unfit: dict[str, str] = {}
        self._n_workers = 0
        self._looked = self._seen = self._told = time.monotonic()
        self._cancelled_at: float | None = None
        self._ended = False

    # The run at the scheduler

    def begin(self) -> None:
        """Bring the plan to all workers, and subscribe to what they say."""
        self._run = f"pyama-{secrets.token_hex(6)}"
        self._scheduler = self._client.scheduler_info()["id"]
        request = self._work.request
        request = dataclasses.replace(
            request, output_dir=request.output_dir.absolute(), samples=None, asked=()
        )
        level = logging.getLogger("pyama_core").getEffectiveLevel()
        plan = Plan(self._run, request, self._max_readers, level, _own_python_path())
        self._client.subscribe_topic(self._run, self._hear)
        self._client.register_plugin(PlanOnWorker(plan, os.getpid()))
        self._n_workers = len(self._client.nthreads())

    def end(self) -> None:
        """Hear what is still on its way, and leave nothing at scheduler and workers."""
        from distributed import Event

        self._ended = True
        deadline = time.monotonic() + _ANSWER_S
        while (lost := self._not_heard()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if lost:
            logger.warning("%d messages of workers did not arrive", lost)
        if self._client.status != "running":
            return
        try:
            event = Event(self._run, client=self._client)
            event.set()  # who still waits for it goes, and leaves no error behind
            self._client.unregister_worker_plugin(f"pyama-{self._run}")
            event.clear()
            self._client.unsubscribe_topic(self._run)
            self._client.run_on_scheduler(_forget, self._run)
        except Exception as error:
            logger.debug("the cluster was not left in order", exc_info=error)

    def _not_heard(self) -> int:
        with self._lock:
            return sum(max(0, n - self._heard[task]) for task, n in self._expected.items())

    # Messages

    def _hear(self, event: tuple[float, object]) -> None:
        self._inbox.put(event[1])

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Return the next message of any worker; `queue.Empty` if none comes in time."""
        received = decode(self._inbox.get(block, timeout))
        with self._lock:
            self._heard[received.task] += 1
        return received.content

    # Work

    def hand_out(
        self, fovs: Sequence[int], tickets: Mapping[int, LockTicket]
    ) -> Future[list[FovOutcome]]:
        """Give a field of view to whoever is free."""
        [fov] = fovs
        call = _Call(fov, _absolute(tickets[fov]), Future())
        # What runs is stopped by the event alone: Dask would call it cancelled, and go on with it.
        call.answer.set_running_or_notify_cancel()
        with self._lock:
            self._calls.add(call)
        self._submit(call)
        return call.answer

    def _submit(self, call: _Call) -> None:
        self._n_submitted += 1
        options: dict[str, Any] = {}
        if self._unfit:
            fit = [address for address in self._client.nthreads() if address not in self._unfit]
            if not fit:
                address, reason = next(iter(self._unfit.items()))
                self._fail(call, ShortageError(f"no Dask worker is fit: {address}: {reason}"))
                return
            options = {"workers": fit, "allow_other_workers": False}
        task = self._client.submit(
            work_on_fov,
            self._run,
            call.fov,
            call.ticket,
            key=f"{self._run}-fov-{call.fov}-{self._n_submitted}",
            pure=False,
            retries=0,
            **options,
        )
        call.task = task
        task.add_done_callback(lambda done: self._hear_end(call, done))

    def _hear_end(self, call: _Call, task: DaskFuture) -> None:
        """Hear how a task ended; in a thread of the client."""
        if self._ended:
            return
        try:
            if task.status == "finished":
                self._take_answer(call, str(task.key), task.result())
                return
            error = task.exception() if task.status == "error" else None
        except Exception as failure:  # noqa: BLE001 - the connection broke, or so did the answer
            error = None if self._client.status != "running" else failure
        self._take_error(call, error)

    def _take_answer(self, call: _Call, task: str, done: Done) -> None:
        with self._lock:
            self._expected[task] = done.n_messages
        if done.unfit:
            if done.worker not in self._unfit:
                logger.warning("Dask worker %s is not used: %s", done.worker, done.unfit)
            self._unfit[done.worker] = done.unfit
            self._returned.put(call)
        elif done.outcome is None:
            self._fail(call, RuntimeError(f"Dask worker {done.worker}: {done.error}"))
        else:
            self._answer(call, [done.outcome])

    def _take_error(self, call: _Call, error: BaseException | None) -> None:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        if error is None or isinstance(error, FutureCancelledError):
            self._returned.put(call)  # the scheduler is gone; `check` knows what to do
        elif isinstance(error, KilledWorker):
            where = error.last_worker.address
            self._fail(call, WorkerDiedError(f"Dask worker {where} is gone", silent=False))
        else:
            self._fail(call, error)

    def _answer(self, call: _Call, outcomes: list[FovOutcome]) -> None:
        with self._lock:
            self._calls.discard(call)
        call.task = None
        if not call.answer.done():
            call.answer.set_result(outcomes)

    def _fail(self, call: _Call, error: BaseException) -> None:
        with self._lock:
            self._calls.discard(call)
        call.task = None
        if not call.answer.done():
            call.answer.set_exception(error)

    def backlog(self) -> int:
        """How many fields of view may wait or be worked on."""
        return max(_LEAST_BACKLOG, 2 * self._n_workers)

    # What happens meanwhile

    def cancel(self) -> None:
        """Tell all workers to stop, once."""
        from distributed import Event

        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            try:
                Event(self._run, client=self._client).set()
            except Exception as error:
                logger.debug("the scheduler could not be told", exc_info=error)

    def check(self) -> None:
        """Look after what no task's end tells: the scheduler, silence, a lack of workers."""
        now = time.monotonic()
        if self._cancelled_at is not None and now > self._cancelled_at + _ANSWER_S:
            self._give_up()
        elif self._client.status in ("closing", "closed"):
            self._lose_scheduler()
        elif self._client.status == "running":
            self._take_up()
            if now > self._looked + _LOOK_EVERY_S:
                self._looked = now
                self._look_for_workers(now)

    def _give_up(self) -> None:
        """End what did not hear that the run is cancelled."""
        for call in self._open_calls():
            if call.task is not None and self._client.status == "running":
                call.task.cancel()
            _take_back(call)
            self._fail(call, WorkerDiedError("its Dask worker does not answer", silent=True))

    def _lose_scheduler(self) -> None:
        lost = ShortageError(
            f"the Dask scheduler {self._address} is gone; run the same again to go on from here"
        )
        for call in self._open_calls():
            _take_back(call)
            self._fail(call, lost)

    def _take_up(self) -> None:
        """Hand out again what came back: from a scheduler that was lost, or an unfit worker."""
        returned: list[_Call] = []
        with contextlib.suppress(queue.Empty):
            while True:
                returned.append(self._returned.get(block=False))
        if not returned:
            return
        if self._client.scheduler_info()["id"] != self._scheduler:
            logger.warning(
                "the Dask scheduler was lost and is back: %d FOVs are handed out again",
                len(returned),
            )
            self.begin()
        for call in returned:
            _take_back(call)
            self._submit(call)

    def _look_for_workers(self, now: float) -> None:
        try:
            self._n_workers = len(self._client.nthreads())
        except OSError:
            return
        if self._n_workers:
            self._seen = self._told = now
        elif now > self._told + _TELL_EVERY_S:
            self._told = now
            logger.warning(
                "no Dask worker has been there for %.0f s; waiting for one", now - self._seen
            )

    def _open_calls(self) -> list[_Call]:
        with self._lock:
            return sorted(self._calls, key=lambda call: call.fov)


def _take_back(call: _Call) -> None:
    """Stop whoever may still work on a field of view, for no fault of theirs."""
    try:
        take_back(call.ticket, forgive=True)
    except PyamaError as error:
        logger.debug("FOV %d: no lease", call.fov, exc_info=error)


def _absolute(ticket: LockTicket) -> LockTicket:
    return dataclasses.replace(ticket, path=ticket.path.absolute())


def _own_python_path() -> tuple[str, ...]:
    """Folders of modules that were added to those of the environment."""
    own = (Path(folder or ".").absolute() for folder in sys.path)
    prefixes = [Path(prefix) for prefix in {sys.prefix, sys.base_prefix}]
    return tuple(
        str(folder)
        for folder in own
        if folder.is_dir() and not any(folder.is_relative_to(prefix) for prefix in prefixes)
    )


def _forget(topic: str, dask_scheduler: Any = None) -> None:
    """Let the scheduler forget what was said in a run."""
    dask_scheduler._broker.truncate(topic)
