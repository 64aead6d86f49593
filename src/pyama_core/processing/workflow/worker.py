"""What a worker process does for its fields of view: all steps after the copying, or with it."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from pyama_core.errors import CancelledError, PyamaError, ReleasedInputError
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.leases import begin_attempt, end_attempt
from pyama_core.io.storage.locks import LockTicket
from pyama_core.processing.workflow.glimpses.keeping import keep_glimpse
from pyama_core.processing.workflow.graph import all_services, later_services
from pyama_core.processing.workflow.keeping import KEEP_ALL, release_rest
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus
from pyama_core.processing.workflow.request import RunRequest
from pyama_core.processing.workflow.services.base import BaseProcessingService, names_of
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.scope import Scope
from pyama_core.processing.workflow.worker_process import MainConnection

logger = logging.getLogger(__name__)

MAX_DEATHS = 2
"""Workers that may die of a field of view before it counts as failed."""
DIED_TWICE = (
    "its worker process died twice (killed, out of memory, or crashed in a library; fewer workers "
    "need less memory)"
)


def run_single_worker(
    request: RunRequest, connection: MainConnection, tickets: Mapping[int, LockTicket]
) -> list[FovOutcome]:
    """Take fields of view through all steps that follow the copying, one after the other.

    Parameters
    ----------
    request : RunRequest
        What to do; its fields of view are copied already.
    connection : MainConnection
        Takes progress events and log records, knows of cancelling.
    tickets : mapping
        Proof of the run's lock for each field of view.

    Returns
    -------
    list of FovOutcome
        One for each field of view; what was made is in its record, partial results of failed ones
        included.
    """
    scope = Scope(
        dict(tickets),
        request.identity,
        connection.cancelled,
        connection.send,
        scratch=request.scratch,
    )
    services = later_services(scope)
    outcomes = []
    for fov in request.fovs:
        outcome = process_one_fov(services, request, fov)
        if outcome.status is not FovStatus.CANCELLED and not outcome.lacks_released:
            glance_at(request, scope, fov)
            release_rest_of(request, scope, outcome)
        outcomes.append(outcome)
    return outcomes


def run_whole_fov(
    request: RunRequest,
    connection: MainConnection,
    fov: int,
    ticket: LockTicket,
    reading: Callable[[], AbstractContextManager[object]],
) -> tuple[FovOutcome, FovFolder | None]:
    """Take a field of view through all steps, the copying included, under a lease.

    Parameters
    ----------
    request : RunRequest
        What to do.
    connection : MainConnection
        Takes progress events, knows of cancelling.
    fov : int
        The field of view.
    ticket : LockTicket
        Proof of the run's lock for it.
    reading : callable
        Makes what is entered while the source is read.

    Returns
    -------
    FovOutcome
        How it ended.
    FovFolder or None
        What is to be flushed to disk; nobody else will write its record.
    """
    own, n_died = begin_attempt(ticket)
    scope = Scope(
        {fov: own},
        request.identity,
        connection.cancelled,
        connection.send,
        request.watched,
        request.scratch,
    )
    folder = _folder_of(request, fov, own)
    copying = CopyingService(scope, reading=reading)
    if n_died >= MAX_DEATHS:
        outcome = _too_deadly(copying, request, folder)
    else:
        analysis = request.analysis
        names = names_of(request.metadata, fov)
        folder.begin(analysis.as_settings(), names, analysis.picture_note())
        outcome = process_one_fov([copying, *later_services(scope)], request, fov)
    if outcome.status is not FovStatus.CANCELLED:
        glance_at(request, scope, fov)
        release_rest_of(request, scope, outcome)
    end_attempt(own)
    if outcome.status is not FovStatus.DONE or request.restore:
        return outcome, None  # the main process may release some of it yet
    return outcome, _folder_of(request, fov, own)


def _folder_of(request: RunRequest, fov: int, ticket: LockTicket) -> FovFolder:
    return FovFolder(
        request.output_dir,
        request.metadata.base_name,
        fov,
        request.identity,
        ticket,
        scratch=request.scratch,
    )


def _too_deadly(copying: CopyingService, request: RunRequest, folder: FovFolder) -> FovOutcome:
    """Leave a field of view alone of which workers died."""
    services = [copying, *later_services(copying.scope)]
    job = FovJob(request.metadata, request.analysis, folder)
    step = first_open_step(services, job) or services[-1].step
    message = f"FOV {folder.fov}, {step}: {DIED_TWICE}"
    logger.error("%s", message)
    folder.note_failure(step, message)
    return FovOutcome(folder.fov, FovStatus.FAILED, step, message)


def first_open_step(services: Sequence[BaseProcessingService], job: FovJob) -> str | None:
    """First step whose outputs the record does not prove; None if all are there."""
    for service in services:
        try:
            planned = service.plan(job)
        except PyamaError:
            return service.step
        if not all(job.folder.proves(output, hashing=False) for output in planned):
            return service.step
    return None


def process_one_fov(
    services: Sequence[BaseProcessingService], request: RunRequest, fov: int
) -> FovOutcome:
    """Run services on a field of view; never takes others with it.

    After one that fails go on those that need nothing of it. The first failure is recorded.
    """
    seconds: dict[str, float] = {}
    outcome = _process_one_fov(services, request, fov, seconds)
    return dataclasses.replace(outcome, seconds=seconds)


def _process_one_fov(
    services: Sequence[BaseProcessingService],
    request: RunRequest,
    fov: int,
    seconds: dict[str, float],
) -> FovOutcome:
    """Run services on a field of view, and note how long each takes."""
    failed: list[FovOutcome] = []
    in_vain: set[str] = set()
    for service in services:
        if _needs(service, in_vain, request):
            in_vain.add(service.step)
            continue
        started = time.monotonic()
        try:
            service.work_on(request.metadata, request.analysis, request.output_dir, fov)
        except CancelledError:
            return FovOutcome(fov, FovStatus.CANCELLED, service.step)
        except Exception as error:  # noqa: BLE001 - logged and recorded; the others go on
            outcome = _failed(service, fov, error)
            if not failed:
                _note_failure(service, request, fov, str(outcome.error))
            failed.append(outcome)
            in_vain.add(service.step)
        finally:
            seconds[service.step] = time.monotonic() - started
    return failed[0] if failed else FovOutcome(fov, FovStatus.DONE)


def glance_at(request: RunRequest, scope: Scope, fov: int) -> None:
    """Keep small pictures of a field of view on which work has ended, for who looks at it later."""
    try:
        folder = _folder_of(request, fov, (scope.tickets or {})[fov])
    except PyamaError as error:
        logger.error("FOV %d: no pictures are kept for the report: %s", fov, error)
        return
    n_fovs = request.metadata.n_fovs
    keep_glimpse(folder.path, folder.record, n_fovs, scope.cancelled, folder.place_of)


def release_rest_of(request: RunRequest, scope: Scope, outcome: FovOutcome) -> None:
    """Release what a request does not keep of a field of view on which work has ended."""
    if request.keep == KEEP_ALL:
        return
    glance_at(request, scope, outcome.fov)
    ticket = (scope.tickets or {})[outcome.fov]
    try:
        folder = _folder_of(request, outcome.fov, ticket)
    except PyamaError as error:
        logger.error("FOV %d: nothing is released: %s", outcome.fov, error)
        return
    job = FovJob(request.metadata, request.analysis, folder)
    failed = outcome.status is FovStatus.FAILED
    release_rest(all_services(scope), job, request.keep, failed=failed)
    if request.scratch is not None:
        request.scratch.leave(outcome.fov)


def _needs(service: BaseProcessingService, steps: Collection[str], request: RunRequest) -> bool:
    """Whether a service reads what one of some steps makes."""
    declared = service.declare(request.analysis) if steps else []
    return any(output.kind.step in steps for each in declared for output in each.inputs.values())


def _failed(service: BaseProcessingService, fov: int, error: Exception) -> FovOutcome:
    """Log a failure, with its traceback where it is not one that was foreseen."""
    lacks_released = isinstance(error, ReleasedInputError)
    if isinstance(error, PyamaError):
        message = str(error)
        # What was only released is brought back and the step tried once more.
        logger.log(logging.INFO if lacks_released else logging.ERROR, "%s", message)
        logger.debug("traceback of the error above", exc_info=error)
    else:
        message = f"FOV {fov}, {service.step}: {type(error).__name__}: {error}"
        logger.error("%s", message, exc_info=error)
    return FovOutcome(fov, FovStatus.FAILED, service.step, message, lacks_released=lacks_released)


def _note_failure(
    service: BaseProcessingService, request: RunRequest, fov: int, message: str
) -> None:
    """Write a failure into the record, as far as the disk and the lock still let us."""
    ticket = (service.scope.tickets or {}).get(fov)
    if ticket is None:
        return
    try:
        folder = _folder_of(request, fov, ticket)
        folder.note_failure(service.step, message)
    except PyamaError as error:
        if str(error) not in message:
            logger.error("FOV %d: the failure could not be recorded: %s", fov, error)
