"""Verdicts on cells under corrections.

A cell that was joined, cut or lost frames is judged anew, by the limits of the run and among the
cells as they are now; all others keep the verdict that they have. What a person said of a cell
comes last and wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.quality import judge_tracks
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.workflow.edits.actions import Verdict
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import BOX, PLACES, squares
from pyama_core.results.basis import Basis

if TYPE_CHECKING:
    import pandas as pd

Links = Mapping[int, tuple[float, int]]
"""Of cells, how sure the least sure link is, and the frame that it leads to."""
MARKED_BAD = "marked bad"
"""Why a cell is not good of which a person said so without a note."""


def judge_anew(
    table: pd.DataFrame, traces: pd.DataFrame, cells: EditedCells, basis: Basis, links: Links
) -> pd.DataFrame:
    """Return the table of cells with new verdicts on those that are not what they were.

    `links` are the least sure ones of the cells that are.
    """
    import pandas as pd

    restructured = frozenset(cells.restructured)
    rows = np.flatnonzero(table["cell"].isin(restructured.union(cells.marked)))
    if rows.size == 0:
        return table
    numbers = table["cell"].to_numpy()[rows].tolist()
    last_words = {cell: cells.marks_of(cell) for cell in numbers}
    good = np.ones(rows.size, bool)
    for channel, name in basis.channels.items():
        column = f"reason_{name}"
        reasons = dict(zip(table["cell"].tolist(), table[column].tolist(), strict=True))
        if restructured:
            anew = judge_as_the_run(table, traces, name, basis, links)
            reasons |= {
                cell: anew[cell] for cell in numbers if cell in anew and cell in restructured
            }
        reasons |= {cell: _in_the_end(reasons[cell], last_words[cell], channel) for cell in numbers}
        table[column] = pd.Series(list(reasons.values()), dtype="str")
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


def judge_as_the_run(
    table: pd.DataFrame, traces: pd.DataFrame, channel: str, basis: Basis, links: Links
) -> dict[int, str]:
    """Judge the cells as they are now in a channel, as the run did."""
    criteria = basis.criteria[channel]
    seen = ~np.isin(traces["frame"], list(criteria.missing))
    rows = _places(traces) | {name: traces[name].to_numpy(np.int64) for name in ("cell", "frame")}
    if criteria.corrected:
        rows["intensity_total"] = traces[f"intensity_total_{channel}"].to_numpy()
    if "n_nuclei" in traces:
        rows["n_nuclei"] = traces["n_nuclei"].to_numpy()
    n_frames, height, width = basis.shape
    verdicts = judge_tracks(
        {name: column[seen] for name, column in rows.items()},
        _tracks(table, links),
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


def _tracks(table: pd.DataFrame, links: Links) -> list[Track]:
    names = ("cell", "first_frame", "last_frame", "n_frames", "n_merged")
    columns = [table[name].tolist() for name in names]
    merged = (table["fate"] == "merged").fillna(False).tolist()
    return [
        # No verdict depends on other fates, or on parents.
        Track(
            *(cell, None, first, last, "merged" if is_merged else "lost", n_frames, n_merged),
            *links.get(cell, ()),
        )
        for is_merged, cell, first, last, n_frames, n_merged in zip(merged, *columns, strict=True)
    ]
