"""Which actions count: what was undone does not, what was done again does.

Undo and redo are actions like the others and name the one that they are about, so that what counts
follows from the log alone. An action that is done again keeps its place among the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyama_core.processing.workflow.edits.actions import Edit, Redo, Undo


def undone_in(edits: Iterable[Edit]) -> frozenset[str]:
    """Return the names of the actions that do not count any more."""
    undone: set[str] = set()
    for edit in edits:
        if isinstance(edit.action, Undo):
            undone.add(edit.action.of)
        elif isinstance(edit.action, Redo):
            undone.discard(edit.action.of)
    return frozenset(undone)


def corrections_in(edits: Iterable[Edit]) -> list[Edit]:
    """Return all actions that correct something, whether they count or not."""
    return [edit for edit in edits if not isinstance(edit.action, (Undo, Redo))]


def active_in(edits: Sequence[Edit]) -> list[Edit]:
    """Return the actions that count, in their order."""
    undone = undone_in(edits)
    return [edit for edit in corrections_in(edits) if edit.id not in undone]


def next_to_undo(edits: Sequence[Edit]) -> list[Edit]:
    """Return the last action that counts, with those that were asked for at once with it."""
    active = active_in(edits)
    return [edit for edit in active if _are_one(edit, active[-1])]


def next_to_redo(edits: Sequence[Edit]) -> list[Edit]:
    """Return what was undone last, and at once, unless a new action followed."""
    undone: dict[str, Edit] = {}
    """The line that undid an action, by the name of that, the last one last."""
    for edit in edits:
        action = edit.action
        if isinstance(action, Undo):
            undone.setdefault(action.of, edit)
        elif isinstance(action, Redo):
            undone.pop(action.of, None)
        else:
            undone.clear()
    waiting = {edit.id: edit for edit in corrections_in(edits) if edit.id in undone}
    if not waiting:
        return []
    last = next(undone[name] for name in reversed(undone) if name in waiting)
    return [edit for name, edit in waiting.items() if _are_one(undone[name], last)]


def _are_one(edit: Edit, other: Edit) -> bool:
    return edit.id == other.id or (edit.batch is not None and edit.batch == other.batch)
