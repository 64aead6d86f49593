"""Who works for a run, and how it speaks to them: processes of this computer, or others.

A crew provides `Workers` for as long as there is work, and the thread that listens to them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pyama_core.errors import ShortageError
from pyama_core.io.storage.locks import LockTicket
from pyama_core.processing.workflow.outcome import FovOutcome
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.progress import EventSource, ProgressCallback, ProgressDrainer
from pyama_core.processing.workflow.request import RunRequest
from pyama_core.processing.workflow.warm_up import CompilingProgress, WarmUp, WarmUps, warm_up_all
from pyama_core.processing.workflow.worker import run_single_worker
from pyama_core.processing.workflow.worker_process import MainConnection, PipeConnection

HandOut = Callable[[Sequence[int], Mapping[int, LockTicket]], Future[list[FovOutcome]]]


def _one_more() -> int:
    return 1


@dataclass(frozen=True)
class Workers:
    """Who does the work of a run, and how one speaks to them.

    Attributes
    ----------
    hand_out : callable
        Gives fields of view, with the proofs of their locks, to whoever is free.
    survives_death : bool
        Whether the others go on after one of them died.
    cancel : callable
        Tells the workers to stop.
    check : callable
        Called from time to time while there is work; lets what nobody works on any more fail.
    copies : bool
        Whether workers copy what they work on, under a lease (`io.storage.leases`), and flush it
        to disk; otherwise the main process does.
    backlog : callable
        How many fields of view may be handed out and not done, where workers copy.
    """

    hand_out: HandOut
    survives_death: bool
    cancel: Callable[[], None]
    check: Callable[[], None] = lambda: None
    copies: bool = False
    backlog: Callable[[], int] = _one_more


@dataclass(frozen=True)
class Work:
    """What a crew is there for.

    Attributes
    ----------
    request : RunRequest
        What to do.
    fovs : sequence of int
        Fields of view of which something is left to do.
    tickets : mapping
        Proof of the lock of each.
    first_calls : WarmUps
        What makes the algorithms ready, the longest first.
    on_progress : callable or None
        Takes progress events.
    """

    request: RunRequest
    fovs: Sequence[int]
    tickets: Mapping[int, LockTicket]
    first_calls: WarmUps
    on_progress: ProgressCallback | None = None


class Crew(Protocol):
    """Provides workers for a run."""

    def at_work(self, work: Work) -> AbstractContextManager[tuple[Workers, ProgressDrainer]]:
        """Provide workers and the thread that listens to them, and end both."""


@dataclass(frozen=True)
class ForeignExecutor:
    """An executor that the caller brings, and how events travel from its workers.

    Attributes
    ----------
    executor : Executor
        Anything with the interface of `concurrent.futures.Executor`; it is not shut down.
    connection : MainConnection
        What a worker sends with and asks about cancelling; it is pickled along.
    events : EventSource
        What the main process gets the messages from, for instance a queue.
    """

    executor: Executor
    connection: MainConnection
    events: EventSource

    @contextlib.contextmanager
    def at_work(self, work: Work) -> Iterator[tuple[Workers, ProgressDrainer]]:
        """Listen to the workers of the executor."""
        # Workers elsewhere may share the cache of compiled kernels, so one fills it first.
        warm_up_all(list(work.first_calls))
        with ProgressDrainer(self.events, work.on_progress) as drainer:
            hand_out = _through(self.executor, self.connection, work.request)
            yield Workers(hand_out, survives_death=False, cancel=lambda: None), drainer


class LocalCrew:
    """Processes of this computer, as many as the request says, if there is work for all."""

    @contextlib.contextmanager
    def at_work(self, work: Work) -> Iterator[tuple[Workers, ProgressDrainer]]:
        """Start the processes, and end them."""
        n_workers = min(work.request.n_workers, len(work.fovs))
        level = logging.getLogger("pyama_core").getEffectiveLevel()
        longest, *others = work.first_calls.shared
        told = CompilingProgress(len(work.first_calls.shared))
        try:
            shared: list[WarmUp] = [partial(warm_up_all, [longest]), *others]
            pool = WorkerPool(n_workers, level, shared, work.first_calls.each, told)
        except (RuntimeError, OSError, MemoryError) as error:
            raise ShortageError.about(f"start {n_workers} worker processes", error) from error
        # The pool ends before who listens to it, but also where that one cannot begin.
        with pool, ProgressDrainer(pool, work.on_progress) as drainer, pool:
            hand_out = _through(pool, PipeConnection(), work.request)
            yield Workers(hand_out, True, pool.cancel, pool.check), drainer


def _through(executor: Executor, connection: MainConnection, request: RunRequest) -> HandOut:
    def hand_out(
        fovs: Sequence[int], tickets: Mapping[int, LockTicket]
    ) -> Future[list[FovOutcome]]:
        return executor.submit(run_single_worker, request.for_fovs(fovs), connection, tickets)

    return hand_out
