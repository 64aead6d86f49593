"""Pictures of cells: a strip of one through its life, and a frame with the outlines of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.results.drawn import DrawnFov
from pyama_core.results.matplotlib_figures import new_figure, plain_text
from pyama_core.results.outlines import Polygon
from pyama_core.results.tables import FovTables
from pyama_core.results.trace_figure import feature_label, label_time, time_column

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GOOD = "#ffd400"
_OTHER = "#9fd8ff"
_COLOURS = ("#009E73", "#D55E00", "#0072B2", "#CC79A7")
_USUAL = (0.5, 99.8)
"""Percentiles of pixels that are drawn black and white."""
_FEATURE = "intensity_total"

Box = tuple[slice, slice]


def draw_film_strip(
    fov: DrawnFov, cell: int, channels: Sequence[str] | None, n_frames: int, margin: int
) -> Figure:
    """Draw a cell in some frames of its life, a row per channel, and its traces beneath.

    Parameters
    ----------
    fov : DrawnFov
        The field of view.
    cell : int
        The cell.
    channels : sequence of str or None
        Names of channels; None for what was segmented and all that can be read.
    n_frames : int
        How many frames are shown, at most.
    margin : int
        Pixels around the cell.
    """
    if n_frames < 1:
        raise InputError(f"n_frames: expected 1 or more, found {n_frames}")
    tables = fov.read_tables()
    traces = _traces_of(tables, cell, fov.title)
    frames = traces["frame"].to_numpy()
    places = np.linspace(0, frames.size - 1, min(n_frames, frames.size)).round().astype(int)
    shown: list[int] = frames[places].tolist()
    names = _readable(fov) if channels is None else list(channels)
    boxes = [fov.box_of(cell, t, margin) for t in shown]
    figure = new_figure(max(1 + 1.4 * len(shown), 5), 1.5 * len(names) + 2.2)
    heights = [*[1.0] * len(names), 1.4]
    grid = figure.add_gridspec(len(heights), len(shown), height_ratios=heights)
    for row, name in enumerate(names):
        axes = [figure.add_subplot(grid[row, column]) for column in range(len(shown))]
        _draw_row(axes, fov, cell, name, shown, boxes)
        if row == 0:
            for each, t in zip(axes, shown, strict=True):
                each.set_title(f"frame {t}", fontsize="x-small", pad=3)
    _draw_traces(figure.add_subplot(grid[-1, :]), traces, tables.channels, shown)
    title = f"{fov.title}, cell {cell}{_verdict(tables.cells, cell)}"
    figure.suptitle(plain_text(title), x=0.01, ha="left", fontsize="medium")
    return figure


def draw_frame(fov: DrawnFov, t: int, channel: str) -> Figure:
    """Draw a frame of a channel with the outlines and numbers of all cells."""
    from matplotlib.patheffects import withStroke

    outlines = fov.outlines(t)
    frame = np.array(fov.image(channel)[t])
    height, width = frame.shape
    figure = new_figure(min(8 * width / height, 14), 8)
    axes = figure.add_subplot()
    _draw_image(axes, frame, _limits(frame))
    cells = fov.read_tables(()).cells
    good = set(cells.loc[cells["good"].fillna(False).astype(bool), "cell"])
    for cell, polygons in outlines.items():
        colour = _GOOD if cell in good else _OTHER
        _draw_polygons(axes, polygons, colour)
        x, y = polygons[0].mean(axis=0)
        number = axes.text(x, y, str(cell), color=colour, ha="center", va="center")
        number.set_path_effects([withStroke(linewidth=2.5, foreground="black")])
    title = f"{fov.title}, {channel}, frame {t}"
    axes.set_title(plain_text(title), loc="left", fontsize="medium")
    axes.set_xlabel("yellow: good cells, blue: others", fontsize="small", loc="left")
    return figure


def _traces_of(tables: FovTables, cell: int, where: str) -> pd.DataFrame:
    traces = tables.traces
    own = traces[traces["cell"] == cell]
    if own.empty:
        cells = tables.cells["cell"]
        there = f"they are {cells.min()} to {cells.max()}" if len(cells) else "there is none"
        raise InputError(f"{where}: there is no trace of a cell {cell}; {there}")
    return own


def _readable(fov: DrawnFov) -> list[str]:
    """Return the channels that can be read, what was segmented first."""
    there = []
    for name in dict.fromkeys((fov.segmented, *fov.corrected)):
        try:
            fov.image(name)
        except InputError:
            continue
        there.append(name)
    if not there:
        fov.image(fov.segmented)  # says what is missing, and what brings it back
    return there


def _draw_row(
    axes: Sequence[Axes],
    fov: DrawnFov,
    cell: int,
    name: str,
    frames: Sequence[int],
    boxes: Sequence[Box],
) -> None:
    """Draw a channel of a cell, all frames to one scale and in the same greys."""
    stack = fov.image(name)
    cut = [np.array(stack[t][box]) for t, box in zip(frames, boxes, strict=True)]
    limits = _limits(np.concatenate([pixels.ravel() for pixels in cut]))
    half = max(max(pixels.shape) for pixels in cut) / 2
    for each, t, pixels, box in zip(axes, frames, cut, boxes, strict=True):
        top, left = box[0].start, box[1].start
        _draw_image(each, pixels, limits, top, left)
        _draw_polygons(each, fov.outlines(t, [cell])[cell], _GOOD)
        x, y = left + (pixels.shape[1] - 1) / 2, top + (pixels.shape[0] - 1) / 2
        each.set_xlim(x - half, x + half)
        each.set_ylim(y + half, y - half)
    axes[0].set_ylabel(plain_text(name), fontsize="small")


def _draw_image(
    axes: Axes, pixels: NDArray[Any], limits: tuple[float, float], top: int = 0, left: int = 0
) -> None:
    height, width = pixels.shape
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=limits[0],
        vmax=limits[1],
        extent=(left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5),
        interpolation="nearest",
    )
    axes.set_facecolor("#e8e8e8")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _limits(pixels: NDArray[Any]) -> tuple[float, float]:
    values = pixels[np.isfinite(pixels)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, _USUAL)
    return float(low), float(high)


def _draw_polygons(axes: Axes, polygons: Sequence[Polygon], colour: str) -> None:
    for polygon in polygons:
        x, y = np.vstack([polygon, polygon[:1]]).T
        axes.plot(x, y, color=colour, linewidth=1.2, scalex=False, scaley=False)


def _draw_traces(
    axes: Axes, traces: pd.DataFrame, channels: Sequence[str], shown: Sequence[int]
) -> None:
    """Draw the traces of a cell, relative to their maxima where there are several."""
    time = time_column(traces)
    for channel, colour in zip(channels, _COLOURS * len(channels), strict=False):
        values = traces[f"{_FEATURE}_{channel}"]
        scale = values.abs().max() if len(channels) > 1 else 1.0
        axes.plot(traces[time], values / scale, color=colour, label=channel.replace("$", r"\$"))
    for when in traces.loc[traces["frame"].isin(shown), time]:
        axes.axvline(when, color="#bbbbbb", linewidth=0.8, zorder=0)
    several = len(channels) > 1
    axes.set_ylabel("intensity total\n(of its maximum)" if several else feature_label(_FEATURE))
    label_time(axes, time)
    axes.spines[["top", "right"]].set_visible(False)
    if channels:
        axes.legend(frameon=False, fontsize="small")


def _verdict(cells: pd.DataFrame, cell: int) -> str:
    """Return what was found about a cell, as the end of a title."""
    own = cells[cells["cell"] == cell]
    if own.empty:
        return ""
    row = own.iloc[0]
    reasons = [
        f"{column.removeprefix('reason_')}: {row[column]}"
        for column in map(str, cells.columns)
        if column.startswith("reason_") and row[column]
    ]
    told = [str(row["fate"])] if isinstance(row["fate"], str) else []
    return "".join(f"; {word}" for word in (*told, *reasons))
