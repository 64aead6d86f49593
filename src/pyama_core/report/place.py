"""Where a report lands: nothing that a person made is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from pyama_core.errors import InputError, StorageError
from pyama_core.io.regular_files import open_regular
from pyama_core.io.storage.atomic import write_whole

GENERATOR = "pyama-core report"
"""Stands in the head of each report, by which one is known."""
_HEAD = 2000


def require_place(path: Path) -> None:
    """Make sure that a name is free for a report, or that of an earlier one.

    Raises
    ------
    InputError
        Something else has the name.
    StorageError
        What is there cannot be read.
    """
    if os.path.lexists(path) and not _is_report(path):
        raise InputError(f"{path} is there and is no report; move it, or give a place with -o")


def put_report(path: Path, text: str) -> None:
    """Write a report whole, in the place of none or of an earlier one.

    Raises
    ------
    InputError
        As `require_place`, for something may have come there meanwhile.
    StorageError
        The file cannot be written.
    """
    require_place(path)
    write_whole(path, text)


def _is_report(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return f'content="{GENERATOR}"'.encode() in file.read(_HEAD)
    except OSError as error:
        raise StorageError.about("read", path, error) from error
