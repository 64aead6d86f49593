"""The run as its callers see it: validate, batch, copy, hand out, merge, write results."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pyama_core.errors import CancelledError, InputError, PyamaError
from pyama_core.io.microscopy import MicroscopyMetadata, open_source
from pyama_core.io.storage.locks import LOST_AFTER_S
from pyama_core.io.storage.naming import fov_folder_name, path_of, record_name
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.asked_fovs import note_asked
from pyama_core.processing.workflow.crews import Crew, ForeignExecutor, LocalCrew, Work
from pyama_core.processing.workflow.findings import tell_findings
from pyama_core.processing.workflow.first_look import Halt
from pyama_core.processing.workflow.flusher import Flusher
from pyama_core.processing.workflow.fov_locks import FovLocks
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.keeping import KEEP_ALL, parse_keep
from pyama_core.processing.workflow.merging import merge_contexts as _merge_contexts
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus, RunOutcome
from pyama_core.processing.workflow.pool import THREADS_PER_WORKER
from pyama_core.processing.workflow.progress import ProgressCallback
from pyama_core.processing.workflow.ranges import compute_batches as _compute_batches
from pyama_core.processing.workflow.ranges import split_worker_ranges as _split_worker_ranges
from pyama_core.processing.workflow.release import parse_kinds
from pyama_core.processing.workflow.request import RunRequest, request_run, select_fovs
from pyama_core.processing.workflow.run import Run
from pyama_core.processing.workflow.run_log import run_log
from pyama_core.processing.workflow.run_notes import note_run, now
from pyama_core.processing.workflow.samples.stored import keep_samples
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.copying import warn_of_dark_channels
from pyama_core.processing.workflow.services.types import ProcessingContext, paths_of_fov
from pyama_core.processing.workflow.shards import Shard
from pyama_core.processing.workflow.source_description import save_description
from pyama_core.processing.workflow.stop_file import StopFile
from pyama_core.processing.workflow.threads import require_threads
from pyama_core.processing.workflow.warm_up import warm_ups
from pyama_core.processing.workflow.worker import run_single_worker

__all__ = [
    "ForeignExecutor",
    "_compute_batches",
    "_merge_contexts",
    "_split_worker_ranges",
    "run_complete_workflow",
    "run_single_worker",
    "run_workflow",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_THREADS_OF_A_RUN = 3
"""Heartbeat, flusher and drainer."""
_PATIENCE_S = LOST_AFTER_S + 60.0
"""How long a part of a run waits for what was begun by one that a scheduler has ended."""


def run_complete_workflow(
    metadata: MicroscopyMetadata,
    context: ProcessingContext,
    fov_start: int | None = 0,
    fov_end: int | None = None,
    batch_size: int = 2,
    n_workers: int = 2,
    *,
    fovs: str | Sequence[int | str] | None = None,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    executor: Crew | None = None,
    check: bool = False,
    strict: bool = False,
    restore: str | Sequence[str] = (),
    keep: str | Sequence[str] = "all",
    shard: str | None = None,
    scratch: str | Path | None = None,
) -> bool:
    """Turn a microscope file into one fluorescence trace per cell.

    Parameters
    ----------
    metadata : MicroscopyMetadata
        The source, as `load_microscopy_file` describes it.
    context : ProcessingContext
        Output folder, channels and parameters; gains the paths of all files made.
    fov_start, fov_end : int, optional
        First and last field of view, inclusive; None or -1: the file's first and last.
    batch_size : int
        Fields of view that are copied at a time.
    n_workers : int
        Worker processes.
    fovs : str, or sequence of int or str, optional
        A selection of fields of view, instead of a range: numbers, or words as ``--fovs`` takes
        them, such as ``"A1, B2"``.
    on_progress : callable, optional
        Called with each `ProgressEvent`, in a thread of its own.
    cancel : threading.Event, optional
        Set it from another thread to stop; what is finished stays.
    executor : ForeignExecutor or other Crew, optional
        Runs the work, instead of processes on this machine; `pyama_core.executors.dask` has one.
    check : bool
        Compare what is there with its checksums before believing it.
    strict : bool
        Stop when the first position contradicts what was assumed of the cells: their size, what
        the channel shows, or that most of them are good. What is done stays.
    restore : str or sequence of str
        Kinds of stacks to make again where they were released, such as ``"fl_corrected"``.
    keep : str or sequence of str
        Which stacks stay when a field of view is done: ``"all"``, ``"labels"``, ``"traces"``, or
        kinds such as ``["seg_labeled", "fl_corrected"]``; tables always do.
    shard : str, optional
        ``"i/n"``: only the i-th of n even parts of the fields of view; others work on the rest,
        into the same folder. The results file is left to `finish_run`.
    scratch : str or Path, optional
        A local disk for the stacks that are not kept, while a field of view is worked on;
        variables such as ``"$TMPDIR"`` are those of the computer that works.

    Returns
    -------
    bool
        Whether every field of view that was asked for is done. What went wrong is in the log
        and in ``processing_results.yaml``; no `Exception` is raised.

    Examples
    --------
    >>> from pyama_core import Channels, ProcessingContext, load_microscopy_file
    >>> context = ProcessingContext(output_dir="out", channels=Channels(pc=0, fl=[1, 2]))
    >>> source, metadata = load_microscopy_file("experiment.nd2")  # doctest: +SKIP
    >>> run_complete_workflow(metadata, context)  # doctest: +SKIP
    True
    """
    try:
        return run_workflow(
            metadata,
            context,
            fov_start=fov_start,
            fov_end=fov_end,
            batch_size=batch_size,
            n_workers=n_workers,
            fovs=fovs,
            on_progress=on_progress,
            cancel=cancel,
            executor=executor,
            check=check,
            strict=strict,
            restore=restore,
            keep=keep,
            shard=shard,
            scratch=scratch,
        ).ok
    except Exception:
        logger.exception("the run failed")
        return False


def run_workflow(
    metadata: MicroscopyMetadata,
    context: ProcessingContext,
    *,
    fov_start: int | None = 0,
    fov_end: int | None = None,
    batch_size: int = 2,
    n_workers: int = 2,
    fovs: str | Sequence[int | str] | None = None,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    executor: Crew | None = None,
    check: bool = False,
    strict: bool = False,
    restore: str | Sequence[str] = (),
    keep: str | Sequence[str] = "all",
    shard: str | None = None,
    scratch: str | Path | None = None,
) -> RunOutcome:
    """Do what `run_complete_workflow` does and tell how each field of view ended.

    Parameters
    ----------
    metadata, context, fov_start, fov_end, batch_size, n_workers, fovs, on_progress, cancel, \
    executor, check, restore, keep, shard, scratch
        As `run_complete_workflow`.

    Returns
    -------
    RunOutcome
        A refusal, or an outcome per field of view.
    """

    def parse() -> RunRequest:
        analysis = parse_analysis(context, metadata.channel_names)
        if context.output_dir is None:
            raise InputError("no output folder was given")
        return request_run(
            metadata,
            analysis,
            Path(context.output_dir),
            select_fovs(metadata, fov_start, fov_end, fovs),
            batch_size=batch_size,
            n_workers=n_workers,
            check=check,
            strict=strict,
            restore=_named("restore", parse_kinds, restore) if restore else (),
            keep=_named("keep", parse_keep, keep),
            shard=None if shard is None else Shard.parse(shard),
            scratch=None if scratch is None else str(scratch),
            scratch_is_here=executor is None,
        )

    outcome = carry_out(parse, on_progress=on_progress, cancel=cancel, executor=executor)
    _merge_contexts(context, _made(metadata, context, outcome))
    return outcome


def _named(name: str, parse: Callable[[str | Sequence[str]], T], words: str | Sequence[str]) -> T:
    """Read words of a caller; an error names the parameter."""
    try:
        return parse(words)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def carry_out(
    parse: Callable[[], RunRequest],
    *,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    executor: Crew | None = None,
    command: str = "",
) -> RunOutcome:
    """Carry a request out and tell how each field of view ended.

    Parameters
    ----------
    parse : callable
        Makes the request; what it raises is a refusal.
    on_progress, cancel, executor
        As `run_complete_workflow`.
    command : str
        What was typed, if anything was: it is noted.

    Returns
    -------
    RunOutcome
        A refusal, or an outcome per field of view.
    """
    cancel = cancel or threading.Event()
    try:
        request = parse()
        if executor is None:
            n_workers = min(request.n_workers, len(request.fovs))
            require_threads(_THREADS_OF_A_RUN + THREADS_PER_WORKER * n_workers)
        if not request.fovs:
            logger.info("shard %s has no FOV: there are fewer than parts", request.shard)
            return RunOutcome({})
        patience_s = 0.0 if request.shard is None else _PATIENCE_S
        with contextlib.ExitStack() as stack:
            locks = FovLocks(request.output_dir, request.fovs, patience_s, cancel)
            try:
                stack.enter_context(locks)
            except CancelledError as error:
                logger.warning("%s", error)
                return RunOutcome(
                    {fov: FovOutcome(fov, FovStatus.CANCELLED) for fov in request.fovs}
                )
            stack.enter_context(run_log(request.output_dir, request.shard))
            started = now()
            outcome = _run(request, locks, on_progress, cancel, executor)
            note_run(request, outcome, started, command)
            return outcome
    except PyamaError as error:
        logger.error("%s", error)
        logger.debug("traceback of the error above", exc_info=error)
        return RunOutcome({}, refusal=str(error))


def _run(
    request: RunRequest,
    locks: FovLocks,
    on_progress: ProgressCallback | None,
    cancel: threading.Event,
    executor: Crew | None,
) -> RunOutcome:
    logger.info(
        "%s: %d FOVs%s into %s, %d workers, batches of %d",
        request.metadata.file_path.name,
        len(request.fovs),
        f" (shard {request.shard})" if request.shard else "",
        request.output_dir,
        request.n_workers,
        request.batch_size,
    )
    logger.info("%s", _channels_in_words(request))
    _tell_picture(request)
    if request.keep != KEEP_ALL:
        logger.info("kept of each FOV when it is done: %s", request.keep)
    with open_source(request.metadata) as source, Flusher() as flusher:
        stop_file = StopFile(request.output_dir)
        prepare_folder(request)
        halt = Halt(cancel, stop_file)
        run = Run(request, locks.tickets, halt, flusher, source)
        remaining = run.skip_what_is_done()
        if halt.reason is not None:
            run.leave(remaining)
        elif remaining:
            warn_of_dark_channels(source, request.analysis)
            first_calls = warm_ups(request.analysis, request.metadata.dtype)
            work = Work(request, remaining, locks.tickets, first_calls, on_progress)
            with (executor or LocalCrew()).at_work(work) as (workers, drainer):
                run.copying.set_progress_reporter(drainer.put)
                run.process(remaining, workers)
        if request.shard is None:
            stop_file.remove()
            tell_findings(run.write_results(), request.fovs)
    outcome = RunOutcome(run.outcomes, stopped=halt.reason)
    _log_end(outcome)
    return outcome


def prepare_folder(request: RunRequest) -> None:
    """Write into an output folder, which must exist, what all fields of view of a run share.

    Raises
    ------
    StorageError
        The folder cannot be written.
    FolderBusyError
        Another process has been writing what all fields of view share for ten seconds.
    """
    save_description(request.output_dir, request.metadata)
    keep_samples(request.output_dir, request.samples)
    if request.shard is not None:
        note_asked(request.output_dir, request.asked)


def _made(
    metadata: MicroscopyMetadata, context: ProcessingContext, outcome: RunOutcome
) -> ProcessingContext:
    """Return a context with the files that the records of a run's fields of view speak of."""
    made = ProcessingContext()
    output_dir, base_name = Path(context.output_dir or "."), metadata.base_name
    for fov in outcome.fovs:
        record = load_record(output_dir / fov_folder_name(fov) / record_name(base_name, fov))
        if record is None:
            continue
        state, paths = FovState(record), paths_of_fov(made, fov)
        for output in state.wanted:
            found = record.find(output)
            if found is None or found[0] in state.outdated:
                continue
            if not (found[1].not_made or found[1].released):
                paths.add(output, path_of(output_dir, base_name, fov, output))
    return made


def _channels_in_words(request: RunRequest) -> str:
    """Name the channels of a run, by number and name."""
    chosen, title = request.analysis.channels, request.metadata.channel_title
    parts = [] if chosen.pc is None else [f"phase contrast {title(chosen.pc)}"]
    if chosen.segment is not None:
        parts.append(f"cells are found in {title(chosen.segment)}")
    if chosen.fl:
        parts.append(f"fluorescence {', '.join(map(title, chosen.fl))}")
    if chosen.nuclei is not None:
        parts.append(f"nuclei {title(chosen.nuclei)}")
    return f"channels: {'; '.join(parts)}"


def _tell_picture(request: RunRequest) -> None:
    """Say what the channel shows in which cells are found, where that was to be found out."""
    picture, channel = request.analysis.picture, request.analysis.channels.cells
    if picture is None or channel is None:
        return
    title = request.metadata.channel_title(channel)
    if picture.is_sure:
        logger.info("channel %s shows %s; segmentation: %s", title, picture, picture.method)
    else:
        logger.warning(
            "what channel %s shows is unsure (perhaps %s): %s; it is segmented by %s: look at the "
            "first outlines, or name the segmentation (--segmentation)",
            title,
            picture.likely,
            picture.reason,
            picture.method,
        )


def _log_end(outcome: RunOutcome) -> None:
    if outcome.stopped is not None:
        logger.info("stopped, as was asked for (strict), after %s", outcome.stopped)
    counts = {status: len(outcome.with_status(status)) for status in FovStatus}
    level = logging.INFO if outcome.ok else logging.WARNING
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    logger.log(level, "finished: %s", told)
