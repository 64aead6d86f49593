"""By what a change of a file is noticed without reading it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

FileState: TypeAlias = tuple[int, int]
"""When a file was changed last, in nanoseconds, and its size."""


def state_of(path: Path) -> FileState:
    """Return what changes when a file does; zeros if there is none.

    Examples
    --------
    >>> state_of(Path("no such file"))
    (0, 0)
    """
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
