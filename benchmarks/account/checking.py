"""Whether docs/ACCURACY.md still says what the account holds."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.account import tables
from benchmarks.account.bounds import HELD, LEAST_RIGHT, SHARES_OF_GOOD, Bound


def faults(page: str) -> list[str]:
    """Return what is wrong with the tables of a page: rows, bounds, and figures beyond them."""
    found: list[str] = []
    for name in tables.SECTIONS:
        if any(page.count(marker) != 1 for marker in tables.markers(name)):
            found.append(f"{name}: expected its two markers once each")
        elif name == tables.VERDICTS:
            found += _of_verdicts(tables.read(page, name))
        elif name == tables.KINDS:
            found += _of_kinds(tables.read(page, name))
        else:
            found += _of_figures(name, tables.read(page, name))
    return found


def _of_figures(name: str, section: tables.Section) -> Iterator[str]:
    if section.head != tables.HEAD or any(len(row) != len(section.head) for row in section.rows):
        yield f"{name}: expected the columns {', '.join(tables.HEAD)}"
        return
    there = [row[:2] for row in section.rows]
    if there != list(HELD[name]):
        odd = sorted(set(there) ^ set(HELD[name])) or "the same rows in another order"
        yield f"{name}: the command writes other rows: {odd}"
        return
    for (images, what, _, value, held, _), bound in zip(
        section.rows, HELD[name].values(), strict=True
    ):
        yield from _of_cell(f"{images}, {what}", value, held, bound)


def _of_verdicts(section: tables.Section) -> Iterator[str]:
    if section.head != tables.VERDICTS_HEAD:
        yield f"verdicts: expected the columns {', '.join(tables.VERDICTS_HEAD)}"
    elif [row[0] for row in section.rows] != list(SHARES_OF_GOOD):
        yield f"verdicts: expected rows for {', '.join(SHARES_OF_GOOD)}"
    else:
        for row in section.rows:
            yield from _of_cell(f"{row[0]}, good", row[2], row[3], SHARES_OF_GOOD[row[0]])


def _of_kinds(section: tables.Section) -> Iterator[str]:
    if section.head != tables.KINDS_HEAD:
        yield f"kinds: expected the columns {', '.join(tables.KINDS_HEAD)}"
    elif [row[0] for row in section.rows] != list(LEAST_RIGHT):
        yield f"kinds: expected rows for {', '.join(LEAST_RIGHT)}"
    else:
        for row in section.rows:
            yield from _of_cell(f"{row[0]}, right", row[3], row[4], Bound(LEAST_RIGHT[row[0]]))
            yield from _of_cell(f"{row[0]}, wrong", row[6], "≤ 0", Bound(most=0))


def _of_cell(what: str, value: str, held: str, bound: Bound) -> Iterator[str]:
    if held != tables.in_words(bound):
        yield f"{what}: held at {tables.in_words(bound)!r}, but the page says {held!r}"
    try:
        number = tables.value_of(value)
    except ValueError as error:
        yield f"{what}: {error}"
        return
    if not bound.holds(number):
        yield f"{what}: {number:g} is not {tables.in_words(bound)}"
