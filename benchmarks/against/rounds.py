"""Who competes in what, and the page of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.against.contest import Contestant, Finish, compete
from benchmarks.machine import describe_machine
from benchmarks.report import Table, grid

logger = logging.getLogger("benchmarks")

_HERE = "benchmarks.against"
_OURS = ("pyama-core",)
_SKIMAGE = ("scikit-image", "scipy")

PAGE = "SPEED.md"
_INTRODUCTION = (
    "Written by `python -m benchmarks --against`, and nothing is claimed beyond it. Each program "
    "does the same work on the same made frames in a process of its own, all tied to one core, "
    "called in turn. Times are those of the processor: the median with (smallest – largest). "
    "Loading and compiling do not count; *times the first* is the ratio to the first row.\n\n"
    "Speed is not quality: what is found, and how well, stands in [ACCURACY.md](ACCURACY.md). Made "
    "frames with cells that are easy to find are used so that anybody can repeat this."
)


@dataclass(frozen=True)
class Discipline:
    """Some work, and who does it; the first is what the others are held against."""

    title: str
    size: Mapping[str, int]
    contestants: Sequence[Contestant]
    notes: str


def disciplines(side: int, cells: int, frames: int) -> list[Discipline]:
    """Return all of them for frames of a size."""
    frame = f"one frame of {side} × {side} with {cells} cells"
    one = {"side": side, "cells": cells}
    many = {"side": side, "cells": 4 * cells, "frames": frames}
    return [
        Discipline(
            f"Segmentation: {frame}",
            one,
            [
                Contestant("pyama-core, `instances`", f"{_HERE}.segmenting:instances", _OURS),
                Contestant("pyama-core, `log-std`", f"{_HERE}.segmenting:log_std", _OURS),
                Contestant(
                    "log-STD with SciPy", f"{_HERE}.segmenting:log_std_by_scipy", ("scipy",)
                ),
                Contestant(
                    "edges, Otsu, watershed with scikit-image",
                    f"{_HERE}.segmenting:scikit_image",
                    _SKIMAGE,
                ),
                Contestant("StarDist", f"{_HERE}.segmenting:stardist", ("stardist", "keras")),
                Contestant("Cellpose", f"{_HERE}.segmenting:cellpose", ("cellpose", "torch"), 1),
            ],
            "StarDist and Cellpose run untrained networks, which take as long as trained ones; "
            "what makes cells of their output comes on top, and a graphics card would make them "
            "much faster. They find cells that no filter finds: pyama-core runs them, too.",
        ),
        Discipline(
            f"Background: {frame}",
            one,
            [
                Contestant(
                    "pyama-core, `tiled-interpolation`",
                    f"{_HERE}.measuring:tiled_interpolation",
                    _OURS,
                ),
                Contestant(
                    "the same with NumPy and SciPy", f"{_HERE}.measuring:tiles_by_scipy", ("scipy",)
                ),
                Contestant(
                    "Gaussian of what is outside of cells, SciPy",
                    f"{_HERE}.measuring:masked_gaussian",
                    ("scipy",),
                ),
                Contestant(
                    "rolling ball, scikit-image", f"{_HERE}.measuring:rolling_ball", _SKIMAGE, 2
                ),
            ],
            "Cells are 400 above the background in these frames, and nothing is around them but "
            "noise (±10).",
        ),
        Discipline(
            f"Extraction: area, centroid, box and sum of each cell, {frame}",
            one,
            [
                Contestant("pyama-core", f"{_HERE}.measuring:measure_cells", _OURS),
                Contestant(
                    "regionprops_table, scikit-image", f"{_HERE}.measuring:regionprops", _SKIMAGE
                ),
                Contestant("scipy.ndimage", f"{_HERE}.measuring:scipy_labels", ("scipy",)),
            ],
            "",
        ),
        Discipline(
            f"Tracking: {frames} frames of {side} × {side} with {4 * cells} cells, of which each "
            "misses a frame of twenty",
            many,
            [
                Contestant("pyama-core, `lineage`", f"{_HERE}.following:lineage", _OURS, 3),
                Contestant("pyama-core, `iou`", f"{_HERE}.following:iou", _OURS, 3),
                Contestant("trackpy", f"{_HERE}.following:trackpy", ("trackpy",), 3),
                Contestant("laptrack", f"{_HERE}.following:laptrack", ("laptrack",), 3),
                Contestant("btrack", f"{_HERE}.following:btrack", ("btrack",), 3),
            ],
            "pyama-core gets label images, measures the objects in them and paints those that it "
            "returns; the others get centroids, and only link. `iou` knows no gaps: a cell that is "
            "missed once is two tracks to it. btrack runs without the optimisation of tracks that "
            "can follow.",
        ),
    ]  # fmt: skip


def table_of(discipline: Discipline, finishes: Sequence[Finish]) -> Table:
    """Return what came out."""
    first = finishes[0].times
    rows = []
    for finish in finishes:
        if finish.times is None:
            rows.append((finish.contestant.name, finish.why_not, "", "", ""))
            continue
        ratio = finish.times.median / first.median if first is not None else float("nan")
        rows.append(
            (
                finish.contestant.name,
                str(finish.times),
                f"{ratio:.3g} ×",
                finish.outcome,
                finish.versions,
            )
        )
    columns = ("", "time", "times the first", "outcome", "versions")
    return Table(discipline.title, columns, rows, discipline.notes)


def as_page(header: Mapping[str, str], tables: Sequence[Table]) -> str:
    """Return the page."""
    blocks = [
        "# Speed, beside others",
        _INTRODUCTION,
        "\n".join(f"- {key}: {value}" for key, value in header.items()),
    ]
    for table in tables:
        notes = [table.notes] if table.notes else []
        blocks += [f"## {table.title}", grid(table.columns, table.rows), *notes]
    return "\n\n".join(blocks) + "\n"


def run(
    folder: Path,
    *,
    quick: bool,
    pythons: Mapping[str, str] | None = None,
    side: int = 1024,
    cells: int = 90,
    frames: int = 60,
) -> Path:
    """Let all compete, and write the page into a folder."""
    header = describe_machine(quick=quick)
    tables = []
    for discipline in disciplines(side, cells, frames):
        logger.info("%s", discipline.title)
        finishes = compete(
            discipline.contestants, discipline.size, rounds=1 if quick else 5, pythons=pythons
        )
        tables.append(table_of(discipline, finishes))
        for row in tables[-1].rows:
            logger.info("  %s", " | ".join(row))
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    page.write_bytes(as_page(header, tables).encode())
    return page
