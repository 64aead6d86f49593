"""What a reader sees first: whether all is well, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from pyama_core.io.frame_ranges import format_ranges
from pyama_core.processing.workflow.doubts import About
from pyama_core.processing.workflow.samples.samples import UNASSIGNED
from pyama_core.report.charts import (
    N_COLOURS,
    FloatArray,
    Line,
    colour_of,
    legend,
    line_chart,
    line_of,
    short,
    small_multiples,
)
from pyama_core.report.gather import Gathered, Position, SampleRow
from pyama_core.report.markup import Markup, el, table

_NAMED = 12
_LONG_MIN = 30.0
_MOST_BESIDE = 6
"""Columns of medians beside the counts of cells; a page is not wider."""


def anchor_of(position: Position) -> str:
    """Return the name of the place in the page that shows a position."""
    return f"position-{position.fov}"


def sample_title(name: str, n_samples: int) -> str:
    """Return what a sample is called; positions in none are all there are if there is no other."""
    return "all positions" if name == UNASSIGNED and n_samples == 1 else name


def verdict(found: Gathered) -> str:
    """Say in a line whether the positions are fine.

    It is the first line of a report.
    """
    left = len(found.not_begun)
    return _verdict(found) + (f"; {left} {'was' if left == 1 else 'were'} not begun" * (left > 0))


def _verdict(found: Gathered) -> str:
    n_all = len(found.positions)
    n_look = sum(position.needs_look for position in found.positions)
    n_open = sum(position.is_unfinished for position in found.positions)
    if n_all == 1:
        return f"The position {_one(n_look, n_open)}"
    if not n_look and not n_open:
        return "Both positions are fine" if n_all == 2 else f"All {n_all} positions are fine"
    fine = n_all - n_look - n_open
    parts = [f"{fine} of {n_all} positions {'is' if fine == 1 else 'are'} fine"]
    if n_look:
        parts.append(f"{n_look} need{'s' if n_look == 1 else ''} a look")
    if n_open:
        parts.append(f"{n_open} {'is' if n_open == 1 else 'are'} not finished")
    return "; ".join(parts)


def _one(n_look: int, n_open: int) -> str:
    return "needs a look" if n_look else "is not finished" if n_open else "is fine"


def first_section(found: Gathered, detailed: frozenset[int]) -> Markup:
    """Return the verdict, what needs a look, and what came out of each sample.

    Parameters
    ----------
    found : Gathered
        What was read.
    detailed : frozenset of int
        Positions that are shown in detail below.
    """
    looks = [position for position in found.by_trouble if position.needs_look]
    unfinished = [position.fov for position in found.positions if position.is_unfinished]
    named = [_in_line(position, found, detailed) for position in looks[:_NAMED]]
    more = len(looks) - len(named)
    n_cells = sum(each.n_cells for each in found.samples)
    n_good = sum(each.n_good for each in found.samples)
    told = [f"{_many(n_cells, 'cell')}, {_many(n_good, 'of them good', 'of them good')}"]
    if n_cells:
        told[0] += f" ({100 * n_good / n_cells:.0f} %)"
    if found.n_corrections:
        n = found.n_corrections
        told.append(f"{_many(n, 'correction')} by people {'is' if n == 1 else 'are'} applied")
    is_fine = not (looks or unfinished or found.not_begun)
    return el(
        "section",
        el("p", verdict(found), class_=f"{'good' if is_fine else 'bad'} verdict"),
        _contradictions(found),
        el("ul", named, class_="looks") if named else None,
        el("p", f"and {more} more, listed below") if more else None,
        el("p", f"Not finished, run again to go on: FOVs {format_ranges(unfinished)}")
        if unfinished
        else None,
        el("p", f"Not begun yet: FOVs {format_ranges(found.not_begun)}")
        if found.not_begun
        else None,
        _not_analysed(found),
        el("p", "; ".join(told), class_="quiet"),
        id="first",
    )


def _not_analysed(found: Gathered) -> Markup | None:
    """Name the positions of the file of which there are no results, so that nobody misses them."""
    source = found.results.source
    if source is None:
        return None
    there = {*found.results.fov_numbers, *found.not_begun}
    left = [fov for fov in range(len(source.fov_names)) if fov not in there]
    if not left:
        return None
    told = f"Of the file, {_many(len(left), 'position')} {'is' if len(left) == 1 else 'are'} not"
    return el("p", f"{told} among these results: FOVs {format_ranges(left)}")


def _contradictions(found: Gathered) -> Markup | None:
    """Return what contradicts what the run assumed of the cells, a line for each kind."""
    by_kind: dict[About, list[tuple[Position, str]]] = {}
    for position in found.positions:
        for doubt in position.measures.doubts:
            by_kind.setdefault(doubt.about, []).append((position, str(doubt)))
    if not by_kind:
        return None
    lines = []
    for each in by_kind.values():
        position, words = each[0]
        where = f"FOV {position.title}"
        if len(each) > 1:
            fovs = format_ranges(position.fov for position, _ in each)
            where = f"{len(each)} positions (FOVs {fovs}), such as {position.title}"
        lines.append(el("li", el("b", where), f": {words}"))
    return el(
        "div",
        el("p", "What was found contradicts what the run assumed of the cells:", class_="bad"),
        el("ul", lines),
        id="assumed",
    )


def _in_line(position: Position, found: Gathered, detailed: frozenset[int]) -> Markup:
    where = f"FOV {position.title}"
    if position.fov in detailed:
        name = el("a", where, href=f"#{anchor_of(position)}")
    else:
        name = el("b", where)
    sample = f" ({position.sample})" if len(found.samples) > 1 else ""
    return el("li", name, f"{sample}: {position.trouble.words}")


def samples_section(found: Gathered) -> Markup:
    """Return the samples as a table and as median curves."""
    n = len(found.samples)
    names = [sample_title(row.name, n) for row in found.samples]
    x, x_label = found.shown_x
    charts = []
    for column in found.courses_of:
        lines, what = _lines(found.samples, column, x), in_words(column)
        drawn = (
            line_chart(lines, x_label, what)
            if n <= N_COLOURS
            else small_multiples(lines, names, x_label, what)
        )
        charts.append(el("figure", el("figcaption", what), drawn))
    note = "Median over the good cells in each frame, with the quartiles as a band."
    used = [c for row in found.samples for c in row.courses.values() if c.n_used < c.n_cells]
    if used:
        note += f" Of large samples, {used[0].n_used} cells that were drawn by lot."
    if any(row.n_good == 0 for row in found.samples):
        note += " A sample without good cells has no curve."
    problem = None
    if found.samples_problem:
        problem = el("p", f"Samples cannot be read: {found.samples_problem}", class_="bad")
    return el(
        "section",
        el("h2", "Samples"),
        problem,
        _tables(found, names),
        legend(names, [row.place for row in found.samples]) if 1 < n <= N_COLOURS else None,
        el("div", charts, class_="charts"),
        el("p", note, class_="quiet") if charts else None,
        id="samples",
    )


def _tables(found: Gathered, names: Sequence[str]) -> list[Markup]:
    """Return how many cells samples have, and their medians: beside it, or below if too many."""
    ends = _ends(found)
    head: list[Any] = ["sample", "positions", "cells", "good", "share"]
    counted: list[list[Any]] = []
    medians: list[list[list[str]]] = []
    for row, name in zip(found.samples, names, strict=True):
        share = f"{100 * row.n_good / row.n_cells:.0f} %" if row.n_cells else "–"
        counted.append([name, row.n_fovs, row.n_cells, row.n_good, share])
        courses = [row.courses[column].median for column in found.courses_of]
        medians.append([[short(float(each[frame])) for frame, _ in ends] for each in courses])
    channels = [channel_of(column) for column in found.courses_of]
    if len(channels) * len(ends) <= _MOST_BESIDE:
        head += [f"{channel} at {when}" for channel in channels for _, when in ends]
        rows = [[*c, *chain.from_iterable(m)] for c, m in zip(counted, medians, strict=True)]
        return [table(head, rows, numbers=range(1, len(head)))]
    rows = [
        [name, channel, *values]
        for name, of_sample in zip(names, medians, strict=True)
        for channel, values in zip(channels, of_sample, strict=True)
    ]
    below = ["sample", "channel", *(f"median at {when}" for _, when in ends)]
    return [
        table(head, counted, numbers=range(1, len(head))),
        table(below, rows, numbers=range(2, len(below))),
    ]


def _lines(rows: tuple[SampleRow, ...], column: str, x: FloatArray) -> list[Line]:
    lines = []
    for row in rows:
        course = row.courses[column]
        colour = line_of(row.place) if len(rows) <= N_COLOURS else colour_of(0)
        lines.append(Line(x, course.median, course.low, course.high, colour))
    return lines


def _ends(found: Gathered) -> list[tuple[int, str]]:
    """Return the first, the middle and the last frame, and when they are."""
    n_frames = found.minutes.size
    x, label = found.shown_x
    frames = dict.fromkeys((0, n_frames // 2, n_frames - 1)) if n_frames else {}
    if label == "frame":
        return [(t, f"frame {t}") for t in frames]
    unit = label.removeprefix("time (").removesuffix(")")
    # Nobody cares for seconds of a movie of an hour.
    digits = 0 if unit == "min" and x[-1] - x[0] >= _LONG_MIN else 2
    return [(t, f"{round(float(x[t]), digits):g}\u00a0{unit}") for t in frames]


def in_words(column: str) -> str:
    """Write the name of a column as people say it.

    Examples
    --------
    >>> in_words("intensity_total_GFP"), in_words("area")
    ('intensity total GFP', 'area (px)')
    """
    units = {"area": " (px)", "perimeter": " (px)"}
    return column.replace("_", " ") + units.get(column, "")


def channel_of(column: str) -> str:
    """Return the channel of a column of its total intensity."""
    return column.removeprefix("intensity_total_")


def _many(number: int, one: str, many: str = "") -> str:
    word = one if number == 1 else many or f"{one}s"
    return f"{number:,} {word}".replace(",", " ")
