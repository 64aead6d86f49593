"""What a worker process does: all steps after the copying, for its fields of view."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.errors import CancelledError, PyamaError
from pyama_core.io.fov_folder import FovFolder
from pyama_core.io.locks import LockTicket
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus
from pyama_core.processing.workflow.services.base import BaseProcessingService
from pyama_core.processing.workflow.services.steps.correction import CorrectionService
from pyama_core.processing.workflow.services.steps.extraction import ExtractionService
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.steps.tracking import TrackingService
from pyama_core.processing.workflow.services.types import ProcessingContext, ensure_context
from pyama_core.processing.workflow.worker_process import WorkerLink

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerReport:
    """What a worker made, and how each of its fields of view ended."""

    context: ProcessingContext
    outcomes: list[FovOutcome]


def later_services() -> list[BaseProcessingService]:
    """Return the services that follow the copying, in order."""
    return [SegmentationService(), CorrectionService(), TrackingService(), ExtractionService()]


def run_single_worker(
    fovs: Sequence[int],
    metadata: MicroscopyMetadata,
    context: ProcessingContext,
    link: WorkerLink,
    tickets: Mapping[int, LockTicket],
    source_identity: SourceIdentity,
) -> WorkerReport:
    """Take fields of view through all steps that follow the copying, one after the other.

    Parameters
    ----------
    fovs : sequence of int
        Fields of view, already copied.
    metadata : MicroscopyMetadata
        The source.
    context : ProcessingContext
        Output folder, channels, parameters and the files copied.
    link : WorkerLink
        Takes progress events and log records, knows of cancelling.
    tickets : mapping
        Proof of the run's lock for each field of view.
    source_identity : SourceIdentity
        Identity of the source file.

    Returns
    -------
    WorkerReport
        The context with the files that were made, partial results of failed fields of view
        included, and an outcome for each field of view.
    """
    ensure_context(context)
    services = later_services()
    for service in services:
        service.tickets = dict(tickets)
        service.source_identity = source_identity
        service.cancelled = link.cancelled
        service.set_progress_reporter(link.send)
    outcomes = [process_one_fov(services, metadata, context, fov) for fov in fovs]
    return WorkerReport(context, outcomes)


def process_one_fov(
    services: Sequence[BaseProcessingService],
    metadata: MicroscopyMetadata,
    context: ProcessingContext,
    fov: int,
) -> FovOutcome:
    """Run services on a field of view; never takes others with it.

    After one that fails go on those that need nothing of it. The first failure is recorded.
    """
    output_dir = Path(context.output_dir or ".")
    failed: list[FovOutcome] = []
    for service in services:
        if any(service.needs(str(failure.step), context) for failure in failed):
            continue
        try:
            service.process_fov(metadata, context, output_dir, fov)
        except CancelledError:
            return FovOutcome(fov, FovStatus.CANCELLED, service.step)
        except Exception as error:  # noqa: BLE001 - logged and recorded; the others go on
            outcome = _failed(service, fov, error)
            if not failed:
                note_failure(service, metadata, output_dir, fov, str(outcome.error))
            failed.append(outcome)
    return failed[0] if failed else FovOutcome(fov, FovStatus.DONE)


def _failed(service: BaseProcessingService, fov: int, error: Exception) -> FovOutcome:
    """Log a failure, with its traceback where it is not one that was foreseen."""
    if isinstance(error, PyamaError):
        message = str(error)
        logger.error("%s", message)
        logger.debug("traceback of the error above", exc_info=error)
    else:
        message = f"FOV {fov}, {service.step}: {type(error).__name__}: {error}"
        logger.error("%s", message, exc_info=error)
    return FovOutcome(fov, FovStatus.FAILED, service.step, message)


def note_failure(
    service: BaseProcessingService,
    metadata: MicroscopyMetadata,
    output_dir: Path,
    fov: int,
    message: str,
) -> None:
    """Write a failure into the record, as far as the disk and the lock still let us."""
    ticket, identity = service.tickets.get(fov), service.source_identity
    if ticket is None or identity is None:
        return
    try:
        folder = FovFolder(output_dir, metadata.base_name, fov, identity, ticket)
        folder.note_failure(service.step, message)
    except PyamaError as error:
        logger.error("FOV %d: the failure could not be recorded: %s", fov, error)
