"""Wells of a plate, as names of FOVs tell them: ``B2_1``, ``A01-Site_0``, ``B2/0``, ``WellD6``."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

_WELL = re.compile(r"([A-P])(0?[1-9]|1[0-9]|2[0-4])", re.IGNORECASE)
_RANGE = re.compile(rf"\s*{_WELL.pattern}\s*[-:]\s*{_WELL.pattern}\s*", re.IGNORECASE)
# In a name, letters are capitals, or every `p1` and `f3` were a well.
_IN_NAME = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=[Ww]ell))([A-P])(0?[1-9]|1[0-9]|2[0-4])(?![A-Za-z0-9])"
)
_ROW_AND_COLUMN = re.compile(r"(?<![A-Za-z0-9])r(0[1-9]|1[0-6])c(0[1-9]|1[0-9]|2[0-4])(?![0-9])")
_POSITIONS = "P"
"""A row of large plates only: in names, ``P1`` is more often a position."""


@dataclass(frozen=True, order=True)
class Well:
    """A well by its row and column, both from 1."""

    row: int
    column: int

    def __str__(self) -> str:
        return f"{chr(ord('A') + self.row - 1)}{self.column}"


def parse_well(word: str) -> Well | None:
    """Read a word that is a well; None if it is none.

    Examples
    --------
    >>> str(parse_well("a01")), parse_well("A25")
    ('A1', None)
    """
    match = _WELL.fullmatch(word.strip())
    return None if match is None else _well(match[1], match[2])


def _parse_range(word: str) -> tuple[Well, Well] | None:
    """Read wells of one row by the first and last, such as ``A1-A6``; None if it is no such range.

    Over several rows, people mean a rectangle or all in the order of reading.
    """
    match = _RANGE.fullmatch(word)
    if match is None:
        return None
    first, last = _well(match[1], match[2]), _well(match[3], match[4])
    return (first, last) if first.row == last.row and first <= last else None


def _well(row: str, column: str) -> Well:
    return Well(ord(row.upper()) - ord("A") + 1, int(column))


def well_of(name: str) -> Well | None:
    """Return the well that a name tells; None if it tells none, or several.

    Examples
    --------
    >>> [str(well_of(name)) for name in ("B2_1", "A01-Site_0", "WellD6", "r02c03f01", "P1_B2")]
    ['B2', 'A1', 'D6', 'B3', 'B2']
    >>> well_of("position 1"), well_of("GFP1"), well_of("A1_B2")
    (None, None, None)
    """
    if match := _ROW_AND_COLUMN.search(name):
        return Well(int(match[1]), int(match[2]))
    found = {_well(row, column) for row, column in _IN_NAME.findall(name)}
    if len(found) > 1:
        found = {well for well in found if not str(well).startswith(_POSITIONS)}
    return found.pop() if len(found) == 1 else None


@functools.lru_cache(maxsize=4)
def fovs_of_wells(names: tuple[str, ...]) -> dict[Well, frozenset[int]]:
    """Return the FOVs of each well that names tell."""
    found: dict[Well, set[int]] = {}
    for fov, name in enumerate(names):
        if (well := well_of(name)) is not None:
            found.setdefault(well, set()).add(fov)
    return {well: frozenset(fovs) for well, fovs in found.items()}


def in_wells(word: str, names: Sequence[str]) -> frozenset[int]:
    """Return the FOVs of a well, or of a range in a row; none if the word is none of these."""
    wells = fovs_of_wells(tuple(names))
    if (well := parse_well(word)) is not None:
        return wells.get(well, frozenset())
    ends = _parse_range(word)
    if ends is None or not wells.keys() >= set(ends):
        return frozenset()
    inside = (fovs for well, fovs in wells.items() if ends[0] <= well <= ends[1])
    return frozenset[int]().union(*inside)
