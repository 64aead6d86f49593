"""Copying: planes of the microscope file become one stack per channel."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.readers.survey import dark_channels, dark_warning, is_dark
from pyama_core.io.retrying import system_failure
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.stacks import StackHasher, value_of_missing
from pyama_core.io.watched_files import WatchedFiles, changed_while_read
from pyama_core.outputs import FL, PC, Declaration, Output, kind_named
from pyama_core.processing.workflow.services.analysis import Analysis, chosen_plane
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.scope import ALONE, Scope
from pyama_core.processing.workflow.services.source_identity import identify_own_files, watch

logger = logging.getLogger(__name__)

ALGORITHM = "copy/1"


class CopyingService(BaseProcessingService):
    """Copies the chosen channels of a field of view, all in one pass over its frames.

    Attributes
    ----------
    source : FrameSource or None
        An open source to read from; without one, each field of view opens the file anew.
    watched : WatchedFiles or None
        How the files of the source were before it was opened, where the caller knows.
    reading : callable
        Makes what is entered while a source is read that was not given.
    """

    step = "copying"

    def __init__(
        self,
        scope: Scope = ALONE,
        source: FrameSource | None = None,
        reading: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        super().__init__(scope)
        self.source = source
        self.reading = reading

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare one copy per channel."""
        channels = analysis.channels
        copies = [Output(FL, channel) for channel in channels.copied]
        if channels.pc is not None:
            copies.insert(0, Output(PC, channels.pc))
        if not copies:
            raise InputError(
                "no channel was chosen; name the one in which cells are found, and those measured"
            )
        return [Declaration(output, {}) for output in copies]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the copying."""
        return ALGORITHM

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return the source, and the part of it that is copied."""
        channel, metadata = declared.output.channel, job.metadata
        if not 0 <= channel < metadata.n_channels:
            raise InputError(
                f"channel {channel} does not exist: {metadata.file_path.name} has "
                f"{metadata.n_channels} ({', '.join(metadata.channel_names)})"
            )
        options = {**dict(metadata.options), "z": chosen_plane(metadata, job.analysis)}
        return {
            "source": job.folder.record.source.as_text(),
            "part": f"FOV {job.fov}, channel {channel}, {json.dumps(options)}",
        }

    def decide_about_source(self, job: FovJob) -> None:
        """Let files or pixels decide about a source that is not as the one on record.

        Where the field of view has files of its own which are as they were, it does not matter what
        became of others, unless frames were missing: these may have been mended, and nothing of
        their files was read. Copying a data set to another disk gives its files other times, and so
        may opening them: if the pixels are those that were copied, all that was made of them stays
        valid; otherwise they are copied anew.

        Raises
        ------
        InputError
            They are others, and nothing else tells that it is the same data set at all.
        """
        if job.folder.is_source_decided:
            if self.source is not None and job.folder.record.outputs:
                self._complete_record(self.source, job)
            return
        name = job.metadata.file_path.name
        with self._source_of(job.metadata) as source:
            own = identify_own_files(source, job.fov)
        known = job.folder.record.own_files
        is_as_it_was = known is not None and own is not None and own.is_same(known)
        lacks_frames = any(entry.missing for entry in job.folder.record.outputs.values())
        if is_as_it_was and not lacks_frames:
            logger.info("FOV %d: its files of %s are as they were, others are not", job.fov, name)
            job.folder.confirm_source(own)
            return
        if known is not None and (own is None or not own.may_be(known)):
            logger.warning(
                "FOV %d: its files of %s are others than were copied; it is made anew",
                job.fov,
                name,
            )
            job.folder.adopt_source(own)
            return
        copies = self._forget_other_copies(job)
        reason = "had missing frames" if is_as_it_was else "has another time"
        logger.info("FOV %d: %s %s; comparing its pixels", job.fov, name, reason)
        if copies and self._are_the_same(job, copies):
            job.folder.confirm_source(own)
            return
        is_told = job.folder.record.source.content or len(job.metadata.companions) == 1
        if copies and not is_told:
            raise InputError(
                f"{job.folder.path} holds results of another data set than {name}, or of an "
                "earlier state of it; choose another output folder, or delete this one"
            )
        logger.warning("FOV %d: %s has other pixels than were copied", job.fov, name)
        job.folder.adopt_source(own)

    def _complete_record(self, source: FrameSource, job: FovJob) -> None:
        """Note what identifies the files of a field of view, which older records do not have."""
        if job.folder.record.own_files is None:
            job.folder.note_own_files(_own_files_of(source, job.fov))

    def _forget_other_copies(self, job: FovJob) -> dict[str, PlannedOutput]:
        """Return the copies on record; those of other planes than would be copied now are lost."""
        kept = {}
        for name, entry in job.folder.record.outputs.items():
            kind = kind_named(entry.kind)
            if kind is None or kind.step != self.step:
                continue
            planned = self.plan_one(job, Declaration(Output(kind, entry.channel), {}))
            if entry.provenance.without(planned.defaults) == planned.provenance:
                kept[name] = planned
            else:
                job.folder.forget(name)
        return kept

    def _are_the_same(self, job: FovJob, copies: dict[str, PlannedOutput]) -> bool:
        """Read all planes of some copies again, and compare checksums."""
        dtype = job.metadata.dtype
        hashers = [
            StackHasher(
                job.shape, dtype, value_of_missing(planned.output.kind.missing, np.dtype(dtype))
            )
            for planned in copies.values()
        ]
        channels = [planned.output.channel for planned in copies.values()]
        watched = self.scope.watched or watch(job.metadata)
        with self._source_of(job.metadata) as source:
            for _, index, frame, _ in self._read_planes(job, source, channels, silent=True):
                if frame is None:
                    hashers[index].append_missing()
                else:
                    hashers[index].append(frame)
            _require_unchanged(source, job, watched)
        recorded = [job.folder.record.outputs[name].checksum for name in copies]
        return recorded == [hasher.checksum() for hasher in hashers]

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Copy frame by frame, all channels of a frame before the next.

        A plane that the source lacks, or that makes no sense, is left out and noted. A drive that
        fails is another matter: what it has will be there when the run is repeated. If a file was
        written to meanwhile, nothing of what was read counts.
        """
        watched = self.scope.watched or watch(job.metadata)
        channels = [output.output.channel for output in outputs]
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self._source_of(job.metadata))
            _require_unchanged(source, job, watched)  # lest much is read for nothing
            copies = [
                stack.enter_context(job.folder.new_stack(output, job.shape, job.metadata.dtype))
                for output in outputs
            ]
            why: dict[int, str] = {}
            dark: dict[int, list[int]] = {channel: [] for channel in channels}
            for t, index, frame, reason in self._read_planes(job, source, channels):
                if frame is None:
                    why.setdefault(channels[index], reason)
                    copies[index].append_missing()
                    continue
                copies[index].append(frame)
                if is_dark(frame):
                    dark[channels[index]].append(t)
            _require_unchanged(source, job, watched)
            job.folder.note_own_files(_own_files_of(source, job.fov))
            for channel, copy in zip(channels, copies, strict=True):
                _tell_missing(job, channel, copy.missing, why.get(channel, ""))
                _tell_dark(job, channel, dark[channel])

    @contextlib.contextmanager
    def _source_of(self, metadata: MicroscopyMetadata) -> Iterator[FrameSource]:
        if self.source is not None:
            yield self.source
            return
        with self.reading(), open_source(metadata) as source:
            yield source

    def _read_planes(
        self, job: FovJob, source: FrameSource, channels: Sequence[int], *, silent: bool = False
    ) -> Iterator[tuple[int, int, Frame | None, str]]:
        """Yield frame, index of the channel, and its plane, or None and why there is none."""
        z = chosen_plane(job.metadata, job.analysis)
        for t in self.frames(job.fov, job.shape[0], silent=silent):
            for index, channel in enumerate(channels):
                try:
                    frame = source.read_frame(job.fov, channel, t, z)
                except MissingFrameError as error:
                    if system_failure(error) is not None:
                        raise
                    yield t, index, None, str(error)
                    continue
                with at_frame(t):
                    _require_like(frame, job.shape[1:], job.metadata.dtype, channel)
                yield t, index, frame, ""


def warn_of_dark_channels(source: FrameSource, analysis: Analysis) -> None:
    """Name the channels to be copied that are zero wherever they are looked at."""
    metadata = source.metadata
    copied = {copy.output.channel for copy in CopyingService().declare(analysis)}
    for channel in dark_channels(source, copied, chosen_plane(metadata, analysis)):
        logger.warning("%s", dark_warning(metadata, channel))


def _require_unchanged(source: FrameSource, job: FovJob, watched: WatchedFiles) -> None:
    """Make sure that what a field of view is read from is as it was when the run began.

    Raises
    ------
    InputError
        It is not.
    """
    name = job.metadata.file_path.name
    watched.require_unchanged(source.files_of(job.fov), name)
    change = source.find_change(job.fov)
    if change:
        raise changed_while_read(name, [change])


def _own_files_of(source: FrameSource, fov: int) -> SourceIdentity | None:
    """Identify the files of a field of view, unless one, as of a missing frame, cannot be read."""
    try:
        return identify_own_files(source, fov)
    except InputError as error:
        logger.info("FOV %d: its files are not noted apart from others: %s", fov, error)
        return None


def _tell_missing(job: FovJob, channel: int, missing: list[int], why: str) -> None:
    """Say which frames of a channel are missing.

    Raises
    ------
    MissingFrameError
        All of them are.
    """
    n_frames = job.shape[0]
    if len(missing) == n_frames:
        raise MissingFrameError(f"channel {channel} has no frame that can be read: {why}")
    if missing:
        logger.warning(
            "FOV %d, channel %d: %d of %d frames are missing and left out (%s), the first because "
            "%s",
            job.fov,
            channel,
            len(missing),
            n_frames,
            format_ranges(missing),
            why,
        )


def _tell_dark(job: FovJob, channel: int, dark: list[int]) -> None:
    """Say which frames of a channel are zero throughout; only a person can know why."""
    if dark:
        logger.warning(
            "FOV %d, channel %d: %d of %d frames are 0 throughout (%s); they count as measured",
            job.fov,
            channel,
            len(dark),
            job.shape[0],
            format_ranges(dark),
        )


def _require_like(frame: Any, shape: tuple[int, int], dtype: str, channel: int) -> None:
    if frame.shape != shape or frame.dtype != dtype:
        raise InputError(
            f"channel {channel}: expected {shape} pixels of {dtype} as the file announces, "
            f"found {frame.shape} of {frame.dtype}"
        )
