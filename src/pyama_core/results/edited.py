"""Tables of a field of view under the corrections of a person: one pure function, `apply_edits`.

Rows go with their cells: those of joined cells get one number, those of removed ones are left out.
A cell that was joined, cut or lost frames is judged anew, by the limits of the run and among the
cells as they are now; all others keep the verdict that they have. What a person said of a cell
comes last and wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.quality import QualityParameters, judge_tracks
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.workflow.edits.actions import Edit, Verdict
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import BOX, PLACES, FoundCells, squares
from pyama_core.processing.workflow.edits.resolve import Resolved, resolve
from pyama_core.results.tables import FovTables

if TYPE_CHECKING:
    import pandas as pd

MARKED_BAD = "marked bad"
"""Why a cell is not good of which a person said so without a note."""


@dataclass(frozen=True)
class Criteria:
    """By what the cells of a channel were judged.

    Attributes
    ----------
    parameters : QualityParameters
        Limits.
    missing : frozenset of int
        Frames that the channel lacks.
    corrected : bool
        Whether its fluorescence was corrected; no cell is good if not.
    """

    parameters: QualityParameters = field(default_factory=QualityParameters)
    missing: frozenset[int] = frozenset()
    corrected: bool = True


@dataclass(frozen=True)
class Basis:
    """What the tables of a field of view were made of.

    Attributes
    ----------
    labels : str
        Checksum of the label image.
    shape : tuple of int
        Its frames, height and width.
    channels : mapping of int to str
        Names of the channels that were measured.
    criteria : mapping of str to Criteria
        By the name of each of them.
    rows : mapping, optional
        Where cells are, of which nothing was measured.
    """

    labels: str
    shape: tuple[int, int, int]
    channels: Mapping[int, str]
    criteria: Mapping[str, Criteria]
    rows: Mapping[str, NDArray[Any]] | None = None


def needed_columns(channels: Iterable[str]) -> set[str]:
    """Return the columns of traces without which corrections cannot be applied."""
    return {*PLACES, *(f"intensity_total_{channel}" for channel in channels)}


def found_cells(tables: FovTables, basis: Basis) -> FoundCells:
    """Return the cells of tables as corrections know them."""
    rows = {name: tables.traces[name].to_numpy() for name in _columns(tables.traces)}
    cells = tables.cells
    parents = cells["parent"].astype(object).where(cells["parent"].notna(), None)
    fates = cells.loc[cells["fate"].notna(), ["cell", "fate"]]
    return FoundCells.of(
        rows if basis.rows is None else basis.rows,
        labels=basis.labels,
        n_frames=basis.shape[0],
        channels=tuple(basis.channels),
        parents=dict(zip(cells["cell"].tolist(), parents.tolist(), strict=True)),
        fates=dict(zip(fates["cell"].tolist(), fates["fate"].tolist(), strict=True)),
    )


def _columns(traces: pd.DataFrame) -> list[str]:
    return [name for name in ("cell", "frame", *PLACES) if name in traces]


def apply_edits(tables: FovTables, edits: Iterable[Edit], basis: Basis) -> FovTables:
    """Return the tables of a field of view as they are under corrections.

    Parameters
    ----------
    tables : FovTables
        As the run wrote them, with `needed_columns`; not changed.
    edits : iterable of Edit
        The corrections that count, in order.
    basis : Basis
        What the tables were made of.
    """
    return edited_tables(tables, resolve(found_cells(tables, basis), edits), basis)


def edited_tables(tables: FovTables, resolved: Resolved, basis: Basis) -> FovTables:
    """Return tables under corrections that were resolved already; as `apply_edits`."""
    if not resolved.applied:
        return tables
    cells = resolved.cells
    numbers = cells.row_numbers() if basis.rows is None else np.empty(0, np.int64)
    assert numbers.size == len(tables.traces)
    kept = np.flatnonzero(numbers)
    order = kept[np.lexsort((tables.traces["frame"].to_numpy()[kept], numbers[kept]))]
    traces = tables.traces.take(order).reset_index(drop=True)
    traces["cell"] = numbers[order].astype(np.int32)
    table = _structured(tables.cells, cells)
    table = _judged(table, traces, cells, basis)
    words = cells.words()
    table["corrections"] = [words.get(cell, "") for cell in table["cell"].tolist()]
    return FovTables(tables.fov, tables.channels, traces, table)


# The table of cells


def _structured(base: pd.DataFrame, cells: EditedCells) -> pd.DataFrame:
    """Return the cells that there are, with frames, relatives and fates."""
    import pandas as pd

    place = {cell: row for row, cell in enumerate(base["cell"].tolist())}
    sources = {cell: row for cell, row in place.items() if cell in cells}
    for cell in cells.restructured:
        label = cells.pieces_of(cell)[0].label
        if cell not in sources and label in place:
            sources[cell] = place[label]
    numbers = sorted(sources)
    table = base.take([sources[cell] for cell in numbers]).reset_index(drop=True)
    table["cell"] = np.array(numbers, np.int32)
    counts = _Counts(base, place)
    for name in ("first_frame", "last_frame", "n_frames", "n_merged"):
        column = table[name].to_numpy(copy=True)
        for row in np.flatnonzero(table["cell"].isin(cells.restructured)).tolist():
            column[row] = counts.of(cells, numbers[row], name, int(column[row]))
        table[name] = column
    daughters: dict[int, list[int]] = {}
    for child, parent in sorted(cells.parents.items()):
        daughters.setdefault(parent, []).append(child)
    table["parent"] = pd.array([cells.parents.get(cell, pd.NA) for cell in numbers], dtype="Int32")
    of_each: list[Any] = [tuple(daughters.get(cell, ())) for cell in numbers]
    table["daughters"] = pd.Series(of_each, dtype=object)
    table["fate"] = pd.Series([cells.fates.get(cell, pd.NA) for cell in numbers], dtype="str")
    return table


class _Counts:
    """Frames of cells that are not what they were."""

    def __init__(self, base: pd.DataFrame, place: Mapping[int, int]) -> None:
        self._place = place
        self._frames = base["n_frames"].tolist()
        self._merged = base["n_merged"].tolist()

    def of(self, cells: EditedCells, cell: int, name: str, before: int) -> int:
        """Return one of the columns that count frames, as before where a cell was never seen."""
        frames = cells.frames_of(cell)
        if frames.size == 0:
            return before
        if name == "first_frame":
            return int(frames[0])
        if name == "last_frame":
            return int(frames[-1])
        return int(frames.size) if name == "n_frames" else self._merged_frames(cells, cell)

    def _merged_frames(self, cells: EditedCells, cell: int) -> int:
        """Return in how many frames a cell's object held others; of a part, in proportion."""
        labels, sizes = np.unique(cells.found.cell[cells.rows_of(cell)], return_counts=True)
        total = 0.0
        for label, size in zip(labels.tolist(), sizes.tolist(), strict=True):
            if (row := self._place.get(label)) is not None:
                total += self._merged[row] * size / max(self._frames[row], 1)
        return round(total)


# Verdicts


def _judged(
    table: pd.DataFrame, traces: pd.DataFrame, cells: EditedCells, basis: Basis
) -> pd.DataFrame:
    """Return the table of cells with new verdicts on those that are not what they were."""
    judged = {*cells.restructured, *cells.marked}
    rows = np.flatnonzero(table["cell"].isin(judged))
    if rows.size == 0:
        return table
    numbers = table["cell"].to_numpy()[rows].tolist()
    last_words = {cell: cells.marks_of(cell) for cell in numbers}
    good = np.ones(rows.size, bool)
    for channel, name in basis.channels.items():
        column = f"reason_{name}"
        reasons = dict(zip(table["cell"].tolist(), table[column].tolist(), strict=True))
        if cells.restructured:
            anew = _reasons(table, traces, name, basis)
            reasons |= {cell: anew[cell] for cell in cells.restructured if cell in anew}
        reasons |= {cell: _in_the_end(reasons[cell], last_words[cell], channel) for cell in numbers}
        table[column] = [reasons[cell] for cell in table["cell"].tolist()]
        good &= np.array([reasons[cell] == "" for cell in numbers])
    if not basis.channels:
        said = [[verdict.good for verdict in last_words[cell]] for cell in numbers]
        rows = rows[[bool(each) for each in said]]
        good = np.array([each[-1] for each in said if each], bool)
    verdicts = table["good"].copy()
    verdicts.iloc[rows] = good
    return table.assign(good=verdicts)


def _in_the_end(reason: str, verdicts: Iterable[Verdict], channel: int) -> str:
    """Return why a cell is not good in a channel, after all that was said of it."""
    for verdict in verdicts:
        if verdict.channel in (None, channel):
            reason = "" if verdict.good else verdict.note or MARKED_BAD
    return reason


def _reasons(
    table: pd.DataFrame, traces: pd.DataFrame, channel: str, basis: Basis
) -> dict[int, str]:
    """Judge the cells as they are now in a channel, as the run did."""
    criteria = basis.criteria[channel]
    seen = ~np.isin(traces["frame"], list(criteria.missing))
    rows = _places(traces) | {"cell": traces["cell"].to_numpy(np.int64)}
    if criteria.corrected:
        rows["intensity_total"] = traces[f"intensity_total_{channel}"].to_numpy()
    n_frames, height, width = basis.shape
    verdicts = judge_tracks(
        {name: column[seen] for name, column in rows.items()},
        _tracks(table),
        (n_frames - len(criteria.missing), height, width),
        criteria.parameters,
    )
    if not criteria.corrected:
        verdicts = verdicts.without_correction()
    return dict(zip(verdicts.cell.tolist(), verdicts.reason, strict=True))


def _places(traces: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return areas and boxes; where boxes were not measured, squares of the same areas."""
    x, y, area = (traces[name].to_numpy(np.float64) for name in PLACES[:3])
    if all(name in traces for name in BOX):
        return {"area": area, **{name: traces[name].to_numpy() for name in BOX}}
    return {"area": area, **dict(zip(BOX, squares(x, y, area).T, strict=True))}


def _tracks(table: pd.DataFrame) -> list[Track]:
    names = ("cell", "first_frame", "last_frame", "n_frames", "n_merged")
    columns = [table[name].tolist() for name in names]
    merged = (table["fate"] == "merged").fillna(False).tolist()
    return [
        # No verdict depends on other fates, or on parents.
        Track(cell, None, first, last, "merged" if is_merged else "lost", n_frames, n_merged)
        for is_merged, cell, first, last, n_frames, n_merged in zip(merged, *columns, strict=True)
    ]
