"""Names of files and sheets after names of samples and features, which may hold anything."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyama_core.io.base_names import portable_base_name

_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_NOT_IN_SHEETS = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_OF_WINDOWS = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_LONGEST_SHEET = 31
_SHEETS_OF_EXCEL = ("history",)


def file_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name for a file or folder of any system for each of several names.

    Parameters
    ----------
    names : iterable of str
        Names, each once.
    taken : iterable of str
        What the files must not be called.

    Examples
    --------
    >>> list(file_names(["control", "Control", "5/10 µM", "CON", "end. "]).values())
    ['control', 'Control-2', '5_10 µM', 'CON_', 'end']
    """
    return _distinct({name: _file_name(name) for name in names}, taken, longest=200)


def sheet_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name for a sheet of a workbook for each of several names; as `file_names`.

    Examples
    --------
    >>> sheet_names(["a/b", "a?b", "x" * 40], taken=["cells"])["a?b"]
    'a_b-2'
    """
    return _distinct(
        {name: _sheet_name(name) for name in names},
        [*taken, *_SHEETS_OF_EXCEL],
        longest=_LONGEST_SHEET,
    )


def _file_name(name: str) -> str:
    plain = _NOT_IN_NAMES.sub("_", name).strip().rstrip(".").strip()
    if plain.startswith("."):
        plain = f"_{plain[1:]}"
    if _OF_WINDOWS.fullmatch(plain):
        plain += "_"
    return portable_base_name(plain)


def _sheet_name(name: str) -> str:
    return _NOT_IN_SHEETS.sub("_", name).strip().strip("'") or "unnamed"


def _distinct(made: dict[str, str], taken: Iterable[str], longest: int) -> dict[str, str]:
    """Shorten names and number those that differ from an earlier one in capital letters only."""
    used = {name.casefold() for name in taken}
    found = {}
    for name, plain in made.items():
        number, distinct = 1, plain[:longest].rstrip()
        while distinct.casefold() in used:
            number += 1
            ending = f"-{number}"
            distinct = plain[: longest - len(ending)].rstrip() + ending
        used.add(distinct.casefold())
        found[name] = distinct
    return found
