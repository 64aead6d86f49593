"""Reads the results once, a field of view after the other, and keeps what a report is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.processing.workflow.asked_fovs import load_asked
from pyama_core.processing.workflow.glimpses.glimpse import Glimpse
from pyama_core.processing.workflow.samples.samples import UNASSIGNED, Samples
from pyama_core.report.reservoir import Course, Reservoir, as_matrices
from pyama_core.report.shown_cells import (
    FEATURE,
    SHOWN_CELLS,
    ShownCell,
    column_of,
    columns_to_draw,
    show_cells,
    thinned,
    title_of,
)
from pyama_core.results.fov_measures import UNFINISHED, FovMeasures, measure_fov, standing_of
from pyama_core.results.fov_results import FovResults
from pyama_core.results.glimpses import find_glimpse, image_measures
from pyama_core.results.records_of_fovs import readable_states
from pyama_core.results.results import Results
from pyama_core.results.tables import FovTables
from pyama_core.results.trouble import Trouble
from pyama_core.results.troubles import troubles_of

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]
_SHORT_H = 2.0
"""Hours of a movie whose times are told in minutes, as in the chart of traces."""


@dataclass(frozen=True)
class Position:
    """A field of view in the report.

    Attributes
    ----------
    fov : int
        Its number.
    title : str
        Number and name.
    sample : str
        The condition that it belongs to.
    measures : FovMeasures
        What was measured of it.
    trouble : Trouble
        What is not as usual.
    has_pictures : bool
        Whether there are small pictures of it.
    """

    fov: int
    title: str
    sample: str
    measures: FovMeasures
    trouble: Trouble
    has_pictures: bool

    @property
    def is_unfinished(self) -> bool:
        """Whether a run is still at it, or was stopped: nothing is wrong with it that is known."""
        return any(finding.about == UNFINISHED for finding in self.measures.standing)

    @property
    def needs_look(self) -> bool:
        """Whether somebody should have a look at what came out."""
        return self.trouble.needs_look and not self.is_unfinished


@dataclass(frozen=True)
class SampleRow:
    """A condition: how many positions and cells it has, and its median curves.

    Attributes
    ----------
    name : str
        Of the sample.
    place : int
        Among all samples, those without results included, by which its colour is known.
    n_fovs, n_cells, n_good : int
        Positions, cells, and those that can be trusted.
    courses : mapping of str to Course
        By column; of good cells.
    """

    name: str
    place: int
    n_fovs: int
    n_cells: int
    n_good: int
    courses: Mapping[str, Course]


@dataclass(frozen=True)
class Gathered:
    """What a report is made of.

    Attributes
    ----------
    results : Results
        The output folder.
    positions : tuple of Position
        All fields of view, in order.
    samples : tuple of SampleRow
        All samples that have any, in order.
    samples_problem : str
        Why they cannot be read; empty if they can.
    channels, columns : tuple of str
        Channels that were measured, and columns whose traces are drawn.
    courses_of : tuple of str
        Columns of which there are median curves.
    minutes : (T,) float array
        When each frame was taken, as a rule; NaN where that is unknown.
    cells : tuple of ShownCell
        Those whose traces are drawn.
    n_corrections : int
        How many corrections count.
    not_begun : tuple of int
        Fields of view that parts of a run were asked for, and of which there is nothing yet.
    """

    results: Results
    positions: tuple[Position, ...]
    samples: tuple[SampleRow, ...]
    samples_problem: str
    channels: tuple[str, ...]
    columns: tuple[str, ...]
    courses_of: tuple[str, ...]
    minutes: FloatArray
    cells: tuple[ShownCell, ...]
    n_corrections: int
    not_begun: tuple[int, ...] = ()

    @property
    def x(self) -> tuple[FloatArray, str]:
        """Where frames lie on an axis of time, and its label."""
        if self.minutes.size and np.isfinite(self.minutes).all():
            return self.minutes / 60, "time (h)"
        return np.arange(self.minutes.size, dtype=np.float64), "frame"

    @property
    def shown_x(self) -> tuple[FloatArray, str]:
        """The same for a reader, to whom the times of a short movie are minutes."""
        x, label = self.x
        if label == "frame" or x.size == 0 or x[-1] - x[0] >= _SHORT_H:
            return x, label
        return self.minutes, "time (min)"

    @property
    def by_trouble(self) -> list[Position]:
        """The positions, the worst first."""
        return sorted(self.positions, key=lambda each: (-each.trouble.score, each.fov))


def gather(results: Results, on_progress: Progress = lambda _done, _all: None) -> Gathered:
    """Read what a report is made of.

    Parameters
    ----------
    results : Results
        The output folder.
    on_progress : callable
        Is told after each field of view how many are read, and how many there are.
    """
    return _Gatherer(results).gather(on_progress)


@dataclass
class _OfSample:
    reservoir: Reservoir
    n_fovs: int = 0
    n_cells: int = 0
    n_good: int = 0


@dataclass
class _Gatherer:
    """What was read so far."""

    results: Results
    _samples: dict[str, _OfSample] = field(default_factory=dict)
    _cells: list[ShownCell] = field(default_factory=list)

    def gather(self, on_progress: Progress) -> Gathered:
        results = self.results
        fovs = results.chosen()
        known, problem = _samples_of(results)
        channels = results.channels
        self._columns = columns_to_draw(results.columns, channels)
        self._of_courses = [name for name in self._columns if name.startswith(f"{FEATURE}_")]
        self._n_frames = _most_frames(results, fovs)
        self._n_fovs = len(results.source.fov_names) if results.source else len(fovs)
        self._per_fov = max(-(-SHOWN_CELLS // max(len(fovs), 1)), 1)
        minutes: list[FloatArray] = []
        found = []
        for i, fov in enumerate(fovs):
            sample = known.of(fov.number) if known else UNASSIGNED
            glimpse = find_glimpse(fov, self._n_fovs)
            measures = self._read(fov, sample, glimpse)
            minutes.append(measures.minutes)
            found.append((fov, sample, measures, glimpse is not None))
            on_progress(i + 1, len(fovs))
        troubles = troubles_of([measures for _, _, measures, _ in found])
        order = known.all() if known else [UNASSIGNED]
        return Gathered(
            results=results,
            positions=tuple(
                Position(
                    fov.number, title_of(fov), sample, measures, troubles[fov.number], pictured
                )
                for fov, sample, measures, pictured in found
            ),
            samples=tuple(
                self._row(name, place) for place, name in enumerate(order) if name in self._samples
            ),
            samples_problem=problem,
            channels=tuple(channels),
            columns=tuple(self._columns),
            courses_of=tuple(self._of_courses),
            minutes=_usual_minutes(minutes, self._n_frames),
            cells=tuple(thinned(self._cells, SHOWN_CELLS)),
            n_corrections=_count_corrections(results),
            not_begun=tuple(sorted(load_asked(results.folder) - set(results.fov_numbers))),
        )

    def _read(self, fov: FovResults, sample: str, glimpse: Glimpse | None) -> FovMeasures:
        of_sample = self._samples.setdefault(sample, self._new_sample())
        of_sample.n_fovs += 1
        images = image_measures(fov, glimpse)
        try:
            fov.state  # noqa: B018 - raises what is wrong with it
        except DamagedFileError:
            return FovMeasures(fov.number, standing_of(fov))
        wanted = {*self._columns, "position_x", "position_y", "area", "time_min"}
        tables = fov.read_tables(wanted)
        measures = measure_fov(fov, images, tables)
        of_sample.n_cells += measures.n_cells
        of_sample.n_good += measures.n_good
        self._add_good(fov.number, tables, of_sample.reservoir)
        self._cells += show_cells(fov, sample, tables, glimpse, self._columns, self._per_fov)
        return measures

    def _new_sample(self) -> _OfSample:
        return _OfSample(Reservoir(len(self._of_courses), self._n_frames))

    def _add_good(self, fov: int, tables: FovTables, reservoir: Reservoir) -> None:
        cells = tables.cells
        good = cells.loc[cells["good"].fillna(value=False).astype(bool), "cell"]
        rows = tables.traces[tables.traces["cell"].isin(good)]
        if rows.empty or not self._of_courses:
            return
        columns = [column_of(rows, name) for name in self._of_courses]
        cell, frame = (rows[name].to_numpy(np.int64) for name in ("cell", "frame"))
        reservoir.add(fov, *as_matrices(cell, frame, columns, self._n_frames))

    def _row(self, name: str, place: int) -> SampleRow:
        found = self._samples[name]
        courses = {column: found.reservoir.course(i) for i, column in enumerate(self._of_courses)}
        return SampleRow(name, place, found.n_fovs, found.n_cells, found.n_good, courses)


def _samples_of(results: Results) -> tuple[Samples | None, str]:
    try:
        return results.read_samples(), ""
    except InputError as error:
        return None, str(error)


def _most_frames(results: Results, fovs: Sequence[FovResults]) -> int:
    """Return the number of frames of the longest movie."""
    n_frames = 0
    if results.source is not None:
        n_frames = max((shape[0] for shape in results.source.fov_shapes), default=0)
    for _, state in readable_states(fovs):
        shapes = [entry.shape for entry in state.record.outputs.values() if entry.shape]
        n_frames = max([n_frames, *(shape[0] for shape in shapes)])
    return n_frames


def _usual_minutes(each: Iterable[FloatArray], n_frames: int) -> FloatArray:
    """Return when each frame was taken: the median over positions that tell."""
    known = [np.pad(m, (0, n_frames - m.size), constant_values=np.nan) for m in each if m.size]
    minutes = np.full(n_frames, np.nan)
    if known:
        stacked = np.array(known)
        there = np.isfinite(stacked).any(axis=0)
        minutes[there] = np.nanmedian(stacked[:, there], axis=0)
    return minutes


def _count_corrections(results: Results) -> int:
    return int((results.edits["stands"] == "applied").sum())
