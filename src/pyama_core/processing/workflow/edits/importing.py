"""Corrections from a file of JSON lines, such as a report writes, or the log of another folder.

A line has at least the field of view (number or name) and an action. What it lacks of the rest is
made up for: its name, who and when; and where it does not describe its cells, they are those of
these numbers as they are now. Lines whose names are known already are left out, so that a file can
be read twice.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from pyama_core.errors import InputError, reason_of
from pyama_core.io.regular_files import read_regular
from pyama_core.processing.workflow.edits.actions import (
    LOG_VERSION,
    Action,
    Anchor,
    Correction,
    Cut,
    Edit,
    Identifier,
    Join,
    Line,
    Redo,
    SetParent,
    Undo,
    as_batch,
    first_problem,
    parse_action,
)
from pyama_core.processing.workflow.edits.edited_cells import EditedCells, EditRefusedError
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.history import active_in
from pyama_core.processing.workflow.edits.log import BYTE_ORDER_MARK, TORN, EditLog, LogContent
from pyama_core.processing.workflow.edits.making import is_taken, make_correction, next_new_cell
from pyama_core.processing.workflow.edits.resolve import apply_edit, resolve
from pyama_core.processing.workflow.edits.standing import NO_CELLS

FovOf = Callable[[int | str], int]
FoundOf = Callable[[int], FoundCells | None]


class Stamp(BaseModel):
    """What a line may say of itself."""

    model_config = ConfigDict(frozen=True)

    id: Identifier | None = None
    at: AwareDatetime | None = None
    by: Line | None = None
    anchors: tuple[Anchor, ...] = ()

    def stamped(self, edit: Edit) -> Edit:
        """Return a line with the name, time and author that are given here."""
        given = {name: getattr(self, name) for name in ("id", "at", "by")}
        return edit.model_copy(update={name: value for name, value in given.items() if value})


@dataclass(frozen=True)
class ImportedLine:
    """A line of a file to import.

    Attributes
    ----------
    where : str
        File and number of the line.
    fov : int
        Field of view.
    action : Action
        What is done.
    stamp : Stamp
        What it says of itself.
    """

    where: str
    fov: int
    action: Action
    stamp: Stamp


def read_lines(path: Path, fov_of: FovOf) -> list[ImportedLine]:
    """Read a file of JSON lines.

    Parameters
    ----------
    path : Path
        The file.
    fov_of : callable
        Finds a field of view by number or name.

    Raises
    ------
    InputError
        The file cannot be read, or one of its lines is no action; the message says which.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason_of(error, path)}") from error
    lines = enumerate(content.removeprefix(BYTE_ORDER_MARK).split(b"\n"), start=1)
    return [
        _read_line(f"{path}, line {number}", line, fov_of)
        for number, line in lines
        if line.strip() and not line.rstrip().endswith(TORN)
    ]


def _read_line(where: str, line: bytes, fov_of: FovOf) -> ImportedLine:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected JSON ({error})") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("fov"), (int, str)):
        raise InputError(f'{where}: expected {{"fov": …, "action": …}}, found {line[:80]!r}')
    if plain.get("version", LOG_VERSION) != LOG_VERSION:
        raise InputError(f"{where}: expected version {LOG_VERSION}, found {plain['version']!r}")
    try:
        fov, stamp = fov_of(plain["fov"]), Stamp.model_validate(plain)
        return ImportedLine(where, fov, parse_action(plain), stamp)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def import_lines(
    log: EditLog, lines: Sequence[ImportedLine], found_of: FoundOf, by: str
) -> Sequence[Edit]:
    """Add lines to a log, all of them or none, and return those that were new.

    They are undone at once, as they are read at once.

    Parameters
    ----------
    log : EditLog
        The log of the output folder.
    lines : sequence of ImportedLine
        What to add, in order.
    found_of : callable
        Finds the cells of a field of view; None if there are none.
    by : str
        Who corrects, where a line does not say so.

    Raises
    ------
    InputError
        A line that does not describe its cells cannot be applied to those that there are. One that
        describes them and does not find them is kept, as stale.
    """
    remembered = functools.cache(found_of)
    return log.change(lambda content: as_batch(_Import(content, remembered, by).take(lines)))


class _Import:
    """Lines that are added to those of a log."""

    def __init__(self, content: LogContent, found_of: FoundOf, by: str) -> None:
        self._content = content
        self._found_of = found_of
        self._by = by
        self._names = {edit.id for edit in content.edits}
        self._new: dict[int, list[Edit]] = {}
        self._cells: dict[int, EditedCells] = {}
        self._renumbered: dict[tuple[int, int], int] = {}

    def take(self, lines: Sequence[ImportedLine]) -> list[Edit]:
        """Return the new lines, complete."""
        made = []
        for line in lines:
            if line.stamp.id in self._names:
                continue
            try:
                edit = line.stamp.stamped(self._made_of(line))
            except InputError as error:
                raise InputError(f"{line.where}: {error}") from error
            self._names.add(edit.id)
            self._new.setdefault(line.fov, []).append(edit)
            made.append(edit)
        return made

    def _made_of(self, line: ImportedLine) -> Edit:
        action = line.action
        if isinstance(action, (Undo, Redo)):
            if action.of not in self._names:
                raise InputError(f"there is no correction {action.of!r}")
            self._cells.pop(line.fov, None)
            return Edit.now(line.fov, action, (), self._by)
        cells = self._cells_of(line.fov)
        action = self._with_own_numbers(line.fov, action, cells)
        if not line.stamp.anchors:
            if cells is None:
                raise InputError(f"FOV {line.fov}: {NO_CELLS}")
            return make_correction(cells, line.fov, action, self._all(line.fov), self._by)
        anchors = tuple(self._renamed_anchor(line.fov, each) for each in line.stamp.anchors)
        edit = Edit.now(line.fov, action, anchors, self._by)
        if cells is not None:
            with contextlib.suppress(EditRefusedError):
                apply_edit(cells, edit)
        return edit

    def _all(self, fov: int) -> list[Edit]:
        return [*self._content.of_fov(fov), *self._new.get(fov, [])]

    def _cells_of(self, fov: int) -> EditedCells | None:
        """Return the cells of a field of view under all lines so far."""
        if fov not in self._cells:
            found = self._found_of(fov)
            if found is None:
                return None
            self._cells[fov] = resolve(found, active_in(self._all(fov))).cells
        return self._cells[fov]

    # Numbers of cells that are cut off, which may be taken here

    def _with_own_numbers(
        self, fov: int, action: Correction, cells: EditedCells | None
    ) -> Correction:
        numbers = {name: self._renumber(fov, number) for name, number in _cells_in(action).items()}
        if isinstance(action, Cut):
            new = action.new_cell
            if new is None or is_taken(new, cells, fov, self._all(fov)):
                numbers["new_cell"] = next_new_cell(cells, fov, self._all(fov))
            if new is not None:
                self._renumbered[fov, new] = numbers.get("new_cell", new)
        return action.model_copy(update=numbers)

    def _renumber(self, fov: int, cell: int) -> int:
        return self._renumbered.get((fov, cell), cell)

    def _renamed_anchor(self, fov: int, anchor: Anchor) -> Anchor:
        return anchor.model_copy(update={"cell": self._renumber(fov, anchor.cell)})


def _cells_in(action: Correction) -> dict[str, int]:
    """Return the cells that an action speaks of, by the name of the field."""
    names = ["cell"]
    if isinstance(action, Join):
        names.append("other")
    elif isinstance(action, SetParent) and action.parent is not None:
        names.append("parent")
    return dict(zip(names, action.cells, strict=True))
