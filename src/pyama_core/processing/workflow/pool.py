"""Worker processes of which one can die without the others noticing.

A `ProcessPoolExecutor` is broken as a whole when one of its processes dies. So each worker here
is an executor of a single process; when it dies, its task fails with `BrokenExecutor`, and a
fresh process takes its place.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for_calls
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, ParamSpec, TypeVar

from pyama_core.processing.workflow.worker_process import (
    CANCEL,
    deaf_to_stop_signals,
    prepare_worker,
    start_worker,
    work,
)

logger = logging.getLogger(__name__)

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


THREADS_PER_WORKER = 2
"""Threads of this process that an executor of one process has: one manages it, one feeds it."""
_DESERTED = "can't start the thread that serves the worker"


class _Worker:
    """One process, its executor, and this end of its pipe.

    While an executor tells of the death of its process it holds a lock that its `submit` and
    `shutdown` wait for (since Python 3.12). So nobody submits to a worker that is `dead`, and it
    is shut down with the others at the end.
    """

    def __init__(self, log_level: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, far_end = spawn.Pipe(duplex=True)
        self.busy = False
        self.dead = False
        self._calls: set[Future[Any]] = set()
        self.executor = ProcessPoolExecutor(
            max_workers=1,
            mp_context=spawn,
            initializer=start_worker,
            initargs=(far_end, log_level),
        )
        # The first task starts the process. After that the far end must be open there alone,
        # or neither side would see the other's end.
        try:
            with deaf_to_stop_signals():
                self.submit(prepare_worker)
        except BaseException:
            # Its process, if there is one, ends when nobody is at this end.
            self.connection.close()
            raise
        finally:
            far_end.close()

    def submit(
        self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[ResultT]:
        """Queue a call for the process; `BrokenExecutor` if it has died."""
        future = self.executor.submit(fn, *args, **kwargs)
        if self._is_deserted():
            raise BrokenExecutor(_DESERTED)
        self._calls.add(future)
        future.add_done_callback(self._note)
        return future

    def _note(self, call: Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled() and isinstance(call.exception(), BrokenExecutor):
            self.dead = True
            # If only its executor is broken, it lives, and the executor waits for it to end.
            self.tell(CANCEL)

    def abandoned(self) -> list[Future[Any]]:
        """Return the calls that nobody will ever answer."""
        return (
            [call for call in list(self._calls) if not call.done()] if self._is_deserted() else []
        )

    def _is_deserted(self) -> bool:
        """Whether the thread that manages the process has ended.

        In good order it ends after all calls are answered. But where no thread can be started to
        feed the process, it ends with a traceback, and the executor does not notice.
        """
        manager = self.executor._executor_manager_thread
        return isinstance(manager, threading.Thread) and not manager.is_alive()

    def tell(self, order: str) -> None:
        try:
            self.connection.send(order)
        except OSError as error:
            logger.debug("a worker that is gone was told to %s: %s", order, error)


class WorkerPool(Executor):
    """An executor over processes that are confined from each other.

    Parameters
    ----------
    n_workers : int
        Processes, all started at once.
    log_level : int
        Level from which workers send log records.
    warm_ups : sequence of callable
        Called in every worker before anything else. The workers share them first, as they may
        leave something in a cache on disk that takes long to make; then each makes the others'
        calls too.
    """

    def __init__(
        self,
        n_workers: int,
        log_level: int = logging.INFO,
        warm_ups: Sequence[Callable[[], object]] = (),
    ) -> None:
        self._log_level = log_level
        self._lock = threading.RLock()
        self._tasks: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._closed = False
        self._ended = False
        self._cancelled = False
        self._buried: list[_Worker] = []
        self._lines: list[Connection] = []
        self._workers: list[_Worker] = []
        try:
            for _ in range(n_workers):
                self._workers.append(self._new_worker())
            if warm_ups:
                self._warm_up(warm_ups)
        except BaseException:
            self.shutdown(wait=True, cancel_futures=True)
            self.close_lines()
            raise

    def _new_worker(self) -> _Worker:
        worker = _Worker(self._log_level)
        self._lines.append(worker.connection)
        return worker

    def _warm_up(self, calls: Sequence[Callable[[], object]]) -> None:
        workers = list(self._workers)
        for worker in workers:
            worker.busy = True
        n_left = len(calls)

        def follow(_: Future[object]) -> None:
            nonlocal n_left
            with self._lock:
                n_left -= 1
                if n_left:
                    return
            for index, worker in enumerate(workers):
                for number, call in enumerate(calls):
                    # One that has died is replaced when it is given work.
                    if number % len(workers) != index and not worker.dead:
                        with contextlib.suppress(RuntimeError):
                            worker.submit(call)
                worker.busy = False
            self._hand_out()

        for number, call in enumerate(calls):
            try:
                inner = workers[number % len(workers)].submit(call)
            except BrokenExecutor as error:
                inner = Future()
                inner.set_exception(error)
            inner.add_done_callback(follow)

    # Executor

    def submit(
        self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[ResultT]:
        """Queue a call; the first free worker takes it."""
        future: Future[ResultT] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            if not self._cancelled:
                self._tasks.append((future, partial(fn, *args, **kwargs)))
        if self._cancelled:
            _drop(future)
        self._hand_out()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all workers; with `cancel_futures`, queued calls are dropped."""
        with self._lock:
            self._closed = True
            queued = [future for future, _ in self._tasks]
        if cancel_futures:
            for future in queued:
                future.cancel()
        elif wait:
            wait_for_calls(queued)
        with self._lock:
            self._ended = True
            workers = [*self._workers, *self._buried]
        for worker in workers:
            worker.executor.shutdown(wait=wait, cancel_futures=cancel_futures)

    def cancel(self) -> None:
        """Drop what is queued and will be, and tell all workers to stop.

        One that is at work stops at the next frame; one that is not ends at once.
        """
        with self._lock:
            self._cancelled = True
            workers = list(self._workers)
            tasks, self._tasks = self._tasks, deque()
        for future, _ in tasks:
            _drop(future)
        for worker in workers:
            worker.tell(CANCEL)

    def check(self) -> None:
        """Let calls fail that nobody is left to answer; to be called from time to time."""
        with self._lock:
            abandoned = [call for worker in self._workers for call in worker.abandoned()]
        for call in abandoned:
            call.set_exception(BrokenExecutor(_DESERTED))

    def _hand_out(self) -> None:
        with self._lock:
            for index in range(len(self._workers)):
                while self._tasks and not self._workers[index].busy:
                    future, call = self._tasks.popleft()
                    if future.set_running_or_notify_cancel():
                        self._give(index, future, call)

    def _give(self, index: int, future: Future[Any], call: Callable[[], Any]) -> None:
        """Give a call to a worker, or let it fail if there can be none."""
        try:
            inner = self._submit_to(index, call)
        except (RuntimeError, OSError, MemoryError) as error:
            future.set_exception(BrokenExecutor(f"no worker process can take the call: {error!r}"))
            return
        self._workers[index].busy = True
        inner.add_done_callback(partial(self._finished, self._workers[index], future))

    def _submit_to(self, index: int, call: Callable[[], Any]) -> Future[Any]:
        """Submit a call to a worker, to a fresh one in its place if it has died."""
        worker = self._workers[index]
        if not worker.dead:
            try:
                return worker.submit(work, call)
            except BrokenExecutor:
                worker.dead = True
        if self._ended:
            raise BrokenExecutor("the pool was shut down")
        self._replace(index)
        return self._workers[index].submit(work, call)

    def _finished(self, worker: _Worker, future: Future[Any], inner: Future[Any]) -> None:
        error = None if inner.cancelled() else inner.exception()
        with self._lock:
            worker.busy = False
        # Another task first, then the news: whoever waits for it may shut the pool down.
        self._hand_out()
        if inner.cancelled():
            future.set_exception(BrokenExecutor("the pool was shut down"))
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(inner.result())

    def _replace(self, index: int) -> None:
        self._buried.append(self._workers[index])
        self._workers[index] = self._new_worker()

    # Event source

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Return the next message of any worker; `queue.Empty` if none comes in time."""
        deadline = time.monotonic() + (timeout or 0.0)
        while True:
            with self._lock:
                lines = list(self._lines)
            remaining = max(0.0, deadline - time.monotonic()) if block else 0.0
            if not lines:
                # After the end no line can come, and whoever asks should not be held up.
                time.sleep(0.0 if self._ended else remaining)
                raise queue.Empty
            for line in wait(lines, remaining):
                assert isinstance(line, Connection)
                try:
                    return line.recv()
                except (EOFError, OSError):
                    self._hang_up(line)
            if time.monotonic() >= deadline:
                raise queue.Empty

    def _hang_up(self, line: Connection) -> None:
        line.close()
        with self._lock:
            self._lines.remove(line)

    def close_lines(self) -> None:
        """Close this end of all pipes, once no worker is left."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()


def _drop(future: Future[Any]) -> None:
    """Cancel a call that no worker has, and wake who waits for it."""
    if future.cancel():
        future.set_running_or_notify_cancel()
