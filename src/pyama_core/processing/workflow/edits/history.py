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


def next_to_undo(edits: Sequence[Edit]) -> Edit | None:
    """Return the last action that counts; None if there is none."""
    return next(reversed(active_in(edits)), None)


def next_to_redo(edits: Sequence[Edit]) -> Edit | None:
    """Return what was undone last, unless a new action followed; None if there is none."""
    by_name = {edit.id: edit for edit in corrections_in(edits)}
    waiting: list[str] = []
    for edit in edits:
        action = edit.action
        if isinstance(action, Undo):
            if action.of in by_name and action.of not in waiting:
                waiting.append(action.of)
        elif isinstance(action, Redo):
            if action.of in waiting:
                waiting.remove(action.of)
        else:
            waiting.clear()
    return by_name[waiting[-1]] if waiting else None
