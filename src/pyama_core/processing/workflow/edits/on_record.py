"""The cells of a field of view as its record proves them: which label image, seen where."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError
from pyama_core.io.checksums import name_checksum, new_hasher
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.records import OutputEntry, load_record
from pyama_core.io.storage.stacks import StackReader
from pyama_core.outputs import SEG_LABELED, TRACES_CSV, TRACKS_CSV, OutputKind
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.tracking.tables import read_tracks
from pyama_core.processing.workflow.edits.found import PLACES, FoundCells
from pyama_core.processing.workflow.fov_state import FovState

Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class LabelsOnRecord:
    """The label image of a field of view.

    Attributes
    ----------
    checksum : str
        Of its content.
    shape : tuple of int
        Frames, height and width.
    missing : frozenset of int
        Frames that hold no image.
    """

    checksum: str
    shape: tuple[int, int, int]
    missing: frozenset[int]

    @classmethod
    def of(cls, state: FovState) -> LabelsOnRecord | None:
        """Return what a record says of it; None if there is none that was asked for."""
        for _, entry in current(state, SEG_LABELED):
            n_frames, height, width = entry.shape or (0, 0, 0)
            return cls(entry.checksum, (n_frames, height, width), entry.missing_frames())
        return None


def state_on(record_path: Path) -> FovState | None:
    """Read a record as who reads results does; None if it cannot be believed.

    What an older version of an algorithm made, as it was asked for, is there to be corrected.
    """
    record = load_record(record_path)
    return None if record is None else FovState(record, any_version=True)


def current(state: FovState, kind: OutputKind) -> list[tuple[str, OutputEntry]]:
    """Return names and entries of the outputs of a kind that are what was asked for, by channel."""
    found = [
        (name, entry)
        for name, entry in state.record.outputs.items()
        if entry.kind == kind.name and name not in state.outdated
    ]
    return sorted(found, key=lambda each: each[1].channel)


def read_found(folder: Path, state: FovState) -> FoundCells | None:
    """Read the cells of a field of view, without their measurements.

    Parameters
    ----------
    folder : Path
        Of the field of view.
    state : FovState
        What its record says.

    Returns
    -------
    FoundCells or None
        None if it has no label image that was asked for.
    """
    labels = LabelsOnRecord.of(state)
    if labels is None:
        return None
    traces = {
        entry.channel: content
        for name, entry in current(state, TRACES_CSV)
        if (content := _read(folder / name, entry)) is not None
    }
    tracks = tracks_on_record(folder, state)
    rows = _joined([_rows_of_traces(content) for content in traces.values()])
    return FoundCells.of(
        rows if traces else rows_without_traces(folder, state, tracks),
        labels=labels.checksum,
        n_frames=labels.shape[0],
        channels=tuple(traces),
        parents={track.cell: track.parent for track in tracks},
        fates={track.cell: track.fate for track in tracks},
    )


def tracks_on_record(folder: Path, state: FovState) -> list[Track]:
    """Return the rows of the table of cells; none if it cannot be believed."""
    for name, entry in current(state, TRACKS_CSV):
        content = _read(folder / name, entry)
        if content is not None:
            try:
                return read_tracks(content.decode().splitlines())
            except (DamagedFileError, UnicodeDecodeError):
                return []
    return []


def rows_without_traces(folder: Path, state: FovState, tracks: Iterable[Track]) -> Rows:
    """Return where cells are of which nothing was measured: from their images, if they are there.

    Without the images it is only known from when to when a cell was seen.
    """
    for name, entry in current(state, SEG_LABELED):
        if not entry.released and (folder / name).is_file():
            return _rows_of_labels(folder / name)
    frames = {track.cell: np.arange(track.first_frame, track.last_frame + 1) for track in tracks}
    return {
        "cell": np.repeat(list(frames), [each.size for each in frames.values()]),
        "frame": np.concatenate([np.empty(0, np.int64), *frames.values()]),
    }


def _read(path: Path, entry: OutputEntry) -> bytes | None:
    """Return the content of a table; None if it is gone or not as it was written."""
    try:
        content = read_regular(path)
    except OSError:
        return None
    hasher = new_hasher()
    hasher.update(content)
    return content if name_checksum(hasher) == entry.checksum else None


def _rows_of_traces(content: bytes) -> Rows:
    header = next(csv.reader([content[: content.index(b"\n")].decode()]))
    names = [name for name in ("cell", "frame", *PLACES) if name in header]
    columns = [header.index(name) for name in names]
    text = io.StringIO(content.decode())
    next(text)
    lines = [line for line in text if line.strip()]
    if not lines:
        return {name: np.empty(0) for name in names}
    values = np.loadtxt(lines, delimiter=",", usecols=columns, ndmin=2, comments=None)
    return dict(zip(names, values.T, strict=True))


def _rows_of_labels(path: Path) -> Rows:
    # Here, for it loads the compiler.
    from pyama_core.processing.extraction.cells import FrameCells

    frames = []
    with StackReader(path) as stack:
        for t in range(stack.shape[0]):
            cells = FrameCells.of(stack.read(t))
            places = {
                "position_x": cells.column_sum / cells.area,
                "position_y": cells.row_sum / cells.area,
                "area": cells.area,
            }
            boxes = zip(PLACES[3:], cells.box.T, strict=True)
            frames.append(
                {"cell": cells.cell, "frame": np.full(cells.cell.size, t), **places, **dict(boxes)}
            )
    return _joined(frames)


def _joined(parts: Sequence[Mapping[str, NDArray[Any]]]) -> Rows:
    """Put rows below each other, with the columns that all have."""
    names = [name for name in parts[0] if all(name in part for part in parts)] if parts else []
    rows: Rows = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return rows or {"cell": np.empty(0, np.int64), "frame": np.empty(0, np.int64)}
