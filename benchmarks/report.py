"""What a benchmark found: tables, targets, and both as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TITLE = "Performance"
_INTRODUCTION = (
    "Written by `python -m benchmarks`. Times are medians with (smallest – largest); what is "
    "compared ran in turn within one run."
)


@dataclass(frozen=True)
class Target:
    """Something to reach: a measured number and its limit."""

    what: str
    measured: float
    limit: float
    at_most: bool
    unit: str = "×"

    @property
    def reached(self) -> bool:
        """Whether the measured number is on the right side of the limit."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table of targets."""
        sign = "≤" if self.at_most else "≥"
        goal, found = f"{sign} {self.limit:g} {self.unit}", f"{self.measured:.3g} {self.unit}"
        return self.what, goal.strip(), found.strip(), "reached" if self.reached else "**not**"


@dataclass(frozen=True)
class Table:
    """A table of strings, which are for people, beside the data, which are for programs."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: str = ""


@dataclass(frozen=True)
class Part:
    """What one part of the benchmark found."""

    title: str
    tables: list[Table]
    targets: list[Target] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def write_report(
    folder: Path, header: Mapping[str, str], parts: Mapping[str, Part]
) -> tuple[Path, Path]:
    """Write `PERFORMANCE.md` and `performance.json` into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, numbers = folder / "PERFORMANCE.md", folder / "performance.json"
    page.write_bytes(as_markdown(header, parts).encode())
    content = {
        "header": dict(header),
        "targets": [
            {**asdict(target), "reached": target.reached}
            for part in parts.values()
            for target in part.targets
        ],
        "parts": {name: part.data for name, part in parts.items()},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, default=_as_json)
    numbers.write_bytes((text + "\n").encode())
    return page, numbers


def _as_json(value: object) -> object:
    from benchmarks.timing import Times

    if isinstance(value, Times):
        return {"median_s": value.median, "seconds": value.seconds}
    raise TypeError(f"{value!r} has no form in JSON")


def as_markdown(header: Mapping[str, str], parts: Mapping[str, Part]) -> str:
    """Return the page."""
    blocks = [
        f"# {TITLE}",
        _INTRODUCTION,
        "\n".join(f"- {key}: {value}" for key, value in header.items()),
    ]
    targets = [target.cells() for part in parts.values() for target in part.targets]
    if targets:
        blocks += ["## Targets", grid(("", "target", "measured", ""), targets)]
    for part in parts.values():
        blocks.append(f"## {part.title}")
        for table in part.tables:
            heading = [f"### {table.title}"] if table.title else []
            notes = [table.notes] if table.notes else []
            blocks += [*heading, *notes, grid(table.columns, table.rows)]
    return "\n\n".join(blocks) + "\n"


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
