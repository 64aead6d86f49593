"""The results of one field of view, as far as its record proves them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.storage.records import FovRecord
from pyama_core.outputs import (
    FL,
    FL_CORRECTED,
    NUCLEI,
    PC,
    SEG,
    SEG_LABELED,
    SHIFTS_CSV,
    TRACES_CSV,
    TRACKS_CSV,
    OutputKind,
)
from pyama_core.processing.extraction.feature_names import are_of_compartments
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.ring_size import RingSize
from pyama_core.processing.workflow.edits.actions import Edit
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.resolve import resolve
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.services.selection import find_channel
from pyama_core.results.basis import basis_of
from pyama_core.results.channels import ChannelNames
from pyama_core.results.curation import FovCuration
from pyama_core.results.edited import apply_edits, found_cells, needed_columns
from pyama_core.results.film_strip import draw_film_strip, draw_frame
from pyama_core.results.fov_files import FovFiles
from pyama_core.results.images import StacksByChannel
from pyama_core.results.outlines import Polygon, outlines_of
from pyama_core.results.plotting import Time, Wanted, plot_courses
from pyama_core.results.proof import MissingOutput
from pyama_core.results.relabelled import relabelled
from pyama_core.results.tables import FovTables, columns_of, fill_shifts, make_tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_ATTEMPTS = 3


class FovResults(FovCuration):
    """Tables and images of one field of view; made by `Results.fov`.

    What a run makes meanwhile is there as soon as it is proven.

    Attributes
    ----------
    number : int
        Number of the field of view in the file, from 0.
    name : str
        Its name in the file; ``"FOV 3"`` where that is not known.
    folder : Path
        Where its files are.
    """

    def __init__(
        self, record_path: Path, number: int, name: str, channels: ChannelNames, log: EditLog
    ) -> None:
        self.number = number
        self.name = name
        self.folder = record_path.parent
        self._channels = channels
        self._files = FovFiles(record_path, number, name, channels)
        self._record_path = record_path
        self._log = log

    def __repr__(self) -> str:
        lacking = f", {len(self.missing)} outputs are missing" if self.missing else ""
        return f"<{self.title} in {self.folder}{lacking}>"

    def under(self, log: EditLog) -> FovResults:
        """Return the same results under the corrections of a log, such as a frozen one."""
        return FovResults(self._record_path, self.number, self.name, self._channels, log)

    @property
    def title(self) -> str:
        """Number and name, for people."""
        return self._files.where

    @property
    def state(self) -> FovState:
        """What the record says.

        Raises
        ------
        DamagedFileError
            The record cannot be believed.
        """
        return self._files.state

    @property
    def record(self) -> FovRecord:
        """The record; errors as `state`."""
        return self._files.state.record

    @property
    def missing(self) -> list[MissingOutput]:
        """What was asked for and cannot be read, and why; released stacks count as missing."""
        return self._files.missing

    # Tables

    def read_tables(self, columns: Collection[str] | None = None) -> FovTables:
        """Read traces and cells, as far as they are proven; `missing` names the rest.

        They are as people corrected them; `Results.edits` tells what was.

        Parameters
        ----------
        columns : collection of str, optional
            Columns of the traces; those by which rows are known always are there, and
            those that do not exist never.
        """
        edits = self._active_edits()
        if edits:
            return self._edited_tables(edits, columns)
        return make_tables(self.number, self._read_traces(), self._read_tracks(), columns)

    def appearance(self) -> Hashable:
        """Return what differs once `read_tables` may read something else, without reading it."""
        return self._files.appearance(TRACES_CSV, TRACKS_CSV), tuple(
            edit.id for edit in self._active_edits()
        )

    @property
    def channels(self) -> list[str]:
        """Names of the channels that were measured."""
        return [self._channels.of(channel) for channel in self._files.entries(TRACES_CSV)]

    def name_of_channel(self, channel: int) -> str:
        """Return what a channel of a number is called in tables."""
        return self._channels.of(channel)

    @property
    def columns(self) -> list[str]:
        """Columns of the traces."""
        headers = {
            self._channels.of(channel): self._files.header(TRACES_CSV, channel)
            for channel in self._files.entries(TRACES_CSV)
        }
        return columns_of(headers)

    @property
    def traces(self) -> pd.DataFrame:
        """A row per cell and frame, channels side by side."""
        return self.read_tables().traces

    @property
    def cells(self) -> pd.DataFrame:
        """A row per cell."""
        return self.read_tables().cells

    def _edited_tables(self, edits: Sequence[Edit], columns: Collection[str] | None) -> FovTables:
        """Read the tables under corrections, which may need more columns than are asked for."""
        for _ in range(_ATTEMPTS):
            state = self._state_or_none()
            traces, tracks = self._read_traces(), self._read_tracks()
            if state is self._state_or_none():
                break  # no run has made tables anew between the looks
        wanted = None if columns is None else {*columns, *needed_columns(traces)}
        tables = make_tables(self.number, traces, tracks, wanted)
        numbers = [
            channel
            for channel in self._files.entries(TRACES_CSV)
            if self._channels.of(channel) in traces
        ]
        basis = state and basis_of(self.folder, state, self._channels, numbers)
        if basis:
            resolved = resolve(found_cells(tables, basis), edits)
            self._tell_of_stale(resolved)
            tables = apply_edits(tables, resolved, basis)
        return tables.narrowed(columns)

    def _state_or_none(self) -> FovState | None:
        try:
            return self.state
        except DamagedFileError:
            return None

    def _channel_number(self, channel: SupportsIndex | str) -> int:
        return find_channel(channel, self._channels.names)

    def _read_traces(self) -> dict[str, bytes]:
        found = {}
        for channel in self._files.entries(TRACES_CSV):
            if (content := self._files.content(TRACES_CSV, channel)) is not None:
                found[self._channels.of(channel)] = content
        return found

    def _read_tracks(self) -> bytes | None:
        for channel in self._files.entries(TRACKS_CSV):
            return self._files.content(TRACKS_CSV, channel)
        return None

    def read_shifts(self, n_frames: int) -> NDArray[np.float64]:
        """Read how many pixels the field of view moved since the frame before.

        Parameters
        ----------
        n_frames : int
            Of the movie.

        Returns
        -------
        (T,) float array
            NaN in the first frame, and where the tracking does not find that out.
        """
        sizes = np.full(n_frames, np.nan)
        for channel in self._files.entries(SHIFTS_CSV):
            if (content := self._files.content(SHIFTS_CSV, channel)) is not None:
                return fill_shifts(sizes, content)
        return sizes

    # Images

    @property
    def phase(self) -> NDArray[Any]:
        """Phase contrast, (T, Y, X), as a memory map.

        Raises
        ------
        InputError
            It was released, or is not proven; the message says what brings it back. Or cells were
            found in another channel, which is `image(segmented)`.
        """
        return self._only(PC)

    @property
    def segmented(self) -> str:
        """What `image` calls the channel in which cells were found: ``phase``, or its name."""
        channel = self._files.channels.segment
        return "phase" if channel is None else self._channels.of(channel)

    @property
    def masks(self) -> NDArray[Any]:
        """What was segmented, (T, Y, X): booleans or labels of each frame; errors as `phase`."""
        return self._only(SEG)

    @property
    def labels(self) -> NDArray[Any]:
        """Label images of the tracking, (T, Y, X), 0 for none; errors as `phase`.

        They have the numbers that the run gave; `label_image` has those under corrections.
        """
        return self._only(SEG_LABELED)

    @property
    def nuclei(self) -> NDArray[Any]:
        """Label images of nuclei, (T, Y, X), with the numbers of their cells; as `labels`."""
        return self._only(NUCLEI)

    @property
    def fluorescence(self) -> StacksByChannel:
        """Fluorescence as it was taken, (T, Y, X), by the name of the channel."""
        return self._by_channel(FL)

    @property
    def corrected(self) -> StacksByChannel:
        """Fluorescence without background, (T, Y, X), by the name of the channel."""
        return self._by_channel(FL_CORRECTED)

    @property
    def taken(self) -> StacksByChannel:
        """All channels as they were taken, (T, Y, X), by name, in the order of the file."""
        phase, fluorescence = self._files.entries(PC), self._files.entries(FL)
        numbers = sorted({*phase, *fluorescence})
        return StacksByChannel(
            {self._channels.of(channel): channel for channel in numbers},
            lambda channel: self._files.open(FL if channel in fluorescence else PC, channel),
        )

    @property
    def phase_channel(self) -> str | None:
        """Name of the channel that is phase contrast; None if there is none, or none yet."""
        names = [self._channels.of(channel) for channel in self._files.entries(PC)]
        return names[0] if names else None

    @property
    def missing_frames(self) -> frozenset[int]:
        """Numbers of frames that the source lacks, in any channel."""
        ranges = self.state.missing_frames().values()
        entries = [entry for entry in self.record.outputs.values() if entry.missing in ranges]
        return frozenset[int]().union(*(entry.missing_frames() for entry in entries))

    def label_image(self, t: int) -> NDArray[Any]:
        """Return the label image of a frame, (Y, X), with the same numbers as the tables.

        Raises
        ------
        InputError
            There is no such frame, or there are no label images.
        """
        return self._numbered(self.labels, t)

    def nuclei_image(self, t: int) -> NDArray[Any]:
        """Return the label image of the nuclei in a frame, (Y, X); as `label_image`."""
        return self._numbered(self.nuclei, t)

    @property
    def given_interval_min(self) -> float | None:
        """Minutes between frames that a person gave, which count in place of the file's times."""
        for _, entry in self._files.entries(TRACES_CSV).values():
            interval = entry.provenance.parameters.get("interval_minutes")
            if isinstance(interval, (int, float)):
                return float(interval)
        return None

    @property
    def has_rings(self) -> bool:
        """Whether rings around nuclei were measured."""
        for _, entry in self._files.entries(TRACES_CSV).values():
            features = entry.provenance.parameters.get("features", ())
            if isinstance(features, list) and are_of_compartments(list(map(str, features))):
                return True
        return False

    def ring_image(self, t: int) -> NDArray[Any]:
        """Return the label image of the rings around nuclei in a frame, (Y, X).

        They are those that were measured, with the numbers of their cells as in the tables.

        Raises
        ------
        InputError
            There is no such frame, no label images of cells or nuclei, or no rings.
        """
        from pyama_core.processing.extraction.cells import FrameCells  # loads the compiler
        from pyama_core.processing.extraction.rings import find_rings

        cells, nuclei = self._frame(self.labels, t), self._frame(self.nuclei, t)
        rings = find_rings(FrameCells.of(cells), FrameCells.of(nuclei), self._ring_size())
        return relabelled(rings, self.numbers_in(t))

    def outlines(self, t: int, cells: Collection[int] | None = None) -> dict[int, list[Polygon]]:
        """Return the outlines of cells in a frame; see `pyama_core.results.outlines.outlines_of`.

        Parameters
        ----------
        t : int
            Frame, from 0.
        cells : collection of int, optional
            Cells that are wanted, by default all in the frame.
        """
        return outlines_of(self.label_image(t), cells)

    def image(self, channel: str) -> NDArray[Any]:
        """Return the stack of a channel by its name: corrected fluorescence, or phase contrast.

        A channel that was not measured, but shows cells or nuclei, is given as it was taken.

        Raises
        ------
        InputError
            There is no such channel, or it cannot be read.
        """
        if channel in self.corrected:
            return self.corrected[channel]
        names = [self._channels.of(number) for number in self._files.entries(PC)]
        if channel in ("phase", *names):
            return self.phase
        measured = self._channels.of_each(self._files.channels.fl)
        others = [name for name in self.fluorescence if name not in measured]
        if channel in others:
            return self.fluorescence[channel]
        raise InputError(
            f"{self._files.where} has no channel {channel!r}; there are "
            f"{', '.join([*self.corrected, *names, *others])}"
        )

    def crop(self, channel: str, cell: int, t: int, margin: int = 10) -> NDArray[Any]:
        """Cut a cell out of a frame of a channel.

        Parameters
        ----------
        channel : str
            As `image` takes it: the name of a fluorescence channel (corrected), or ``phase``.
        cell : int
            The cell.
        t : int
            Frame, from 0.
        margin : int
            Pixels around its bounding box, as far as there are any.

        Returns
        -------
        (Y, X) array

        Raises
        ------
        InputError
            The cell is not in the frame, or there is no such channel or frame.
        """
        box = self.box_of(cell, t, margin)
        return np.array(self.image(channel)[t][box])

    def box_of(self, cell: int, t: int, margin: int = 0) -> tuple[slice, slice]:
        """Return the rows and columns of a cell in a frame, with a margin; errors as `crop`."""
        if margin < 0:
            raise InputError(f"margin: expected 0 or more pixels, found {margin}")
        rows, columns = np.nonzero(self.label_image(t) == cell)
        if rows.size == 0:
            raise InputError(f"{self._files.where}: cell {cell} is not in frame {t}")
        height, width = self.labels.shape[1:]
        top, left = max(int(rows.min()) - margin, 0), max(int(columns.min()) - margin, 0)
        bottom = min(int(rows.max()) + margin + 1, height)
        right = min(int(columns.max()) + margin + 1, width)
        return np.s_[top:bottom, left:right]

    # Figures

    def plot(
        self,
        feature: str = "intensity_total",
        channels: Sequence[str] | None = None,
        *,
        good_only: bool = True,
        band: tuple[float, float] = (0.25, 0.75),
        n_lines: int = 200,
        time: Time | None = None,
    ) -> Figure:
        """Draw the traces of this field of view; parameters and errors as `Results.plot`."""
        wanted = Wanted(feature, channels, good_only, band, n_lines, time)
        return plot_courses([self], lambda _: self.title, [self.title], wanted)

    def show(
        self,
        cell: int | None = None,
        *,
        t: int | None = None,
        channels: Sequence[str] | None = None,
        n_frames: int = 8,
        margin: int = 12,
    ) -> Figure:
        """Draw a cell through its life, or a frame with the outlines of all cells.

        Parameters
        ----------
        cell : int, optional
            The cell; without one, a frame is drawn.
        t : int, optional
            The frame to draw, by default the middle one; of no concern with a cell.
        channels : sequence of str, optional
            Names of channels, ``phase`` for phase contrast; by default all that can be read, and
            what was segmented for a frame.
        n_frames : int
            In how many frames a cell is drawn, at most.
        margin : int
            Pixels around a cell.

        Raises
        ------
        InputError
            There is no such cell, frame or channel, or matplotlib is not installed.
        """
        named = [channels] if isinstance(channels, str) else channels
        if cell is not None:
            return draw_film_strip(self, cell, named, n_frames, margin)
        middle = len(self.labels) // 2 if t is None else t
        return draw_frame(self, middle, named[0] if named else self.segmented)

    def _numbered(self, labels: NDArray[Any], t: int) -> NDArray[Any]:
        """Return a frame of label images with the numbers of the tables."""
        return relabelled(self._frame(labels, t), self.numbers_in(t))

    def _frame(self, labels: NDArray[Any], t: int) -> NDArray[Any]:
        if not 0 <= t < len(labels):
            raise InputError(f"{self._files.where} has frames 0 to {len(labels) - 1}, not {t}")
        return np.array(labels[t])

    def _ring_size(self) -> RingSize:
        """Return the size of the rings, in pixels, that were measured."""
        for _, entry in self._files.entries(TRACES_CSV).values():
            made = entry.provenance
            names = made.parameters.keys() & {"ring_width", "ring_gap"}
            chosen = ExtractionParameters.model_validate({n: made.parameters[n] for n in names})
            pixel_size = made.inputs.get("pixel_size_um")
            return chosen.ring_in_pixels(None if pixel_size is None else float(pixel_size))
        raise InputError(f"{self._files.where}: no rings were measured")

    def _only(self, kind: OutputKind) -> NDArray[Any]:
        there = self._files.entries(kind)
        if there:
            asked = self._files.channels.cells
            return self._files.open(kind, asked if asked in there else next(iter(there)))
        reasons = [lack.reason for lack in self.missing if lack.kind in (kind.name, "record")]
        reason = "; ".join(reasons)
        raise InputError(
            f"{self._files.where}: there is no {kind.name}: {reason or 'not asked for'}"
        )

    def _by_channel(self, kind: OutputKind) -> StacksByChannel:
        names = {self._channels.of(channel): channel for channel in self._files.entries(kind)}
        return StacksByChannel(names, lambda channel: self._files.open(kind, channel))
