"""What an output is on disk, a file or a folder, behind one interface.

A folder of files (a Zarr store) counts as one output: its size is the sum of its files' sizes,
its time that of the latest, its checksum that of their names and contents. Whoever renames,
checks, flushes or deletes an output need not know which of the two it is.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import StorageError
from pyama_core.io.checksums import file_checksum, name_checksum, new_hasher
from pyama_core.io.storage.atomic import (
    flush_to_disk,
    is_temporary,
    move_into_place,
    temporary_path,
)

_KEPT_ASIDE = re.compile(r"\.changed(-[0-9]+)?(\.[^.]+)?$")


@dataclass(frozen=True)
class WrittenArtifact:
    """A closed file or a folder of closed files under a temporary name, ready to be renamed."""

    temporary: Path
    size: int
    mtime_ns: int
    checksum: str


@dataclass(frozen=True)
class Appearance:
    """What can be told of an output without reading it."""

    size: int
    mtime_ns: int


def look_at(path: Path) -> Appearance:
    """Tell size and time of an output.

    Raises
    ------
    OSError
        It is not there, or cannot be looked at.
    """
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return Appearance(status.st_size, status.st_mtime_ns)
    statuses = [file.stat() for file in _files_in(path)]
    return Appearance(
        sum(status.st_size for status in statuses),
        max((status.st_mtime_ns for status in statuses), default=0),
    )


def checksum_of(path: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
    """Checksum of the content of an output; of a folder, of its files' names and contents.

    Raises
    ------
    OSError
        It cannot be read.
    CancelledError
        The caller asked to stop.
    """
    if not path.is_dir():
        return file_checksum(path, cancelled)
    hasher = new_hasher()
    for file in _files_in(path):
        name = file.relative_to(path).as_posix()
        hasher.update(f"{name}\0{file_checksum(file, cancelled)}\n".encode())
    return name_checksum(hasher)


def put_in_place(temporary: Path, final: Path) -> None:
    """Rename a whole output to its final name, replacing what is there.

    A folder cannot be renamed over another in one step, so the old one gets a temporary name
    first. Its entry is gone from the record by then, so that a process killed in between leaves
    no entry that speaks of a folder which is not there. If the new one cannot be renamed then, the
    old one gets its name back.

    Raises
    ------
    StorageError
        The rename is refused; the message names the output.
    """
    if not (temporary.is_dir() and final.is_dir()):
        # A file and a folder never replace each other: what is there is nothing of ours.
        move_into_place(temporary, final)
        return
    old = temporary_path(final)
    # Windows renames no folder of which a file is open: that is waited for as well.
    move_into_place(final, old, about=final)
    try:
        move_into_place(temporary, final)
    except BaseException:
        with contextlib.suppress(OSError):  # another process has put its own there
            old.rename(final)
        raise
    with contextlib.suppress(OSError):
        delete(old)


def may_hold_work(path: Path) -> bool:
    """Whether a name has a file, a folder or a link to what is not there now.

    What holds nothing, a pipe, a socket or a device, is nobody's work.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return os.path.lexists(path)
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def is_folder(path: Path) -> bool:
    """Whether a folder has a name, and not a link to one."""
    return path.is_dir() and not path.is_symlink()


def keep_aside(path: Path) -> Path:
    """Rename an output that a person may have changed, so that a new one can take its place.

    Returns
    -------
    Path
        What it is called now: `traces.changed.csv`, `traces.changed-2.csv` and so on.

    Raises
    ------
    StorageError
        The rename is refused; the message names the output.
    """
    names = ("changed" if number == 1 else f"changed-{number}" for number in itertools.count(1))
    paths = (path.with_name(f"{path.stem}.{name}{path.suffix}") for name in names)
    kept = next(each for each in paths if not os.path.lexists(each))
    move_into_place(path, kept, about=path)
    return kept


def find_kept_aside(folder: Path, base_name: str) -> list[str]:
    """Names of what `keep_aside` renamed among outputs with a base name, in order."""
    found = folder.glob(f"{glob.escape(base_name)}_*.changed*")
    return sorted(path.name for path in found if _KEPT_ASIDE.search(path.name))


def delete(path: Path) -> None:
    """Delete an output; a folder gets a temporary name first, for under its own it is whole.

    Raises
    ------
    OSError
        It is not there, or cannot be deleted.
    """
    if is_folder(path):
        shutil.rmtree(path if is_temporary(path) else path.rename(temporary_path(path)))
    else:
        path.unlink()


def flush(path: Path) -> None:
    """Make sure that an output survives a loss of power.

    Raises
    ------
    OSError
        It is gone or the disk fails.
    """
    if path.is_dir():
        for file in _files_in(path):
            flush_to_disk(file)
    else:
        flush_to_disk(path)


class FolderWriter:
    """A new folder that has no final name yet.

    Parameters
    ----------
    final : Path
        The name it is to have; the temporary one lies beside it.

    Attributes
    ----------
    path : Path
        Where to put files, which must be closed before `finish`.

    Raises
    ------
    StorageError
        The file system refuses; the message names `final`.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = temporary_path(final)
        try:
            self.path.mkdir()
        except OSError as error:
            raise StorageError.about("write", final, error) from error

    def finish(self) -> WrittenArtifact:
        """Tell what was written."""
        try:
            seen = look_at(self.path)
            return WrittenArtifact(self.path, seen.size, seen.mtime_ns, checksum_of(self.path))
        except OSError as error:
            raise StorageError.about("write", self.final, error) from error

    def discard(self) -> None:
        """Delete what was written, if it is still under its temporary name."""
        shutil.rmtree(self.path, ignore_errors=True)


def _files_in(folder: Path) -> Iterator[Path]:
    """All files below a folder, in an order that is the same everywhere; links are not followed."""
    found = [
        Path(where) / name
        for where, _, names in os.walk(folder, followlinks=False)
        for name in names
    ]
    yield from sorted(found, key=lambda path: path.relative_to(folder).as_posix())
