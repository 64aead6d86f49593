"""One field of view of one run, as the services see it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from pyama_core.io.errors import InputError
from pyama_core.io.fov_folder import FovFolder, PlannedOutput
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.naming import KINDS_OF_STEP, PHASE_KINDS, OutputKind
from pyama_core.io.stacks import StackReader
from pyama_core.processing.workflow.services.parameters import StepParameters, validate_params
from pyama_core.processing.workflow.services.types import (
    ProcessingContext,
    paths_of_fov,
    requested_channels,
)

_MADE_BY = {kind: step for step, kinds in KINDS_OF_STEP.items() for kind in kinds}


@dataclass(frozen=True)
class FovJob:
    """What is asked for, where from and where to, for one field of view.

    Attributes
    ----------
    metadata : MicroscopyMetadata
        The source.
    context : ProcessingContext
        The request, and the files that earlier steps made.
    folder : FovFolder
        The folder of the field of view, and its record.
    """

    metadata: MicroscopyMetadata
    context: ProcessingContext
    folder: FovFolder

    @property
    def fov(self) -> int:
        """The field of view."""
        return self.folder.fov

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X) of every stack of the field of view."""
        return self.metadata.shape_of(self.fov)

    @functools.cached_property
    def parameters(self) -> StepParameters:
        """Validated parameters of all steps."""
        return validate_params(self.context.params)

    @property
    def fluorescence(self) -> list[int]:
        """Fluorescence channels, in order."""
        return sorted(requested_channels(self.context).fl)

    @property
    def nuclei(self) -> int | None:
        """The channel that shows nuclei, if one was named."""
        return requested_channels(self.context).nuclei

    @property
    def phase(self) -> int:
        """The phase-contrast channel.

        Raises
        ------
        InputError
            None was chosen.
        """
        channel = requested_channels(self.context).pc
        if channel is None:
            raise InputError("no phase-contrast channel was chosen, but cells are found in it")
        return channel

    def find(self, kind: OutputKind, channel: int | None = None) -> Path:
        """Find the file of an earlier step: the one in the context, else the one on record.

        Parameters
        ----------
        kind : str
            Kind of output.
        channel : int, optional
            Fluorescence channel; of the kinds made from phase contrast there is one.

        Raises
        ------
        InputError
            There is neither; the message names the step to run first.
        """
        if channel is None or kind in PHASE_KINDS:
            channel = self.phase
        known = paths_of_fov(self.context, self.fov).find(kind, channel)
        if known is not None:
            return known
        path = self.folder.path_of(kind, channel)
        if path.name not in self.folder.record.outputs:
            raise InputError(
                f"expected {path.name} as input, found none on record in {self.folder.path}; "
                f"run the step {_MADE_BY[kind]} for channel {channel} first"
            )
        return path

    def checksum(self, kind: OutputKind, channel: int | None = None) -> str:
        """Checksum of the file of an earlier step; errors as `find`."""
        return self.folder.checksum_of(self.find(kind, channel))

    def why_not_made(self, kind: OutputKind, channel: int | None = None) -> str:
        """Why the data could not give a file of an earlier step; empty if there is one."""
        path = self.find(kind, channel)
        entry = self.folder.record.outputs.get(path.name)
        known = entry is not None and path.parent == self.folder.path
        return entry.not_made if known and entry is not None else ""

    def missing(self, kind: OutputKind, channel: int | None = None) -> frozenset[int]:
        """Frames that the source lacks of the stack of an earlier step; errors as `find`.

        Known only of stacks in the folder of the field of view, by its record.
        """
        path = self.find(kind, channel)
        entry = self.folder.record.outputs.get(path.name)
        known = entry is not None and path.parent == self.folder.path
        return entry.missing_frames() if known and entry is not None else frozenset()

    def open(self, kind: OutputKind, channel: int | None = None) -> StackReader:
        """Open a stack of an earlier step; make sure that it fits the source and the others.

        Raises
        ------
        InputError
            It does not exist or has another shape.
        DamagedFileError
            It is no stack, or cut off.
        """
        reader = StackReader(self.find(kind, channel))
        if reader.shape != self.shape:
            reader.close()
            raise InputError(
                f"{reader.path.name}: expected (frames, height, width) = {self.shape} as in the "
                f"source file, found {reader.shape}"
            )
        return reader

    def note(self, outputs: list[PlannedOutput]) -> None:
        """Let the context know the files of outputs that are there."""
        paths = paths_of_fov(self.context, self.fov)
        for output in outputs:
            path = self.folder.planned_path(output)
            entry = self.folder.record.outputs.get(path.name)
            if entry is None or not entry.not_made:
                paths.add(output.kind, output.channel, path)
