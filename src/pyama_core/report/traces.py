"""The traces that can be looked at one by one: what the script of the page draws."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.report.details import outline_path
from pyama_core.report.first import in_words, sample_title
from pyama_core.report.gather import Gathered
from pyama_core.report.markup import Markup, data, el, visible
from pyama_core.report.shown_cells import SHOWN_CELLS, ShownCell
from pyama_core.results.outlines import outlines_of

_STEPS = 65_534
_NONE = 65_535


def traces_section(found: Gathered) -> Markup:
    """Return the place of the traces, and the data for it."""
    n_all = sum(row.n_cells for row in found.samples)
    n = len(found.cells)
    drawn = "All cells are drawn" if n >= n_all else f"{n} of {n_all} cells, drawn by lot"
    if not n_all:
        return el("section", el("h2", "Traces"), el("p", "There are no cells.", class_="quiet"))
    if any(cell.strip for cell in found.cells):
        hint = "A click on a trace shows the cell in some of its frames."
        n_strips = sum(cell.strip is not None for cell in found.cells)
        if n_strips < n:
            hint += f" There are pictures of {n_strips} of them."
    else:
        hint = (
            "There are no pictures of cells: the stacks were released before any were kept; the "
            "command of the run with --restore makes them again."
        )
    return el(
        "section",
        el("h2", "Traces"),
        el("p", f"{drawn}. {hint}", class_="quiet"),
        el(
            "noscript",
            el(
                "p",
                "To look at traces one by one, the page needs JavaScript; the curves and tables "
                "above do not.",
            ),
        ),
        el("div", id="traces", class_="only-script"),
        data("data", payload(found)) if found.cells else None,
        id="look",
    )


def payload(found: Gathered) -> dict[str, Any]:
    """Return what the script reads: rows of all cells one after the other, as bytes."""
    cells = found.cells
    names = [row.name for row in found.samples]
    starts = np.cumsum([0, *(cell.frames.size for cell in cells)])
    minutes = _joined([cell.minutes for cell in cells])
    known = minutes.size > 0 and bool(np.isfinite(minutes).all())
    return {
        "folder": visible(found.results.folder.name),
        "samples": [visible(sample_title(name, len(names))) for name in names],
        "places": [row.place for row in found.samples],
        "cells": [_cell(cell, names) for cell in cells],
        "starts": _bytes(starts.astype("<i4")),
        "frames": _bytes(_joined([cell.frames for cell in cells]).astype("<i4")),
        "minutes": _bytes(minutes.astype("<f4")) if known else None,
        "columns": [_column(found, name) for name in found.columns],
        "most": SHOWN_CELLS,
    }


def _cell(cell: ShownCell, samples: list[str]) -> dict[str, Any]:
    return {
        "fov": cell.fov,
        "position": visible(cell.position),
        "cell": cell.cell,
        "sample": samples.index(cell.sample),
        "good": cell.good,
        "reason": visible(cell.reason),
        "strip": _strip(cell),
        "anchor": cell.anchor,
    }


def _strip(cell: ShownCell) -> dict[str, Any] | None:
    strip = cell.strip
    if strip is None:
        return None
    return {
        "image": base64.b64encode(strip.image).decode(),
        "frames": list(strip.frames),
        "channels": [visible(name) for name in cell.channels],
        "side": int(strip.inside.shape[1]),
        "outlines": [
            "".join(map(outline_path, outlines_of(inside.astype(np.int8)).get(1, [])))
            for inside in strip.inside
        ],
    }


def _column(found: Gathered, name: str) -> dict[str, Any]:
    values = _joined([cell.values[name] for cell in found.cells])
    low, high, steps = _quantised(values)
    x, _ = found.x
    courses = []
    if name in found.courses_of:
        for i, row in enumerate(found.samples):
            course = row.courses[name]
            there = np.isfinite(course.median)
            if there.any():
                curves = {"median": course.median, "low": course.low, "high": course.high}
                courses.append(
                    {
                        "sample": i,
                        "x": _rounded(x[there]),
                        **{key: _rounded(curve[there]) for key, curve in curves.items()},
                    }
                )
    return {
        "name": visible(in_words(name)),
        "low": low,
        "high": high,
        "values": _bytes(steps),
        "courses": courses,
    }


def _quantised(values: NDArray[np.float64]) -> tuple[float, float, NDArray[np.uint16]]:
    """Return values in 65535 steps from the lowest to the highest; the largest number is none."""
    known = np.isfinite(values)
    if not known.any():
        return 0.0, 1.0, np.full(values.size, _NONE, "<u2")
    low, high = float(values[known].min()), float(values[known].max())
    scale = _STEPS / (high - low) if high > low else 0.0
    steps = np.full(values.size, _NONE, "<u2")
    steps[known] = np.rint((values[known] - low) * scale)
    return low, high, steps


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]


def _bytes(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
