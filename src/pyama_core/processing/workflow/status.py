"""What the records of an output folder say: done, failed, missing, per FOV and step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyama_core.io.errors import InputError
from pyama_core.io.fov_folder import open_recorded_folder
from pyama_core.io.locks import find_holder
from pyama_core.io.naming import KINDS_OF_STEP, PHASE_KINDS, find_records
from pyama_core.io.records import FovRecord, load_record
from pyama_core.io.results import find_unlike_diameters

_DONE = ("done", "released", "no background")
"""States of an output that need no further work, from the usual to the most remarkable."""


def describe_folder(output_dir: Path) -> dict[str, Any]:
    """Tell what an output folder holds, as plain data.

    Files are looked at by existence and size only; `verify_folder` reads them.

    Raises
    ------
    InputError
        The folder does not exist or holds no results.
    """
    records = _records(output_dir)
    fovs, readable = {}, []
    for path in records:
        record = load_record(path)
        if record is None:
            fovs[path.parent.name] = {"status": "damaged record", "record": str(path)}
        else:
            fovs[str(record.fov)] = _describe_fov(path, record)
            readable.append(record)
    unlike = find_unlike_diameters(readable)
    return {
        "output_dir": str(output_dir),
        "fovs": fovs,
        "unlike_diameters": asdict(unlike) if unlike else None,
    }


def verify_folder(output_dir: Path) -> dict[str, str]:
    """Compare every output with its recorded checksum.

    Returns
    -------
    dict
        Path relative to the folder, and fault, of each output that differs.

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
            continue
        for name, fault in open_recorded_folder(path).find_damage().items():
            faults[f"{path.parent.name}/{name}"] = fault
    return faults


def _records(output_dir: Path) -> list[Path]:
    if not output_dir.is_dir():
        raise InputError(f"there is no folder {output_dir}")
    records = find_records(output_dir)
    if not records:
        raise InputError(f"{output_dir} holds no results: no record of any field of view")
    return records


def _describe_fov(path: Path, record: FovRecord) -> dict[str, Any]:
    steps = {step: _state_of(path.parent, record, step) for step in KINDS_OF_STEP}
    done = all(state in (*_DONE, "not asked for") for state in steps.values())
    status = "failed" if record.failure else "done" if done else "missing"
    settings = record.settings
    return {
        "status": status,
        "steps": steps,
        "failure": record.failure.model_dump() if record.failure else None,
        "missing_frames": record.missing_frames(),
        "uncorrected": record.uncorrected(),
        "no_cells": record.lacks_cells(),
        "estimated_diameter": record.estimated_diameter(),
        "in_use_by": find_holder(path.parent),
        "channels": settings.channels if settings else None,
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


def _state_of(folder: Path, record: FovRecord, step: str) -> str:
    """Whether all outputs of a step that were asked for are there, as they were asked for."""
    wanted = _wanted(record, step)
    if not wanted:
        return "not asked for"
    states = {_state_of_output(folder, record, kind, channel) for kind, channel in wanted}
    if states <= set(_DONE):
        return max(states, key=_DONE.index)
    if record.failure is not None and record.failure.step == step:
        return "failed"
    return "outdated" if "missing" not in states else "missing"


def _wanted(record: FovRecord, step: str) -> list[tuple[str, int]]:
    channels: Mapping[str, Any] = record.settings.channels if record.settings else {}
    wanted: list[tuple[str, int]] = []
    for kind in KINDS_OF_STEP[step]:
        chosen = [channels.get("pc")] if kind in PHASE_KINDS else channels.get("fl") or []
        wanted += [(kind, channel) for channel in chosen if channel is not None]
    return wanted


def _state_of_output(folder: Path, record: FovRecord, kind: str, channel: int) -> str:
    found = record.find(kind, channel)
    if found is None:
        return "missing"
    name, entry = found
    if name in record.outdated():
        return "outdated"
    path = folder / name
    if entry.released:
        return "released"
    if entry.not_made:
        return "no background"
    return "done" if path.is_file() and path.stat().st_size == entry.size else "missing"
