"""`runs.jsonl`: when and where each run into a folder was, how it was started and how long it took.

A line per run, or part of one, only ever added to. It is a note for people, like `source.json`:
nothing that is proven depends on it.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import psutil
from pydantic import AwareDatetime, BaseModel, ConfigDict

from pyama_core.errors import PyamaError, StorageError, reason_of
from pyama_core.io.regular_files import read_regular, require_regular
from pyama_core.io.storage.host import host_name
from pyama_core.io.storage.naming import RUNS_NAME
from pyama_core.processing.workflow.outcome import FovStatus, RunOutcome
from pyama_core.processing.workflow.request import RunRequest
from pyama_core.processing.workflow.shared_files import lock_shared_files
from pyama_core.version import __version__

logger = logging.getLogger(__name__)

PACKAGES = ("numpy", "scipy", "numba", "opencv-python-headless", "pandas", "tifffile", "nd2")
"""Whose versions are noted."""


class Machine(BaseModel):
    """A computer."""

    model_config = ConfigDict(frozen=True)

    host: str = ""
    system: str = ""
    processor: str = ""
    cores: int | None = None
    memory_gb: float | None = None

    @classmethod
    def here(cls) -> Self:
        """Describe this computer."""
        return cls(
            host=host_name(),
            system=platform.platform(),
            processor=platform.processor() or platform.machine(),
            cores=os.cpu_count(),
            memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        )


class RunNote(BaseModel):
    """A run, or a part of one."""

    model_config = ConfigDict(frozen=True)  # a later version may say more

    version: Literal[1] = 1
    started: AwareDatetime
    ended: AwareDatetime
    command: str = ""
    """What was typed; empty for a run that was started from Python."""
    shard: str = ""
    workers: int
    keep: str = ""
    machine: Machine = Machine()
    python: str = ""
    pyama_core: str = ""
    packages: dict[str, str] = {}
    counts: dict[str, int] = {}
    """Fields of view by how they ended."""
    seconds: dict[int, dict[str, float]] = {}
    """By field of view and step, as far as anything was done."""


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC).astimezone()


def note_run(request: RunRequest, outcome: RunOutcome, started: datetime, command: str) -> None:
    """Add a line about a run that has ended; what prevents it is logged."""
    note = RunNote(
        started=started,
        ended=now(),
        command=command.encode(errors="backslashreplace").decode(),
        shard="" if request.shard is None else str(request.shard),
        workers=request.n_workers,
        keep=str(request.keep),
        machine=Machine.here(),
        python=platform.python_version(),
        pyama_core=__version__,
        packages=_versions(),
        counts={status: n for status in FovStatus if (n := len(outcome.with_status(status)))},
        seconds={fov: _rounded(each.seconds) for fov, each in outcome.fovs.items() if each.seconds},
    )
    path = request.output_dir / RUNS_NAME
    try:
        with lock_shared_files(request.output_dir):
            _append(path, note.model_dump_json() + "\n")
    except PyamaError as error:
        logger.warning("when this run was is not noted: %s", error)


def _append(path: Path, line: str) -> None:
    try:
        if path.exists():
            require_regular(path)
        with path.open("ab") as file:
            file.write(line.encode())
    except OSError as error:
        raise StorageError.about("write", path, error) from error


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # installed otherwise, or not at all
    return found


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {step: round(value, 3) for step, value in seconds.items()}


def read_notes(output_dir: Path) -> list[RunNote]:
    """Return all runs that are noted, the first one first; lines that are none are left out."""
    path = output_dir / RUNS_NAME
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        logger.warning("%s cannot be read: %s", path, reason_of(error))
        return []
    notes = []
    for line in content.splitlines():
        try:
            notes.append(RunNote.model_validate(json.loads(line)))
        except (ValueError, RecursionError):
            logger.debug("%s: not a note of a run: %r", path, line[:80])
    return notes
