"""What is done in the process of a Dask worker: a field of view from its copy to its tables.

The request comes once, with a plug-in that Dask brings to every worker, also to those that come
later; a task is the number of a field of view and the proof of its lock. A worker hears of
cancelling from a `distributed.Event` on which it waits, and from its own list of tasks: what the
scheduler gave to another worker, or whose client is gone, is wanted by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Semaphore, Worker, WorkerPlugin, get_worker
from distributed.core import Status

from pyama_core.errors import CancelledError
from pyama_core.executors.dask_messages import encode
from pyama_core.io.storage.locks import LockTicket
from pyama_core.processing.workflow.flusher import Flusher
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus
from pyama_core.processing.workflow.request import RunRequest
from pyama_core.processing.workflow.worker import run_whole_fov
from pyama_core.version import __version__

logger = logging.getLogger(__name__)

_LISTENING_S = 60.0
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Plan:
    """What every worker of a run has to know.

    Attributes
    ----------
    run : str
        Name of the run, of its event and of its topic.
    request : RunRequest
        What to do; paths in it are absolute.
    max_readers : int
        How many workers may read the source at once.
    log_level : int
        Level from which workers send log records.
    python_path : tuple of str
        Folders where features of the user's own may lie.
    """

    run: str
    request: RunRequest
    max_readers: int
    log_level: int
    python_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """What a task gives back, always: an error that Dask cannot send would never arrive.

    Attributes
    ----------
    outcome : FovOutcome or None
        How the field of view ended, if it came to an end.
    n_messages : int
        How many messages were sent before.
    worker : str
        Address of the worker.
    unfit : str
        Why the worker cannot do the work, which another one can.
    error : str
        What went wrong otherwise.
    """

    outcome: FovOutcome | None
    n_messages: int
    worker: str
    unfit: str = ""
    error: str = ""


@dataclass(frozen=True)
class Nature:
    """What a worker is, as far as it matters."""

    version: str
    pid: int
    host: str
    n_threads: int
    blas_threads: str
    sees: bool

    def unfit_for(self, pid: int) -> str:
        """Say why it cannot work for a process; empty if it can."""
        if self.version != __version__:
            return f"it has pyama-core {self.version}, this is {__version__}: install the same"
        if self.pid == pid:
            return "it is in the process of the client: start workers as processes of their own"
        if self.n_threads != 1:
            return (
                f"it has {self.n_threads} threads: start it with --nthreads 1 (and --nworkers for "
                "more of them)"
            )
        if self.blas_threads != "1":
            return (
                "its libraries may use several threads, which changes last digits: start it with a "
                "nanny, or with OMP_NUM_THREADS=1"
            )
        if not self.sees:
            return "it does not see the output folder: that must be on a disk that all share"
        return ""


def nature_of(worker: Worker, paths: Sequence[Path] = ()) -> Nature:
    """Tell what a worker is, and whether it sees what is under some paths."""
    from pyama_core.io.storage.host import host_name

    return Nature(
        version=__version__,
        pid=os.getpid(),
        host=host_name(),
        n_threads=worker.state.nthreads,
        blas_threads=os.environ.get("OMP_NUM_THREADS", ""),
        sees=all(path.exists() for path in paths),
    )


def describe_worker(paths: Sequence[Path] = (), dask_worker: Worker | None = None) -> Nature:
    """Tell what the worker is that this is called on."""
    assert dask_worker is not None
    return nature_of(dask_worker, paths)


def describe_scheduler() -> str:
    """Tell the version; where it cannot even be called, there is none."""
    return __version__


class PlanOnWorker(WorkerPlugin):  # type: ignore[misc]
    """Brings the plan of a run to a worker, and what stays there between its tasks."""

    def __init__(self, plan: Plan, client_pid: int) -> None:
        self.name = f"pyama-{plan.run}"
        self._plan = plan
        self._client_pid = client_pid

    def setup(self, worker: Worker) -> None:
        """Be ready for tasks."""
        unfit = nature_of(worker).unfit_for(self._client_pid)
        _plans[self._plan.run] = _AtWork(worker, self._plan, unfit)

    async def teardown(self, worker: Worker) -> None:
        """Leave nothing behind."""
        at_work = _plans.pop(self._plan.run, None)
        if at_work is not None:
            await at_work.end()


_plans: dict[str, _AtWork] = {}
"""The runs that this process works for, by their names."""


class _AtWork:
    """What a worker has of a run."""

    def __init__(self, worker: Worker, plan: Plan, unfit: str) -> None:
        self.worker = worker
        self.plan = plan
        self.unfit = unfit
        self.cancelled = threading.Event()
        self.flusher = Flusher()
        self._flushing = contextlib.ExitStack()
        self._flushing.enter_context(self.flusher)
        self._listening = asyncio.ensure_future(self._listen())
        known = set(sys.path)
        sys.path += [folder for folder in plan.python_path if folder not in known]

    async def _listen(self) -> None:
        """Wait for the event that cancels the run."""
        while not self.cancelled.is_set():
            try:
                heard = await self.worker.scheduler.event_wait(
                    name=self.plan.run, timeout=_LISTENING_S
                )
            except OSError:  # the scheduler is gone; whoever ends the worker will know
                await asyncio.sleep(_PAUSE_S)
            else:
                if heard:
                    self.cancelled.set()

    async def end(self) -> None:
        self.cancelled.set()
        self._listening.cancel()
        await asyncio.to_thread(self._flushing.close)


def work_on_fov(run: str, fov: int, ticket: LockTicket) -> Done:
    """Take a field of view through all steps: the task of a Dask worker."""
    worker: Worker = get_worker()
    at_work = _plans.get(run)
    if at_work is None:
        return Done(None, 0, worker.address, unfit="it does not know of the run")
    if at_work.unfit:
        return Done(None, 0, worker.address, unfit=at_work.unfit)
    line = _Line(at_work, worker.get_current_task())
    outcome, error = None, ""
    with _one_thread(), _logging_to(line):
        try:
            outcome, folder = run_whole_fov(
                at_work.plan.request, line, fov, ticket, lambda: _reading(at_work.plan, line)
            )
            if folder is not None:
                at_work.flusher.add(folder)
        except CancelledError:
            outcome = FovOutcome(fov, FovStatus.CANCELLED)
        except Exception as failure:
            logger.exception("FOV %d: Dask worker %s failed", fov, worker.address)
            error = f"{type(failure).__name__}: {failure}"
    if outcome is not None and (full := _fault_of_scratch(at_work.plan.request, outcome)):
        return Done(None, line.n_messages, worker.address, unfit=full)
    return Done(outcome, line.n_messages, worker.address, error=error)


def _fault_of_scratch(request: RunRequest, outcome: FovOutcome) -> str:
    """Say what is wrong with the local disk, where that is why a field of view failed.

    Other workers have other disks; and this one, quick to fail, would soon have taken all there is.
    """
    error = outcome.error or ""
    scratch = request.scratch
    is_it = outcome.status is FovStatus.FAILED and scratch and str(scratch.place) in error
    return error if is_it else ""


class _Line:
    """The line of a task to the main process."""

    def __init__(self, at_work: _AtWork, task: Any) -> None:
        self._at_work = at_work
        self._worker = at_work.worker
        self._task = task
        self.n_messages = 0

    def send(self, message: object) -> None:
        self._worker.log_event(self._at_work.plan.run, encode(str(self._task), message))
        self.n_messages += 1

    def cancelled(self) -> bool:
        if self._at_work.cancelled.is_set() or self._worker.status in _ENDING:
            return True
        state = self._worker.state.tasks.get(self._task)
        return state is None or state.state == "cancelled"


_ENDING = (Status.closing, Status.closed, Status.failed, Status.stopping)


class _SendingHandler(logging.Handler):
    """Sends log records to the main process."""

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.send(record)


@contextlib.contextmanager
def _logging_to(line: _Line) -> Iterator[None]:
    package, handler = logging.getLogger("pyama_core"), _SendingHandler(line)
    level = package.level
    package.addHandler(handler)
    package.setLevel(line._at_work.plan.log_level)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextlib.contextmanager
def _reading(plan: Plan, line: _Line) -> Iterator[None]:
    """Wait until fewer than the most read the source, and be one of them."""
    readers = Semaphore(plan.max_readers, name=f"{plan.run}-readers")
    while not readers.acquire(timeout=_PAUSE_S):
        if line.cancelled():
            raise CancelledError("cancelled while waiting for others that read the source")
    try:
        yield
    finally:
        readers.release()
