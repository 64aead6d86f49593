"""What a figure of traces is made of: which columns, which times, which cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyama_core.errors import InputError
from pyama_core.results.drawn import DrawnFov
from pyama_core.results.stacking import with_verdicts
from pyama_core.results.tables import KEYS, TIMES
from pyama_core.results.trace_figure import draw_courses, feature_label, time_column
from pyama_core.results.trace_statistics import Course, CourseBuilder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Time = Literal["h", "min", "frame"]


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn.

    Attributes
    ----------
    feature : str
        A feature, or a column.
    channels : sequence of str or None
        Names of channels; None for all.
    good_only : bool
        Whether cells that cannot be trusted are left out.
    band : (float, float)
        Quantiles.
    n_lines : int
        Cells of each sample that are drawn one by one.
    time : "h", "min", "frame" or None
        Unit of the times; None decides by how long the movie is.
    """

    feature: str
    channels: Sequence[str] | None
    good_only: bool
    band: tuple[float, float]
    n_lines: int
    time: Time | None

    def check(self) -> None:
        """Refuse what cannot be drawn."""
        low, high = self.band
        if not 0 <= low < high <= 1:
            raise InputError(
                f"band: expected two quantiles such as (0.25, 0.75), found {self.band}"
            )
        if self.n_lines < 0:
            raise InputError(f"n_lines: expected 0 or more, found {self.n_lines}")
        if self.time not in (None, "h", "min", "frame"):
            raise InputError(f"time: expected 'h', 'min' or 'frame', found {self.time!r}")


def plot_courses(
    fovs: Iterable[DrawnFov],
    sample_of: Callable[[int], str],
    order: Sequence[str],
    wanted: Wanted,
) -> Figure:
    """Draw traces of some fields of view, which are read one after the other.

    Parameters
    ----------
    fovs : iterable of DrawnFov
        The fields of view.
    sample_of : callable
        Sample of the number of a field of view.
    order : sequence of str
        All samples.
    wanted : Wanted
        What is drawn.
    """
    wanted.check()
    chosen = list(fovs)
    columns = _columns(chosen, wanted)
    time = _time_column(chosen, wanted)
    builders: dict[str, dict[str, CourseBuilder]] = {column: {} for column in columns}
    for fov in chosen:
        traces = with_verdicts(fov.read_tables({*columns, time}), good_only=wanted.good_only)
        sample = sample_of(fov.number)
        for column in columns.keys() & set(traces):
            if sample not in builders[column]:
                builders[column][sample] = CourseBuilder(time, column, wanted.n_lines)
            builders[column][sample].add(traces)
    panels = {column: _built(builders[column], order, wanted) for column in columns}
    if not any(panels.values()):
        cells = "good cell" if wanted.good_only else "cell"
        hint = "; good_only=False draws the others too" if wanted.good_only else ""
        raise InputError(f"no {cells} has a trace in the chosen FOVs{hint}")
    return draw_courses(panels, list(columns.values()), feature_label(wanted.feature), time)


def _built(
    builders: dict[str, CourseBuilder], order: Sequence[str], wanted: Wanted
) -> dict[str, Course]:
    courses = {name: builders[name].build(wanted.band) for name in order if name in builders}
    return {name: course for name, course in courses.items() if course.n_cells}


def _columns(fovs: Sequence[DrawnFov], wanted: Wanted) -> dict[str, str]:
    """Return the columns to draw, and the title of the panel of each."""
    known = dict.fromkeys(column for fov in fovs for column in fov.columns)
    channels = dict.fromkeys(channel for fov in fovs for channel in fov.channels)
    if wanted.feature in known:
        return {wanted.feature: ""}
    words = [wanted.channels] if isinstance(wanted.channels, str) else wanted.channels
    asked = list(channels) if words is None else list(words)
    if unknown := [channel for channel in asked if channel not in channels]:
        raise InputError(
            f"there is no measured channel {unknown[0]!r}; there are "
            f"{', '.join(channels) or 'none'}"
        )
    columns = {f"{wanted.feature}_{channel}": channel for channel in asked}
    there = {column: channel for column, channel in columns.items() if column in known}
    if not there:
        raise InputError(
            f"there is no feature {wanted.feature!r}; there are "
            f"{', '.join(_features(known, channels)) or 'none, for nothing is measured yet'}"
        )
    return there


def _features(columns: Iterable[str], channels: Iterable[str]) -> list[str]:
    """Return columns without the names of channels."""
    endings = [f"_{channel}" for channel in channels]
    found = dict.fromkeys(
        next((column.removesuffix(end) for end in endings if column.endswith(end)), column)
        for column in columns
        if column not in (*KEYS, *TIMES)
    )
    return list(found)


def _time_column(fovs: Sequence[DrawnFov], wanted: Wanted) -> str:
    """Return the column of times in the unit that suits the movie."""
    if wanted.time is not None:
        return "frame" if wanted.time == "frame" else f"time_{wanted.time}"
    for fov in fovs:
        column = time_column(fov.read_tables(TIMES).traces)
        if column != "frame":
            return column
    return "frame"
