"""Where an export lands: whole under its name, or not at all.

What is written goes into a folder of a temporary name beside the place that it is to have, and is
moved out of it when it is whole. A folder that an export made holds a list of its files with their
checksums, so that another export may take its place (``overwrite``) without taking anything with
it that a person put or changed there. No system renames a folder over another, so the earlier one
has a temporary name for a moment: what was killed in that moment is put right by who comes next.
"""

from __future__ import annotations

import contextlib
import glob
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError, StorageError
from pyama_core.io.checksums import file_checksum
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.artifacts import is_folder, put_in_place
from pyama_core.io.storage.atomic import (
    is_temporary,
    move_into_place,
    temporary_path,
    write_whole,
)
from pyama_core.io.storage.locks import LOCK_NAME, FolderLock, find_holder
from pyama_core.version import __version__

logger = logging.getLogger(__name__)

ABOUT_NAME = "export.json"
"""What an export wrote, in a folder of an export."""
_FORMAT = "pyama-core export"


def require_free(path: Path, *, folder: bool, overwrite: bool) -> None:
    """Make sure that an export may take a place.

    Parameters
    ----------
    path : Path
        The place.
    folder : bool
        Whether the export is a folder, and no file.
    overwrite : bool
        Whether an earlier export may be replaced.

    Raises
    ------
    InputError
        Something is there that is not to be, or must not be, replaced.
    """
    if not os.path.lexists(path):
        return
    if path.is_dir() != folder:
        kinds = ("a folder", "a file") if folder else ("a file", "a folder")
        raise InputError(f"the export is {kinds[0]}, but {path} is {kinds[1]}; give another place")
    if not overwrite:
        raise InputError(f"{path} is there already; choose another place, or --overwrite it")
    if is_folder(path):
        _refuse_what_others_made(path)


def _refuse_what_others_made(folder: Path) -> None:
    files = _files_of_export(folder)
    if files is None:
        raise InputError(f"{folder} is there, and no export made it: it is not overwritten")
    there = {path.relative_to(folder).as_posix(): path for path in _files_in(folder)}
    for name, path in there.items():
        if name not in files and path.name != ABOUT_NAME:
            raise InputError(
                f"{path} was not made by the export that is to be overwritten; move it away"
            )
        if name in files and file_checksum(path) != files[name]:
            raise InputError(f"{path} was changed since it was exported; move it away")


def _files_of_export(folder: Path) -> dict[str, str] | None:
    """Return names and checksums of the files of an export; None if there is none."""
    try:
        about = json.loads(read_regular(folder / ABOUT_NAME))
    except (OSError, ValueError):
        return None
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        return None
    files = about.get("files")
    return files if isinstance(files, dict) else None


def recover(path: Path) -> None:
    """Give an export its name back that was to be replaced when the process was killed.

    Parameters
    ----------
    path : Path
        The name that it had.

    Raises
    ------
    StorageError
        The file system refuses.
    """
    try:
        latest = _last_that_was_here(path)
    except OSError as error:
        raise StorageError.about("read", path.parent, error) from error
    if latest is not None:
        move_into_place(latest, path)
        logger.warning("%s is back: an export that was to replace it was killed", path)


def is_taken(path: Path) -> bool:
    """Tell whether something is at a place, or comes back there with the next export (`recover`).

    Parameters
    ----------
    path : Path
        The place.

    Returns
    -------
    bool
        Whether only an export that replaces another can land there.
    """
    try:
        return os.path.lexists(path) or _last_that_was_here(path) is not None
    except OSError:
        return False  # who exports is told why it cannot be read


def _last_that_was_here(path: Path) -> Path | None:
    """Return the export that lost its name at a place which is free now; None if none did."""
    if os.path.lexists(path):
        return None
    left = _left_at(path)
    if any(find_holder(folder) is not None for folder in left):
        return None  # somebody is at it right now
    whole = [folder for folder in left if _is_whole_export(folder)]
    return max(whole, key=lambda folder: (folder / ABOUT_NAME).stat().st_mtime_ns, default=None)


def _is_whole_export(folder: Path) -> bool:
    """Whether a folder has all files of an export, and no others."""
    files = _files_of_export(folder)
    if files is None:
        return False
    there = {file.relative_to(folder).as_posix() for file in _files_in(folder)}
    return there == {*files, ABOUT_NAME}


@contextlib.contextmanager
def new_folder(path: Path, about: Mapping[str, Any], *, overwrite: bool) -> Iterator[Path]:
    """Make a folder that has its name as soon as the block ends without an error.

    Parameters
    ----------
    path : Path
        The name that it is to have.
    about : mapping
        What is noted of the export in it.
    overwrite : bool
        Whether an earlier export may be replaced.

    Yields
    ------
    Path
        Where to put files.

    Raises
    ------
    InputError
        As `require_free`; before the block, or after it if something came there meanwhile.
    StorageError
        The file system refuses.
    """
    recover(path)
    require_free(path, folder=True, overwrite=overwrite)
    with _scratch(path) as scratch:
        folder = scratch / path.name
        folder.mkdir()
        yield folder
        files = {
            file.relative_to(folder).as_posix(): file_checksum(file) for file in _files_in(folder)
        }
        content = {"format": _FORMAT, "version": 1, "pyama_core": __version__, **about}
        write_whole(folder / ABOUT_NAME, json.dumps({**content, "files": files}, indent=1) + "\n")
        require_free(path, folder=True, overwrite=overwrite)
        put_in_place(folder, path)


@contextlib.contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Make a file that has its name as soon as the block ends without an error.

    Parameters
    ----------
    path : Path
        The name that it is to have.
    overwrite : bool
        Whether a file may be replaced.

    Yields
    ------
    Path
        Where to write it; its folder is there for what is needed meanwhile.

    Raises
    ------
    InputError, StorageError
        As `new_folder`.
    """
    require_free(path, folder=False, overwrite=overwrite)
    with _scratch(path) as folder:
        yield folder / path.name
        require_free(path, folder=False, overwrite=overwrite)
        move_into_place(folder / path.name, path)


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Make a folder of a temporary name beside a path; it is gone afterwards.

    A lock in it tells others that this process is at work there. Who comes next deletes what a
    process that died left behind.
    """
    scratch = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        scratch.mkdir()
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    try:
        _acquire(scratch, path)
        yield scratch
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    finally:
        _delete(scratch)


def _acquire(scratch: Path, path: Path) -> None:
    """Lock a folder; errors name what the export is to be, rather than the lock."""
    try:
        FolderLock.acquire(scratch)
    except StorageError as error:
        if isinstance(error.__cause__, OSError):
            raise StorageError.about("write", path, error.__cause__) from error
        raise


def _sweep(path: Path) -> None:
    """Delete what exports to a path left behind whose processes died on this host."""
    for folder in _left_at(path):
        marks = (folder / LOCK_NAME, folder / ABOUT_NAME)  # the latter of one that was replaced
        if any(mark.is_file() for mark in marks) and find_holder(folder) is None:
            _delete(folder)


def _left_at(path: Path) -> list[Path]:
    """Return the folders of temporary names of what is or was to be at a path."""
    found = path.parent.glob(glob.escape(f".{path.name}.") + "*")
    return sorted(folder for folder in found if is_temporary(folder) and is_folder(folder))


def _delete(scratch: Path) -> None:
    """Delete a folder; its lock last, by which others know whose the rest is."""
    with contextlib.suppress(OSError):
        for path in scratch.iterdir():
            if is_folder(path):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK_NAME:
                path.unlink()
    shutil.rmtree(scratch, ignore_errors=True)


def _files_in(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if not is_folder(path)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
