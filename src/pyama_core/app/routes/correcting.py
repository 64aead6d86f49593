"""What *Look* corrects: cells of a field of view, by the log of corrections of the results."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from pyama_core.app.desk import Desk
from pyama_core.app.messages import Message
from pyama_core.app.routes.looking import AskFov
from pyama_core.app.routing import changes, reads
from pyama_core.errors import InputError
from pyama_core.processing.workflow.edits.actions import Correction, first_problem, parse_action
from pyama_core.results.doubts import doubts_of, needed_columns
from pyama_core.results.fov_results import FovResults

Kind = Literal["good", "bad", "join", "cut", "remove", "parent"]


class AskCorrection(AskFov):
    """A correction of a cell."""

    action: Kind
    cell: int
    other: int | None = None
    """The cell to join, or the parent; none for a cell that has no parent."""
    frame: int | None = None
    """The first that belongs to the new cell, of a cut."""
    frames: str | None = None
    """In which it is removed, such as ``3-5,9``; none for all."""
    note: str = ""
    """Why, of a verdict."""


class AskUndo(AskFov):
    """What to take back, or to do again: by default the last, in a field of view."""

    name: str | None = None
    """The name of a correction."""


class Tried(Message):
    """What a correction would come to."""

    refused: str
    """Why it cannot be made; empty if it can."""
    words: str


class Corrected(Message):
    """What was corrected, undone or done again."""

    words: tuple[str, ...]
    cell: int | None
    """The cell that it was about, as it is called now; none if there is none any more."""


class Standing(Message):
    """A correction, and how it stands."""

    name: str
    words: str
    cells: tuple[int, ...]
    """That it speaks of."""
    by: str
    at: str
    """When, UTC."""
    stands: Literal["applied", "undone", "stale"]
    reason: str
    """Why it is not applied; empty if it is."""


class Standings(Message):
    """The corrections of a field of view, in their order."""

    edits: tuple[Standing, ...]


class Doubted(Message):
    """A cell that a person should look at."""

    cell: int
    frame: int
    words: str
    other: int | None
    """A cell that may be the same one."""
    is_settled: bool
    """Whether a person has judged it."""


class Doubts(Message):
    """Cells that a person should look at, those that need it most first."""

    doubts: tuple[Doubted, ...]


def preview(desk: Desk, asked: AskCorrection) -> Tried:
    """Tell what a correction would come to."""
    try:
        outcome = desk.fov(asked.at, asked.fov).preview(_as_action(asked))
    except InputError as error:
        return Tried(refused=str(error).removeprefix(f"FOV {asked.fov}: "), words="")
    left = [f"{cell}: frames {frames}" for cell, frames in outcome.frames.items()]
    return Tried(refused="", words="; ".join([str(outcome.action), *left]))


def correct(desk: Desk, asked: AskCorrection) -> Corrected:
    """Correct a cell; it is saved before this answers."""
    action, of_fov = _as_action(asked), desk.fov(asked.at, asked.fov)
    with desk.changing(of_fov.folder.parent):
        [edit] = of_fov.correct([action])
    return Corrected(words=(str(edit.action),), cell=_there_of(of_fov, action.cells))


def undo(desk: Desk, asked: AskUndo) -> Corrected:
    """Take a correction back."""
    of_fov = desk.fov(asked.at, asked.fov)
    with desk.changing(of_fov.folder.parent):
        return _told(of_fov, of_fov.undo_edits(asked.name))


def redo(desk: Desk, asked: AskUndo) -> Corrected:
    """Do again what was undone."""
    of_fov = desk.fov(asked.at, asked.fov)
    with desk.changing(of_fov.folder.parent):
        return _told(of_fov, of_fov.redo_edits(asked.name))


def edits(desk: Desk, asked: AskFov) -> Standings:
    """Tell all corrections of a field of view."""
    return Standings(
        edits=tuple(
            Standing(
                name=each.edit.id,
                words=str(each.edit.action),
                cells=each.edit.action.cells,
                by=each.edit.by,
                at=each.edit.at.strftime("%Y-%m-%d %H:%M"),
                stands=each.standing.value,
                reason=each.reason,
            )
            for each in desk.fov(asked.at, asked.fov).standing_edits()
        )
    )


def doubts(desk: Desk, asked: AskFov) -> Doubts:
    """Tell which cells of a field of view a person should look at."""
    of_fov = desk.fov(asked.at, asked.fov)
    tables = desk.tables.read(of_fov, needed_columns(of_fov.channels))
    judged = of_fov.judged
    return Doubts(
        doubts=tuple(
            Doubted(
                cell=doubt.cell,
                frame=doubt.frame,
                words=doubt.words,
                other=doubt.other,
                is_settled=doubt.cell in judged,
            )
            for doubt in doubts_of(tables, _n_frames(of_fov, tables.traces))
        )
    )


def _n_frames(of_fov: FovResults, traces: Any) -> int:
    n_frames = of_fov.n_frames
    return int(traces["frame"].max() + 1) if n_frames is None and len(traces) else n_frames or 0


def _as_action(asked: AskCorrection) -> Correction:
    """Return the line of the log that is asked for.

    Raises
    ------
    InputError
        It is none.
    """
    said: dict[str, Any] = {"action": asked.action, "cell": asked.cell}
    if asked.action in ("good", "bad"):
        said |= {"action": "verdict", "good": asked.action == "good", "note": asked.note}
    elif asked.action == "parent":
        said["parent"] = asked.other
    elif asked.action == "join":
        said["other"] = asked.other
    elif asked.action == "remove":
        said["frames"] = asked.frames
    elif not asked.frame:
        raise InputError("a cell is cut at a frame after the first in which it is seen")
    else:
        said["frame"] = asked.frame
    try:
        return parse_action(said)  # type: ignore[return-value]  # undo and redo are not asked here
    except ValidationError as error:
        raise InputError(first_problem(error)) from error


def _told(of_fov: FovResults, meant: Any) -> Corrected:
    cells = [cell for edit in meant for cell in edit.action.cells]
    return Corrected(words=tuple(str(edit.action) for edit in meant), cell=_there_of(of_fov, cells))


def _there_of(of_fov: FovResults, cells: Any) -> int | None:
    return next((cell for cell in cells if of_fov.has_cell(cell)), None)


ENDPOINTS = (
    reads("/api/preview", preview),
    reads("/api/edits", edits),
    reads("/api/doubts", doubts),
    changes("/api/correct", correct),
    changes("/api/undo", undo),
    changes("/api/redo", redo),
)
