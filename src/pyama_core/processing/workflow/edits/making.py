"""New lines of the log: corrections that can be made of the cells there are, undo and redo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyama_core.errors import InputError
from pyama_core.processing.workflow.edits.actions import Correction, Cut, Edit, Redo, Undo, as_batch
from pyama_core.processing.workflow.edits.edited_cells import (
    FIRST_NEW_CELL,
    EditedCells,
    EditRefusedError,
)
from pyama_core.processing.workflow.edits.history import (
    corrections_in,
    next_to_redo,
    next_to_undo,
    undone_in,
)
from pyama_core.processing.workflow.edits.resolve import describe_cells


def make_correction(
    cells: EditedCells, fov: int, action: Correction, earlier: Iterable[Edit], by: str
) -> Edit:
    """Apply a correction and return its line.

    Parameters
    ----------
    cells : EditedCells
        The cells as they are; changed by this.
    fov : int
        Their field of view.
    action : Correction
        What is corrected. A cell that is cut off gets its number here, if it has none.
    earlier : iterable of Edit
        All lines so far, those that do not count any more included.
    by : str
        Who corrects.

    Raises
    ------
    InputError
        It cannot be made of these cells; nothing changed.
    """
    if isinstance(action, Cut) and action.new_cell is None:
        action = action.model_copy(update={"new_cell": next_new_cell(cells, fov, earlier)})
    try:
        anchors = describe_cells(cells, action)
        cells.apply(action)
    except EditRefusedError as error:
        raise InputError(f"FOV {fov}: {error}") from error
    return Edit.now(fov, action, anchors, by)


def next_new_cell(cells: EditedCells | None, fov: int, earlier: Iterable[Edit]) -> int:
    """Return a number that no cell of a field of view has or ever had."""
    given = [number + 1 for number in _given_numbers(fov, earlier)]
    return max(FIRST_NEW_CELL, 0 if cells is None else cells.largest + 1, *given)


def is_taken(number: int, cells: EditedCells | None, fov: int, earlier: Iterable[Edit]) -> bool:
    """Whether a number is that of a cell, or was given to one before."""
    known = cells is not None and (number in cells or number in cells.found.known)
    return known or number in _given_numbers(fov, earlier)


def _given_numbers(fov: int, earlier: Iterable[Edit]) -> list[int]:
    """Return the numbers that were given to cells which were cut off others."""
    actions = [edit.action for edit in earlier if edit.fov == fov]
    return [
        action.new_cell
        for action in actions
        if isinstance(action, Cut) and action.new_cell is not None
    ]


def make_undo(edits: Sequence[Edit], by: str, name: str | None = None) -> list[Edit]:
    """Return the lines by which an action counts no longer.

    Parameters
    ----------
    edits : sequence of Edit
        Those among which to choose: of a field of view, or all.
    by : str
        Who does it.
    name : str, optional
        Name of the action, by default the last one that counts and what was asked for with it.

    Raises
    ------
    InputError
        There is none.
    """
    meant = next_to_undo(edits) if name is None else [_named(edits, name)]
    if not meant:
        raise InputError("there is nothing to undo")
    undone = undone_in(edits)
    for edit in meant:
        if edit.id in undone:
            raise InputError(f"{edit.id} ({edit.action}) is undone already")
    return as_batch([Edit.now(edit.fov, Undo(of=edit.id), (), by) for edit in meant])


def make_redo(edits: Sequence[Edit], by: str, name: str | None = None) -> list[Edit]:
    """Return the lines by which an action that was undone counts again.

    Parameters
    ----------
    edits, by : see `make_undo`
    name : str, optional
        Name of the action; by default, what was undone last and at once, unless a new action
        followed.

    Raises
    ------
    InputError
        There is none.
    """
    meant = next_to_redo(edits) if name is None else [_named(edits, name)]
    if not meant:
        raise InputError("there is nothing to redo")
    undone = undone_in(edits)
    for edit in meant:
        if edit.id not in undone:
            raise InputError(f"{edit.id} ({edit.action}) is not undone")
    return as_batch([Edit.now(edit.fov, Redo(of=edit.id), (), by) for edit in meant])


def _named(edits: Iterable[Edit], name: str) -> Edit:
    for edit in corrections_in(edits):
        if edit.id == name:
            return edit
    raise InputError(f"there is no correction {name!r}; pyama curate DIR --list shows all")
