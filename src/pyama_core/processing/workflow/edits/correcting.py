"""Correcting an output folder: what the command, Python and the page share.

Every change is saved in the log first; then the results file counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.processing.workflow.edits.actions import (
    Correction,
    Cut,
    Edit,
    as_batch,
    as_text,
    who,
)
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.history import active_in
from pyama_core.processing.workflow.edits.importing import FovOf, import_lines, read_lines
from pyama_core.processing.workflow.edits.log import EditLog, LogContent
from pyama_core.processing.workflow.edits.making import make_correction, make_redo, make_undo
from pyama_core.processing.workflow.edits.on_record import read_found, state_on
from pyama_core.processing.workflow.edits.resolve import resolve
from pyama_core.processing.workflow.edits.standing import NO_CELLS
from pyama_core.processing.workflow.results_file import refresh_edits


@dataclass(frozen=True)
class Outcome:
    """What a correction would come to.

    Attributes
    ----------
    action : Correction
        The correction; a cell that would be cut off has its number.
    frames : mapping of int to str
        The frames of each cell that it concerns and leaves, such as ``0-9,11``.
    """

    action: Correction
    frames: Mapping[int, str]


def try_out(log: EditLog, fov: int, found: FoundCells | None, action: Correction) -> Outcome:
    """Return what a correction would come to, without making it; parameters as `correct`.

    Raises
    ------
    InputError
        It cannot be made of the cells that there are.
    """
    if found is None:
        raise InputError(f"FOV {fov}: {NO_CELLS}")
    edits = log.read().of_fov(fov)
    cells = resolve(found, active_in(edits)).cells
    tried = cast("Correction", make_correction(cells, fov, action, edits, "").action)
    new = tried.new_cell if isinstance(tried, Cut) else None
    concerned = [*tried.cells, *([] if new is None else [new])]
    return Outcome(
        tried,
        {
            cell: format_ranges(cells.frames_of(cell).tolist())
            for cell in concerned
            if cell in cells
        },
    )


def correct(
    log: EditLog,
    fov: int,
    found: FoundCells | None,
    actions: Sequence[Correction],
    by: str | None = None,
) -> Sequence[Edit]:
    """Correct cells of a field of view, all that is asked for or nothing.

    Parameters
    ----------
    log : EditLog
        The log of the output folder.
    fov : int
        The field of view.
    found : FoundCells or None
        Its cells; None if there are none to correct.
    actions : sequence of Correction
        In order.
    by : str, optional
        Who corrects; by default, the user as the system knows them.

    Returns
    -------
    sequence of Edit
        The new lines; a cut has the number of the new cell.

    Raises
    ------
    InputError
        One of them cannot be made of the cells that there are.
    StorageError
        The folder cannot be written.
    """
    if found is None:
        raise InputError(f"FOV {fov}: {NO_CELLS}")
    author = _author(by)

    def decide(content: LogContent) -> list[Edit]:
        edits = list(content.of_fov(fov))
        n_before = len(edits)
        cells = resolve(found, active_in(edits)).cells
        for action in actions:
            edits.append(make_correction(cells, fov, action, edits, author))
        return as_batch(edits[n_before:])

    return _changed(log, decide)


def undo(
    log: EditLog, fov: int | None = None, name: str | None = None, by: str | None = None
) -> list[Edit]:
    """Take back what was corrected last, or one correction, and return it.

    Corrections that were asked for at once are taken back at once.

    Parameters
    ----------
    log : EditLog
        The log of the output folder.
    fov : int, optional
        Only among those of a field of view.
    name : str, optional
        Name of one correction.
    by : str, optional
        Who does it.

    Raises
    ------
    InputError
        There is none.
    StorageError
        The folder cannot be written.
    """
    author = _author(by)
    lines = _changed(log, lambda content: make_undo(_among(content, fov), author, name))
    return _meant_by(log, lines)


def redo(
    log: EditLog, fov: int | None = None, name: str | None = None, by: str | None = None
) -> list[Edit]:
    """Make corrections count again that were undone, and return them; parameters as `undo`.

    By default it is what was undone last, unless a new one followed.
    """
    author = _author(by)
    lines = _changed(log, lambda content: make_redo(_among(content, fov), author, name))
    return _meant_by(log, lines)


def import_file(
    log: EditLog, path: Path, fov_of: FovOf, by: str | None = None
) -> tuple[int, Sequence[Edit]]:
    """Add the corrections of a file of JSON lines; return how many it has, and the new ones.

    Raises
    ------
    InputError
        The file cannot be read, or one of its lines cannot be applied; nothing is added.
    StorageError
        The folder cannot be written.
    """
    lines = read_lines(path, fov_of)
    records = records_by_fov(log.path.parent)

    def found_of(fov: int) -> FoundCells | None:
        return found_on(records[fov]) if fov in records else None

    imported = import_lines(log, lines, found_of, _author(by))
    refresh_edits(log.path.parent, {edit.fov for edit in imported})
    return len(lines), imported


def found_on(record_path: Path) -> FoundCells | None:
    """Read the cells of a field of view; None if there are none to correct.

    Raises
    ------
    DamagedFileError
        Its record cannot be believed.
    """
    state = state_on(record_path)
    if state is None:
        raise DamagedFileError(
            f"{record_path} is damaged; run again to make the outputs of its FOV anew"
        )
    return read_found(record_path.parent, state)


def _changed(log: EditLog, decide: Callable[[LogContent], Sequence[Edit]]) -> Sequence[Edit]:
    lines = log.change(decide)
    refresh_edits(log.path.parent, {line.fov for line in lines})
    return lines


def _author(by: str | None) -> str:
    return who() if by is None else as_text(by)


def _among(content: LogContent, fov: int | None) -> Sequence[Edit]:
    return content.edits if fov is None else content.of_fov(fov)


def _meant_by(log: EditLog, lines: Sequence[Edit]) -> list[Edit]:
    """Return the corrections that were undone or done again."""
    names = {getattr(line.action, "of", None) for line in lines}
    return [edit for edit in log.read().edits if edit.id in names]
