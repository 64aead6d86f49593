"""Copying: planes of the microscope file become one stack per channel."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any, Literal

from pyama_core.io.errors import InputError, MissingFrameError
from pyama_core.io.fov_folder import PlannedOutput
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
from pyama_core.io.naming import OutputKind
from pyama_core.io.records import Provenance
from pyama_core.io.retrying import system_failure
from pyama_core.io.survey import dark_channels, dark_warning, is_dark
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.parameters import validate_params
from pyama_core.processing.workflow.services.types import ProcessingContext, requested_channels

logger = logging.getLogger(__name__)

ALGORITHM = "copy/1"


class CopyingService(BaseProcessingService):
    """Copies the chosen channels of a field of view, all in one pass over its frames.

    Attributes
    ----------
    source : FrameSource or None
        An open source to read from; without one, each field of view opens the file anew.
    """

    step = "copying"

    def __init__(self) -> None:
        super().__init__()
        self.source: FrameSource | None = None

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Plan one copy per channel; its input is a part of the source."""
        options = {**dict(job.metadata.options), "z": chosen_plane(job.metadata, job.context)}
        return [
            PlannedOutput(
                kind,
                channel,
                Provenance(
                    step=self.step,
                    algorithm=ALGORITHM,
                    parameters=job.parameters.copying.model_dump(mode="json"),
                    inputs={
                        "source": job.folder.record.source.as_text(),
                        "part": f"FOV {job.fov}, channel {channel}, {json.dumps(options)}",
                    },
                ),
            )
            for kind, channel in _wanted_channels(job.metadata, job.context)
        ]

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Copy frame by frame, all channels of a frame before the next.

        A plane that the source lacks, or that makes no sense, is left out and noted. A drive that
        fails is another matter: what it has will be there when the run is repeated.
        """
        metadata, z = job.metadata, chosen_plane(job.metadata, job.context)
        with contextlib.ExitStack() as stack:
            source = self.source or stack.enter_context(open_source(metadata))
            copies = [
                (
                    output.channel,
                    stack.enter_context(job.folder.new_stack(output, job.shape, metadata.dtype)),
                )
                for output in outputs
            ]
            why: dict[int, str] = {}
            dark: dict[int, list[int]] = {channel: [] for channel, _ in copies}
            for t in self.frames(job.fov, job.shape[0]):
                for channel, copy in copies:
                    try:
                        frame = source.read_frame(job.fov, channel, t, z)
                    except MissingFrameError as error:
                        if system_failure(error) is not None:
                            raise
                        why.setdefault(channel, str(error))
                        copy.append_missing()
                        continue
                    with at_frame(t):
                        _require_like(frame, job.shape[1:], metadata.dtype, channel)
                    copy.append(frame)
                    if is_dark(frame):
                        dark[channel].append(t)
            for channel, copy in copies:
                _tell_missing(job, channel, copy.missing, why.get(channel, ""))
                _tell_dark(job, channel, dark[channel])


def warn_of_dark_channels(source: FrameSource, context: ProcessingContext) -> None:
    """Name the channels to be copied that are zero wherever they are looked at."""
    metadata = source.metadata
    copied = {channel for _, channel in _wanted_channels(metadata, context)}
    for channel in dark_channels(source, copied, chosen_plane(metadata, context)):
        logger.warning("%s", dark_warning(metadata, channel))


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


def chosen_plane(metadata: MicroscopyMetadata, context: ProcessingContext) -> int | Literal["max"]:
    """Return the plane of a z-stack that is copied.

    Raises
    ------
    InputError
        The source has no such plane.
    """
    chosen = validate_params(context.params).copying.z
    if chosen is None:
        chosen = dict(metadata.options).get("z", 0)
    if isinstance(chosen, int) and chosen >= metadata.n_z:
        raise InputError(
            f"plane z={chosen} does not exist: {metadata.file_path.name} has {metadata.n_z}"
        )
    return chosen


def _wanted_channels(
    metadata: MicroscopyMetadata, context: ProcessingContext
) -> list[tuple[OutputKind, int]]:
    channels = requested_channels(context)
    wanted: list[tuple[OutputKind, int]] = [("fl", channel) for channel in channels.copied()]
    if channels.pc is not None:
        wanted.insert(0, ("pc", channels.pc))
    if not wanted:
        raise InputError("no channel was chosen; name a phase-contrast channel and fluorescence")
    for _, channel in wanted:
        if not 0 <= channel < metadata.n_channels:
            raise InputError(
                f"channel {channel} does not exist: {metadata.file_path.name} has "
                f"{metadata.n_channels} ({', '.join(metadata.channel_names)})"
            )
    return wanted
