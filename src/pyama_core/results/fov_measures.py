"""What is measured of each field of view to find its trouble, from its record and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pyama_core.errors import DamagedFileError
from pyama_core.outputs import SHIFTS_CSV, TRACES_CSV, TRACKS_CSV, step_names
from pyama_core.processing.tracking.fates import NEAR_EDGE_PX
from pyama_core.processing.workflow.doubts import (
    About,
    Doubt,
    count_compartments,
    find_doubts,
)
from pyama_core.processing.workflow.fov_state import DONE, FovState
from pyama_core.results.fov_results import FovResults
from pyama_core.results.tables import FovTables
from pyama_core.results.trouble import Finding, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("position_x", "position_y", "area", "time_min")
"""Of the traces, those that are measured here."""
_NOTHING: IntArray = np.zeros(0, np.int64)
UNFINISHED = "unfinished"
"""What is found of a field of view of which something is still to be made."""
_SAID_OTHERWISE = (About.GOOD, About.NOTHING)
"""Doubts of which the share of good cells, or that there are none, tells already."""


@dataclass(frozen=True)
class ImageMeasures:
    """What was measured in some frames of the images of a field of view.

    Attributes
    ----------
    frames : (N,) int array
        The frames.
    background : mapping of str to (N,) float array
        By channel: the median grey value outside of cells.
    sharpness : mapping of str to (N,) float array
        By channel: the variance of the Laplacian, relative to that of the image.
    """

    frames: IntArray = field(default_factory=lambda: _NOTHING)
    background: Mapping[str, FloatArray] = field(default_factory=dict)
    sharpness: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True)
class FovMeasures:
    """What is known of a field of view as a whole.

    Attributes
    ----------
    fov : int
        Its number.
    standing : tuple of Finding
        What its record alone tells: that it failed, is not finished, or has no cells.
    n_frames : int
        Frames of the movie.
    minutes : (T,) float array
        When each was taken; NaN where that is unknown.
    missing : frozenset of int
        Frames that the file lacks.
    counts, born, lost : (T,) int array
        Cells in each frame; that appeared in it without a mother, away from the edge; and that were
        last seen in it, without a reason.
    n_cells, n_good : int
        Cells, and those that can be trusted in all channels.
    reasons : mapping of str to int
        Why others cannot, and how many.
    n_cut_off : int
        How many of these are too short only for the movie begins or ends within their life.
    shifts : (T,) float array
        Pixels that the field of view moved since the frame before; NaN where that is unknown.
    diameter : float
        Of a circle with the median area, in pixels; NaN without cells.
    images : ImageMeasures
        What was measured in the images.
    sure : (N,) float array
        How sure the tracker was of the least sure link of each cell, from 0 to 1, where it told.
    whole : (N,) float array
        How probable it is that all links of each of these cells are right.
    doubts : tuple of Doubt
        What contradicts what the run assumed of the cells.
    compartments : tuple of str
        How nuclei, cells and rings go together, where they were counted.
    """

    fov: int
    standing: tuple[Finding, ...] = ()
    n_frames: int = 0
    minutes: FloatArray = field(default_factory=lambda: np.zeros(0))
    missing: frozenset[int] = frozenset()
    counts: IntArray = field(default_factory=lambda: _NOTHING)
    born: IntArray = field(default_factory=lambda: _NOTHING)
    lost: IntArray = field(default_factory=lambda: _NOTHING)
    n_cells: int = 0
    n_good: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    n_cut_off: int = 0
    shifts: FloatArray = field(default_factory=lambda: np.zeros(0))
    diameter: float = float("nan")
    images: ImageMeasures = field(default_factory=ImageMeasures)
    sure: FloatArray = field(default_factory=lambda: np.zeros(0))
    whole: FloatArray = field(default_factory=lambda: np.zeros(0))
    doubts: tuple[Doubt, ...] = ()
    compartments: tuple[str, ...] = ()

    @property
    def usual_count(self) -> float:
        """Median number of cells in the frames that have an image."""
        there = [n for frame, n in enumerate(self.counts.tolist()) if frame not in self.missing]
        return float(np.median(there)) if there else 0.0

    def when(self, frame: int) -> str:
        """Tell a frame in words, with its time where that is known."""
        if frame < self.minutes.size and np.isfinite(self.minutes[frame]):
            return f"frame {frame} ({hours_and_minutes(float(self.minutes[frame]))})"
        return f"frame {frame}"


def hours_and_minutes(minutes: float) -> str:
    """Write minutes as people say them.

    Examples
    --------
    >>> hours_and_minutes(845), hours_and_minutes(35)
    ('14 h 05 min', '35 min')
    """
    whole = round(abs(minutes))
    sign = "−" if minutes < 0 and whole else ""
    hours, rest = divmod(whole, 60)
    return f"{sign}{hours} h {rest:02d} min" if hours else f"{sign}{rest} min"


# Of one field of view


def standing_of(fov: FovResults) -> tuple[Finding, ...]:
    """Tell what the record of a field of view says of it: whether it failed, is done, has cells."""
    try:
        state = fov.state
    except DamagedFileError as error:
        return (Finding("record", 1.0, str(error).removeprefix(f"{fov.title}: ")),)
    failure = state.record.failure
    if failure is not None:
        return (Finding("failed", 1.0, f"{failure.step} failed: {failure.error}"),)
    steps = {state.state_of(fov.folder, step) for step in step_names()} - {"not asked for"}
    found = []
    if not steps <= set(DONE):
        found.append(Finding(UNFINISHED, 0.9, "not finished; run again to go on"))
    elif state.lacks_cells():
        found.append(Finding("no cells", 0.8, "no cells in any frame"))
    if uncorrected := state.uncorrected():
        words = f"not corrected: {next(iter(uncorrected.values()))}"
        found.append(Finding("uncorrected", 0.7, words))
    found += [
        Finding("assumed", 0.65, str(doubt))
        for doubt in find_doubts(state)
        if doubt.about not in _SAID_OTHERWISE
    ]
    return tuple(found)


def _unreadable(fov: FovResults) -> tuple[Finding, ...]:
    """Tell which tables are not what was written, though the record says that all is done."""
    tables = (TRACES_CSV.name, TRACKS_CSV.name, SHIFTS_CSV.name)
    faults = [each for each in fov.missing if each.kind in tables]
    return tuple(
        Finding("unreadable", 1.0, f"{each.output} cannot be read: {each.reason}")
        for each in faults
    )


def measure_fov(
    fov: FovResults, images: ImageMeasures | None = None, tables: FovTables | None = None
) -> FovMeasures:
    """Measure a field of view, under the corrections of people.

    Parameters
    ----------
    fov : FovResults
        The field of view.
    images : ImageMeasures, optional
        What was measured in its images.
    tables : FovTables, optional
        Its tables with `COLUMNS`, where they were read already.
    """
    standing = standing_of(fov)
    try:
        state = fov.state
        missing = fov.missing_frames
    except DamagedFileError:
        return FovMeasures(fov.number, standing)
    tables = tables or fov.read_tables(COLUMNS)
    standing = standing or _unreadable(fov)
    n_frames, size = _extent_of(state, tables)
    traces, cells = tables.traces, tables.cells
    frames = traces["frame"].to_numpy(np.int64)
    judged = cells["good"].dropna()
    return FovMeasures(
        fov=fov.number,
        standing=standing,
        n_frames=n_frames,
        minutes=_minutes(traces, frames, n_frames),
        missing=missing,
        counts=np.bincount(frames, minlength=n_frames),
        born=_born(tables, n_frames, size),
        lost=_lost(cells, n_frames),
        n_cells=len(judged),
        n_good=int(judged.sum()),
        reasons=_reasons(cells, tables.channels),
        n_cut_off=_cut_off(tables),
        shifts=fov.read_shifts(n_frames),
        diameter=_diameter(traces),
        images=images or ImageMeasures(),
        sure=_sure(tables),
        whole=_whole(tables),
        doubts=tuple(find_doubts(state)),
        compartments=tuple(count_compartments(state)),
    )


def _extent_of(state: FovState, tables: FovTables) -> tuple[int, tuple[int, int] | None]:
    """Return the number of frames, and height and width where they are known."""
    shapes = [entry.shape for entry in state.record.outputs.values() if entry.shape]
    if shapes:
        n_frames, height, width = shapes[0]
        return n_frames, (height, width)
    return int(tables.traces["frame"].max()) + 1 if len(tables.traces) else 0, None


def _minutes(traces: pd.DataFrame, frames: IntArray, n_frames: int) -> FloatArray:
    minutes = np.full(n_frames, np.nan)
    if "time_min" in traces:
        minutes[frames] = traces["time_min"].to_numpy(np.float64)
    return minutes


def _born(tables: FovTables, n_frames: int, size: tuple[int, int] | None) -> IntArray:
    """Count cells that appear without a mother, and not by walking in, in each frame."""
    first = tables.traces.drop_duplicates("cell")
    of_cell = tables.cells.set_index("cell")["parent"]
    orphan = of_cell.reindex(first["cell"]).isna().to_numpy(bool)
    frame = first["frame"].to_numpy(np.int64)
    inside = np.ones(frame.size, bool)
    if size is not None and {"position_x", "position_y", "area"} <= set(first.columns):
        x, y, area = (
            first[name].to_numpy(np.float64) for name in ("position_x", "position_y", "area")
        )
        reach = np.sqrt(area / np.pi) + NEAR_EDGE_PX
        height, width = size
        inside = (np.minimum(x, width - 1 - x) > reach) & (np.minimum(y, height - 1 - y) > reach)
    return np.bincount(frame[orphan & inside & (frame > 0)], minlength=n_frames)


def _lost(cells: pd.DataFrame, n_frames: int) -> IntArray:
    lost = cells[(cells["fate"] == "lost").fillna(value=False)]
    return np.bincount(lost["last_frame"].to_numpy(np.int64), minlength=n_frames)


def _sure(tables: FovTables) -> FloatArray:
    there = set(tables.cells["cell"].tolist())
    told = (sure for cell, (sure, _) in tables.least_sure.items() if cell in there)
    return np.fromiter(told, np.float64)


def _whole(tables: FovTables) -> FloatArray:
    there = set(tables.cells["cell"].tolist())
    found = []
    for cell, least in tables.least_sure.items():
        if cell in there:
            links = tables.unsure.get(cell) or (least[::-1],)
            found.append(math.prod(sure for _, sure in links))
    return np.array(found, np.float64)


def _reasons(cells: pd.DataFrame, channels: Iterable[str]) -> dict[str, int]:
    """Count why cells are not good: of each, the reason in the first channel that has one."""
    columns = [f"reason_{channel}" for channel in channels]
    counts = Counter[str]()
    for reasons in zip(*(cells[column] for column in columns), strict=True):
        counts.update([reason for reason in reasons if reason][:1])
    return dict(counts.most_common())


def _cut_off(tables: FovTables) -> int:
    """Count cells that are too short for the movie begins or ends within their life."""
    cells = tables.cells
    short = np.zeros(len(cells), bool)
    for channel in tables.channels:
        short |= (cells[f"reason_{channel}"] == "too short").to_numpy(bool)
    ended = cells["cell"].isin(tables.born) & (cells["fate"] == "end of movie").fillna(value=False)
    began = cells["cell"].isin(tables.divided) & (cells["first_frame"] == 0)
    return int(np.count_nonzero(short & (ended | began).to_numpy(bool)))


def _diameter(traces: pd.DataFrame) -> float:
    if "area" not in traces or traces.empty:
        return float("nan")
    return float(2 * np.sqrt(traces["area"].median() / np.pi))
