"""All corrections of a field of view, applied one after the other to the cells that a run found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from pyama_core.processing.workflow.edits.actions import (
    Action,
    Anchor,
    Correction,
    Edit,
    Join,
    SetParent,
)
from pyama_core.processing.workflow.edits.anchors import describe_cell, find_again
from pyama_core.processing.workflow.edits.edited_cells import EditedCells, EditRefusedError
from pyama_core.processing.workflow.edits.found import FoundCells


@dataclass(frozen=True)
class StaleEdit:
    """A correction that counts but has no cell any more, or cannot be made of the cells there are.

    Attributes
    ----------
    edit : Edit
        The line of the log.
    reason : str
        Why it is not applied.
    """

    edit: Edit
    reason: str


@dataclass(frozen=True)
class Resolved:
    """What the corrections of a field of view come to.

    Attributes
    ----------
    cells : EditedCells
        The cells under all corrections that could be applied.
    applied : tuple of Edit
        Those.
    stale : tuple of StaleEdit
        The others.
    """

    cells: EditedCells
    applied: tuple[Edit, ...]
    stale: tuple[StaleEdit, ...]


def resolve(found: FoundCells, edits: Iterable[Edit]) -> Resolved:
    """Apply the corrections of a field of view.

    Parameters
    ----------
    found : FoundCells
        What the run found.
    edits : iterable of Edit
        The actions that count (`history.active_in`), in order.
    """
    cells = EditedCells(found)
    applied, stale = [], []
    for edit in edits:
        try:
            apply_edit(cells, edit)
        except EditRefusedError as error:
            stale.append(StaleEdit(edit, str(error)))
        else:
            applied.append(edit)
    return Resolved(cells, tuple(applied), tuple(stale))


def apply_edit(cells: EditedCells, edit: Edit) -> None:
    """Apply a correction to the cells that its own are now.

    Raises
    ------
    EditRefusedError
        It is stale; nothing changed.
    """
    cells.apply(_as_of_now(cells, edit))


def describe_cells(cells: EditedCells, action: Action) -> tuple[Anchor, ...]:
    """Describe the cells that an action speaks of, as they are before it.

    Raises
    ------
    EditRefusedError
        There is no such cell.
    """
    cells.require(action.cells)
    return tuple(describe_cell(cells, cell) for cell in action.cells)


def _as_of_now(cells: EditedCells, edit: Edit) -> Correction:
    """Return a correction of the cells that its own are now.

    Raises
    ------
    EditRefusedError
        One of them is gone.
    """
    action = cast("Correction", edit.action)
    if tuple(anchor.cell for anchor in edit.anchors) != action.cells:
        raise EditRefusedError("the line does not describe the cells that it speaks of")
    found = [_find(cells, anchor) for anchor in edit.anchors]
    if len(set(found)) < len(found):
        raise EditRefusedError(f"cells {_in_words(action.cells)} are one by now, cell {found[0]}")
    return _with_cells(action, found)


def _find(cells: EditedCells, anchor: Anchor) -> int:
    cell = find_again(cells, anchor)
    if cell is not None:
        return cell
    if anchor.labels == cells.found.labels:
        cells.require([anchor.cell])
    raise EditRefusedError(
        f"cells were found anew since, and none overlaps what was cell {anchor.cell} "
        "by more than half"
    )


def _with_cells(action: Correction, cells: Sequence[int]) -> Correction:
    update = {"cell": cells[0]}
    if isinstance(action, Join):
        update["other"] = cells[1]
    elif isinstance(action, SetParent) and action.parent is not None:
        update["parent"] = cells[1]
    return action.model_copy(update=update)


def _in_words(cells: Iterable[int]) -> str:
    return " and ".join(map(str, cells))
