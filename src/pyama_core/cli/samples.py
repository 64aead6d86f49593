"""`pyama samples`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pyama_core.cli.streams import echo
from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.storage.naming import find_records
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.samples.sample_table import read_sample_table
from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.processing.workflow.samples.stored import change_samples, load_samples
from pyama_core.processing.workflow.samples.words import assignment_from_text

_SHOWN_NAMES = 6


def show_or_change(
    folder: Path, table: Path | None, settings: Sequence[str], *, as_json: bool
) -> int:
    """Replace the samples by those of a table, change some of them, and show what there is then."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    if not find_records(folder):
        raise InputError(f"{folder} holds no results: no record of any FOV")
    if table is None and not settings:
        samples = load_samples(folder)
    else:
        samples = change_samples(
            folder, lambda there: _changed(there, table, settings), anew=table is not None
        )
        write_results(folder)
    if as_json:
        echo(json.dumps(_as_plain_data(samples), indent=1))
    else:
        _show(folder, samples)
    return 0


def _changed(there: Samples, table: Path | None, settings: Sequence[str]) -> Samples:
    names = there.names
    if table is not None:
        there = there.changed(read_sample_table(table, names))
    return there.changed(assignment_from_text(text, names, "--set") for text in settings)


def _as_plain_data(samples: Samples) -> dict[str, object]:
    return {
        "taken_from": samples.origin,
        "samples": {sample: samples.fovs_of(sample) for sample in samples.all()},
        "fovs": [
            {"fov": fov, "name": name, "sample": samples.of(fov)}
            | {column: values.get(fov) for column, values in samples.further.items()}
            for fov, name in enumerate(samples.names)
        ],
    }


def _show(folder: Path, samples: Samples) -> None:
    """Show a row for the FOVs of a sample of which the same is known."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table("sample", "FOVs", "names", *map(escape, samples.further))
    for sample in samples.all():
        alike: dict[tuple[str, ...], list[int]] = {}
        for fov in samples.fovs_of(sample):
            known = tuple(values.get(fov, "") for values in samples.further.values())
            alike.setdefault(known, []).append(fov)
        for known, fovs in alike.items():
            names = [samples.names[fov] for fov in fovs]
            more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            shown = ", ".join(names[:_SHOWN_NAMES]) + more
            table.add_row(*map(Text, (sample, format_ranges(fovs), shown, *known)))
    echo(f"{folder}: samples, taken from {samples.origin}")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
