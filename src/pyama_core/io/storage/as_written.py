"""Whether a file is as its entry says that it was written, told without reading it."""

from __future__ import annotations

from pathlib import Path

from pyama_core.io.storage.artifacts import look_at
from pyama_core.io.storage.host import boot_identity, host_name
from pyama_core.io.storage.records import OutputEntry


def here_and_now() -> dict[str, str]:
    """Return, as fields of an entry, the host and the boot of it in which a file is written now."""
    return {"host": host_name(), "boot": boot_identity()}


def is_as_written(path: Path, entry: OutputEntry) -> bool:
    """Whether size and time of a file prove that it is as an entry says, without reading it."""
    try:
        seen = look_at(path)
    except OSError:
        return False
    return _is_safe(entry) and (seen.size, seen.mtime_ns) == (entry.size, entry.mtime_ns)


def may_be_torn(path: Path, entry: OutputEntry) -> bool:
    """Whether a file is what a loss of power may have left: nobody wrote to it since."""
    try:
        return not _is_safe(entry) and look_at(path).mtime_ns <= entry.mtime_ns
    except OSError:
        return False


def _is_safe(entry: OutputEntry) -> bool:
    return entry.durable or {"host": entry.host, "boot": entry.boot} == here_and_now()
