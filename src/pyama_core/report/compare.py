"""Samples of several runs side by side: the same curves on the same axes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError
from pyama_core.processing.workflow.run_notes import now
from pyama_core.report.charts import (
    FloatArray,
    Line,
    colour_of,
    drawn_stroke,
    legend,
    line_chart,
    line_of,
    short,
    stroke_of,
)
from pyama_core.report.first import channel_of, in_words, sample_title, verdict
from pyama_core.report.gather import Gathered, Progress, gather
from pyama_core.report.markup import Markup, el, table
from pyama_core.report.page import page
from pyama_core.report.place import put_report, require_place
from pyama_core.report.ran import changed_parameters, settings_of
from pyama_core.results.results import open_results

MOST_RUNS = 20


@dataclass(frozen=True)
class Run:
    """A run among others.

    Attributes
    ----------
    name : str
        By which it is told from the others.
    found : Gathered
        What was read of it.
    """

    name: str
    found: Gathered


def write_comparison(
    folders: Sequence[Path], path: Path, on_progress: Progress = lambda _done, _all: None
) -> tuple[Path, str]:
    """Write a file that sets the samples of several runs side by side.

    Parameters
    ----------
    folders : sequence of Path
        The output folders.
    path : Path
        File to write.
    on_progress : callable
        Is told after each position how many are read of all runs, and how many there are.

    Returns
    -------
    Path, str
        What was written, and its first line.

    Raises
    ------
    InputError
        A folder does not exist or holds no results; there are fewer than two, or the same twice; or
        the name is that of another file.
    StorageError
        The file cannot be written.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise InputError(f"expected 2 to {MOST_RUNS} folders to compare, found {len(folders)}")
    places = [folder.resolve() for folder in folders]
    twice = [folder for i, folder in enumerate(folders) if places[i] in places[:i]]
    if twice:
        raise InputError(f"{twice[0]} was given twice")
    require_place(path)
    opened = [open_results(folder) for folder in folders]
    n_all = sum(len(results.fov_numbers) for results in opened)
    runs, n_before = [], 0
    for name, results in zip(names_of(places), opened, strict=True):
        found = gather(results, _further(on_progress, n_before, n_all))
        runs.append(Run(name, found))
        n_before += len(results.fov_numbers)
    put_report(path, comparison_of(runs))
    return path, first_line(runs)


def _further(on_progress: Progress, n_before: int, n_all: int) -> Progress:
    return lambda done, _: on_progress(n_before + done, n_all)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Name folders by the last parts of their paths that tell them apart.

    Examples
    --------
    >>> names_of([Path("/a/monday/results"), Path("/a/friday/results")])
    ['monday/results', 'friday/results']
    """
    longest = max(len(folder.parts) for folder in folders)
    for n_parts in range(1, longest + 1):
        names = ["/".join(folder.parts[-n_parts:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def first_line(runs: Sequence[Run]) -> str:
    """Say in a line whether the positions of all runs are fine."""
    positions = [position for run in runs for position in run.found.positions]
    n_look = sum(position.needs_look for position in positions)
    n_open = sum(position.is_unfinished for position in positions)
    n_all = len(positions)
    told = f"{n_look} need{'s' if n_look == 1 else ''} a look" if n_look else "none needs a look"
    if n_open:
        told += f"; {n_open} {'is' if n_open == 1 else 'are'} not finished"
    return f"{len(runs)} runs: {n_all - n_look - n_open} of {n_all} positions are fine; {told}"


def comparison_of(runs: Sequence[Run]) -> str:
    """Return the text of the file."""
    sections = [_first(runs), _samples(runs), _curves(runs), _differences(runs)]
    return page(f"{len(runs)} runs compared", sections, now())


def _first(runs: Sequence[Run]) -> Markup:
    n_look = sum(p.needs_look for run in runs for p in run.found.positions)
    rows = [(run.name, verdict(run.found), str(run.found.results.folder)) for run in runs]
    return el(
        "section",
        el("p", first_line(runs), class_="bad verdict" if n_look else "good verdict"),
        table(["run", "positions", "folder"], rows),
        id="first",
    )


def _columns(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(column for run in runs for column in run.found.courses_of))


def _sample_names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(row.name for run in runs for row in run.found.samples))


def _samples(runs: Sequence[Run]) -> Markup:
    """Return a row for each sample of each run, those of one name below each other."""
    columns, names = _columns(runs), _sample_names(runs)
    head = ["sample", "run", "positions", "cells", "good", "share"]
    head += [f"{channel_of(column)} at the end" for column in columns]
    rows = []
    for name in names:
        for run in runs:
            for row in run.found.samples:
                if row.name != name:
                    continue
                share = f"{100 * row.n_good / row.n_cells:.0f} %" if row.n_cells else "–"
                title = sample_title(name, len(names))
                told: list[Any] = [title, run.name, row.n_fovs, row.n_cells, row.n_good, share]
                for column in columns:
                    course = row.courses.get(column)
                    told.append("–" if course is None else short(_last(course.median)))
                rows.append(told)
    return el(
        "section", el("h2", "Samples"), table(head, rows, numbers=range(2, len(head))), id="samples"
    )


def _last(values: FloatArray) -> float:
    return float(values[-1]) if values.size else float("nan")


def _curves(runs: Sequence[Run]) -> Markup:
    names = _sample_names(runs)
    labels = {run.found.x[1] for run in runs}
    x_label = labels.pop() if len(labels) == 1 else "frame"
    charts = []
    for column in _columns(runs):
        lines = []
        for i, run in enumerate(runs):
            x, own = run.found.x
            x = x if own == x_label else x * 0 + range(x.size)
            for row in run.found.samples:
                course = row.courses.get(column)
                if course is not None:
                    colour = _line_of(i, names.index(row.name), len(names))
                    lines.append(Line(x, course.median, course.low, course.high, colour))
        drawn = line_chart(lines, x_label, in_words(column), width=520, height=240)
        charts.append(el("figure", el("figcaption", in_words(column)), drawn))
    lines_of = [
        el("span", drawn_stroke(_line_of(i, None, len(names))), f" {run.name}")
        for i, run in enumerate(runs)
    ]
    return el(
        "section",
        el("h2", "Median curves"),
        legend(names, range(len(names))) if len(names) > 1 else None,
        el("p", lines_of, class_="legend"),
        el("div", charts, class_="charts"),
        el("p", "Over the good cells in each frame, with the quartiles as a band.", class_="quiet"),
        id="curves",
    )


def _line_of(run: int, sample: int | None, n_samples: int) -> str:
    """Return the classes of a line: samples have colours and runs strokes, if there are samples.

    Of a run as a whole, with no sample, it is ink where colours are those of samples.
    """
    if n_samples <= 1:
        return line_of(run)
    return f"{'ink' if sample is None else colour_of(sample)} {stroke_of(run)}".strip()


def _differences(runs: Sequence[Run]) -> Markup:
    """Return the parameters in which the runs differ."""
    told: list[dict[str, str]] = []
    for run in runs:
        state = settings_of(run.found.results)
        changed = {} if state is None else changed_parameters(state)
        flat = {
            f"{step}.{name}": value if isinstance(value, str) else json.dumps(value)
            for step, values in changed.items()
            for name, value in values.items()
        }
        if state is not None and state.record.settings is not None:
            flat["pyama-core"] = state.record.settings.version
        told.append(flat)
    keys = list(dict.fromkeys(key for flat in told for key in flat))
    rows = [
        [key, *(flat.get(key, "default") for flat in told)]
        for key in keys
        if len({flat.get(key) for flat in told}) > 1
    ]
    body = (
        table(["parameter", *(run.name for run in runs)], rows)
        if rows
        else el("p", "The runs were made with the same parameters and the same version.")
    )
    return el("section", el("h2", "What differs in how they were made"), body, id="ran")
