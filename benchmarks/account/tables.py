"""The tables of the account in docs/ACCURACY.md: written, and read again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.account.bounds import HELD, LEAST_RIGHT, SHARES_OF_GOOD, Bound
from benchmarks.account.finding import Figure
from benchmarks.account.kinds_told import Told
from benchmarks.account.verdicts import REASONS, Verdicts

Cells = tuple[str, ...]
HEAD = ("images", "figure", "by", "", "held at", "others")
VERDICTS = "verdicts"
VERDICTS_HEAD = ("images", "followed", "good", "held at", *REASONS, "other")
KINDS = "kinds of picture"
KINDS_HEAD = ("images", "channels", "views", "right", "held at", "unsure", "wrong")
SECTIONS = (*HELD, VERDICTS, KINDS)
"""Names of the sections, which stand between markers."""


@dataclass(frozen=True)
class Section:
    """A table that is there, as it stands between its markers."""

    head: Cells
    rows: list[Cells]


def markers(name: str) -> tuple[str, str]:
    """Return the comments that a section stands between."""
    return f"<!-- account, {name}: begin -->", f"<!-- account, {name}: end -->"


def replace(page: str, name: str, content: str) -> str:
    """Put a table into its section of a page."""
    begin, end = markers(name)
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"Expected '{begin}' and '{end}' once each in the page; put them there.")
    before, rest = page.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def read(page: str, name: str) -> Section:
    """Read a table out of its section."""
    begin, end = markers(name)
    lines = page.split(begin)[1].split(end)[0].strip().splitlines()
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return Section(rows[0], rows[2:])


def figures_table(name: str, figures: Sequence[Figure]) -> str:
    """Return the table of a section, which has just the rows that bounds are set for.

    Raises
    ------
    ValueError
        Rows were measured that no bound is set for, or the reverse.
    """
    there = {(figure.images, figure.what): figure for figure in figures}
    expected = HELD[name]
    images = {each for each, _ in there}
    odd = set(there) ^ {key for key in expected if key[0] in images}
    if odd:
        raise ValueError(f"Expected a bound for each figure of '{name}', found none, or no figure, "
                         f"for {sorted(odd)}; see benchmarks/account/bounds.py.")  # fmt: skip
    rows = [_row(there[key], bound) for key, bound in expected.items() if key in there]
    return _as_table(HEAD, rows)


def verdicts_table(found: Sequence[Verdicts]) -> str:
    """Return the table of verdicts."""
    rows = [
        (
            each.images,
            str(each.n_cells),
            f"{each.shares['good']:.2f}",
            in_words(SHARES_OF_GOOD[each.images]),
            *(f"{each.shares[reason]:.2f}" for reason in (*REASONS, "other")),
        )
        for each in found
    ]
    return _as_table(VERDICTS_HEAD, rows)


def kinds_table(found: Sequence[Told]) -> str:
    """Return the table of what views of channels are taken for."""
    rows = [
        (
            each.place,
            str(each.n_channels),
            str(each.n_views),
            str(each.n_right),
            in_words(Bound(LEAST_RIGHT[each.place])),
            str(each.n_views - each.n_right - len(each.wrong)),
            str(len(each.wrong)),
        )
        for each in found
    ]
    return _as_table(KINDS_HEAD, rows)


def in_words(bound: Bound) -> str:
    """Return a bound for people."""
    low, high = (None if v is None else f"{v:g}" for v in (bound.least, bound.most))
    if low is not None and high is not None:
        return f"{low} – {high}"
    if low is None and high is None:
        return ""
    return f"≥ {low}" if low is not None else f"≤ {high}"


def value_of(cell: str) -> float:
    """Read the number at the head of a cell."""
    found = re.match(r"-?\d+(\.\d+)?", cell)
    if found is None:
        raise ValueError(f"Expected a number, found {cell!r}.")
    return float(found[0])


def _row(figure: Figure, bound: Bound) -> Cells:
    (own, value), *others = figure.values.items()
    note = f" ({figure.note})" if figure.note else ""
    beside = ", ".join(f"`{name}` {_number(each)}" for name, each in others)
    return (
        figure.images,
        figure.what,
        f"`{own}`",
        f"{_number(value)}{note}",
        in_words(bound),
        beside,
    )


def _number(value: float) -> str:
    if isinstance(value, int) or value >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1.5 else f"{value:.3f}"


def _as_table(head: Cells, rows: Sequence[Cells]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
