"""What *Look* shows: fields of view, their pictures, cells and traces."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyama_core.app.desk import Desk
from pyama_core.app.layers import Layer, LayerKind, frame_of, layers_of
from pyama_core.app.messages import Message, Pixels, Table
from pyama_core.app.overview import Overview, overview_of
from pyama_core.app.routing import reads
from pyama_core.app.strips import COLUMNS, strip_of
from pyama_core.errors import DamagedFileError, InputError
from pyama_core.processing.workflow.source_description import SourceDescription
from pyama_core.results.channels import ChannelNames
from pyama_core.results.fov_results import FovResults
from pyama_core.results.results import Results
from pyama_core.results.stacking import with_verdicts
from pyama_core.results.tables import KEYS, TIMES
from pyama_core.results.trace_statistics import Course as BuiltCourse
from pyama_core.results.trace_statistics import CourseBuilder

_PLACES = ("position_x", "position_y")
_COUNTS_AT_ONCE = 50


class AskResults(Message):
    """An output folder."""

    at: str


class AskFov(AskResults):
    """A field of view."""

    fov: int


class AskFovs(AskResults):
    """Some fields of view."""

    fovs: tuple[int, ...]


class AskFrame(AskFov):
    """A frame of a layer."""

    kind: LayerKind
    channel: str = ""
    t: int
    level: int = 0


class AskTraces(AskFov):
    """Traces of a field of view."""

    columns: tuple[str, ...] = ()


class AskStrip(AskFov):
    """A cell through its life."""

    cell: int
    kind: LayerKind
    channel: str = ""
    frames: tuple[int, ...]
    size: int = 0
    """Side of the squares in pixels; 0 for one that nearly all cells of the position fit in."""


class AskCourses(AskResults):
    """How a value changes in samples, or (`fovs`) in some fields of view taken together."""

    column: str
    time: Literal["time_h", "time_min", "frame"] = "time_h"
    good: bool = True
    fovs: tuple[int, ...] = ()


class Fov(Message):
    """What can be looked at of a field of view."""

    fov: int
    title: str
    n_frames: int
    height: int
    width: int
    pixel_size_um: float | None
    times_min: tuple[float | None, ...]
    """Minutes since the first frame of the file, by frame."""
    missing_frames: tuple[int, ...]
    layers: tuple[Layer, ...]
    has_labels: bool
    columns: tuple[str, ...]
    """That traces have, without those that all have."""
    missing: tuple[str, ...]
    """What cannot be read, and why."""


class ChannelVerdicts(Message):
    """Whether each cell is good in a channel."""

    channel: str
    good: tuple[bool | None, ...]


class Cells(Message):
    """The cells of a field of view, column by column; -1 stands for none."""

    cell: tuple[int, ...]
    parent: tuple[int, ...]
    first_frame: tuple[int, ...]
    last_frame: tuple[int, ...]
    n_frames: tuple[int, ...]
    fate: tuple[str, ...]
    good: tuple[bool | None, ...]
    reason: tuple[str, ...]
    """Why it is not good; where channels differ, in which."""
    corrections: tuple[str, ...]
    verdicts: tuple[ChannelVerdicts, ...]


class Count(Message):
    """Cells of a field of view as they are now, corrections applied."""

    fov: int
    n_cells: int
    n_good: int
    by_frame: tuple[int, ...]


class Counts(Message):
    """Cells of some fields of view."""

    counts: tuple[Count, ...]


class Course(Message):
    """Median and quartiles over the cells of a sample."""

    sample: str
    n_cells: int
    n_fovs: int
    x: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Courses(Message):
    """Median and quartiles of samples."""

    courses: tuple[Course, ...]


def overview(desk: Desk, asked: AskResults) -> Overview:
    """Tell what results hold."""
    return overview_of(desk.results(asked.at), desk.fovs(asked.at))


def fov(desk: Desk, asked: AskFov) -> Fov:
    """Tell what can be looked at of a field of view."""
    results, of_fov = desk.results(asked.at), desk.fov(asked.at, asked.fov)
    layers = tuple(layers_of(of_fov, _emissions(results)))
    shape, has_labels = (0, 0, 0), False
    for name in ("phase", "labels"):
        try:
            shape = getattr(of_fov, name).shape
            has_labels = has_labels or name == "labels"
        except (InputError, DamagedFileError):
            continue  # told by `missing`
    for stacks in (of_fov.fluorescence, of_fov.corrected):
        for layer in layers:
            if not shape[0] and layer.channel in stacks:
                shape = stacks[layer.channel].shape
    source = results.source
    if not shape[0] and source is not None and asked.fov < len(source.fov_shapes):
        shape = source.fov_shapes[asked.fov]
    return Fov(
        fov=asked.fov,
        title=of_fov.title,
        n_frames=shape[0],
        height=shape[1],
        width=shape[2],
        pixel_size_um=source.pixel_size_um if source else None,
        times_min=_times_of(of_fov, source, shape[0]),
        missing_frames=_missing_frames(of_fov),
        layers=layers,
        has_labels=has_labels,
        columns=tuple(name for name in of_fov.columns if name not in (*KEYS, *TIMES)),
        missing=tuple(f"{lack.output}: {lack.reason}" for lack in of_fov.missing),
    )


def _times_of(
    of_fov: FovResults, source: SourceDescription | None, n_frames: int
) -> tuple[float | None, ...]:
    """Return the time of each frame, as it is in the tables."""
    interval = of_fov.given_interval_min
    if interval is not None:
        return tuple(frame * interval for frame in range(n_frames))
    if source is None or of_fov.number >= len(source.timepoints):
        return ()
    return tuple(source.timepoints[of_fov.number][:n_frames])


def _missing_frames(of_fov: Any) -> tuple[int, ...]:
    try:
        return tuple(sorted(of_fov.missing_frames))
    except DamagedFileError:
        return ()  # told by `missing`


def _emissions(results: Results) -> dict[str, float | None]:
    if results.source is None:
        return {}
    names = ChannelNames(results.source.channel_names)
    return {names.of(i): value for i, value in enumerate(results.source.emission_nm)}


def frame(desk: Desk, asked: AskFrame) -> Pixels:
    """Give the pixels of a frame."""
    of_fov = desk.fov(asked.at, asked.fov)
    return Pixels.of(frame_of(of_fov, asked.kind, asked.channel, asked.t, asked.level))


def cells(desk: Desk, asked: AskFov) -> Cells:
    """Give the table of cells."""
    table = desk.tables.read(desk.fov(asked.at, asked.fov), ()).cells
    reasons = _reasons_by_channel(table)
    told = [
        _told(dict(zip(reasons, each, strict=True))) for each in zip(*reasons.values(), strict=True)
    ]
    return Cells(
        cell=tuple(table["cell"].tolist()),
        parent=tuple(table["parent"].fillna(-1).astype(int).tolist()),
        first_frame=tuple(table["first_frame"].tolist()),
        last_frame=tuple(table["last_frame"].tolist()),
        n_frames=tuple(table["n_frames"].tolist()),
        fate=tuple(table["fate"].fillna("").astype(str).tolist()),
        good=tuple(table["good"].astype(object).where(table["good"].notna(), None).tolist()),
        reason=tuple(told or [""] * len(table)),
        corrections=tuple(table["corrections"].tolist()),
        verdicts=tuple(
            ChannelVerdicts(
                channel=channel,
                good=tuple(None if reason is None else not reason for reason in each),
            )
            for channel, each in reasons.items()
        ),
    )


def _reasons_by_channel(table: Any) -> dict[str, list[str | None]]:
    """Return why each cell is not good, by channel; None where that is not known."""
    found = {}
    for name in map(str, table):
        if name.startswith("reason_"):
            known = table[name].astype(object).where(table[name].notna(), None)
            found[name.removeprefix("reason_")] = known.tolist()
    return found


def _told(reasons: dict[str, str | None]) -> str:
    """Say why a cell is not good: once if that is so in all channels, else in which it is."""
    by_reason: dict[str, list[str]] = {}
    for channel, reason in reasons.items():
        if reason:
            by_reason.setdefault(reason, []).append(channel)
    return "; ".join(
        reason if len(channels) == len(reasons) else f"{reason} in {', '.join(channels)}"
        for reason, channels in by_reason.items()
    )


def traces(desk: Desk, asked: AskTraces) -> Table:
    """Give traces: where each cell is in each frame, and the columns that are asked for."""
    of_fov = desk.fov(asked.at, asked.fov)
    known = of_fov.columns
    if unknown := set(asked.columns) - set(known):
        raise InputError(
            f"{of_fov.title} has no column {min(unknown)!r}; it has {', '.join(known)}"
        )
    table = desk.tables.read(of_fov, {*asked.columns, *_PLACES, "time_min"}).traces
    columns: dict[str, NDArray[Any]] = {}
    for name in ("cell", "frame"):
        columns[name] = table[name].to_numpy(np.int32)
    for name in ("time_min", *_PLACES, *asked.columns):
        if name in table and name not in columns:
            columns[name] = table[name].to_numpy(np.float32)
    return Table.of(columns)


def counts(desk: Desk, asked: AskFovs) -> Counts:
    """Count the cells of some fields of view, frame by frame."""
    if len(asked.fovs) > _COUNTS_AT_ONCE:
        raise InputError(f"fovs: expected at most {_COUNTS_AT_ONCE}, found {len(asked.fovs)}")
    found = []
    for number in asked.fovs:
        of_fov = desk.fov(asked.at, number)
        # Of many, none is likely to be looked at next.
        is_one = len(asked.fovs) == 1
        tables = desk.tables.read(of_fov, ()) if is_one else of_fov.read_tables(())
        by_frame = np.bincount(tables.traces["frame"].to_numpy()) if len(tables.traces) else ()
        found.append(
            Count(
                fov=number,
                n_cells=len(tables.cells),
                n_good=int(tables.cells["good"].fillna(False).sum()),
                by_frame=tuple(map(int, by_frame)),
            )
        )
    return Counts(counts=tuple(found))


def courses(desk: Desk, asked: AskCourses) -> Courses:
    """Give median and quartiles over the cells of each sample, or of some fields of view."""
    results = desk.results(asked.at)
    samples = results.read_samples()
    chosen = [
        of_fov for of_fov in desk.fovs(asked.at) if of_fov.number in (asked.fovs or range(10**9))
    ]
    builders: dict[str, CourseBuilder] = {}
    for of_fov in chosen:
        columns = {asked.column, asked.time}
        is_one = len(chosen) == 1
        tables = desk.tables.read(of_fov, columns) if is_one else of_fov.read_tables(columns)
        if asked.column not in tables.traces or asked.time not in tables.traces:
            continue
        name = "" if asked.fovs else samples.of(of_fov.number)
        if name not in builders:
            builders[name] = CourseBuilder(asked.time, asked.column, 0)
        builders[name].add(with_verdicts(tables, good_only=asked.good))
    built = {
        name: builders[name].build((0.25, 0.75))
        for name in ["", *samples.all()]
        if name in builders
    }
    return Courses(
        courses=tuple(_course(name, course) for name, course in built.items() if course.n_cells)
    )


def _course(name: str, built: BuiltCourse) -> Course:
    return Course(
        sample=name,
        n_cells=built.n_cells,
        n_fovs=built.n_fovs,
        x=tuple(built.x.tolist()),
        median=tuple(built.median.tolist()),
        low=tuple(built.low.tolist()),
        high=tuple(built.high.tolist()),
    )


def strip(desk: Desk, asked: AskStrip) -> Table:
    """Give a cell through its life: its surroundings in some frames, and which pixels are its."""
    of_fov = desk.fov(asked.at, asked.fov)
    traces = desk.tables.read(of_fov, COLUMNS).traces
    return Table.of(
        strip_of(of_fov, traces, asked.cell, asked.kind, asked.channel, asked.frames, asked.size)
    )


ENDPOINTS = (
    reads("/api/overview", overview),
    reads("/api/fov", fov),
    reads("/api/frame", frame),
    reads("/api/cells", cells),
    reads("/api/traces", traces),
    reads("/api/counts", counts),
    reads("/api/courses", courses),
    reads("/api/strip", strip),
)
