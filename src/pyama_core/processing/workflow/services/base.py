"""What all services share: the loop over fields of view, the lock, progress, cancelling."""

from __future__ import annotations

import contextlib
import logging
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from pyama_core.io.checksums import SourceIdentity, identify_source
from pyama_core.io.errors import CancelledError, InputError, PyamaError, StorageError
from pyama_core.io.fov_folder import FovFolder, PlannedOutput
from pyama_core.io.locks import FolderLock, LockTicket
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.naming import fov_folder_name
from pyama_core.io.watched_files import WatchedFiles
from pyama_core.processing.workflow.progress import ProgressEvent
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.settings import settings_of
from pyama_core.processing.workflow.services.types import (
    ProcessingContext,
    ensure_context,
    find_named_channels,
)

logger = logging.getLogger(__name__)

REPORT_EVERY = 30
"""Frames between two progress reports of a step."""


class BaseProcessingService(ABC):
    """One step: files in, files out, for one field of view at a time.

    A service can be used alone, to debug its step; then it takes the lock of each FOV itself.
    Within a run it works under the run's lock, of which `tickets` is the proof.

    Attributes
    ----------
    step : str
        Name of the step in events, records and parameters.
    tickets : dict
        Proofs of the locks that the caller holds, by field of view.
    source_identity : SourceIdentity or None
        Identity of the source file, where the caller knows it already.
    cancelled : callable
        Asked before every frame whether to stop.
    """

    step: ClassVar[str]

    def __init__(self) -> None:
        self.tickets: dict[int, LockTicket] = {}
        self.source_identity: SourceIdentity | None = None
        self.cancelled: Callable[[], bool] = lambda: False
        self._report: Callable[[ProgressEvent], None] | None = None

    def set_progress_reporter(self, reporter: Callable[[ProgressEvent], None] | None) -> None:
        """Choose who is told about progress (every 30 frames and at the end of each FOV)."""
        self._report = reporter

    def progress_callback(self, fov: int, t: int, T: int, message: str) -> None:
        """Report that `t` of `T` frames of a field of view are done."""
        event = ProgressEvent(step=self.step, fov=fov, t=t, T=T, message=message)
        if self._report is not None:
            self._report(event)

    def process_all_fovs(
        self,
        metadata: MicroscopyMetadata,
        context: ProcessingContext,
        output_dir: Path,
        fov_start: int | None = None,
        fov_end: int | None = None,
    ) -> None:
        """Do this step for a range of fields of view, one after the other.

        Parameters
        ----------
        metadata : MicroscopyMetadata
            The source.
        context : ProcessingContext
            Channels, parameters, and the files of earlier steps; gains those of this one.
        output_dir : Path
            Folder of all outputs.
        fov_start, fov_end : int, optional
            First and last field of view, inclusive; None or -1: the file's first and last.

        Raises
        ------
        ValueError
            The range is not within the file.
        PyamaError
            As `process_fov`; later fields of view are then not tried.
        """
        ensure_context(context)
        for fov in validate_fov_range(metadata, fov_start, fov_end):
            self.process_fov(metadata, context, output_dir, fov)

    def process_fov(
        self,
        metadata: MicroscopyMetadata,
        context: ProcessingContext,
        output_dir: Path,
        fov: int,
    ) -> None:
        """Do this step for one field of view and update `context.results_paths[fov]`.

        Outputs that the record proves are not made again.

        Raises
        ------
        PyamaError
            One sentence with FOV, step, what was expected and what was found.
        """
        with self._working_on(metadata, context, output_dir, fov) as job:
            self.settle(job)
            planned = self.plan(job)
            missing = [output for output in planned if job.folder.proves(output) is None]
            if missing:
                self.make(job, missing)
            else:
                n_frames = job.shape[0]
                logger.info("FOV %d, %s: already done", job.fov, self.step)
                self.progress_callback(job.fov, n_frames, n_frames, f"{self.step}: already done")
            job.note(planned)

    def settle(self, job: FovJob) -> None:  # noqa: B027  only copying reads the source
        """Find out what must be known before anything on record can be believed."""

    @abstractmethod
    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Return the outputs of this step, each with what it is made by and from.

        Raises
        ------
        InputError
            A parameter or channel is wrong or an input is missing.
        """

    @abstractmethod
    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Make some of the planned outputs, in one pass over the frames.

        Raises
        ------
        PyamaError
            One sentence on what was expected and what was found.
        CancelledError
            The caller asked to stop.
        """

    def needs(self, step: str, context: ProcessingContext) -> bool:
        """Whether this step reads, itself or through others, what an earlier one makes."""
        del step, context
        return True

    @contextlib.contextmanager
    def _working_on(
        self, metadata: MicroscopyMetadata, context: ProcessingContext, output_dir: Path, fov: int
    ) -> Iterator[FovJob]:
        """Open the folder of a field of view for writing; errors inside gain FOV and step."""
        with self._located(fov), contextlib.ExitStack() as stack:
            find_named_channels(context, metadata.channel_names)
            if metadata.shape_of(fov)[0] == 0:
                raise InputError(
                    f"{metadata.file_path.name} announces it, but has no frame of it; "
                    "was the acquisition aborted?"
                )
            fov = operator.index(fov)
            ticket = self.tickets.get(fov)
            if ticket is None:
                lock = FolderLock.acquire(make_fov_folder(output_dir, fov))
                stack.callback(lock.release)
                ticket = lock.ticket
            identity = self.source_identity or identify(metadata)
            folder = FovFolder(
                Path(output_dir), metadata.base_name, fov, identity, ticket, self.cancelled
            )
            if fov not in self.tickets:
                folder.begin(settings_of(context))
            yield FovJob(metadata, context, folder)

    @contextlib.contextmanager
    def _located(self, fov: int) -> Iterator[None]:
        """Say in every error which field of view and step it belongs to."""
        try:
            yield
        except CancelledError:
            raise
        except PyamaError as error:
            raise type(error)(f"FOV {fov}, {self.step}: {error}") from error

    def frames(self, fov: int, n_frames: int, *, silent: bool = False) -> Iterator[int]:
        """Count the frames of a step: asks before each whether to stop, reports progress.

        The latter not if it is `silent`, as the first of two passes over the frames is.

        Errors of the caller's loop body cannot be caught here; see `at_frame`.

        Raises
        ------
        CancelledError
            The caller of the service asked to stop.
        """
        for t in range(n_frames):
            if self.cancelled():
                raise CancelledError(f"FOV {fov}, {self.step}: cancelled at frame {t}")
            yield t
            done = t + 1
            if not silent and (done % REPORT_EVERY == 0 or done == n_frames):
                self.progress_callback(fov, done, n_frames, f"{self.step}: {done}/{n_frames}")


def identify(metadata: MicroscopyMetadata) -> SourceIdentity:
    """Identify the source file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    if metadata.content_checksum:
        # Not made of local files: the reader took a checksum of what describes the data set.
        checksum = metadata.content_checksum
        return SourceIdentity(size=0, mtime_ns=0, sample=checksum, content=checksum)
    try:
        return identify_source(metadata.companions)
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or metadata.file_path}: {error.strerror or error}"
        ) from error


def watch(metadata: MicroscopyMetadata) -> WatchedFiles:
    """Remember how all files of the source are now.

    Raises
    ------
    InputError
        One cannot be looked at.
    """
    path = metadata.file_path
    try:
        return WatchedFiles(metadata.companions, path if path.is_dir() else None)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror or error}") from error


@contextlib.contextmanager
def at_frame(t: int) -> Iterator[None]:
    """Say in every error of a frame's processing which frame it was."""
    try:
        yield
    except InputError as error:
        raise InputError(f"frame {t}: {error}") from error


def validate_fov_range(
    metadata: MicroscopyMetadata, fov_start: int | None, fov_end: int | None
) -> range:
    """Fields of view from `fov_start` to `fov_end`, inclusive; None or -1: all there are.

    Raises
    ------
    InputError
        (a ValueError) The range is not within the file.
    """
    first = 0 if fov_start in (None, -1) else fov_start
    last = metadata.n_fovs - 1 if fov_end in (None, -1) else fov_end
    assert first is not None
    assert last is not None
    if not 0 <= first <= last < metadata.n_fovs:
        raise InputError(
            f"FOV range {first} to {last} is not within {metadata.file_path.name}, "
            f"which has FOVs 0 to {metadata.n_fovs - 1}"
        )
    return range(first, last + 1)


def make_fov_folder(output_dir: Path, fov: int) -> Path:
    """Make the folder of a field of view.

    Raises
    ------
    StorageError
        It cannot be made.
    """
    path = Path(output_dir) / fov_folder_name(fov)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.about("make the folder", path, error) from error
    return path
