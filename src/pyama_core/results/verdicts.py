"""Verdicts on cells under corrections.

A cell that was joined, cut or lost frames, or of which a division is new or gone, is judged anew,
by the limits of the run and among the cells as they are now; all others keep the verdict that they
have. What a person said of a cell comes last and wins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.feature_names import SATURATED_PART
from pyama_core.processing.extraction.quality import judge_tracks
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.workflow.edits.actions import Verdict
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import BOX, PLACES, squares
from pyama_core.results.basis import Basis

if TYPE_CHECKING:
    import pandas as pd

MARKED_BAD = "marked bad"
"""Why a cell is not good of which a person said so without a note."""


@dataclass(frozen=True)
class Told:
    """What is told of cells beside their table.

    Attributes
    ----------
    links : mapping of int to (float, int)
        How sure the least sure link of each is, and the frame that it leads to.
    lives : collection of int
        Those that are seen from one sure division to the next.
    """

    links: Mapping[int, tuple[float, int]]
    lives: Collection[int]


def whole_lives(
    born: Collection[int], divided: Collection[int], cells: EditedCells
) -> frozenset[int]:
    """Return the cells that are seen from one sure division to the next, as they are now.

    Parameters
    ----------
    born, divided : collection of int
        Cells of the run that came from a division, and that divided, of which the tracker was sure.
    cells : EditedCells
        The cells as they are. What a person said of their relatives is sure.
    """
    found, lives = cells.found, []
    for cell, parent in cells.parents.items():
        if cell not in cells or cells.fates.get(cell) != "divided":
            continue
        pieces = cells.pieces_of(cell)
        first, last = pieces[0].label, pieces[-1].label
        is_born = first in born or found.parents.get(first) != parent
        if is_born and (last in divided or found.fates.get(last) != "divided"):
            lives.append(cell)
    return frozenset(lives)


def judge_anew(
    table: pd.DataFrame,
    traces: pd.DataFrame,
    cells: EditedCells,
    basis: Basis,
    told: Told,
    restructured: Collection[int],
) -> pd.DataFrame:
    """Return the table of cells with new verdicts on those that are not what they were.

    `restructured` are these; of their links nothing is told.
    """
    import pandas as pd

    rows = np.flatnonzero(table["cell"].isin({*restructured, *cells.marked}))
    if rows.size == 0:
        return table
    numbers = table["cell"].to_numpy()[rows].tolist()
    last_words = {cell: cells.marks_of(cell) for cell in numbers}
    good = np.ones(rows.size, bool)
    for channel, name in basis.channels.items():
        column = f"reason_{name}"
        reasons = dict(zip(table["cell"].tolist(), table[column].tolist(), strict=True))
        if restructured:
            anew = judge_as_the_run(table, traces, name, basis, told)
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
    table: pd.DataFrame, traces: pd.DataFrame, channel: str, basis: Basis, told: Told
) -> dict[int, str]:
    """Judge the cells as they are now in a channel, as the run did."""
    criteria = basis.criteria[channel]
    seen = ~np.isin(traces["frame"], list(criteria.missing))
    rows = _places(traces) | {name: traces[name].to_numpy(np.int64) for name in ("cell", "frame")}
    if criteria.corrected:
        rows["intensity_total"] = traces[f"intensity_total_{channel}"].to_numpy()
    if (saturated := f"{SATURATED_PART}_{channel}") in traces:
        rows[SATURATED_PART] = traces[saturated].to_numpy()
    if "n_nuclei" in traces:
        rows["n_nuclei"] = traces["n_nuclei"].to_numpy()
    n_frames, height, width = basis.shape
    verdicts = judge_tracks(
        {name: column[seen] for name, column in rows.items()},
        _tracks(table, told),
        (n_frames - len(criteria.missing), height, width),
        criteria.parameters,
        found_by_light=criteria.found_by_light,
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


def _tracks(table: pd.DataFrame, told: Told) -> list[Track]:
    names = ("cell", "first_frame", "last_frame", "n_frames", "n_merged")
    columns = [table[name].tolist() for name in names]
    merged = (table["fate"] == "merged").fillna(False).tolist()
    tracks = [
        # No verdict depends on other fates, or on who the parent is.
        Track(
            *(cell, None, first, last, "merged" if is_merged else "lost", n_frames, n_merged),
            *told.links.get(cell, ()),
        )
        for is_merged, cell, first, last, n_frames, n_merged in zip(merged, *columns, strict=True)
    ]
    return [_with_whole_life(track) if track.cell in told.lives else track for track in tracks]


def _with_whole_life(track: Track) -> Track:
    return replace(track, parent=0, fate="divided", fate_probability=1.0, birth_probability=1.0)
