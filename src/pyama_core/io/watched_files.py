"""Whether files are still as they were: size and modification time, looked at twice.

A microscope that goes on acquiring, a transfer that is not finished or a program that
synchronises folders writes into files while they are read; what was read is then a mixture of two
states that no checksum of the result can tell from a whole one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError, reason_of
from pyama_core.io.retrying import patiently

_NAMED = 3
_COARSEST_TIMES_NS = 3_000_000_000  # some file systems count in steps of two seconds


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file system says of a file without opening it."""

    size: int
    mtime_ns: int


def state_of(path: Path) -> FileState | None:
    """Look at a file; None if there is none.

    Raises
    ------
    OSError
        It cannot be looked at.
    """
    try:
        status = patiently(path.stat)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileState(status.st_size, status.st_mtime_ns)


class WatchedFiles:
    """Files, and how they were when they were first looked at, which is now.

    Parameters
    ----------
    files : iterable of Path
        Files to watch.
    folder : Path, optional
        A folder that they are the whole content of, as far as it matters: more files of their
        kinds in it, or in the folders below that hold them, are a change too.

    Raises
    ------
    OSError
        A file cannot be looked at.
    """

    def __init__(self, files: Iterable[Path], folder: Path | None = None) -> None:
        self._states = {path: state_of(path) for path in files}
        self._kinds = {_kind_of(path.name) for path in self._states} - {None}
        self._root = folder
        self._listings: dict[Path, _Listing] = {}
        if folder is not None:
            for holder in {folder, *(path.parent for path in self._states)}:
                self._listings[holder] = _list(holder)

    def changes(self, files: Iterable[Path]) -> Iterator[str]:
        """Say of some of the files, and of the folders that hold them, what is different now."""
        holders = {} if self._root is None else {self._root: None}
        for path in files:
            holders.setdefault(path.parent)
            change = self._change_of(path)
            if change:
                yield change
        for holder in holders:
            if holder in self._listings:
                yield from (f"{name} is new" for name in self._new_in(holder))

    def _change_of(self, path: Path) -> str:
        before, now = self._states.get(path), state_of(path)
        if now == before:
            return ""
        if now is None:
            return f"{path.name} is gone"
        if before is None:
            return f"{path.name} is new"
        if now.size != before.size:
            return f"{path.name} had {before.size} bytes and has {now.size}"
        return f"{path.name} was written to or replaced"

    def _new_in(self, holder: Path) -> Iterator[str]:
        """Name the files of the watched kinds that came into a folder, or a new one below it."""
        before = self._listings[holder]
        state = state_of(holder)
        if state is None or (state.mtime_ns == before.mtime_ns and not before.is_young):
            return
        now = _list(holder)
        new = [
            path.name
            for name in sorted(now.names - before.names)
            for path in _files_at(holder / name)
            if _kind_of(path.name) in self._kinds
        ]
        if not new:
            self._listings[holder] = now
        yield from new

    def require_unchanged(self, files: Iterable[Path], what: str) -> None:
        """Make sure that some of the files are as they were.

        Raises
        ------
        InputError
            They are not; `what` is what they are called in the message.
        """
        try:
            changes = list(self.changes(files))
        except OSError as error:
            raise InputError(f"cannot read {error.filename}: {reason_of(error)}") from error
        if changes:
            raise changed_while_read(what, changes)


def changed_while_read(what: str, changes: Sequence[str]) -> InputError:
    """Return the error for something that changed; says what in words."""
    return InputError(
        f"{what} changed while it was read: {_few(changes)}. What was read is not used; wait until "
        "it is complete, then run again"
    )


@dataclass(frozen=True, slots=True)
class _Listing:
    """What is in a folder; `is_young` if it may gain more without another time."""

    mtime_ns: int
    names: frozenset[str]
    is_young: bool


def _list(folder: Path) -> _Listing:
    mtime_ns = folder.stat().st_mtime_ns  # before the names: what comes later has a later time
    names = frozenset(path.name for path in folder.iterdir())
    return _Listing(mtime_ns, names, time.time_ns() - mtime_ns < _COARSEST_TIMES_NS)


def _files_at(path: Path) -> list[Path]:
    return [
        file for file in ([path, *path.rglob("*")] if path.is_dir() else [path]) if file.is_file()
    ]


def _kind_of(name: str) -> str | None:
    """Return the ending of a name, None for a hidden one.

    Those of the chunks of a Zarr array are numbers, or none.
    """
    ending = Path(name).suffix.lower()
    return None if name.startswith(".") else "" if ending[1:].isdigit() else ending


def _few(changes: Sequence[str]) -> str:
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    return ", ".join(changes[:_NAMED]) + more
