"""What results hold, in a few lines: for notebooks and terminals."""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyama_core.errors import DamagedFileError, InputError, StorageError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.outputs import TRACES_CSV, TRACKS_CSV, step_names
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.standing import counts_in
from pyama_core.processing.workflow.fov_state import DONE
from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.processing.workflow.source_description import SourceDescription
from pyama_core.results.channels import ChannelNames
from pyama_core.results.fov_results import FovResults
from pyama_core.results.records_of_fovs import readable_states

Line = tuple[str, str]

_SHOWN_SAMPLES = 8


def source_line(source: SourceDescription | None) -> list[Line]:
    """Return what is known of the microscopy file."""
    if source is None:
        return []
    n_frames = max((shape[0] for shape in source.fov_shapes), default=0)
    size = "" if source.pixel_size_um is None else f", {source.pixel_size_um:.4g} µm per pixel"
    told = f"{Path(source.path).name}: {len(source.fov_names)} FOVs, {n_frames} frames{size}"
    return [("source", told)]


def samples_line(read: Samples | InputError) -> Line:
    """Return the samples and their FOVs."""
    if isinstance(read, InputError):
        return "samples", f"cannot be read: {read}"
    each = [f"{sample} ({fovs})" for sample, fovs in read.as_ranges().items()]
    more = f" and {len(each) - _SHOWN_SAMPLES} more" if len(each) > _SHOWN_SAMPLES else ""
    return "samples", ", ".join(each[:_SHOWN_SAMPLES]) + more


def fov_line(fovs: Iterable[FovResults]) -> Line:
    """Return which FOVs are done, and which not; files are looked at by their size only."""
    found: dict[str, list[int]] = defaultdict(list)
    for fov in fovs:
        found[_status(fov)].append(fov.number)
    return "FOVs", "; ".join(f"{word}: {format_ranges(numbers)}" for word, numbers in found.items())


def edits_line(folder: Path, log: EditLog) -> list[Line]:
    """Return how many corrections there are; nothing if there are none."""
    try:
        counts = counts_in(folder, log.read())
    except StorageError as error:
        return [("corrections", str(error))]
    if not counts:
        return []
    told = f"{sum(each.edits for each in counts.values())} in FOVs {format_ranges(counts)}"
    n_stale = sum(each.stale for each in counts.values())
    return [("corrections", told + (f", {n_stale} of them stale" if n_stale else ""))]


def _status(fov: FovResults) -> str:
    try:
        state = fov.state
    except DamagedFileError:
        return "with a damaged record"
    if state.record.failure is not None:
        return "failed"
    steps = {state.state_of(fov.folder, step) for step in step_names()} - {"not asked for"}
    if not steps <= set(DONE):
        return "not finished"
    return "done, with released stacks" if "released" in steps else "done"


def cell_line(fovs: Iterable[FovResults], names: ChannelNames) -> Line:
    """Return how many cells the runs found, and how many of them are good in each channel."""
    n_cells, good = 0, Counter[int]()
    for _, state in readable_states(fovs):
        tables = [
            entry
            for name, entry in state.record.outputs.items()
            if entry.kind in (TRACKS_CSV.name, TRACES_CSV.name) and name not in state.outdated
        ]
        n_cells += max((entry.summary.get("cells", 0) for entry in tables), default=0)
        for entry in tables:
            if "good" in entry.summary:
                good[entry.channel] += entry.summary["good"]
    told = ", ".join(f"{n} good in {names.of(channel)}" for channel, n in sorted(good.items()))
    return "cells", f"{n_cells}{': ' * bool(told)}{told}"


def as_text(title: str, lines: Sequence[Line]) -> str:
    """Return lines for a terminal."""
    width = max(len(name) for name, _ in lines)
    return "\n".join([title, *(f"  {name:<{width}}  {told}" for name, told in lines)])


def as_html(title: str, lines: Sequence[Line]) -> str:
    """Return lines for a notebook."""
    rows = "".join(
        f'<tr><th style="text-align: left">{html.escape(name)}</th>'
        f'<td style="text-align: left">{html.escape(told)}</td></tr>'
        for name, told in lines
    )
    return f"<strong>{html.escape(title)}</strong><table>{rows}</table>"
