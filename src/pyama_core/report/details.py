"""The positions with most trouble, each with what shows why: pictures, counts, links, times."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError
from pyama_core.processing.workflow.glimpses.glimpse import Glimpse
from pyama_core.report.charts import FloatArray, Line, colour_of, histogram, line_chart, short
from pyama_core.report.first import anchor_of, sample_title
from pyama_core.report.gather import Gathered, Position
from pyama_core.report.markup import Markup, el, joined, table
from pyama_core.report.positions import MARKS, level_of
from pyama_core.results.fov_results import FovResults
from pyama_core.results.glimpses import find_glimpse
from pyama_core.results.outlines import outlines_of
from pyama_core.results.relabelled import relabelled
from pyama_core.results.tables import FovTables

SHOWN = 12
"""Positions."""
_PICTURES = 3_500_000
"""Bytes of all pictures together, and of the outlines on them."""
_BARS = 12


@dataclass(frozen=True)
class Links:
    """How cells were linked from frame to frame.

    Attributes
    ----------
    lengths : (N,) int array
        In how many frames each cell was seen.
    distances : (M,) float array
        How far cells went from one frame to the next, in pixels.
    n_gaps : int
        How often a cell was not seen in between.
    """

    lengths: NDArray[np.int64]
    distances: FloatArray
    n_gaps: int


def links_of(tables: FovTables) -> Links:
    """Measure the links of all cells of a field of view."""
    traces = tables.traces
    cell, frame = (traces[name].to_numpy(np.int64) for name in ("cell", "frame"))
    x, y = (traces[name].to_numpy(np.float64) for name in ("position_x", "position_y"))
    same, step = np.diff(cell) == 0, np.diff(frame)
    moved = np.hypot(np.diff(x), np.diff(y))[same & (step == 1)]
    return Links(
        lengths=tables.cells["n_frames"].to_numpy(np.int64),
        distances=moved[np.isfinite(moved)],
        n_gaps=int((same & (step > 1)).sum()),
    )


def details_section(
    found: Gathered, shown: Sequence[Position], seconds: Mapping[int, Mapping[str, float]]
) -> Markup:
    """Return some positions in detail.

    Parameters
    ----------
    found : Gathered
        What was read.
    shown : sequence of Position
        These.
    seconds : mapping of int to mapping
        How long each step took, by position.
    """
    room = _PICTURES
    parts = []
    without = []
    for position in shown:
        fov = found.results.fov(position.fov)
        glimpse = find_glimpse(fov, len(found.positions)) if position.has_pictures else None
        pictures, size = _pictures(fov, glimpse, room) if glimpse else (None, 0)
        room -= size
        if pictures is None:
            without.append(position.title)
        parts.append(_detail(position, fov, found, pictures, seconds.get(position.fov, {})))
    n_all = len(found.positions)
    title = "Positions in detail" if n_all <= SHOWN else f"The {len(shown)} with most trouble"
    note = None
    if without:
        several = "FOVs" if len(without) > 1 else "FOV"
        note = (
            f"There are no pictures of {several} {', '.join(without)}: the stacks were released "
            "before any were kept, or were never made. The command of the run with --restore "
            "makes them again."
        )
    switch = el(
        "label", el("input", type="checkbox", checked=True, id="outlines"), " outlines of cells"
    )
    return el(
        "section",
        el("h2", title),
        el("p", note, class_="quiet") if note else None,
        el("p", switch) if len(without) < len(shown) else None,
        parts,
        id="details",
        class_="details",
    )


def _detail(
    position: Position,
    fov: FovResults,
    found: Gathered,
    pictures: Markup | None,
    seconds: Mapping[str, float],
) -> Markup:
    level = level_of(position)
    sample = sample_title(position.sample, len(found.samples))
    words = position.trouble.words or "nothing unusual was found"
    return el(
        "article",
        el(
            "h3",
            el("span", MARKS[level], class_=f"tick {level}"),
            f" FOV {position.title}",
            el("span", f" {sample}", class_="quiet") if len(found.samples) > 1 else None,
        ),
        el("p", words, class_="bad" if level == "look" else "quiet"),
        [el("p", told, class_="quiet") for told in position.measures.compartments],
        pictures,
        el("div", charts, class_="charts") if (charts := _charts(position, fov, found)) else None,
        _verdicts(position),
        _times(seconds),
        id=anchor_of(position),
    )


# Charts


def _charts(position: Position, fov: FovResults, found: Gathered) -> list[Markup]:
    measures = position.measures
    if measures.n_frames < 2:
        return []  # nothing goes on in it
    x, x_label = found.shown_x
    x = x[: measures.n_frames]
    counts = measures.counts.astype(np.float64)
    counts[[frame for frame in measures.missing if frame < counts.size]] = np.nan
    charts = [
        _figure(
            "cells in each frame",
            line_chart([Line(x, counts)], x_label, "cells", from_zero=True, width=260, height=130),
        )
    ]
    images = measures.images
    if images.background:
        lines = [
            Line(x[images.frames], level, colour=colour_of(i))
            for i, level in enumerate(images.background.values())
        ]
        drawn = line_chart(lines, x_label, "grey value", width=260, height=130)
        charts.append(_figure(("background of ", *_in_colours(images.background)), drawn))
    charts += [
        _figure(
            f"focus of {name}",
            line_chart(
                [Line(x[images.frames], values)],
                x_label,
                "sharpness",
                from_zero=True,
                width=260,
                height=130,
            ),
        )
        for name, values in images.sharpness.items()
    ]
    try:
        links = links_of(fov.read_tables(("position_x", "position_y")))
    except (DamagedFileError, KeyError):
        return charts
    charts.append(_histogram(links.lengths, "frames", "cells", "lengths of tracks"))
    gaps = f"{links.n_gaps} gap{'s' * (links.n_gaps != 1)}"
    caption = f"distances of links; {gaps}"
    charts.append(_histogram(links.distances, "px per frame", "links", caption))
    if measures.sure.size:
        caption = "how sure the least sure link of each cell is"
        charts.append(_histogram(measures.sure, "from 0 to 1", "cells", caption))
    return charts


def _figure(caption: object, drawn: Markup) -> Markup:
    return el("figure", el("figcaption", caption), drawn)


def _in_colours(names: Iterable[str]) -> list[Any]:
    """Name lines, each after a mark of its colour."""
    names = list(names)
    if len(names) == 1:
        return [*names]
    return [
        el("span", el("i", class_=f"mark {colour_of(i)}"), f" {name} ", class_="named")
        for i, name in enumerate(names)
    ]


def _histogram(values: NDArray[np.generic], x: str, y: str, caption: str) -> Markup:
    if values.size == 0:
        return _figure(caption, el("p", "none", class_="quiet"))
    numbers = values.astype(np.float64)
    top = max(float(np.quantile(numbers, 0.995)), 1.0)
    counts, edges = np.histogram(np.minimum(numbers, top), bins=_BARS, range=(0, top))
    return _figure(caption, histogram(edges, counts.astype(np.float64), x, y))


def _verdicts(position: Position) -> Markup | None:
    measures = position.measures
    if measures.n_cells == 0:
        return None
    rows = [("good", measures.n_good), *measures.reasons.items()]
    share = [(word, n, f"{100 * n / measures.n_cells:.0f} %") for word, n in rows if n]
    return table(["cells", "", ""], share, numbers=(1, 2), class_="narrow")


def _times(seconds: Mapping[str, float]) -> Markup | None:
    if not seconds:
        return None
    told = ", ".join(f"{step} {short(value)} s" for step, value in seconds.items() if value >= 0.01)
    return el("p", f"time: {told}", class_="quiet") if told else None


# Pictures


def _pictures(fov: FovResults, glimpse: Glimpse, room: int) -> tuple[Markup | None, int]:
    """Return the first, the middle and the last frame, as far as there is room, and their size."""
    channels = [c for c in glimpse.channels if c == glimpse.cells_in]
    others = [c for c in glimpse.channels if c != glimpse.cells_in]
    middle = glimpse.pictured[len(glimpse.pictured) // 2] if glimpse.pictured else 0
    wanted = [(c, t) for c in channels or others[:1] for t in glimpse.pictured]
    wanted += [(c, middle) for c in (others if channels else others[1:])]
    outlines = functools.cache(lambda t: _outlines(fov, glimpse, t))  # for each channel the same
    figures, size = [], 0
    for channel, t in dict.fromkeys(wanted):
        image = glimpse.pictures.get((channel, t))
        if image is None or size + len(image) * 4 // 3 > room:
            continue
        caption = f"{fov.name_of_channel(channel)}, frame {t}"
        figure = _picture(image, _size_of(glimpse, t), outlines(t), caption)
        if size + len(figure) <= room:
            size += len(figure)
            figures.append(figure)
    return (el("div", figures, class_="pictures") if figures else None), size


def _picture(image: bytes, size: tuple[int, int], outlines: Markup, caption: str) -> Markup:
    height, width = size
    shown = el(
        "img",
        src=f"data:image/webp;base64,{base64.b64encode(image).decode()}",
        alt=caption,
        width=width,
        height=height,
        loading="lazy",
        decoding="async",
    )
    layer = el(
        "svg",
        outlines,
        viewBox=f"0 0 {width} {height}",
        class_="outlines",
        aria_hidden="true",
    )
    return el("figure", el("div", shown, layer, class_="picture"), el("figcaption", caption))


def _size_of(glimpse: Glimpse, t: int) -> tuple[int, int]:
    if t in glimpse.labels:
        height, width = glimpse.labels[t].shape
        return height, width
    _, height, width = glimpse.shape
    return height, width


def _outlines(fov: FovResults, glimpse: Glimpse, t: int) -> Markup:
    """Return the outlines of good cells and of the others in a frame, a path each."""
    if t not in glimpse.labels:
        return joined(())
    labels = relabelled(glimpse.labels[t], fov.numbers_in(t))
    cells = fov.read_tables(()).cells
    good = set(cells.loc[cells["good"].fillna(value=False).astype(bool), "cell"].tolist())
    paths: dict[bool, list[str]] = {True: [], False: []}
    for cell, polygons in outlines_of(labels).items():
        paths[cell in good] += [outline_path(polygon) for polygon in polygons]
    return joined(
        el("path", d="".join(parts), class_="cell-good" if is_good else "cell-other")
        for is_good, parts in paths.items()
        if parts
    )


def outline_path(polygon: FloatArray) -> str:
    """Return the path along edges of pixels, whose corners are whole numbers.

    Examples
    --------
    >>> outline_path(np.array([[0.5, -0.5], [2.5, -0.5], [2.5, 0.5], [0.5, 0.5]]))
    'M1 0h2v1h-2z'
    """
    corners = np.rint(polygon + 0.5).astype(int)
    steps = np.diff(corners, axis=0).tolist()
    x, y = corners[0].tolist()
    return f"M{x} {y}" + "".join(f"h{dx}" if dx else f"v{dy}" for dx, dy in steps) + "z"
