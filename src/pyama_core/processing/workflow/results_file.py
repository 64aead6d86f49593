"""`processing_results.yaml`: what was made, where, with which parameters, and what failed.

The file is a view. It is rebuilt whole from the records of all fields of view, so that two runs
that share a folder, or a run that was killed, can leave it old but never wrong for long, and it
can be deleted at will. Nothing in this package believes it.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pyama_core.errors import InputError, PyamaError, StorageError
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.naming import RESULTS_NAME, find_records, records_by_fov
from pyama_core.io.storage.records import FovRecord, load_record
from pyama_core.io.yaml_files import dump_yaml
from pyama_core.outputs import all_kinds
from pyama_core.processing.workflow.doubts import (
    count_compartments,
    find_doubts,
    find_unlike_counts,
)
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.standing import counts_in
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.samples.stored import load_samples
from pyama_core.processing.workflow.shared_files import lock_shared_files

logger = logging.getLogger(__name__)

_ALIKE = 1.3  # a factor between the diameters of cells in FOVs of one experiment
_ENOUGH_FOVS = 3
_EDITS_MARK = "\nedits:"
"""Where the counts of corrections begin: nothing within another value stands at the margin."""


@dataclass(frozen=True)
class UnlikeDiameters:
    """FOVs whose cells were taken for much smaller or larger than those of the others.

    Attributes
    ----------
    typical
        Median of the diameters estimated for all FOVs, in pixels.
    of_fov
        Diameters that differ from it by more than a factor of 1.3, by field of view.
    """

    typical: float
    of_fov: dict[int, int]


def find_unlike_diameters(states: Iterable[FovState]) -> UnlikeDiameters | None:
    """Find FOVs where the estimate of the diameter of cells may have gone wrong.

    All FOVs of an experiment are seen through one objective; None if all are alike, or if
    there are fewer than three with cells to compare.
    """
    found = {
        state.record.fov: diameter
        for state in states
        if (diameter := state.estimated_diameter()) is not None and not state.lacks_cells()
    }
    if len(found) < _ENOUGH_FOVS:
        return None
    typical = statistics.median(found.values())
    unlike = {fov: d for fov, d in found.items() if not typical / _ALIKE <= d <= typical * _ALIKE}
    return UnlikeDiameters(typical, unlike) if unlike else None


def write_results(output_dir: Path) -> list[FovRecord]:
    """Rebuild the results file of an output folder from its records, and return these.

    Raises
    ------
    StorageError
        The folder cannot be written.
    FolderBusyError
        Another run has been writing the file for ten seconds.
    """
    edits = _edits_in(output_dir)
    with lock_shared_files(output_dir):
        records = [(path, load_record(path)) for path in find_records(output_dir)]
        readable = [(path, record) for path, record in records if record is not None]
        content = summarise(readable) | {"samples": _samples_in(output_dir), "edits": edits}
        write_whole(output_dir / RESULTS_NAME, dump_yaml(content))
    return [record for _, record in readable]


def refresh_edits(output_dir: Path, fovs: Iterable[int]) -> None:
    """Count the corrections of some fields of view anew in the results file of an output folder.

    The rest of the file stays as it is: to make all of it anew takes a second where there are
    hundreds of fields of view, and a person corrects cell after cell. Corrections are saved
    without it, so that what goes wrong here is only told.

    Parameters
    ----------
    output_dir : Path
        Folder of outputs.
    fovs : iterable of int
        Fields of view whose corrections changed.
    """
    changed = frozenset(fovs)
    if not changed or not records_by_fov(output_dir):
        return
    try:
        with lock_shared_files(output_dir):
            is_done = _refresh_edits(output_dir, changed)
        if not is_done:
            write_results(output_dir)
    except PyamaError as error:
        logger.warning("the results file does not know of the corrections yet: %s", error)


def _refresh_edits(output_dir: Path, fovs: frozenset[int]) -> bool:
    """Replace the counts, which stand last in the file; say whether it is a file of that form."""
    path = output_dir / RESULTS_NAME
    try:
        before, mark, counts = read_regular(path).decode().partition(_EDITS_MARK)
        known = yaml.safe_load(mark + counts)["edits"] if mark else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError, TypeError, KeyError):
        return False
    if not isinstance(known, dict) or not all(isinstance(fov, int) for fov in known):
        return False
    counted = counts_in(output_dir, EditLog(output_dir).read(), fovs)
    kept = {fov: found for fov, found in known.items() if fov not in fovs}
    edits = kept | {fov: asdict(found) for fov, found in counted.items()}
    write_whole(path, before + "\n" + dump_yaml({"edits": dict(sorted(edits.items()))}))
    return True


def _samples_in(output_dir: Path) -> dict[str, str] | None:
    """Return the fields of view of each sample; None where their table cannot be understood."""
    try:
        return load_samples(output_dir).as_ranges()
    except InputError as error:
        logger.debug("%s", error)  # who reads results is told
        return None


def _edits_in(output_dir: Path) -> dict[int, dict[str, int]] | None:
    """Count corrections by field of view; None where their log cannot be read."""
    try:
        counts = counts_in(output_dir, EditLog(output_dir).read())
    except StorageError as error:
        logger.warning("corrections are not counted: %s", error)
        return None
    return {fov: asdict(found) for fov, found in counts.items()}


def summarise(records: list[tuple[Path, FovRecord]]) -> dict[str, Any]:
    """Return the content of the results file for a list of records in order of FOV."""
    settings = next((r.settings for _, r in records if r.settings is not None), None)
    common = settings.model_dump(mode="json") if settings is not None else {}
    first = records[0][1] if records else None
    states = [(path, FovState(record)) for path, record in records]
    unlike = find_unlike_diameters(state for _, state in states)
    return {
        "format": "pyama-core results",
        "version": 1,
        "base_name": first.base_name if first else None,
        "source": first.source.model_dump(mode="json") if first else None,
        "channels": common.get("channels"),
        "channel_names": _channel_names(record for _, record in records),
        "fov_names": {record.fov: record.names.fov for _, record in records if record.names.fov},
        "params": common.get("params"),
        "picture": next((r.picture.model_dump() for _, r in records if r.picture), None),
        "time_units": common.get("time_units"),
        "pyama_core": common.get("version"),
        "results_paths": {state.record.fov: _paths_of(path, state) for path, state in states},
        "failed": {
            record.fov: record.failure.model_dump()
            for _, record in records
            if record.failure is not None
        },
        "missing_frames": {
            state.record.fov: missing for _, state in states if (missing := state.missing_frames())
        },
        "uncorrected": {
            state.record.fov: uncorrected
            for _, state in states
            if (uncorrected := state.uncorrected())
        },
        "no_cells": [state.record.fov for _, state in states if state.lacks_cells()],
        "unlike_diameters": unlike.of_fov if unlike else {},
        "unlike_counts": find_unlike_counts(state for _, state in states),
        "doubts": {
            state.record.fov: [str(doubt) for doubt in doubts]
            for _, state in states
            if (doubts := find_doubts(state))
        },
        "compartments": {
            state.record.fov: told for _, state in states if (told := count_compartments(state))
        },
        "released": {
            state.record.fov: released
            for path, state in states
            if (released := _released(path, state))
        },
        "outdated": {
            state.record.fov: sorted(f"{path.parent.name}/{name}" for name in state.outdated)
            for path, state in states
            if state.outdated
        },
        "other_settings": {
            record.fov: record.settings.model_dump(mode="json")
            for _, record in records
            if record.settings is not None and record.settings != settings
        },
    }


def _channel_names(records: Iterable[FovRecord]) -> dict[int, str]:
    """Return what the source calls its channels, by their number."""
    names = next((record.names.channels for record in records if record.names.channels), ())
    return dict(enumerate(names))


def _released(record_path: Path, state: FovState) -> list[str]:
    """Relative paths of the outputs that were deleted to save space, and can be made again."""
    return sorted(
        f"{record_path.parent.name}/{name}"
        for name, entry in state.record.outputs.items()
        if entry.released and name not in state.outdated
    )


def _paths_of(record_path: Path, state: FovState) -> dict[str, Any]:
    """Channel and relative path of each output, by the fields of `ResultsPathsPerFOV`."""
    paths: dict[str, Any] = {kind.name: [] if kind.per_channel else None for kind in all_kinds()}
    several = {kind.name for kind in all_kinds() if kind.per_channel}
    outputs = state.record.outputs
    for name, entry in sorted(outputs.items(), key=lambda item: item[1].channel):
        if entry.released or entry.not_made or name in state.outdated or entry.kind not in paths:
            continue
        pair = [entry.channel, f"{record_path.parent.name}/{name}"]
        if entry.kind in several:
            paths[entry.kind].append(pair)
        elif paths[entry.kind] is None or paths[entry.kind][0] != state.channels.cells:
            paths[entry.kind] = pair
    return paths
