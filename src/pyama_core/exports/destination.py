"""Where an export lands: whole under its name, or not at all.

What is written goes to a folder of a temporary name beside the place that it is to have, and is
renamed when it is whole. A folder that an export made holds a list of its files with their
checksums, so that another export may take its place (``overwrite``) without taking anything with
it that a person put or changed there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError, StorageError
from pyama_core.io.checksums import file_checksum
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.artifacts import is_folder, put_in_place
from pyama_core.io.storage.atomic import move_into_place, temporary_path, write_whole
from pyama_core.version import __version__

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


@contextlib.contextmanager
def new_folder(path: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """Make a folder that has its name as soon as the block ends without an error.

    Parameters
    ----------
    path : Path
        The name that it is to have; `require_free` was asked.
    about : mapping
        What is noted of the export in it.

    Yields
    ------
    Path
        Where to put files.

    Raises
    ------
    StorageError
        The file system refuses.
    """
    with _scratch(path) as folder:
        yield folder
        files = {
            file.relative_to(folder).as_posix(): file_checksum(file) for file in _files_in(folder)
        }
        content = {"format": _FORMAT, "version": 1, "pyama_core": __version__, **about}
        write_whole(folder / ABOUT_NAME, json.dumps({**content, "files": files}, indent=1) + "\n")
        put_in_place(folder, path)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Make a file that has its name as soon as the block ends without an error.

    Parameters
    ----------
    path : Path
        The name that it is to have; `require_free` was asked.

    Yields
    ------
    Path
        Where to write it; its folder is there for what is needed meanwhile.

    Raises
    ------
    StorageError
        The file system refuses.
    """
    with _scratch(path) as folder:
        yield folder / path.name
        move_into_place(folder / path.name, path)


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Make a folder of a temporary name beside a path; it is gone afterwards."""
    scratch = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir()
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    try:
        yield scratch
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _files_in(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if not is_folder(path)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
