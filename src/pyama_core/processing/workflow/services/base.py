"""What all services share: the loop over fields of view, the lock, progress, cancelling."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pyama_core.errors import CancelledError, InputError, PyamaError, StorageError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.read_files import FilesOfParameters, look_at_all
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.locks import FolderLock, LockTicket
from pyama_core.io.storage.naming import fov_folder_name, path_of
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.records import Names, Provenance, not_default
from pyama_core.outputs import FL, PC, Declaration, Form, Output
from pyama_core.processing.method_files import files_of_parameters
from pyama_core.processing.workflow.services.analysis import Analysis, parse_analysis
from pyama_core.processing.workflow.services.events import ProgressEvent
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.parameters import defaults_of
from pyama_core.processing.workflow.services.pictures import settle_method
from pyama_core.processing.workflow.services.scope import ALONE, Scope
from pyama_core.processing.workflow.services.source_identity import (
    identify,
    require_same_source,
)
from pyama_core.processing.workflow.services.types import (
    ProcessingContext,
    ensure_context,
    paths_of_fov,
)

logger = logging.getLogger(__name__)

REPORT_EVERY = 30
"""Frames between two progress reports of a step."""


class BaseProcessingService(ABC):
    """One step: files in, files out, for one field of view at a time.

    A service can be used alone, to debug its step; then it takes the lock of each FOV itself.

    Attributes
    ----------
    step : str
        Name of the step in events, records and parameters.

    Parameters
    ----------
    scope : Scope
        What a run lends to it.
    """

    step: ClassVar[str]

    def __init__(self, scope: Scope = ALONE) -> None:
        self.scope = scope

    def set_progress_reporter(self, reporter: Callable[[ProgressEvent], None]) -> None:
        """Choose who is told about progress (every 30 frames and at the end of each FOV)."""
        self.scope = dataclasses.replace(self.scope, report=reporter)

    def progress_callback(self, fov: int, t: int, T: int, message: str) -> None:
        """Report that `t` of `T` frames of a field of view are done."""
        self.scope.report(ProgressEvent(step=self.step, fov=fov, t=t, T=T, message=message))

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

        Outputs that the record proves are not made again. Files in the context are read in place
        of those in the folder.

        Raises
        ------
        PyamaError
            One sentence with FOV, step, what was expected and what was found.
        """
        with self._located(fov):
            asked = parse_analysis(context, metadata.channel_names)
            analysis = settle_method(metadata, asked)
        paths = paths_of_fov(context, fov)
        for output in self.work_on(metadata, analysis, output_dir, fov, given=dict(paths.items())):
            paths.add(output, path_of(Path(output_dir), metadata.base_name, fov, output))

    def work_on(
        self,
        metadata: MicroscopyMetadata,
        analysis: Analysis,
        output_dir: Path,
        fov: int,
        given: Mapping[Output, Path] = MappingProxyType({}),
    ) -> list[Output]:
        """Make those outputs of this step for a field of view that the record does not prove.

        Returns
        -------
        list of Output
            The outputs of the step, but for those that the data cannot give.

        Raises
        ------
        PyamaError
            One sentence with FOV, step, what was expected and what was found.
        """
        with self._opened(metadata, analysis, Path(output_dir), fov, given) as job:
            self.decide_about_source(job)
            planned = self.plan(job)
            missing = [output for output in planned if job.folder.proves(output) is None]
            if missing:
                self.make(job, missing)
            elif planned:
                n_frames = job.shape[0]
                logger.info("FOV %d, %s: already done", job.fov, self.step)
                self.progress_callback(job.fov, n_frames, n_frames, f"{self.step}: already done")
            return [each.output for each in planned if not job.why_not_made(each.output)]

    # What is made from what

    def decide_about_source(self, job: FovJob) -> None:  # noqa: B027  only copying reads the source
        """Find out what must be known before anything on record can be believed."""

    @abstractmethod
    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Return the outputs of this step for a request, and what each is made from.

        Raises
        ------
        InputError
            A channel or parameter is wrong.
        """

    @abstractmethod
    def algorithm(self, analysis: Analysis) -> str:
        """Return name and version of the algorithm; a new version means other results."""

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return what else decides on the content of an output, by its role.

        Such as times or the content of files that are no outputs of a step.
        """
        return {}

    def files_read(self, job: FovJob) -> FilesOfParameters:
        """Return the files beside the source that the parameters of this step lead to.

        Raises
        ------
        InputError
            One is not there.
        """
        section = job.analysis.parameters.of_step(self.step)
        return {} if section is None else files_of_parameters(section)

    def inputs_there(self, job: FovJob, declared: Declaration) -> Mapping[str, Output]:
        """Return the declared inputs that are to be used; those that may be absent, only if not."""
        return declared.inputs

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Return the outputs of this step, each with what it is made by and from.

        Raises
        ------
        InputError
            A parameter or channel is wrong or an input is missing.
        """
        return [self.plan_one(job, declared) for declared in self.declare(job.analysis)]

    def plan_one(self, job: FovJob, declared: Declaration) -> PlannedOutput:
        """Return what a declared output would be made by and from; errors as `plan`."""
        section = job.analysis.parameters.of_step(self.step)
        defaults = {} if section is None else defaults_of(section)
        given = {} if section is None else section.model_dump(mode="json")
        inputs = self.inputs_there(job, declared)
        checksums = {role: job.checksum(output) for role, output in inputs.items()}
        read = look_at_all(self.files_read(job))
        contents = {
            role: job.folder.checksum_of_files(declared.output, role, files)
            for role, files in read.items()
        }
        provenance = Provenance(
            step=self.step,
            algorithm=self.algorithm(job.analysis),
            parameters=not_default(given, defaults),
            inputs=checksums | contents | self.further_inputs(job, declared),
        )
        shape = job.shape if declared.output.kind.form is Form.STACK else None
        return PlannedOutput(declared.output, provenance, inputs, defaults, shape, read)

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

    @contextlib.contextmanager
    def _opened(
        self,
        metadata: MicroscopyMetadata,
        analysis: Analysis,
        output_dir: Path,
        fov: int,
        given: Mapping[Output, Path],
    ) -> Iterator[FovJob]:
        """Open the folder of a field of view for writing; errors inside gain FOV and step."""
        with self._located(fov), contextlib.ExitStack() as stack:
            if metadata.shape_of(fov)[0] == 0:
                raise InputError(
                    f"{metadata.file_path.name} announces it, but has no frame of it; "
                    "was the acquisition aborted?"
                )
            fov = operator.index(fov)
            scope = self.scope
            if scope.tickets is None:
                lock = FolderLock.acquire(make_fov_folder(output_dir, fov))
                stack.callback(lock.release)
                ticket = lock.ticket
            else:
                ticket = scope.tickets[fov]
            stack.enter_context(_in_its_folder(ticket))
            identity = scope.identity or identify(metadata)
            folder = FovFolder(
                output_dir,
                metadata.base_name,
                fov,
                identity,
                ticket,
                scope.cancelled,
                scope.scratch,
            )
            if not scope.in_a_run:
                require_same_source(metadata, folder, identity)
                names = names_of(metadata, fov)
                folder.begin(analysis.as_settings(), names, analysis.picture_note())
            yield FovJob(metadata, analysis, folder, given)

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
            if self.scope.cancelled():
                raise CancelledError(f"FOV {fov}, {self.step}: cancelled at frame {t}")
            yield t
            done = t + 1
            if not silent and (done % REPORT_EVERY == 0 or done == n_frames):
                self.progress_callback(fov, done, n_frames, f"{self.step}: {done}/{n_frames}")


def names_of(metadata: MicroscopyMetadata, fov: int) -> Names:
    """Return what a record keeps of the names in the source."""
    return Names(fov=metadata.fov_names[fov], channels=metadata.channel_names)


@contextlib.contextmanager
def _in_its_folder(ticket: LockTicket) -> Iterator[None]:
    """Say that the folder is gone, or another run's, where an error inside comes of that."""
    ticket.require()
    try:
        yield
    except CancelledError:
        raise
    except PyamaError:
        ticket.require()
        raise


def require_files_unchanged(outputs: list[PlannedOutput]) -> None:
    """Make sure that the files beside the source were not written to while they were read.

    Raises
    ------
    InputError
        They were.
    """
    for files in outputs[0].read.values() if outputs else ():
        files.require_unchanged()


def cell_channel(analysis: Analysis) -> int:
    """Return the channel in which cells are found.

    Raises
    ------
    InputError
        None was chosen.
    """
    channel = analysis.channels.cells
    if channel is None:
        raise InputError(
            "no channel was chosen in which cells are found; name it as pc if it is phase "
            "contrast, otherwise as segment"
        )
    return channel


def cell_image(analysis: Analysis) -> dict[str, Output]:
    """Return the copy of the channel in which cells are found, by its role as an input.

    Phase contrast has a kind of copy of its own; any other channel shares the one that is made of
    it to be measured. Errors as `cell_channel`.
    """
    channel = cell_channel(analysis)
    if channel == analysis.channels.pc:
        return {"pc": Output(PC, channel)}
    return {"image": Output(FL, channel)}


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
