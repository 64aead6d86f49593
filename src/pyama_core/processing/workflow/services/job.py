"""One field of view of one run, as the services see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from pyama_core.errors import InputError, ReleasedInputError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.stacks import StackReader
from pyama_core.outputs import Output
from pyama_core.processing.workflow.services.analysis import Analysis


class Position(Protocol):
    """A field of view of a source, whether a run works on it or not."""

    @property
    def metadata(self) -> MicroscopyMetadata:
        """The source."""

    @property
    def fov(self) -> int:
        """Its number."""


class ReadsFrames(Protocol):
    """Frames of a channel, wherever they come from."""

    def read(self, t: int, /) -> NDArray[Any]:
        """Return frame `t` as (Y, X)."""


@dataclass(frozen=True)
class FovJob:
    """What is asked for, where from and where to, for one field of view.

    Attributes
    ----------
    metadata : MicroscopyMetadata
        The source.
    analysis : Analysis
        The request.
    folder : FovFolder
        The folder of the field of view, and its record.
    given : mapping of Output to Path
        Files that a caller wants to be read in place of those in the folder.
    """

    metadata: MicroscopyMetadata
    analysis: Analysis
    folder: FovFolder
    given: Mapping[Output, Path] = field(default_factory=dict)

    @property
    def fov(self) -> int:
        """The field of view."""
        return self.folder.fov

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X) of every stack of the field of view."""
        return self.metadata.shape_of(self.fov)

    def find(self, output: Output) -> Path:
        """Find an output of an earlier step: the caller's, else the one on record.

        Raises
        ------
        InputError
            There is neither; the message names the step to run first.
        """
        known = self.given.get(output)
        if known is not None:
            return known
        path = self.folder.path_of(output)
        if path.name not in self.folder.record.outputs:
            raise InputError(
                f"expected {path.name} as input, found none on record in {self.folder.path}; "
                f"run the step {output.kind.step} for channel {output.channel} first"
            )
        return path

    def checksum(self, output: Output) -> str:
        """Checksum of an output of an earlier step; errors as `find`."""
        return self.folder.checksum_of(self.find(output))

    def why_not_made(self, output: Output) -> str:
        """Why the data could not give an output of an earlier step; empty if there is one."""
        path = self.find(output)
        entry = self.folder.record.outputs.get(path.name)
        known = entry is not None and self.folder.holds(path)
        return entry.not_made if known and entry is not None else ""

    def told(self, output: Output) -> Mapping[str, int]:
        """Return what is on record of an output of an earlier step; nothing of other files."""
        path = self.find(output)
        entry = self.folder.record.outputs.get(path.name)
        return entry.summary if entry is not None and self.folder.holds(path) else {}

    def missing(self, output: Output) -> frozenset[int]:
        """Frames that the source lacks of the stack of an earlier step; errors as `find`.

        Known only of stacks in the folder of the field of view, by its record.
        """
        path = self.find(output)
        entry = self.folder.record.outputs.get(path.name)
        known = entry is not None and self.folder.holds(path)
        return entry.missing_frames() if known and entry is not None else frozenset()

    def open(self, output: Output) -> StackReader:
        """Open a stack of an earlier step; make sure that it fits the source and the others.

        Raises
        ------
        InputError
            It does not exist, was released or has another shape.
        DamagedFileError
            It is no stack, or cut off.
        """
        path = self.find(output)
        entry = self.folder.record.outputs.get(path.name)
        if entry and entry.released and self.folder.holds(path) and not path.exists():
            raise ReleasedInputError(f"{path.name} was released; run again to make it anew")
        reader = StackReader(path)
        if reader.shape != self.shape:
            reader.close()
            raise InputError(
                f"{reader.path.name}: expected (frames, height, width) = {self.shape} as in the "
                f"source file, found {reader.shape}"
            )
        return reader
