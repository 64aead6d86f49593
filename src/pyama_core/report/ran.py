"""What ran: from what, how, where and when, and by which checksums it is known."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyama_core.io.storage.records import not_default
from pyama_core.outputs import TRACES_CSV, TRACKS_CSV, step_names
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.run_notes import RunNote
from pyama_core.processing.workflow.services.analysis import recorded_analysis
from pyama_core.processing.workflow.services.parameters import defaults_of
from pyama_core.processing.workflow.source_description import SourceDescription
from pyama_core.report.first import in_words
from pyama_core.report.gather import Gathered
from pyama_core.report.markup import Markup, el, pairs, table
from pyama_core.report.methods import methods_of, methods_section
from pyama_core.report.shown_cells import measured_columns
from pyama_core.results.fov_measures import hours_and_minutes
from pyama_core.results.records_of_fovs import readable_states
from pyama_core.results.results import Results
from pyama_core.version import __version__

_SHOWN_RUNS = 6
_INTERVAL = "interval_minutes"


def settings_of(results: Results) -> FovState | None:
    """Return the first record that says what was asked for."""
    states = (state for _, state in readable_states(results.chosen()))
    return next((state for state in states if state.record.settings is not None), None)


def changed_parameters(state: FovState) -> dict[str, dict[str, Any]]:
    """Return the parameters that differ from their defaults, by step; methods always are told."""
    settings = state.record.settings
    analysis = None if settings is None else recorded_analysis(settings)
    if analysis is None:
        # Of a method that is not installed here: what the outputs were made with.
        made: dict[str, dict[str, Any]] = {}
        for entry in state.record.outputs.values():
            made.setdefault(entry.provenance.step, {}).update(entry.provenance.parameters)
        return {step: made[step] for step in step_names() if made.get(step)}
    found = {}
    for step in step_names():
        section = analysis.parameters.of_step(step)
        if section is not None:
            changed = not_default(section.model_dump(mode="json"), defaults_of(section))
            if changed and (step != "nuclei" or analysis.channels.nuclei is not None):
                found[step] = changed
    return found


def ran_section(found: Gathered, notes: list[RunNote]) -> Markup:
    """Return what ran, in short; versions, checksums and the text for a paper fold out."""
    results, state = found.results, settings_of(found.results)
    rows: list[tuple[str, Any]] = [("source", _source(results, state))]
    rows += [("channels", _channels(results, state)), ("cells", _measured(found))]
    if state is not None:
        rows.append(("parameters", _parameters(changed_parameters(state))))
        if (picture := state.record.picture) is not None:
            told = f"{picture.kind}: {picture.reason}; segmented by {picture.method}"
            rows.append(("picture", told))
    rows += _last_run(notes)
    rows.append(("results", str(results.folder)))
    return el(
        "section",
        el("h2", "What ran"),
        pairs(rows),
        _runs(notes),
        methods_section(found, state, methods_of(results)),
        _checksums(results, state),
        id="ran",
    )


def _source(results: Results, state: FovState | None) -> str:
    source = results.source
    if source is None:
        return "not known: source.json is missing"
    n_frames = max((shape[0] for shape in source.fov_shapes), default=0)
    sizes = {shape[1:] for shape in source.fov_shapes}
    size = " and ".join(f"{width} × {height} px" for height, width in sorted(sizes)[:3])
    pixel = "" if source.pixel_size_um is None else f", {source.pixel_size_um:.4g} µm per pixel"
    n = len(source.fov_names)
    told = f"{source.path} ({source.file_type}): {n} position{'s' * (n != 1)}, {n_frames} frames"
    return f"{told} of {size}{pixel}; times: {_times(source, state)}"


def _times(source: SourceDescription, state: FovState | None) -> str:
    """Tell where the times of frames come from: the interval that was given counts."""
    settings = None if state is None else state.record.settings
    given = None if settings is None else settings.params.get("extraction", {}).get(_INTERVAL)
    if given is None:
        return source.timepoints_source
    return f"every {given:g} min, as was given" if isinstance(given, (int, float)) else str(given)


def _channels(results: Results, state: FovState | None) -> str:
    if state is None:
        return ", ".join(results.channels)
    fov = results.chosen()[0]
    asked, name = state.channels, fov.name_of_channel
    parts = [] if asked.pc is None else [f"phase contrast: {name(asked.pc)}"]
    if asked.segment is not None:
        parts.append(f"cells are found in {name(asked.segment)}")
    if asked.fl:
        parts.append(f"measured: {', '.join(map(name, asked.fl))}")
    if asked.nuclei is not None:
        parts.append(f"nuclei: {name(asked.nuclei)}")
    return "; ".join(parts)


def _measured(found: Gathered) -> str:
    told = measured_in_words(measured_columns(found.results.columns), found.channels)
    return f"measured in each frame: {told}" if told else "nothing was measured"


def measured_in_words(columns: Sequence[str], channels: Sequence[str]) -> str:
    """Tell what was measured: what is of a cell, and what is of it in a channel.

    Examples
    --------
    >>> measured_in_words(["area", "intensity_total_A", "intensity_total_B"], ["A", "B"])
    'area (px); in each of A, B: intensity total'
    """
    longest_first = sorted(channels, key=len, reverse=True)  # "2" is the end of "Channel 2", too
    of_cells: list[str] = []
    of_channels: dict[str, list[str]] = {channel: [] for channel in channels}
    for column in columns:
        channel = next((each for each in longest_first if column.endswith(f"_{each}")), None)
        if channel is None:
            of_cells.append(in_words(column))
        else:
            of_channels[channel].append(in_words(column.removesuffix(f"_{channel}")))
    alike: dict[tuple[str, ...], list[str]] = {}
    for channel, features in of_channels.items():
        alike.setdefault(tuple(features), []).append(channel)
    parts = [", ".join(of_cells)] if of_cells else []
    for measured, those in alike.items():
        if measured:
            where = f"in each of {', '.join(those)}" if len(those) > 1 else f"in {those[0]}"
            parts.append(f"{where}: {', '.join(measured)}")
    return "; ".join(parts)


def _parameters(changed: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Tell the methods, and what differs from the defaults."""
    told = []
    for step, values in changed.items():
        parts = [
            str(value) if name == "method" else f"{name} = {_value(value)}"
            for name, value in sorted(values.items(), key=lambda item: item[0] != "method")
        ]
        told.append(el("li", f"{step}: {', '.join(parts)}"))
    everything = " All others have their defaults."
    return el("div", el("ul", told), el("p", everything.strip(), class_="quiet"))


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _last_run(notes: list[RunNote]) -> list[tuple[str, Any]]:
    if not notes:
        return [("run", "when and where it ran was not noted")]
    last = notes[-1]
    machine = last.machine
    parts = [machine.host, machine.system, machine.processor]
    if machine.cores:
        parts.append(f"{machine.cores} cores")
    if machine.memory_gb:
        parts.append(f"{machine.memory_gb:g} GB of memory")
    versions = [f"pyama-core {last.pyama_core}", f"Python {last.python}"]
    versions += [f"{name} {version}" for name, version in last.packages.items()]
    return [
        ("command", el("code", last.command) if last.command else "started from Python"),
        ("time", _when(last)),
        ("machine", ", ".join(part for part in parts if part)),
        ("versions", ", ".join(versions)),
        ("kept", last.keep),
    ]


def _when(note: RunNote) -> str:
    seconds = (note.ended - note.started).total_seconds()
    took = f"{seconds:.0f} s" if seconds < 120 else hours_and_minutes(seconds / 60)
    return f"{note.started:%Y-%m-%d %H:%M} to {note.ended:%Y-%m-%d %H:%M %z} ({took})"


def _runs(notes: list[RunNote]) -> Markup | None:
    """List earlier runs, and parts of one."""
    if len(notes) < 2:
        return None
    rows = [
        (
            _when(note),
            note.machine.host,
            note.shard or "all",
            ", ".join(f"{n} {word}" for word, n in note.counts.items()),
            el("code", note.command) if note.command else "from Python",
        )
        for note in notes[-_SHOWN_RUNS:][::-1]
    ]
    more = len(notes) - len(rows)
    return el(
        "details",
        el("summary", f"All {len(notes)} runs into this folder"),
        table(["time", "machine", "part", "positions", "command"], rows),
        el("p", f"and {more} before these, see runs.jsonl", class_="quiet") if more else None,
    )


def _checksums(results: Results, state: FovState | None) -> Markup:
    """Return what the results are known by."""
    rows = [
        (name, entry.provenance.algorithm, el("code", entry.checksum))
        for _, each in readable_states(results.chosen())
        for name, entry in sorted(each.record.outputs.items())
        if entry.kind in (TRACES_CSV.name, TRACKS_CSV.name) and name not in each.outdated
    ]
    source = None
    if state is not None:
        known = state.record.source
        source = el("p", "source: ", el("code", known.content or known.sample))
    return el(
        "details",
        el("summary", f"Checksums of the source and of {len(rows)} tables"),
        source,
        table(["file", "made by", "checksum"], rows),
    )


def seconds_by_fov(notes: Iterable[RunNote]) -> dict[int, dict[str, float]]:
    """Return how long each step of each position took, the last time that it was done."""
    found: dict[int, dict[str, float]] = {}
    for note in notes:
        for fov, steps in note.seconds.items():
            # A step that had nothing to do takes no time worth a word.
            real = {step: seconds for step, seconds in steps.items() if seconds >= 0.05}
            found.setdefault(fov, {}).update(real or (steps if fov not in found else {}))
    return found


def made_by() -> str:
    """Tell by what and when a report was made."""
    return f"pyama-core {__version__}, Python {platform.python_version()}"
