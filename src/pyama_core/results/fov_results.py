"""The results of one field of view, as far as its record proves them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.storage.artifacts import look_at
from pyama_core.io.storage.locks import find_holder
from pyama_core.io.storage.records import FovRecord, OutputEntry, load_record
from pyama_core.outputs import TRACES_CSV, TRACKS_CSV, Form, OutputKind, kind_named
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.results.channels import ChannelNames
from pyama_core.results.proof import MissingOutput, NotProvenError, read_proven
from pyama_core.results.tables import FovTables, columns_of, make_tables

if TYPE_CHECKING:
    import pandas as pd


class FovResults:
    """Tables and images of one field of view; made by `Results.fov`.

    Attributes
    ----------
    number : int
        Number of the field of view in the file, from 0.
    name : str
        Its name in the file; ``"FOV 3"`` where that is not known.
    folder : Path
        Where its files are.
    """

    def __init__(self, record_path: Path, number: int, name: str, channels: ChannelNames) -> None:
        self.number = number
        self.name = name
        self.folder = record_path.parent
        self._record_path = record_path
        self._channels = channels
        self._state: FovState | None = None

    def __repr__(self) -> str:
        return f"<FOV {self.number} ({self.name}) in {self.folder}>"

    @property
    def state(self) -> FovState:
        """What the record says.

        Raises
        ------
        DamagedFileError
            The record cannot be believed.
        """
        if self._state is None:
            record = load_record(self._record_path)
            if record is None or record.fov != self.number:
                fault = "is damaged" if record is None else f"is the record of FOV {record.fov}"
                raise DamagedFileError(
                    f"FOV {self.number}: {self._record_path} {fault}; run again to make its "
                    "outputs anew"
                )
            self._state = FovState(record)
        return self._state

    @property
    def record(self) -> FovRecord:
        """The record; errors as `state`."""
        return self.state.record

    def reload(self) -> None:
        """Look at the folder anew, to which a run may have added."""
        self._state = None

    # Tables

    def read_tables(self, columns: Collection[str] | None = None) -> FovTables:
        """Read traces and cells, as far as they are proven; `missing` names the rest.

        Parameters
        ----------
        columns : collection of str, optional
            Columns of the traces; those by which rows are known always are there.

        Raises
        ------
        InputError
            There is no such column in any channel.
        """
        traces, tracks = self._read_traces(), self._read_tracks()
        if columns is not None and (unknown := set(columns) - set(columns_of(traces))):
            raise InputError(
                f"there is no column {min(unknown)!r}; there are {', '.join(columns_of(traces))}"
            )
        return make_tables(self.number, traces, tracks, columns)

    @property
    def traces(self) -> pd.DataFrame:
        """A row per cell and frame, channels side by side."""
        return self.read_tables().traces

    @property
    def cells(self) -> pd.DataFrame:
        """A row per cell."""
        return self.read_tables().cells

    def _read_traces(self) -> dict[str, bytes]:
        found = {}
        for channel, (name, entry) in sorted(self._entries(TRACES_CSV).items()):
            if (content := self._read(name, entry)) is not None:
                found[self._channels.of(channel)] = content
        return found

    def _read_tracks(self) -> bytes | None:
        for name, entry in self._entries(TRACKS_CSV).values():
            return self._read(name, entry)
        return None

    def _read(self, name: str, entry: OutputEntry) -> bytes | None:
        try:
            return read_proven(self.folder / name, entry)
        except NotProvenError:
            return None  # `missing` says so

    def _entries(self, kind: OutputKind) -> dict[int, tuple[str, OutputEntry]]:
        """Return the outputs of a kind that are what was asked for, by channel."""
        return {
            entry.channel: (name, entry)
            for name, entry in self.record.outputs.items()
            if entry.kind == kind.name and name not in self.state.outdated
        }

    # What is missing

    @property
    def missing(self) -> list[MissingOutput]:
        """What was asked for and cannot be read, and why; released stacks count as missing."""
        try:
            state = self.state
        except DamagedFileError as error:
            return [MissingOutput(self.number, self._record_path.name, str(error))]
        found = []
        for output in state.wanted:
            on_record = state.record.find(output)
            name = f"{output.kind.name} of channel {output.channel}"
            reason = self._why_not_made() if on_record is None else self._why_missing(*on_record)
            if reason:
                found.append(
                    MissingOutput(self.number, on_record[0] if on_record else name, reason)
                )
        return found

    def _why_not_made(self) -> str:
        if (holder := find_holder(self.folder)) is not None:
            return f"not made yet; process {holder['pid']} on {holder['host']} is at work"
        if (failure := self.record.failure) is not None:
            return f"not made: {failure.error}"
        return "not made yet; run again to go on"

    def _why_missing(self, name: str, entry: OutputEntry) -> str:
        """Say why an output that is on record cannot be read; empty if it can."""
        if name in self.state.outdated:
            return "outdated: not made as the last run asked for; run again to make it anew"
        if entry.not_made:
            return entry.not_made
        if entry.released:
            return "released to save space"
        path, kind = self.folder / name, kind_named(entry.kind)
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
