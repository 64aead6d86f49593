"""`pyama curate`."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pyama_core.cli.streams import echo
from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import parse_ranges
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.io.titles import titled
from pyama_core.processing.workflow.edits.actions import (
    Correction,
    Cut,
    Edit,
    Join,
    Remove,
    SetParent,
    Verdict,
    as_text,
    first_problem,
)
from pyama_core.processing.workflow.edits.correcting import (
    correct,
    found_on,
    import_file,
    redo,
    undo,
)
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.standing import (
    Standing,
    StandingEdit,
    standings_in,
)
from pyama_core.processing.workflow.samples.stored import fov_names
from pyama_core.processing.workflow.services.selection import find_channel, find_fovs
from pyama_core.processing.workflow.source_description import load_description

logger = logging.getLogger(__name__)

_CUT = re.compile(r"\s*([0-9]{1,9})\s*@\s*([0-9]{1,9})\s*")
_MOST_CELLS = 10**6
_NOBODY = ("none", "")


@dataclass(frozen=True)
class Asked:
    """What the command was asked for, as it was typed."""

    fov: str | None = None
    cell: str | None = None
    channel: str | None = None
    frames: str | None = None
    name: str | None = None
    by: str | None = None
    good: bool = False
    bad: str | None = None
    join: tuple[int, int] | None = None
    cut: str | None = None
    remove: str | None = None
    parent: tuple[str, str] | None = None
    undo: bool = False
    redo: bool = False
    source: Path | None = None
    listed: bool = False

    @property
    def flag(self) -> str:
        """The one thing that is to be done, by its flag.

        Raises
        ------
        InputError
            It is several, or comes with what does not belong to it.
        """
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        flags = [flag for name, flag in _FLAGS.items() if named[name] not in (None, False)]
        if len(flags) > 1:
            raise InputError(f"expected one correction at a time, found {' and '.join(flags)}")
        flag = flags[0] if flags else "--list"
        for name, (option, owners) in _OPTIONS.items():
            if named[name] is not None and flag not in owners:
                raise InputError(f"{option} belongs to {' or '.join(owners)}, not to {flag}")
        return flag


_FLAGS = {
    "good": "--good",
    "bad": "--bad",
    "join": "--join",
    "cut": "--cut",
    "remove": "--remove",
    "parent": "--parent",
    "undo": "--undo",
    "redo": "--redo",
    "source": "--import",
    "listed": "--list",
}
_OPTIONS = {
    "cell": ("--cell", ("--good", "--bad")),
    "channel": ("--channel", ("--good", "--bad")),
    "frames": ("--frames", ("--remove",)),
    "name": ("--id", ("--undo", "--redo")),
}


def curate(folder: Path, asked: Asked, *, as_json: bool) -> int:
    """Correct cells, take that back, or show all corrections."""
    flag = asked.flag
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    if not records_by_fov(folder):
        raise InputError(f"{folder} holds no results: no record of any FOV")
    there = _Folder(folder)
    fov = None if asked.fov is None else there.fov(asked.fov)
    if flag == "--list":
        return there.show(fov, as_json=as_json)
    if flag == "--import":
        assert asked.source is not None
        n_lines, edits = import_file(there.log, asked.source, there.fov, asked.by)
        known = n_lines - len(edits)
        echo(f"{len(edits)} imported" + (f", {known} were known" if known else ""))
        there.warn_of_stale(edits)
    elif flag in ("--undo", "--redo"):
        act = undo if flag == "--undo" else redo
        for edit in act(there.log, fov, asked.name, asked.by):
            echo(f"{'undone' if flag == '--undo' else 'done again'}: {there.line(edit)}")
    else:
        number = there.only_fov() if fov is None else fov
        actions = _actions(asked, there)
        found = found_on(records_by_fov(folder)[number])
        for edit in correct(there.log, number, found, actions, asked.by):
            echo(there.line(edit))
    return 0


class _Folder:
    """The output folder: its log, and words for its fields of view and channels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = EditLog(folder)
        self._names = fov_names(folder)

    def fov(self, word: int | str) -> int:
        """Return the field of view, with results, that a word means."""
        numbers = find_fovs([word], self._names)
        if len(numbers) != 1:
            raise InputError(f"expected one FOV, found {len(numbers)}: {word!r}")
        if numbers[0] not in records_by_fov(self.folder):
            raise InputError(f"there are no results of FOV {self.title(numbers[0])}")
        return numbers[0]

    def only_fov(self) -> int:
        """Return the field of view where there is only one with results."""
        numbers = list(records_by_fov(self.folder))
        if len(numbers) != 1:
            raise InputError(f"say which of {len(numbers)} FOVs: --fov NUMBER or NAME")
        return numbers[0]

    def channel(self, word: str) -> int:
        """Return the channel that a word means."""
        description = load_description(self.folder)
        if description is None:
            if word.isdecimal():
                return int(word)
            raise InputError(f"--channel: names are not known here; expected a number, not {word}")
        return find_channel(word, description.channel_names)

    def title(self, fov: int) -> str:
        """Return number and name of a field of view."""
        return titled(fov, self._names[fov] if fov < len(self._names) else "", "FOV")

    def line(self, edit: Edit) -> str:
        """Tell of a correction in a line."""
        return f"{edit.id}  FOV {self.title(edit.fov)}: {edit.action}"

    def warn_of_stale(self, edits: Sequence[Edit]) -> None:
        """Tell which of some corrections find no cell here."""
        names = {edit.id for edit in edits}
        for each in standings_in(self.folder, self.log.read()):
            if each.edit.id in names and each.standing is Standing.STALE:
                logger.warning("stale: %s (%s)", self.line(each.edit), each.reason)

    def show(self, fov: int | None, *, as_json: bool) -> int:
        """Show all corrections, and how they stand."""
        content = self.log.read()
        found = standings_in(self.folder, content, None if fov is None else [fov])
        if as_json:
            unreadable = [
                {"line": line.number, "reason": line.reason} for line in content.unreadable
            ]
            plain = {"edits": [_as_plain_data(each) for each in found], "unreadable": unreadable}
            echo(json.dumps(plain, indent=1))
            return 0
        if not found:
            echo("nothing was corrected")
            return 0
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("id", "when (UTC)", "who", "FOV", "correction", "stands")
        for each in found:
            edit = each.edit
            when = edit.at.strftime("%Y-%m-%d %H:%M:%S")
            said = (edit.id, when, edit.by, self.title(edit.fov), str(edit.action), each.standing)
            table.add_row(*map(Text, said))
        Console(width=None if sys.stdout.isatty() else 120).print(table)
        for each in found:
            if each.standing is Standing.STALE:
                echo(f"stale: {self.line(each.edit)} ({each.reason})")
        return 0


def _as_plain_data(each: StandingEdit) -> dict[str, Any]:
    edit = each.edit
    plain = edit.model_dump(mode="json", include={"id", "at", "by", "fov"})
    plain |= edit.action.model_dump(mode="json")
    return plain | {"text": str(edit.action), "stands": each.standing, "reason": each.reason}


# What was typed


def _actions(asked: Asked, there: _Folder) -> list[Correction]:
    try:
        return _parse(asked, there)
    except ValidationError as error:
        raise InputError(f"{asked.flag}: {first_problem(error)}") from error


def _parse(asked: Asked, there: _Folder) -> list[Correction]:
    if asked.join is not None:
        return [Join(cell=asked.join[0], other=asked.join[1])]
    if asked.cut is not None:
        match = _CUT.fullmatch(asked.cut)
        if match is None:
            raise InputError(f"--cut: expected CELL@FRAME such as 17@42, found {asked.cut!r}")
        return [Cut(cell=int(match[1]), frame=int(match[2]))]
    if asked.remove is not None:
        cells = _cells("--remove", asked.remove)
        return [Remove(cell=cell, frames=asked.frames) for cell in cells]
    if asked.parent is not None:
        [cell] = _cells("--parent", asked.parent[0], most=1)
        word = asked.parent[1].strip()
        if word.casefold() in _NOBODY:
            return [SetParent(cell=cell, parent=None)]
        [parent] = _cells("--parent", word, most=1)
        return [SetParent(cell=cell, parent=parent)]
    if asked.cell is None:
        raise InputError(f"{asked.flag}: say which cell: --cell 17, or --cell 17,20-25")
    channel = None if asked.channel is None else there.channel(asked.channel)
    note = as_text(asked.bad or "")
    return [
        Verdict(cell=cell, good=asked.good, note=note, channel=channel)
        for cell in _cells("--cell", asked.cell)
    ]


def _cells(flag: str, text: str, most: int = _MOST_CELLS) -> list[int]:
    """Return the cells of a text such as ``17,20-25``."""
    try:
        cells = sorted(parse_ranges(text.replace(" ", ""), _MOST_CELLS))
    except ValueError:
        cells = []
    if not 1 <= len(cells) <= most:
        example = "such as 17" if most == 1 else "such as 17 or 17,20-25"
        raise InputError(f"{flag}: expected the number of a cell {example}, found {text!r}")
    return cells
