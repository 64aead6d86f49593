"""The files of one field of view, as far as its record proves them, and why the others are not."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.regular_files import open_regular
from pyama_core.io.storage.artifacts import Appearance, look_at
from pyama_core.io.storage.as_written import is_as_written
from pyama_core.io.storage.locks import find_holder
from pyama_core.io.storage.records import FovRecord, OutputEntry, load_record
from pyama_core.io.titles import titled
from pyama_core.outputs import Form, OutputKind, kind_named
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.services.analysis import ChannelChoice
from pyama_core.results.channels import ChannelNames
from pyama_core.results.images import ProvenStacks
from pyama_core.results.proof import MissingOutput, NotProvenError, read_proven, released

_ATTEMPTS = 3
_LONGEST_HEADER = 1 << 16


class FovFiles:
    """The record of a field of view and what lies beside it.

    The record is looked at whenever something is asked for, so that what a run has made meanwhile
    is there.

    Parameters
    ----------
    record_path : Path
        The record.
    number, name
        Of the field of view.
    channels : ChannelNames
        Names of channels.
    """

    def __init__(self, record_path: Path, number: int, name: str, channels: ChannelNames) -> None:
        self.folder = record_path.parent
        self.where = f"FOV {titled(number, name, 'FOV')}"
        self._record_path = record_path
        self._number = number
        self._channels = channels
        self._stacks = ProvenStacks()
        self._read: tuple[Appearance | None, FovState | None] = (None, None)

    @property
    def state(self) -> FovState:
        """What the record says.

        Raises
        ------
        DamagedFileError
            The record cannot be believed.
        """
        try:
            seen = look_at(self._record_path)
        except OSError:
            seen = None
        if seen is None or seen != self._read[0]:
            record = load_record(self._record_path)
            self._read = (seen, None if record is None else FovState(record, any_version=True))
        state = self._read[1]
        if state is None or state.record.fov != self._number:
            fault = "is damaged" if state is None else f"is the record of FOV {state.record.fov}"
            raise DamagedFileError(
                f"{self.where}: {self._record_path} {fault}; run again to make its outputs anew"
            )
        return state

    @property
    def record(self) -> FovRecord:
        """The record; errors as `state`."""
        return self.state.record

    @property
    def channels(self) -> ChannelChoice:
        """The channels that were asked for; none where that is not known."""
        try:
            return self.state.channels
        except DamagedFileError:
            return ChannelChoice()

    def content(self, kind: OutputKind, channel: int) -> bytes | None:
        """Return the content of a table; None if it is not proven, which `missing` tells."""
        for _ in range(_ATTEMPTS):
            try:
                state = self.state
                name, entry = _entries_in(state, kind)[channel]
                return read_proven(self.folder / name, entry)
            except (DamagedFileError, KeyError):
                return None
            except NotProvenError:
                if self.state is state:
                    return None
                # A run has made it anew between the two looks.
        return None

    def header(self, kind: OutputKind, channel: int) -> str:
        """Return the first line of a table, proven or not; empty if there is none."""
        name = self.entries(kind)[channel][0]
        try:
            with open_regular(self.folder / name) as file:
                return file.readline(_LONGEST_HEADER).decode(errors="replace").rstrip()
        except OSError:
            return ""

    def entries(self, kind: OutputKind) -> dict[int, tuple[str, OutputEntry]]:
        """Return the outputs of a kind that are what was asked for, by channel, in order."""
        try:
            return _entries_in(self.state, kind)
        except DamagedFileError:
            return {}

    def appearance(self, *kinds: OutputKind) -> Hashable:
        """Return what differs once the record, or an output of some kinds, may have changed."""
        names = [name for kind in kinds for name, _ in self.entries(kind).values()]
        return tuple(
            (name, _appearance_of(self.folder / name)) for name in (self._record_path.name, *names)
        )

    def open(self, kind: OutputKind, channel: int) -> NDArray[Any]:
        """Map a stack that `entries` knows into memory.

        Raises
        ------
        InputError
            It was released, or is not proven.
        """
        name, entry = self.entries(kind)[channel]
        try:
            return self._stacks.open(self.folder / name, entry)
        except NotProvenError as error:
            raise InputError(f"{self.where}: {name}: {error}") from error

    @property
    def missing(self) -> list[MissingOutput]:
        """What was asked for and cannot be read, and why; released stacks count as missing."""
        found: list[MissingOutput] = []
        for _ in range(_ATTEMPTS):
            try:
                state = self.state
                found = self._find_missing(state)
                if self.state is state:
                    break
            except DamagedFileError as error:
                return [MissingOutput(self._number, self._record_path.name, "record", str(error))]
        return found

    def _find_missing(self, state: FovState) -> list[MissingOutput]:
        found = []
        for output in state.wanted:
            on_record = state.record.find(output)
            channel = self._channels.of(output.channel)
            name = on_record[0] if on_record else f"{output.kind.name} of {channel}"
            if on_record is None:
                reason = self._why_not_made(state)
            elif on_record[0] in state.outdated:
                reason = "outdated: not made as the last run asked for; run again to make it anew"
            else:
                reason = self._why_missing(*on_record)
            if reason:
                found.append(MissingOutput(self._number, name, output.kind.name, reason))
        return found

    def _why_not_made(self, state: FovState) -> str:
        if (holder := find_holder(self.folder)) is not None:
            return f"not made yet; process {holder['pid']} on {holder['host']} is at work"
        if (failure := state.record.failure) is not None:
            return f"not made: {failure.error}"
        return "not made yet; run again to go on"

    def _why_missing(self, name: str, entry: OutputEntry) -> str:
        """Say why an output that is on record cannot be read; empty if it can."""
        if entry.not_made:
            return entry.not_made
        if entry.released:
            return released(entry.kind)
        path, kind = self.folder / name, kind_named(entry.kind)
        if is_as_written(path, entry):
            return ""
        try:
            if kind is not None and kind.form is Form.TABLE:
                read_proven(path, entry)
            elif look_at(path).size != entry.size:
                return "is not as it was written; run again to make it anew"
        except NotProvenError as error:
            return str(error)
        except OSError:
            return "the file is gone; run again to make it anew"
        return ""


def _appearance_of(path: Path) -> Appearance | None:
    try:
        return look_at(path)
    except OSError:
        return None


def _entries_in(state: FovState, kind: OutputKind) -> dict[int, tuple[str, OutputEntry]]:
    found = {
        entry.channel: (name, entry)
        for name, entry in state.record.outputs.items()
        if entry.kind == kind.name and name not in state.outdated
    }
    return dict(sorted(found.items()))
