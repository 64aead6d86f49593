"""How corrections stand: applied, undone, or stale, and how many there are of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pyama_core.io.storage.naming import records_by_fov
from pyama_core.processing.workflow.edits.actions import Edit, Undo
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.history import active_in, corrections_in
from pyama_core.processing.workflow.edits.log import LogContent
from pyama_core.processing.workflow.edits.on_record import LabelsOnRecord, read_found, state_on
from pyama_core.processing.workflow.edits.resolve import resolve
from pyama_core.processing.workflow.fov_state import FovState

NO_CELLS = "the FOV has no label image as the last run asked for; run again to make it"


class Standing(StrEnum):
    """Whether a correction shows in results."""

    APPLIED = "applied"
    UNDONE = "undone"
    STALE = "stale"
    """It counts, but its cell is gone, or it cannot be made of the cells that there are now."""


@dataclass(frozen=True)
class StandingEdit:
    """A correction and how it stands.

    Attributes
    ----------
    edit : Edit
        The line of the log.
    standing : Standing
        How it stands.
    reason : str
        Why it is stale; empty if it is not.
    """

    edit: Edit
    standing: Standing
    reason: str = ""


@dataclass(frozen=True)
class EditCounts:
    """How many corrections of a field of view count, and how many of these are stale."""

    edits: int
    stale: int


def standings(edits: Sequence[Edit], found: FoundCells | None) -> list[StandingEdit]:
    """Tell how the corrections of one field of view stand.

    Parameters
    ----------
    edits : sequence of Edit
        All lines about it.
    found : FoundCells or None
        Its cells; None if there are none to correct.
    """
    active = active_in(edits)
    reasons = {edit.id: NO_CELLS for edit in active}
    if found is not None:
        reasons = {stale.edit.id: stale.reason for stale in resolve(found, active).stale}
    counting = {edit.id for edit in active}
    made = []
    for edit in corrections_in(edits):
        if edit.id not in counting:
            made.append(StandingEdit(edit, Standing.UNDONE))
        elif edit.id in reasons:
            made.append(StandingEdit(edit, Standing.STALE, reasons[edit.id]))
        else:
            made.append(StandingEdit(edit, Standing.APPLIED))
    return made


def standings_in(
    output_dir: Path, content: LogContent, fovs: Iterable[int] | None = None
) -> list[StandingEdit]:
    """Tell how all corrections of an output folder stand, in the order of the log.

    Parameters
    ----------
    output_dir : Path
        Folder of outputs.
    content : LogContent
        Its log.
    fovs : iterable of int, optional
        Only those of these fields of view.
    """
    records = records_by_fov(output_dir)
    wanted = content.fovs if fovs is None else content.fovs & set(fovs)
    found: dict[str, StandingEdit] = {}
    for fov in sorted(wanted):
        state = state_on(records[fov]) if fov in records else None
        cells = None if state is None else read_found(records[fov].parent, state)
        found |= {each.edit.id: each for each in standings(content.of_fov(fov), cells)}
    return [found[edit.id] for edit in content.edits if edit.id in found]


def counts_in(
    output_dir: Path, content: LogContent, fovs: Iterable[int] | None = None
) -> dict[int, EditCounts]:
    """Count the corrections of an output folder, by field of view, where there are any.

    Parameters
    ----------
    output_dir : Path
        Folder of outputs.
    content : LogContent
        Its log.
    fovs : iterable of int, optional
        Only those of these fields of view.
    """
    records = records_by_fov(output_dir)
    counts = {}
    for fov in sorted(content.fovs if fovs is None else content.fovs & set(fovs)):
        if active := active_in(content.of_fov(fov)):
            state = state_on(records[fov]) if fov in records else None
            stale = len(active)
            if state is not None:
                stale = _count_stale(content.of_fov(fov), records[fov].parent, state)
            counts[fov] = EditCounts(len(active), stale)
    return counts


def _count_stale(edits: Sequence[Edit], folder: Path, state: FovState) -> int:
    """Count corrections that are stale; tables are only read where that is needed.

    What was made of the label image that is there now is not stale, unless something before it
    was undone.
    """
    active = active_in(edits)
    labels = LabelsOnRecord.of(state)
    if labels is None:
        return len(active)
    anchors = {anchor.labels for edit in active for anchor in edit.anchors}
    if anchors == {labels.checksum} and not any(isinstance(edit.action, Undo) for edit in edits):
        return 0
    found = standings(edits, read_found(folder, state))
    return sum(each.standing is Standing.STALE for each in found)
