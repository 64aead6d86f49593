"""Corrections from Python: what `FovResults` and `Results` can do about cells."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

from pydantic import ValidationError

from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.processing.workflow.edits import correcting
from pyama_core.processing.workflow.edits.actions import (
    Anchor,
    Correction,
    Edit,
    as_text,
    first_problem,
    parse_action,
)
from pyama_core.processing.workflow.edits.anchors import describe_cell
from pyama_core.processing.workflow.edits.correcting import Outcome
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.history import active_in
from pyama_core.processing.workflow.edits.log import EditLog, LogContent
from pyama_core.processing.workflow.edits.on_record import read_found
from pyama_core.processing.workflow.edits.resolve import Resolved, resolve
from pyama_core.processing.workflow.edits.standing import StandingEdit, standings_in
from pyama_core.processing.workflow.fov_state import FovState

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Cells = SupportsIndex | Iterable[SupportsIndex]
"""A cell or several, by number."""
Frames = str | Iterable[SupportsIndex]
"""Frames from 0: ``"3-5,9"`` or ``[3, 4, 5, 9]``."""


class FovCuration:
    """Corrections of one field of view; files of the run are never changed.

    What is said here goes into the log of the output folder, shows in everything that is read from
    then on, here and elsewhere, and can be undone. All methods raise InputError if there is no such
    cell, and StorageError if the folder cannot be written.
    """

    number: int
    folder: Path
    _log: EditLog
    _worked_out: tuple[LogContent, FovState, EditedCells | None] | None = None
    _read_found: tuple[FovState, FoundCells | None] | None = None
    _told_of: frozenset[str] = frozenset()

    @property
    def state(self) -> FovState:
        """What the record says."""
        raise NotImplementedError

    def _channel_number(self, channel: SupportsIndex | str) -> int:
        raise NotImplementedError

    def mark_good(self, cells: Cells, channel: SupportsIndex | str | None = None) -> None:
        """Say that cells can be trusted, in a channel or in all."""
        self._judge(cells, "", channel, good=True)

    def mark_bad(
        self, cells: Cells, note: str = "", channel: SupportsIndex | str | None = None
    ) -> None:
        """Say that cells cannot be trusted, in a channel or in all.

        Parameters
        ----------
        cells : int or iterable of int
            One or several.
        note : str
            Why; it stands in the column of reasons.
        channel : int or str, optional
            Number or name of a channel.

        Examples
        --------
        >>> results.fov(3).mark_bad(17, "dead")  # doctest: +SKIP
        """
        self._judge(cells, note, channel, good=False)

    def join(self, cell: SupportsIndex, other: SupportsIndex) -> None:
        """Say that two tracks are of one cell; it keeps the number of the one that begins first.

        Raises
        ------
        InputError
            Both are seen in some frame, which the message names.
        """
        self._correct({"action": "join", "cell": int(cell), "other": int(other)})

    def cut(self, cell: SupportsIndex, frame: SupportsIndex) -> int:
        """Say that from a frame on a track is of another cell, and return the number of that."""
        [edit] = self._correct({"action": "cut", "cell": int(cell), "frame": int(frame)})
        return int(getattr(edit.action, "new_cell", 0))

    def remove(self, cells: Cells, frames: Frames | None = None) -> None:
        """Say that what was found is no cell, in some frames or in all."""
        if frames is not None and not isinstance(frames, str):
            frames = format_ranges(map(int, frames))
        said: dict[str, object] = {"action": "remove", "frames": frames}
        self._correct(*({**said, "cell": cell} for cell in _numbers(cells)))

    def set_parent(self, cell: SupportsIndex, parent: SupportsIndex | None) -> None:
        """Say that a cell came from the division of another, or (None) of no other."""
        number = None if parent is None else int(parent)
        self._correct({"action": "parent", "cell": int(cell), "parent": number})

    def preview(self, correction: Correction) -> Outcome:
        """Return what a correction would come to, without making it.

        Parameters
        ----------
        correction : Correction
            One of the actions of `pyama_core.processing.workflow.edits.actions`.

        Raises
        ------
        InputError
            It cannot be made, and why.
        """
        return correcting.try_out(self._log, self.number, self._found(), correction)

    def has_cell(self, cell: int) -> bool:
        """Whether there is a cell of a number, under corrections."""
        cells, found = self._edited_cells(), self._found()
        if cells is not None:
            return cell in cells
        return found is not None and cell in found.known

    @property
    def n_frames(self) -> int | None:
        """Frames in which cells were looked for; None if that is not known."""
        found = self._found()
        return None if found is None else found.n_frames

    @property
    def judged(self) -> frozenset[int]:
        """Cells of which a person said whether they can be trusted."""
        cells = self._edited_cells()
        return frozenset() if cells is None else frozenset(cells.marked)

    @property
    def edits(self) -> pd.DataFrame:
        """All corrections of this field of view; see `Curation.edits`."""
        return _as_table(self.standing_edits())

    def standing_edits(self) -> list[StandingEdit]:
        """Return what `edits` tells, as objects."""
        return standings_in(self._log.path.parent, self._log.read(), [self.number])

    def correct(self, corrections: Sequence[Correction]) -> list[Edit]:
        """Make corrections, all of them or none, and return their lines of the log."""
        return list(correcting.correct(self._log, self.number, self._found(), corrections))

    def undo(self, name: str | None = None) -> str:
        """Take back what was corrected last in this field of view; see `Curation.undo`."""
        return _in_words(self.undo_edits(name))

    def redo(self, name: str | None = None) -> str:
        """Make corrections of this field of view count again; see `Curation.redo`."""
        return _in_words(self.redo_edits(name))

    def undo_edits(self, name: str | None = None) -> list[Edit]:
        """Do what `undo` does, and return the corrections that were taken back."""
        return correcting.undo(self._log, self.number, name)

    def redo_edits(self, name: str | None = None) -> list[Edit]:
        """Do what `redo` does, and return the corrections that count again."""
        return correcting.redo(self._log, self.number, name)

    def numbers_in(self, frame: int) -> dict[int, int]:
        """Return the cell of each label of a frame where that is another than its own number.

        Parameters
        ----------
        frame : int
            From 0.

        Returns
        -------
        dict of int to int
            By label of the label image of the run: the number of the cell in tables, or 0 where
            it is none. All other labels are cells of their own number.
        """
        cells = self._edited_cells()
        return {} if cells is None else cells.numbers_in(frame)

    def describe_cells(self, cells: Iterable[int]) -> dict[int, Anchor]:
        """Describe cells so that a correction of them finds them again after a re-run.

        Those that are not there are left out, and so are all where there is no label image.
        """
        edited = self._edited_cells()
        if edited is None:
            found = read_found(self.folder, self.state)
            edited = None if found is None else resolve(found, []).cells
        if edited is None:
            return {}
        return {cell: describe_cell(edited, cell) for cell in cells if cell in edited}

    def _edited_cells(self) -> EditedCells | None:
        """Return the cells under corrections, if there are both; worked out once."""
        content = self._log.read()
        edits = active_in(content.of_fov(self.number))
        if not edits:
            return None
        state, known = self.state, self._worked_out
        if known is None or known[0] is not content or known[1] is not state:
            found = self._found()
            cells = None if found is None else resolve(found, edits).cells
            self._worked_out = known = (content, state, cells)
        return known[2]

    def _tell_of_stale(self, resolved: Resolved) -> None:
        """Say once that corrections are not applied."""
        stale = frozenset(each.edit.id for each in resolved.stale)
        if stale - self._told_of:
            logger.warning(
                "FOV %d: %d of %d corrections are stale and not applied; Results.edits and pyama "
                "curate --list tell why",
                self.number,
                len(stale),
                len(stale) + len(resolved.applied),
            )
        self._told_of |= stale

    def _active_edits(self) -> list[Edit]:
        return active_in(self._log.read().of_fov(self.number))

    def _judge(
        self, cells: Cells, note: str, channel: SupportsIndex | str | None, *, good: bool
    ) -> None:
        number = None if channel is None else self._channel_number(channel)
        said = {"action": "verdict", "good": good, "note": as_text(note), "channel": number}
        self._correct(*({**said, "cell": cell} for cell in _numbers(cells)))

    def _correct(self, *actions: dict[str, object]) -> list[Edit]:
        try:
            parsed: list[Correction] = [parse_action(action) for action in actions]  # type: ignore[misc]
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        return self.correct(parsed)

    def _found(self) -> FoundCells | None:
        """Return the cells that the run found; read once for each state of the record."""
        state, known = self.state, self._read_found
        if known is None or known[0] is not state:
            self._read_found = known = (state, read_found(self.folder, state))
        return known[1]


class Curation:
    """Corrections of an output folder."""

    folder: Path
    _log: EditLog

    def _fov_number(self, which: SupportsIndex | str) -> int:
        raise NotImplementedError

    @property
    def edits(self) -> pd.DataFrame:
        """A row per correction, in their order: what, who, when (UTC), and how it stands.

        ``stands`` is ``applied``, ``undone``, or ``stale``: its cell is gone, as ``reason`` says.
        """
        return _as_table(standings_in(self.folder, self._log.read()))

    def undo(self, fov: SupportsIndex | str | None = None, name: str | None = None) -> str:
        """Take what was corrected last back, and return it in words, a line for each.

        Corrections that were asked for at once are taken back at once.

        Parameters
        ----------
        fov : int or str, optional
            Only among those of a field of view.
        name : str, optional
            The ``id`` of one in `edits`; by default it is the last that counts.

        Raises
        ------
        InputError
            There is none.
        """
        number = None if fov is None else self._fov_number(fov)
        return _in_words(correcting.undo(self._log, number, name))

    def redo(self, fov: SupportsIndex | str | None = None, name: str | None = None) -> str:
        """Make corrections count again, by default what was undone last; as `undo`."""
        number = None if fov is None else self._fov_number(fov)
        return _in_words(correcting.redo(self._log, number, name))

    def import_edits(self, path: Path | str) -> int:
        """Add the corrections of a file of JSON lines, such as the log of another folder.

        Returns
        -------
        int
            How many there were that are not known already.

        Raises
        ------
        InputError
            A line cannot be understood, or speaks of what is not there; nothing is added.
        """
        return len(correcting.import_file(self._log, Path(path), self._fov_number)[1])


def _as_table(found: Sequence[StandingEdit]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "id": pd.Series([each.edit.id for each in found], dtype="str"),
            "fov": pd.Series([each.edit.fov for each in found], dtype="int32"),
            "correction": pd.Series([str(each.edit.action) for each in found], dtype="str"),
            "by": pd.Series([each.edit.by for each in found], dtype="str"),
            "at": pd.to_datetime([each.edit.at for each in found], utc=True),
            "stands": pd.Series([str(each.standing) for each in found], dtype="str"),
            "reason": pd.Series([each.reason for each in found], dtype="str"),
        }
    )


def _in_words(edits: Iterable[Edit]) -> str:
    return "\n".join(f"FOV {edit.fov}: {edit.action}" for edit in edits)


def _numbers(cells: Cells) -> list[int]:
    return list(map(int, cells)) if isinstance(cells, Iterable) else [int(cells)]
