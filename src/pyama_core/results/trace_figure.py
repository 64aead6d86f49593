"""A figure of traces: a panel per channel, and per sample the median, a band and some cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyama_core.processing.workflow.samples.samples import UNASSIGNED
from pyama_core.results.matplotlib_figures import new_figure, plain_text
from pyama_core.results.trace_statistics import Course

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's, which people who see few colours tell apart; without black and yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GREY = "#888888"
_LEGEND_ROWS = 16
_HOURS_FROM = 180.0
"""Minutes from which on a movie is told in hours."""

_UNITS = {
    **{"intensity_" + what: "counts" for what in ("mean", "median", "std", "min", "max")},
    **dict.fromkeys(("intensity_total", "background_local"), "counts"),
    **dict.fromkeys(("area", "perimeter", "position_x", "position_y"), "px"),
}
_TIME_LABELS = {"time_h": "time (h)", "time_min": "time (min)", "frame": "frame"}


def label_time(axes: Axes, time: str) -> None:
    """Say what the horizontal axis shows; frames are marked at whole numbers only."""
    axes.set_xlabel(_TIME_LABELS[time])
    if time == "frame":
        axes.locator_params(axis="x", integer=True)


def feature_label(feature: str) -> str:
    """Return what a feature is called in figures, with its unit.

    Examples
    --------
    >>> feature_label("intensity_total"), feature_label("solidity")
    ('intensity total (counts)', 'solidity')
    """
    unit = _UNITS.get(feature)
    return feature.replace("_", " ") + (f" ({unit})" if unit else "")


def time_column(traces: pd.DataFrame) -> str:
    """Return the column of times in the unit that suits the movie; the frames if none are known."""
    if "time_min" not in traces or not traces["time_min"].notna().any():
        return "frame"
    return "time_h" if traces["time_min"].max() > _HOURS_FROM else "time_min"


def draw_courses(
    panels: Mapping[str, Mapping[str, Course]], titles: Sequence[str], label: str, time: str
) -> Figure:
    """Draw how a value changes.

    Parameters
    ----------
    panels : mapping of str to mapping of str to Course
        By column, then by sample.
    titles : sequence of str
        Of the panels.
    label : str
        Of what is measured, with its unit.
    time : str
        Column of the times.
    """
    samples = list(dict.fromkeys(name for courses in panels.values() for name in courses))
    colours = dict(zip(samples, _colours(samples), strict=True))
    figure = new_figure(2.2 + 4.2 * len(panels), 3.6)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for each, title, courses in zip(axes, titles, panels.values(), strict=True):
        for sample, course in courses.items():
            _draw_course(each, course, colours[sample])
        each.set_title(plain_text(title), loc="left")
        label_time(each, time)
        each.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useMathText=True)
        each.spines[["top", "right"]].set_visible(False)
        each.margins(x=0)
    axes[0].set_ylabel(plain_text(label))
    _add_legend(figure, next(iter(panels.values())), colours)
    return figure


def _draw_course(axes: Axes, course: Course, colour: str) -> None:
    alpha = min(0.6, max(0.15, 5 / max(len(course.lines), 1)))
    for x, y in course.lines:
        axes.plot(x, y, color=colour, linewidth=0.6, alpha=alpha, zorder=1)
    axes.fill_between(
        course.x, course.low, course.high, color=colour, alpha=0.25, linewidth=0, zorder=2
    )
    # White beneath, so that it stands out from the cells.
    axes.plot(course.x, course.median, color="white", linewidth=3.4, zorder=3)
    axes.plot(course.x, course.median, color=colour, linewidth=2, zorder=4)


def _colours(samples: Sequence[str]) -> list[str]:
    """Return a colour for each sample; none is told from another by red and green alone."""
    named = [sample for sample in samples if sample != UNASSIGNED]
    if len(named) <= len(_COLOURS):
        found = dict(zip(named, _COLOURS, strict=False))
    else:
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        shades = colormaps["viridis"](np.linspace(0, 0.92, len(named)))
        found = {sample: to_hex(shade) for sample, shade in zip(named, shades, strict=True)}
    return [found.get(sample, _GREY) for sample in samples]


def _add_legend(figure: Figure, courses: Mapping[str, Course], colours: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colours[sample], linewidth=2) for sample in courses]
    legend = figure.legend(
        lines,
        ["sample"] * len(lines),
        loc="outside right upper",
        ncols=-(-len(lines) // _LEGEND_ROWS),
        frameon=False,
        fontsize="small",
    )
    # Set here, for names that begin with an underline would be left out.
    for text, (sample, course) in zip(legend.get_texts(), courses.items(), strict=True):
        fovs = f"{course.n_fovs} FOV{'s' * (course.n_fovs != 1)}"
        cells = f"{course.n_cells} cell{'s' * (course.n_cells != 1)}"
        text.set_text(plain_text(f"{sample}\n{cells} in {fovs}"))
