"""Worker processes of which one can die, or fall silent, without the others noticing.

Each worker has a supervisor: a thread of this process that starts it, gives it calls, hears what
it says and sees it end. Supervisors share nothing but the queue of calls, so that a worker that
dies in the middle of a sentence, or stops in the middle of listening to one, holds up its own
supervisor alone; and who kills it (`WorkerPool.check`) frees the supervisor. Nothing here waits for
a worker without an end: one that is told to stop has a little time to do so.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import pickle
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from types import TracebackType
from typing import ParamSpec, TypeVar

from pyama_core.errors import ShortageError
from pyama_core.processing.workflow.pool_process import (
    ANSWER_S,
    KILLED_S,
    Call,
    WorkerDiedError,
    WorkerProcess,
)
from pyama_core.processing.workflow.threads import start_thread
from pyama_core.processing.workflow.worker_process import (
    CANCEL,
    END,
    ERROR,
    MESSAGE,
    PREPARE,
    READY,
    RESULT,
    UNFIT,
    WORK,
)

logger = logging.getLogger(__name__)

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

THREADS_PER_WORKER = 1
"""Threads of this process that serve a worker."""
_POLL_S = 0.1
_MAX_FALSE_STARTS = 2


class _Supervisor:
    """A thread with a worker; where one dies, another one takes its place.

    Parameters
    ----------
    pool : WorkerPool
        Where calls come from, and messages go to.
    log_level : int
        Level from which workers send log records.
    """

    def __init__(self, pool: WorkerPool, log_level: int) -> None:
        self._pool = pool
        self._log_level = log_level
        self._worker: WorkerProcess | None = None
        self._call: Call | None = None
        self._told: set[bytes] = set()
        self._deadline: float | None = None
        self._n_false_starts = 0
        self._waking = threading.Lock()
        self._woken = False
        self._wake_receiver, self._wake_sender = multiprocessing.get_context("spawn").Pipe(
            duplex=False
        )
        self.own_calls: deque[Call] = deque()
        self.failure = ""
        self.given_up = False
        self.thread = threading.Thread(target=self._serve, name="pyama supervisor", daemon=True)

    # For any thread

    def wake(self) -> None:
        """Let the thread look at what is to be done."""
        with self._waking:
            if not self._woken:
                self._woken = True
                # Not nothing: an empty message is a special case of the pipes of Windows.
                self._wake_sender.send_bytes(b"w")

    def enforce(self) -> None:
        """Kill a worker that was to come to an end and had its time to do so.

        Not the thread alone can see to that: it may be in the middle of a message.
        """
        worker, now = self._worker, time.monotonic()
        if worker is None or not (self._pool.cancelled or (self._pool.ended and not self._call)):
            return
        if self._deadline is None:
            self._deadline = now + ANSWER_S
        elif now > self._deadline + KILLED_S:
            self.given_up = True
            self.failure = worker.give_up()
            self.close()
        elif now > self._deadline:
            worker.kill(silent=True)

    def close(self) -> None:
        """Leave nothing behind: no worker, no call without an answer, no open pipe."""
        with self._waking:
            self._woken = True
            worker, call = self._worker, self._call
            self._worker = self._call = None
        if worker is not None and not self.given_up:
            worker.kill(silent=False)
            worker.wait_for_end()
        if worker is not None and self.given_up and call is None:
            logger.warning("%s", self.failure)
        for lost in [*([] if call is None else [call]), *self.own_calls]:
            lost.fail(WorkerDiedError(self.failure or "the pool was shut down", silent=True))
        if not self.thread.is_alive() or threading.current_thread() is self.thread:
            self._wake_receiver.close()
            self._wake_sender.close()
        self._pool.note_closed(self)

    # The thread

    def _serve(self) -> None:
        try:
            self._start_worker()
            while not (self._is_vacant() and (self._pool.ended or self.given_up)):
                self._attend()
                if self._is_vacant() and self._pool.has_call_for(self):
                    if self._n_false_starts >= _MAX_FALSE_STARTS:
                        return
                    self._start_worker()
        except Exception as error:  # noqa: BLE001 - out of memory, for instance; told by the pool
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            self.close()

    def _is_vacant(self) -> bool:
        return self._worker is None

    def _start_worker(self) -> None:
        self._told.clear()
        self._deadline = None
        self._worker = WorkerProcess(self._log_level)

    def _attend(self) -> None:
        """Wait until something happens, and deal with it."""
        ends = [self._wake_receiver]
        if self._worker is not None:
            ends.append(self._worker.connection)
        heard = wait(ends, _POLL_S if self._pool.ended else None)
        self.enforce()
        if self.given_up:
            return
        if self._wake_receiver in heard:
            with self._waking:
                self._woken = False
                self._wake_receiver.recv_bytes()
        if self._worker is not None and self._worker.connection in heard:
            self._hear(self._worker)
        if self._worker is not None:
            self._speak(self._worker)

    def _hear(self, worker: WorkerProcess) -> None:
        try:
            said = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._bury(worker)
            return
        kind, content = said[:1], said[1:]
        if kind == MESSAGE:
            self._pool.inbox.put(content)
        elif kind == READY:
            worker.ready = True
            self._n_false_starts = 0
        elif kind == UNFIT:
            worker.complaint = content.decode()
        elif kind in (RESULT, ERROR):
            self._pass_on(worker, kind, content)

    def _pass_on(self, worker: WorkerProcess, kind: bytes, content: bytes) -> None:
        call, self._call = self._call, None
        assert call is not None
        try:
            # The next call first, then the news: whoever waits for it may shut the pool down.
            self._speak(worker)
        finally:
            try:
                answer = pickle.loads(content)  # noqa: S301 - from a process of our own
            except Exception as error:  # noqa: BLE001 - raised where the call was made
                kind, answer = ERROR, error
            if kind == RESULT:
                call.future.set_result(answer)
            else:
                call.future.set_exception(answer)

    def _speak(self, worker: WorkerProcess) -> None:
        """Tell the worker what it does not know yet."""
        at_work = self._call is not None and self._call.kind == WORK
        if self._pool.cancelled and not at_work:
            # Imports and compilers ask nobody whether to go on; nor has it begun anything.
            worker.kill(silent=False)
        elif self._pool.cancelled:
            self._tell(worker, CANCEL)
        elif self._call is None and worker.ready:
            self._call = self._pool.take(self)
            if self._call is not None:
                self._say(worker, self._call.kind + self._call.content)
            elif self._pool.ended:
                self._tell(worker, END)

    def _tell(self, worker: WorkerProcess, order: bytes) -> None:
        if order not in self._told:
            self._told.add(order)
            self._say(worker, order)

    def _say(self, worker: WorkerProcess, order: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone, which will be heard
            worker.connection.send_bytes(order)

    def _bury(self, worker: WorkerProcess) -> None:
        self._worker = None
        how = worker.wait_for_end()
        call, self._call = self._call, None
        if call is not None:
            call.future.set_exception(WorkerDiedError(how, silent=worker.silent))
        elif worker.silent:
            # It had nothing left to do: under load, merely ending may take that long.
            logger.log(logging.WARNING if self._pool.cancelled else logging.DEBUG, "%s", how)
        if not worker.ready and not self._pool.cancelled:
            self._n_false_starts += 1
            self.failure = worker.complaint or f"{how} while it started"


@dataclass
class _SharedCall:
    """A call that one of the workers makes first, and then all the others."""

    call: Call
    function: Callable[[], object]
    taker: _Supervisor | None = None


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
        leave something in a cache on disk that takes long to make: who is free takes the next.
        Then each makes the others' calls too.
    afterwards : sequence of callable
        What each worker calls then.
    on_warm_up : callable
        Called with how many of the shared calls were made, each time that one was.

    Raises
    ------
    ShortageError
        A thread cannot be started.
    """

    def __init__(
        self,
        n_workers: int,
        log_level: int = logging.INFO,
        warm_ups: Sequence[Callable[[], object]] = (),
        afterwards: Sequence[Callable[[], object]] = (),
        on_warm_up: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.cancelled = False
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque()
        self._shared: deque[_SharedCall] = deque()
        self._closed = False
        self._warm = not warm_ups
        self._failure: ShortageError | None = None
        self._to_tell = ""
        self._supervisors: list[_Supervisor] = []
        try:
            for _ in range(n_workers):
                self._supervisors.append(_Supervisor(self, log_level))
            if warm_ups:
                self._share_warm_ups(warm_ups, afterwards, on_warm_up)
            for supervisor in list(self._supervisors):
                start_thread(supervisor.thread)
        except BaseException:
            self.cancel()
            for supervisor in list(self._supervisors):
                if supervisor.thread.ident is None:
                    supervisor.close()
            self.shutdown(wait=True, cancel_futures=True)
            raise

    def _share_warm_ups(
        self,
        functions: Sequence[Callable[[], object]],
        afterwards: Sequence[Callable[[], object]],
        on_warm_up: Callable[[int], object],
    ) -> None:
        supervisors, n_made = list(self._supervisors), 0

        def follow(_: Future[object]) -> None:
            nonlocal n_made
            with self._lock:
                n_made += 1
                if self.cancelled:
                    return
                if n_made == len(shared):
                    for supervisor in supervisors:
                        others = [each.function for each in shared if each.taker is not supervisor]
                        for function in (*others, *afterwards):
                            supervisor.own_calls.append(Call.of(PREPARE, function))
                    self._warm = True
            on_warm_up(n_made)
            self._wake_all()

        shared = [_SharedCall(Call.of(PREPARE, function), function) for function in functions]
        for each in shared:
            each.call.future.add_done_callback(follow)
        self._shared.extend(shared)

    # What supervisors ask and tell

    @property
    def ended(self) -> bool:
        """Whether no call will come any more."""
        return self.cancelled or (self._closed and not self._calls)

    def has_call_for(self, supervisor: _Supervisor) -> bool:
        """Whether there is a call that a supervisor may take."""
        with self._lock:
            has_call = bool(supervisor.own_calls or self._shared or (self._warm and self._calls))
            # Not after the end: a worker that is started then is killed, for ever and again.
            return has_call and not self.cancelled

    def take(self, supervisor: _Supervisor) -> Call | None:
        """Return the next call for a supervisor."""
        while True:
            with self._lock:
                if supervisor.own_calls:
                    call = supervisor.own_calls.popleft()
                elif self._shared:
                    shared = self._shared.popleft()
                    shared.taker, call = supervisor, shared.call
                elif self._warm and self._calls:
                    call = self._calls.popleft()
                else:
                    return None
                was_last = self._closed and not self._calls
                warning, self._to_tell = self._to_tell, ""
            if warning:
                # Not earlier: perhaps all workers fail.
                logger.warning("%s", warning)
            if was_last:
                self._wake_all()
            if call.future.set_running_or_notify_cancel():
                return call

    def note_closed(self, supervisor: _Supervisor) -> None:
        """Let what is queued fail if the last supervisor has ended."""
        with self._lock:
            if supervisor not in self._supervisors:
                return
            self._supervisors.remove(supervisor)
            n_left, calls = len(self._supervisors), deque[Call]()
            if not n_left:
                what = supervisor.failure or "all have ended"
                self._failure = ShortageError.about("start a worker process", RuntimeError(what))
                calls, self._calls = self._calls, calls
            elif supervisor.failure:
                self._to_tell = (
                    f"going on with {n_left} workers, as one failed: {supervisor.failure}"
                )
        for call in calls:
            call.fail(self._failure or BrokenExecutor())

    def _wake_all(self) -> None:
        with self._lock:
            supervisors = list(self._supervisors)
        for supervisor in supervisors:
            supervisor.wake()

    # Executor

    def submit(
        self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[ResultT]:
        """Queue a call; the first free worker takes it.

        The call fails with `WorkerDiedError` if its worker dies, and with `ShortageError` if there
        can be no worker.
        """
        try:
            call = Call.of(WORK, partial(fn, *args, **kwargs))
        except Exception as error:  # noqa: BLE001 - what cannot be pickled fails as a call does
            failed: Future[ResultT] = Future()
            failed.set_exception(error)
            return failed
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            if not self.cancelled and self._supervisors:
                self._calls.append(call)
        if self.cancelled:
            call.drop()
        elif self._failure is not None:
            call.fail(self._failure)
        self._wake_all()
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all workers; with `cancel_futures`, queued calls are dropped."""
        with self._lock:
            self._closed = True
            supervisors, calls = list(self._supervisors), deque[Call]()
            if cancel_futures:
                calls, self._calls = self._calls, calls
        for call in calls:
            call.drop()
        self._wake_all()
        for supervisor in supervisors if wait else []:
            while supervisor.thread.is_alive() and not supervisor.given_up:
                supervisor.thread.join(_POLL_S)
                self.check()
        self.check()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.cancel()
        self.shutdown(wait=True, cancel_futures=True)

    def cancel(self) -> None:
        """Drop what is queued and will be, and tell all workers to stop.

        One that is at work stops at the next frame; one that is not ends at once, and so does one
        that does not answer.
        """
        with self._lock:
            self.cancelled = True
            calls, self._calls = self._calls, deque()
            calls += [each.call for each in self._shared]
            self._shared.clear()
            for supervisor in self._supervisors:
                calls += supervisor.own_calls
                supervisor.own_calls.clear()
        for call in calls:
            call.drop()
        self._wake_all()

    def check(self) -> None:
        """Kill workers that do not answer; to be called from time to time."""
        with self._lock:
            supervisors = list(self._supervisors)
        for supervisor in supervisors:
            supervisor.enforce()
            if not supervisor.thread.is_alive():
                # It ended otherwise than it should.
                supervisor.close()

    # Event source

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Return the next message of any worker; `queue.Empty` if none comes in time."""
        # After the end none can come, and whoever asks should not be held up.
        block = block and not (self._closed and not self._supervisors)
        return pickle.loads(self.inbox.get(block, timeout))  # noqa: S301 - from our own processes
