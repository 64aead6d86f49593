"""Tables with a column per cell and a row per frame: one for each sample and feature.

The columns of a table come from fields of view that are read one after the other, its rows need
all of them. So each field of view leaves its part in a file, frame after frame, and rows are
gathered from these: memory holds one field of view, and some rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyama_core.exports.names import cell_of_fov_name
from pyama_core.exports.options import TimeColumn
from pyama_core.io.regular_files import open_regular
from pyama_core.results.selection import SelectedTables

logger = logging.getLogger(__name__)

_NUMBERS_AT_A_TIME = 4 << 20
_LARGEST_SPREAD = 0.5
"""Of the times of a frame in several fields of view, in intervals between frames."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Part:
    """Cells of a field of view in a file: (frames, cells) numbers from an offset on."""

    fov: int
    cells: tuple[int, ...]
    n_frames: int
    offset: int


@dataclass
class _Clock:
    """When the frames of a sample were taken."""

    lowest: Numbers = field(default_factory=lambda: np.empty(0))
    highest: Numbers = field(default_factory=lambda: np.empty(0))
    sums: Numbers = field(default_factory=lambda: np.empty(0))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, frames: NDArray[np.int64], times: Numbers) -> None:
        """Take in the times of the frames of one field of view."""
        n_more = int(frames.max(initial=-1)) + 1 - self.sums.size
        if n_more > 0:
            self.lowest = np.append(self.lowest, np.full(n_more, np.inf))
            self.highest = np.append(self.highest, np.full(n_more, -np.inf))
            self.sums = np.append(self.sums, np.zeros(n_more))
            self.counts = np.append(self.counts, np.zeros(n_more, np.int64))
        of_frame = np.full(self.sums.size, np.nan)
        of_frame[frames] = times
        known = np.isfinite(of_frame)
        self.lowest[known] = np.minimum(self.lowest, of_frame)[known]
        self.highest[known] = np.maximum(self.highest, of_frame)[known]
        self.sums[known] += of_frame[known]
        self.counts[known] += 1

    def times(self) -> Numbers:
        """Return the mean of the times of each frame, in minutes; NaN where none is known."""
        means = np.full(self.sums.size, np.nan)
        known = self.counts > 0
        means[known] = self.sums[known] / self.counts[known]
        same = self.lowest == self.highest
        means[same] = self.lowest[same]  # exactly, whatever sums are rounded to
        return means

    def spread(self) -> float:
        """Return how far fields of view are apart in a frame, in intervals between frames."""
        known = self.counts > 0
        times = self.times()[known]
        if times.size < 2:
            return 0.0
        interval = float(np.median(np.diff(times)))
        apart = float((self.highest - self.lowest)[known].max())
        return apart / interval if interval > 0 else 0.0


@dataclass(frozen=True)
class WideTable:
    """A feature of the cells of a sample.

    Attributes
    ----------
    sample, feature : str
        Which.
    first_name : str
        What the first column is called.
    first : array
        The first column: times, or numbers of frames.
    names : list of str
        What the other columns are called, one for each cell.
    """

    sample: str
    feature: str
    first_name: str
    first: Numbers | NDArray[np.int64]
    names: Sequence[str]
    _path: Path
    _parts: Sequence[_Part]

    def rows(self) -> Iterator[Numbers]:
        """Yield the numbers of each frame, NaN where a cell is not seen."""
        n_rows, n_cells = len(self.first), len(self.names)
        step = max(1, _NUMBERS_AT_A_TIME // max(n_cells, 1))
        with open_regular(self._path) as file:
            for start in range(0, n_rows, step):
                rows = np.full((min(step, n_rows - start), n_cells), np.nan)
                column = 0
                for part in self._parts:
                    width = len(part.cells)
                    n_there = min(start + len(rows), part.n_frames) - start
                    if n_there > 0:
                        file.seek(part.offset + start * width * 8)
                        found = np.frombuffer(file.read(n_there * width * 8), np.float64)
                        rows[:n_there, column : column + width] = found.reshape(n_there, width)
                    column += width
                yield from rows


class WideTables:
    """Collects the cells of fields of view, and gives a table for each sample and feature.

    Parameters
    ----------
    scratch : Path
        A folder for the parts, which is deleted by the caller.
    features : sequence of str
        Columns of traces, each of which gets a table.
    time : str
        What is in the first column: ``h``, ``min`` or ``frame``.
    """

    def __init__(self, scratch: Path, features: Sequence[str], time: TimeColumn) -> None:
        self._scratch = scratch
        self._features = features
        self._time = time
        self._parts: dict[str, list[_Part]] = {}
        self._clocks: dict[str, _Clock] = {}

    @property
    def n_tables(self) -> int:
        """How many tables there will be, as far as is known."""
        return len(self._parts) * len(self._features)

    def add(self, sample: str, fov: int, tables: SelectedTables) -> None:
        """Take in the cells of a field of view; those without a row are none."""
        traces = tables.traces
        frames = traces["frame"].to_numpy(np.int64)
        cells, columns = np.unique(traces["cell"].to_numpy(np.int64), return_inverse=True)
        parts = self._parts.setdefault(sample, [])
        clock = self._clocks.setdefault(sample, _Clock())
        if "time_min" in traces:
            clock.add(frames, traces["time_min"].to_numpy(np.float64))
        n_frames = int(frames.max(initial=-1)) + 1
        offset = sum(part.n_frames * len(part.cells) * 8 for part in parts)
        parts.append(_Part(fov, tuple(cells.tolist()), n_frames, offset))
        for feature in self._features:
            numbers = np.full((n_frames, cells.size), np.nan)
            numbers[frames, columns] = traces[feature].to_numpy(np.float64)
            with self._path(sample, feature).open("ab") as file:
                file.write(numbers.data)

    def tables(self) -> Iterator[WideTable]:
        """Yield the tables, by sample and feature, in order."""
        for sample, parts in self._parts.items():
            first_name, first = self._first_column(sample, max(part.n_frames for part in parts))
            names = [cell_of_fov_name(part.fov, cell) for part in parts for cell in part.cells]
            for feature in self._features:
                path = self._path(sample, feature)
                yield WideTable(sample, feature, first_name, first, names, path, parts)

    def _first_column(self, sample: str, n_frames: int) -> tuple[str, Numbers | NDArray[np.int64]]:
        clock = self._clocks[sample]
        if self._time == "frame" or not clock.counts.any():
            return "frame", np.arange(n_frames)
        if clock.spread() > _LARGEST_SPREAD:
            logger.warning(
                "sample %s: the FOVs of a frame were taken at times up to %.1f intervals apart; "
                "the wide tables have the mean, the long one the time of each",
                sample,
                clock.spread(),
            )
        times = np.full(n_frames, np.nan)
        known = clock.times()
        times[: known.size] = known
        return ("time_min", times) if self._time == "min" else ("time_h", times / 60)

    def _path(self, sample: str, feature: str) -> Path:
        number = list(self._parts).index(sample), self._features.index(feature)
        return self._scratch / f"{number[0]}_{number[1]}"
