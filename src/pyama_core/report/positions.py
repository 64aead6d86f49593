"""All positions at a glance, as small multiples, and with their numbers in a table."""

from __future__ import annotations

import numpy as np

from pyama_core.io.frame_ranges import format_ranges
from pyama_core.report.charts import colour_of, short, sparkline
from pyama_core.report.first import anchor_of, sample_title
from pyama_core.report.gather import Gathered, Position
from pyama_core.report.markup import Markup, el, table
from pyama_core.results.trouble import TOLD

MARKS = {"good": "✓", "note": "·", "look": "!"}
"""Shapes beside the colours of verdicts."""


def level_of(position: Position) -> str:
    """Return how a position is marked: good, with a note, or to be looked at."""
    if position.needs_look:
        return "look"
    return "note" if position.trouble.words else "good"


def positions_section(found: Gathered, detailed: frozenset[int]) -> Markup:
    """Return small multiples of all positions, the worst first, and their numbers.

    Parameters
    ----------
    found : Gathered
        What was read.
    detailed : frozenset of int
        Positions that are shown in detail.
    """
    counts = [position.measures.counts.max(initial=0) for position in found.positions]
    top = float(np.quantile(counts, 0.95)) if counts else 1.0
    place = {row.name: row.place for row in found.samples}
    tiles = [_tile(each, found, place, max(top, 1.0), detailed) for each in found.by_trouble]
    return el(
        "section",
        el("h2", "All positions"),
        el(
            "p",
            "Cells in each frame, all to one scale. "
            f"{MARKS['look']} needs a look, {MARKS['note']} has a note, {MARKS['good']} is fine. ",
            el("span", id="order", class_="only-script"),
            class_="quiet",
        ),
        el("ol", tiles, class_="tiles", id="tiles"),
        el("details", el("summary", "All positions as a table"), _table(found)),
        id="positions",
    )


def _tile(
    position: Position,
    found: Gathered,
    place: dict[str, int],
    top: float,
    detailed: frozenset[int],
) -> Markup:
    measures, level = position.measures, level_of(position)
    values = measures.counts.astype(np.float64)
    values[[frame for frame in measures.missing if frame < values.size]] = np.nan
    number = place.get(position.sample, 0)
    words = position.trouble.words
    name = el("span", MARKS[level], class_=f"tick {level}"), f" {position.title}"
    inside = [
        el("b", name),
        el("i", class_=f"mark {colour_of(number)}") if len(found.samples) > 1 else None,
        sparkline(np.minimum(values, top), f"cells in FOV {position.title}", top=top),
        el("small", f"{measures.n_good} of {measures.n_cells} good"),
    ]
    box = (
        el("a", inside, href=f"#{anchor_of(position)}")
        if position.fov in detailed
        else el("span", inside)
    )
    return el(
        "li",
        box,
        class_=level,
        title="\n".join(filter(None, (f"{position.title} ({position.sample})", words))),
        data_fov=position.fov,
        data_sample=number,
        data_trouble=f"{position.trouble.score:.4f}",
    )


def _table(found: Gathered) -> Markup:
    n = len(found.samples)
    rows = []
    for position in found.positions:
        each = position.measures
        rows.append(
            (
                MARKS[level_of(position)],
                position.title,
                sample_title(position.sample, n),
                each.n_cells,
                each.n_good,
                short(each.usual_count),
                short(each.diameter),
                int(each.lost.sum()),
                int(each.born.sum()),
                format_ranges(each.missing) or "–",
                f"{position.trouble.score:.2f}",
                "; ".join(
                    finding.words for finding in position.trouble.findings if finding.score >= TOLD
                ),
            )
        )
    head = [
        "",
        "position",
        "sample",
        "cells",
        "good",
        "in a frame",
        "diameter (px)",
        "lost",
        "from nowhere",
        "missing frames",
        "trouble",
        "why",
    ]
    return table(head, rows, numbers=(3, 4, 5, 6, 7, 8, 10), class_="wide")
