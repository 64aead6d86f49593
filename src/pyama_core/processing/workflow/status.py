"""What the records of an output folder say: done, failed, missing, per FOV and step."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError
from pyama_core.io.storage.artifacts import find_kept_aside
from pyama_core.io.storage.fov_folder import open_recorded_folder
from pyama_core.io.storage.locks import find_holder
from pyama_core.io.storage.naming import find_records, fov_of_record, records_by_fov
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.asked_fovs import load_asked
from pyama_core.processing.workflow.doubts import (
    count_compartments,
    count_objects,
    find_doubts,
    find_unlike_counts,
)
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.standing import counts_in
from pyama_core.processing.workflow.files_on_record import changed_files
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.misplaced import find_misplaced
from pyama_core.processing.workflow.results_file import find_unlike_diameters


def describe_folder(output_dir: Path) -> dict[str, Any]:
    """Tell what an output folder holds, as plain data.

    Files are looked at by existence and size only; `verify_folder` reads them.

    Raises
    ------
    InputError
        The folder does not exist or holds no results.
    StorageError
        The log of corrections cannot be read.
    """
    records = _records(output_dir)
    edits = counts_in(output_dir, EditLog(output_dir).read())
    fovs, readable = {}, []
    for path in records:
        record = load_record(path)
        if record is None:
            fovs[path.parent.name] = {"status": "damaged record", "record": str(path)}
        else:
            changed, unknown = changed_files(record, whole=False)
            state = FovState(record, changed)
            files = {"changed_files": changed, "unknown_files": unknown}
            counts = asdict(edits[record.fov]) if record.fov in edits else None
            fovs[str(record.fov)] = _describe_fov(path, state) | files | {"edits": counts}
            readable.append(state)
    unlike = find_unlike_diameters(readable)
    return {
        "output_dir": str(output_dir),
        "not_begun": sorted(load_asked(output_dir) - records_by_fov(output_dir).keys()),
        "fovs": fovs,
        "misplaced": {each.place: str(each) for each in find_misplaced(output_dir)},
        "unlike_diameters": asdict(unlike) if unlike else None,
        "unlike_counts": find_unlike_counts(readable),
    }


def find_changed_files(output_dir: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Compare the whole content of the files beside the source with what results were made of.

    Returns
    -------
    changed, unknown : dict
        Path relative to the folder of each output that was made of other content, and why; and of
        each of which that cannot be told.

    Raises
    ------
    InputError
        The folder does not exist or holds no results.
    """
    changed: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for path in _records(output_dir):
        record = load_record(path)
        if record is not None:
            found = changed_files(record, whole=True)
            changed |= {f"{path.parent.name}/{name}": why for name, why in found[0].items()}
            unknown |= {f"{path.parent.name}/{name}": why for name, why in found[1].items()}
    return changed, unknown


def verify_folder(output_dir: Path) -> dict[str, str]:
    """Compare every output with its recorded checksum.

    Returns
    -------
    dict
        Path relative to the folder, and fault, of each output that differs; and of each folder
        that was renamed by hand, until its FOV has other results.

    Raises
    ------
    InputError
        The folder does not exist or holds no results.
    """
    faults = {}
    for path in _records(output_dir):
        record = load_record(path)
        if record is None:
            faults[f"{path.parent.name}/{path.name}"] = "the record is damaged"
        elif record.fov != fov_of_record(path.name):
            faults[f"{path.parent.name}/{path.name}"] = f"the record is that of FOV {record.fov}"
        else:
            for name, fault in open_recorded_folder(path).find_damage().items():
                faults[f"{path.parent.name}/{name}"] = fault
    faults |= {each.place: str(each) for each in find_misplaced(output_dir) if each.is_needed}
    return faults


def _records(output_dir: Path) -> list[Path]:
    if not output_dir.is_dir():
        raise InputError(f"there is no folder {output_dir}")
    records = find_records(output_dir)
    if not records and not find_misplaced(output_dir) and not load_asked(output_dir):
        raise InputError(f"{output_dir} holds no results: no record of any FOV")
    return records


def _describe_fov(path: Path, state: FovState) -> dict[str, Any]:
    record = state.record
    settings = record.settings
    return {
        "name": record.names.fov,
        "channel_names": list(record.names.channels),
        "status": state.standing_in(path.parent),
        "steps": state.steps_in(path.parent),
        "failure": record.failure.model_dump() if record.failure else None,
        "missing_frames": state.missing_frames(),
        "uncorrected": state.uncorrected(),
        "no_cells": state.lacks_cells(),
        "kept_aside": find_kept_aside(path.parent, record.base_name),
        "estimated_diameter": state.estimated_diameter(),
        "objects": count_objects(state),
        "doubts": [asdict(doubt) for doubt in find_doubts(state)],
        "compartments": count_compartments(state),
        "in_use_by": find_holder(path.parent),
        "channels": settings.channels if settings else None,
        "picture": record.picture.model_dump() if record.picture else None,
        "params": settings.params if settings else None,
        "outputs": {
            name: {
                "kind": entry.kind,
                "channel": entry.channel,
                "path": str(path.parent / name),
                "size": entry.size,
                "parameters": entry.provenance.parameters,
                "summary": entry.summary,
                "released": entry.released,
                "not_made": entry.not_made,
            }
            for name, entry in sorted(record.outputs.items())
        },
    }
