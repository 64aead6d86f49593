"""What runs say in their logs, read as they are written: lines, and how far each step is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pyama_core.io.regular_files import open_regular
from pyama_core.io.storage.naming import LOG_NAME

_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} (\w+) +\S+ \[(\d+)\] (.*)", re.ASCII | re.DOTALL
)
_PROGRESS = re.compile(r"FOV (\d{1,9}): ([a-z_ ]+): (\d{1,9})/(\d{1,9})", re.ASCII)
_BEGIN = re.compile(r".*: \d+ FOVs.* into .*, \d+ workers, batches of \d+", re.DOTALL)
_MOST_READ = 8 << 20
"""Bytes of a log that are read when it is opened; what lies before is of runs long ago."""


@dataclass
class Told:
    """What a process said of the run that it is at.

    Attributes
    ----------
    began, latest : datetime
        Of its first and last line.
    at : dict
        Step, frames done and frames in all, by field of view.
    worked : dict
        Frames done by field of view and step.
    """

    began: datetime
    latest: datetime
    at: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    worked: dict[tuple[int, str], int] = field(default_factory=dict)


class RunLogs:
    """The logs of an output folder.

    Parameters
    ----------
    folder : Path
        Of outputs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_to: dict[Path, int] = {}
        self.told: dict[int, Told] = {}

    def read(self) -> None:
        """Read what was added since the last time."""
        for path in logs_in(self._folder):
            size = _size_of(path)
            start = self._read_to.get(path)
            if start is None or size < start:
                start = max(0, size - _MOST_READ)
            if size == start:
                self._read_to[path] = size
                continue
            content = _read_range(path, start, size)
            whole = content.rfind(b"\n") + 1
            self._read_to[path] = start + whole
            for line in content[:whole].decode(errors="replace").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            return
        when = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  as it is written
        pid, message = int(found[3]), found[4]
        told = self.told.get(pid)
        if told is None or _BEGIN.fullmatch(message):
            told = self.told[pid] = Told(when, when)
        told.latest = when
        if (event := _PROGRESS.fullmatch(message)) is not None:
            fov, step, t, n = int(event[1]), event[2], int(event[3]), int(event[4])
            told.at[fov] = (step, t, n)
            told.worked[fov, step] = t


def logs_in(folder: Path) -> list[Path]:
    """Return the logs of an output folder: that of whole runs first, then those of parts."""
    stem = Path(LOG_NAME).stem
    parts = sorted(path for path in folder.glob(f"{stem}.shard-*.log") if _is_own(folder, path))
    whole = folder / LOG_NAME
    return [*([whole] if _is_own(folder, whole) else []), *parts]


def last_lines(folder: Path, most_bytes: int) -> list[str]:
    """Return the last lines of the logs of an output folder, in order of time."""
    lines: list[str] = []
    for path in logs_in(folder):
        size = _size_of(path)
        start = max(0, size - most_bytes)
        content = _read_range(path, start, size)
        lines += content.decode(errors="replace").splitlines()[1 if start else 0 :]
    if len(logs_in(folder)) > 1:
        lines = [line for line in lines if _LINE.fullmatch(line)]
        lines.sort(key=lambda line: line[:23])
    return lines


def _is_own(folder: Path, path: Path) -> bool:
    """Whether a log is a file that lies in its folder, and no link or pipe."""
    return path.is_file() and Path(os.path.realpath(path)).parent == folder


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read_range(path: Path, start: int, end: int) -> bytes:
    try:
        with open_regular(path) as file:
            file.seek(start)
            return file.read(end - start)
    except OSError:
        return b""
