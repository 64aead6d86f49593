"""One run from its first batch to its last: who copies, who works, who is tried again.

The main process copies one batch of fields of view after the other and hands each to the
workers as soon as it is there. It stays one batch ahead of them and no more, so that copies are
still in the page cache when they are read, and the disk never fills with stacks that wait.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from pyama_core.errors import CancelledError, PyamaError, ShortageError
from pyama_core.io.microscopy import FrameSource
from pyama_core.io.read_files import doubt_everything
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.leases import take_back
from pyama_core.io.storage.locks import LockTicket
from pyama_core.io.storage.records import FovRecord
from pyama_core.outputs import Output
from pyama_core.processing.workflow.crews import Workers
from pyama_core.processing.workflow.first_look import FirstLook, Halt
from pyama_core.processing.workflow.flusher import Flusher
from pyama_core.processing.workflow.graph import all_services, declarations
from pyama_core.processing.workflow.keeping import KEEP_ALL, release_outputs
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus
from pyama_core.processing.workflow.pool_process import WorkerDiedError
from pyama_core.processing.workflow.ranges import compute_batches, split_worker_ranges
from pyama_core.processing.workflow.release import forget_released_inputs, released_outputs
from pyama_core.processing.workflow.request import RunRequest
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.services.base import BaseProcessingService, names_of
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.scope import Scope
from pyama_core.processing.workflow.worker import (
    DIED_TWICE,
    MAX_DEATHS,
    first_open_step,
    process_one_fov,
    release_rest_of,
)

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_MAX_RETURNS = 10
"""How often a field of view comes back from workers that died before they began on it."""
_RESULTS_SHARE = 0.01
"""Share of the run's time that rewriting the results file may take."""


@dataclasses.dataclass(frozen=True)
class _Task:
    """Fields of view that a worker was given, and the batch that they belong to."""

    fovs: list[int]
    batch: int


class Run:
    """State of a run in the main process.

    Parameters
    ----------
    request : RunRequest
        What to do.
    tickets : dict
        Proof of the lock of each field of view.
    halt : Halt
        Whether to stop.
    flusher : Flusher
        Takes finished fields of view.
    source : FrameSource
        The open source, to copy from.
    """

    def __init__(
        self,
        request: RunRequest,
        tickets: dict[int, LockTicket],
        halt: Halt,
        flusher: Flusher,
        source: FrameSource,
    ) -> None:
        self.outcomes: dict[int, FovOutcome] = {}
        self._request = request
        self._tickets = tickets
        self._halt = halt
        self._first_look = FirstLook()
        self._flusher = flusher
        self._scope = Scope(
            tickets,
            request.identity,
            halt.is_set,
            watched=request.watched,
            scratch=request.scratch,
        )
        self.copying = CopyingService(self._scope, source)
        self._services = all_services(self._scope)
        self._pending: dict[Future[list[FovOutcome]], _Task] = {}
        self._deaths: dict[int, int] = {}
        self._copied: dict[int, Mapping[str, float]] = {}
        self._on_the_way: dict[int, list[Output]] = {}
        self._disappointed: set[int] = set()
        self._started = time.monotonic()
        self._spent_on_results = 0.0

    # What is there already

    def skip_what_is_done(self) -> list[int]:
        """Settle the fields of view of which every output is proven; return the others.

        If the request says so, every output is compared with its checksum first, and forgotten if
        it differs.
        """
        remaining = []
        analysis = self._request.analysis
        settings, picture = analysis.as_settings(), analysis.picture_note()
        declared = declarations(analysis)
        if self._request.check:
            doubt_everything()
        for fov in self._request.fovs:
            folder = self._folder(fov)
            folder.begin(settings, names_of(self._request.metadata, fov), picture)
            wanted = released_outputs(folder.record, declared, self._request.restore)
            job = self._job(folder)
            try:
                if self._request.check:
                    _forget_damaged(folder)
                    folder.doubt_files()
                is_decided = self._decide_about_source(job)
            except CancelledError:
                self._conclude(FovOutcome(fov, FovStatus.CANCELLED))
                continue
            is_done = is_decided and self._first_open_step(folder, self._services) is None
            if is_done and not wanted:
                # Perhaps the run that made it kept more, or was killed before it released the rest.
                self._conclude_and_release(FovOutcome(fov, FovStatus.SKIPPED))
            else:
                on_the_way = forget_released_inputs(self._services, job, wanted)
                if self._request.keep == KEEP_ALL:
                    self._on_the_way[fov] = on_the_way
                remaining.append(fov)
        return remaining

    def _decide_about_source(self, job: FovJob) -> bool:
        """Whether the source is the one on record; if that fails, copying will say why."""
        try:
            self.copying.decide_about_source(job)
        except CancelledError:
            raise
        except PyamaError as error:
            logger.debug("FOV %d: %s", job.fov, error)
            return False
        return True

    def _first_open_step(
        self, folder: FovFolder, services: list[BaseProcessingService]
    ) -> str | None:
        return first_open_step(services, self._job(folder))

    # Batches

    def process(self, fovs: list[int], workers: Workers) -> None:
        """Copy and hand out all batches, and wait for the last."""
        try:
            self._process(fovs, workers)
        except ShortageError as error:
            logger.error("%s", error)
            for fov in sorted(set(fovs) - self.outcomes.keys()):
                if workers.copies:
                    take_back(self._tickets[fov])
                step = self._first_open_step(self._folder(fov), self._services) or "extraction"
                self._note_failure(fov, step, str(error))

    def _process(self, fovs: list[int], workers: Workers) -> None:
        self._process_batches(fovs, workers)
        if self._disappointed:
            self._process_batches(sorted(self._disappointed), workers)
        if self._halt.is_set():
            # Perhaps nothing was pending; workers may still be starting.
            workers.cancel()

    def _process_batches(self, fovs: list[int], workers: Workers) -> None:
        if workers.copies:
            self._hand_out(fovs, workers)
            return
        batches = compute_batches(fovs, self._request.batch_size)
        for index, batch in enumerate(batches):
            self._wait_for(index - 2, workers)
            for part in split_worker_ranges(batch, self._request.n_workers):
                # Handed out at once: a worker need not wait for what others will work on.
                copied = [fov for fov in part if self._copy(fov)]
                if copied:
                    self._submit(_Task(copied, index), workers)
                # What is through is looked at before more is copied, which may take long.
                self._collect_finished(workers, timeout=0.0)
        self._wait_for(len(batches), workers)

    def _hand_out(self, fovs: list[int], workers: Workers) -> None:
        """Hand fields of view out one by one, as many at a time as workers will soon be free."""
        for index, fov in enumerate(fovs):
            while len(self._pending) >= workers.backlog():
                self._collect_finished(workers)
            if self._halt.is_set():
                self._conclude(FovOutcome(fov, FovStatus.CANCELLED, self.copying.step))
            else:
                self._submit(_Task([fov], index), workers)
        self._wait_for(len(fovs), workers)

    def _copy(self, fov: int) -> bool:
        if self._halt.is_set():
            self._conclude(FovOutcome(fov, FovStatus.CANCELLED, self.copying.step))
            return False
        outcome = process_one_fov([self.copying], self._request, fov)
        if outcome.status is not FovStatus.DONE:
            self._conclude(outcome)
            return False
        self._copied[fov] = outcome.seconds
        return True

    def _submit(self, task: _Task, workers: Workers) -> None:
        try:
            future = workers.hand_out(task.fovs, {fov: self._tickets[fov] for fov in task.fovs})
        except (BrokenExecutor, RuntimeError) as error:
            self._fail(task.fovs, f"the executor takes no more work: {error!r}")
        else:
            self._pending[future] = task

    def _wait_for(self, batch: int, workers: Workers) -> None:
        """Collect what is finished until nothing of a batch, or of one before, is pending."""
        while any(task.batch <= batch for task in self._pending.values()):
            self._collect_finished(workers)

    def _collect_finished(self, workers: Workers, timeout: float = _POLL_S) -> None:
        """Collect what is finished by now, or first within a time."""
        finished, _ = wait(self._pending, timeout=timeout, return_when=FIRST_COMPLETED)
        workers.check()
        if self._halt.is_set():
            workers.cancel()
            for future in self._pending:
                future.cancel()
        for future in sorted(finished, key=lambda each: self._pending[each].fovs):
            self._collect(future, self._pending.pop(future), workers)

    def _collect(self, future: Future[list[FovOutcome]], task: _Task, workers: Workers) -> None:
        if future.cancelled():
            for fov in task.fovs:
                self._conclude(FovOutcome(fov, FovStatus.CANCELLED))
            return
        error = future.exception()
        if isinstance(error, ShortageError):
            # There is nobody left who could do anything.
            raise error
        if isinstance(error, BrokenExecutor) and workers.survives_death:
            self._after_death(task, workers, error)
        elif error is not None:
            logger.error("FOVs %s: the worker failed", task.fovs, exc_info=error)
            self._fail(task.fovs, f"the worker failed: {error!r}")
        else:
            for outcome in future.result():
                if outcome.lacks_released and outcome.fov not in self._disappointed:
                    self._prepare_anew(outcome.fov)
                    continue
                if outcome.status is FovStatus.DONE:
                    job = self._job(self._folder(outcome.fov))
                    release_outputs(job, self._on_the_way.get(outcome.fov, ()))
                flushed = workers.copies and not self._request.restore
                self._conclude(outcome, flushed=flushed)

    def _prepare_anew(self, fov: int) -> None:
        """See to it that a field of view is tried once more, with all that its steps read.

        What came back is not as it was, for other versions of libraries made it, or another
        machine; so what was made from it is made anew.
        """
        logger.warning(
            "FOV %d: what came back is not as it was; what was made from it is made anew",
            fov,
        )
        self._disappointed.add(fov)
        self._on_the_way.pop(fov, None)
        folder = self._folder(fov)
        analysis = self._request.analysis
        names = names_of(self._request.metadata, fov)
        folder.begin(analysis.as_settings(), names, analysis.picture_note())
        forget_released_inputs(self._services, self._job(folder))

    # Deaths

    def _after_death(self, task: _Task, workers: Workers, error: BrokenExecutor) -> None:
        """Find out from the records how far a dead worker came, and hand out the rest again."""
        fovs = list(task.fovs)
        if workers.copies:
            take_back(self._tickets[fovs[0]])  # it may live, and only have fallen silent
        while fovs:
            folder = self._folder(fovs[0])
            if folder.record.failure is not None:
                failure = folder.record.failure
                outcome = FovOutcome(fovs[0], FovStatus.FAILED, failure.step, failure.error)
            elif self._first_open_step(folder, self._services) is None:
                outcome = FovOutcome(fovs[0], FovStatus.DONE)
            else:
                break
            self._conclude_and_release(outcome)
            fovs.pop(0)
        if not fovs:
            return
        self._folder(fovs[0]).sweep()
        if self._halt.is_set():
            if isinstance(error, WorkerDiedError) and error.silent:
                logger.warning("FOV %d: %s", fovs[0], error)
            for fov in fovs:
                self._conclude(FovOutcome(fov, FovStatus.CANCELLED))
            return
        self._blame(fovs[0], task.batch, workers, error)
        if len(fovs) > 1:
            self._submit(_Task(fovs[1:], task.batch), workers)

    def _blame(self, fov: int, batch: int, workers: Workers, error: BrokenExecutor) -> None:
        """Try the field of view that a worker died on once more, alone."""
        if self._may_be_tried_again(fov, workers):
            logger.warning("FOV %d: its worker process died, it is tried once more", fov)
            self._submit(_Task([fov], batch), workers)
        else:
            self._fail([fov], f"{DIED_TWICE}: {error}")
            release_rest_of(self._request, self._scope, self.outcomes[fov])

    def _may_be_tried_again(self, fov: int, workers: Workers) -> bool:
        self._deaths[fov] = self._deaths.get(fov, 0) + 1
        if not workers.copies:
            return self._deaths[fov] < MAX_DEATHS
        # Of those that die with one, schedulers blame all that waited for the worker, too.
        begun = take_back(self._tickets[fov])
        return begun < MAX_DEATHS and self._deaths[fov] < _MAX_RETURNS

    def _fail(self, fovs: list[int], reason: str) -> None:
        for fov in fovs:
            step = self._first_open_step(self._folder(fov), self._services) or "extraction"
            message = f"FOV {fov}, {step}: {reason}"
            logger.error("%s", message)
            self._note_failure(fov, step, message)

    def _note_failure(self, fov: int, step: str, message: str) -> None:
        try:
            self._folder(fov).note_failure(step, message)
        except PyamaError as error:
            logger.error("FOV %d: the failure could not be recorded: %s", fov, error)
        self._conclude(FovOutcome(fov, FovStatus.FAILED, step, message))

    # Ends

    def leave(self, fovs: Iterable[int]) -> None:
        """Conclude fields of view that the run does not begin with any more."""
        for fov in fovs:
            self._conclude(FovOutcome(fov, FovStatus.CANCELLED))

    def _conclude_and_release(self, outcome: FovOutcome) -> None:
        """Conclude a field of view on which no worker is, and release what is not kept of it."""
        release_rest_of(self._request, self._scope, outcome)
        self._conclude(outcome)

    def _conclude(self, outcome: FovOutcome, *, flushed: bool = False) -> None:
        """Note how a field of view ended; tell how far the run is."""
        seconds = {**self._copied.pop(outcome.fov, {}), **outcome.seconds}
        self.outcomes[outcome.fov] = dataclasses.replace(outcome, seconds=seconds)
        n_done, n_all = len(self.outcomes), len(self._request.fovs)
        logger.info(
            "FOV %s: %s (%d of %d FOVs, %d %%)",
            self._request.metadata.fov_title(outcome.fov),
            outcome.status,
            n_done,
            n_all,
            100 * n_done // n_all,
        )
        if outcome.status is FovStatus.DONE and not flushed:
            self._flusher.add(self._folder(outcome.fov))
        if outcome.status in (FovStatus.DONE, FovStatus.SKIPPED):
            self._look_at(outcome.fov)
        elapsed = time.monotonic() - self._started
        is_whole = self._request.shard is None  # else so many would rebuild it, from all records
        if is_whole and self._spent_on_results < _RESULTS_SHARE * elapsed:
            self.write_results()

    def _look_at(self, fov: int) -> None:
        """Hold the first fields of view that are there against what was assumed of their cells."""
        if self._first_look.is_over or self._halt.is_set():
            return
        doubts = self._first_look.take(self._folder(fov).record)
        if doubts and self._request.strict:
            self._halt.reason = f"FOV {fov}: {doubts[0]}"

    def write_results(self) -> list[FovRecord]:
        """Rebuild the results file, and return the records that it was made from.

        What prevents it is logged, the next run can make it.
        """
        started = time.monotonic()
        records: list[FovRecord] = []
        try:
            records = write_results(self._request.output_dir)
        except PyamaError as error:
            logger.error("%s", error)
        self._spent_on_results += time.monotonic() - started
        return records

    def _folder(self, fov: int) -> FovFolder:
        request = self._request
        return FovFolder(
            request.output_dir,
            request.metadata.base_name,
            fov,
            request.identity,
            self._tickets[fov],
            self._halt.is_set,
            request.scratch,
        )

    def _job(self, folder: FovFolder) -> FovJob:
        return FovJob(self._request.metadata, self._request.analysis, folder)


def _forget_damaged(folder: FovFolder) -> None:
    for name, fault in folder.find_damage().items():
        logger.warning("%s: %s; it will be made again", folder.path / name, fault)
        folder.forget(name)
