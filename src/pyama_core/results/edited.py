"""Tables of a field of view under the corrections of a person: one pure function, `apply_edits`.

Rows go with their cells: those of joined cells get one number, those of removed ones are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyama_core.processing.extraction.feature_names import SATURATED_PART
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import PLACES, FoundCells
from pyama_core.processing.workflow.edits.resolve import Resolved
from pyama_core.results.basis import Basis
from pyama_core.results.tables import FovTables
from pyama_core.results.verdicts import Told, judge_anew, whole_lives

if TYPE_CHECKING:
    import pandas as pd


def needed_columns(channels: Iterable[str]) -> set[str]:
    """Return the columns of traces without which corrections cannot be applied."""
    of_light = ("intensity_total", SATURATED_PART)
    return {
        *PLACES,
        "n_nuclei",
        *(f"{name}_{channel}" for channel in channels for name in of_light),
    }


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


def apply_edits(tables: FovTables, resolved: Resolved, basis: Basis) -> FovTables:
    """Return the tables of a field of view as they are under corrections.

    Parameters
    ----------
    tables : FovTables
        As the run wrote them, with `needed_columns`; not changed.
    resolved : Resolved
        The corrections, applied to the `found_cells` of the tables.
    basis : Basis
        What the tables were made of.
    """
    if not resolved.applied:
        return tables
    import pandas as pd

    cells = resolved.cells
    numbers = cells.row_numbers() if basis.rows is None else np.empty(0, np.int64)
    assert numbers.size == len(tables.traces)
    kept = np.flatnonzero(numbers)
    order = kept[np.lexsort((tables.traces["frame"].to_numpy()[kept], numbers[kept]))]
    traces = tables.traces.take(order).reset_index(drop=True)
    traces["cell"] = numbers[order].astype(np.int32)
    table = _structured(tables.cells, cells)
    changed = set(cells.restructured)
    sure = {cell: link for cell, link in tables.least_sure.items() if cell not in changed}
    lives = whole_lives(tables.born, tables.divided, cells)
    anew = changed | (lives ^ (tables.born & tables.divided))
    table = judge_anew(table, traces, cells, basis, Told(sure, lives), anew)
    words = cells.words()
    said = [words.get(cell, "") for cell in table["cell"].tolist()]
    table["corrections"] = pd.Series(said, dtype="str")
    unsure = {cell: links for cell, links in tables.unsure.items() if cell not in changed}
    return replace(
        tables,
        traces=traces,
        cells=table,
        least_sure=sure,
        unsure=unsure,
        born=tables.born - changed,
        divided=tables.divided - changed,
    )


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
