"""Cells whose traces are drawn one by one: drawn by lot, with what a click on them shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.titles import titled
from pyama_core.processing.workflow.glimpses.glimpse import Glimpse, Strip
from pyama_core.processing.workflow.glimpses.taking import draw_lots, sample_cells
from pyama_core.results.fov_results import FovResults
from pyama_core.results.tables import KEYS, FovTables

if TYPE_CHECKING:
    import pandas as pd

SHOWN_CELLS = 160
"""Whose traces are drawn, at most."""
FEATURE = "intensity_total"
"""Of which there are median curves."""
_MOST_COLUMNS = 24
_NOT_DRAWN = (*KEYS, "time_min", "time_h", "position_x", "position_y")
_BOX = "box_"

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ShownCell:
    """A cell whose trace is drawn.

    Attributes
    ----------
    fov, cell : int
        Which it is.
    position : str
        Number and name of the field of view.
    sample : str
        The condition.
    good : bool or None
        Whether it can be trusted; None if nothing was measured.
    reason : str
        Why it cannot.
    frames : (N,) int array
        In which it was seen.
    minutes : (N,) float array
        When that was; NaN where that is unknown.
    values : mapping of str to (N,) float array
        By column.
    strip : Strip or None
        Its pictures.
    channels : tuple of str
        Names of the channels in these.
    anchor : dict or None
        What it was like, for corrections.
    """

    fov: int
    cell: int
    position: str
    sample: str
    good: bool | None
    reason: str
    frames: NDArray[np.int64]
    minutes: FloatArray
    values: Mapping[str, FloatArray]
    strip: Strip | None = None
    channels: tuple[str, ...] = ()
    anchor: Mapping[str, object] | None = None


def title_of(fov: FovResults) -> str:
    """Return number and name of a field of view."""
    return titled(fov.number, fov.name, "FOV")


def measured_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns of what was measured, without where and when.

    Examples
    --------
    >>> measured_columns(["cell", "frame", "time_min", "area", "box_top"])
    ['area']
    """
    return [name for name in columns if name not in _NOT_DRAWN and not name.startswith(_BOX)]


def columns_to_draw(columns: Sequence[str], channels: Sequence[str]) -> list[str]:
    """Return the columns whose traces are drawn: the usual ones first, not too many.

    Examples
    --------
    >>> columns_to_draw(["cell", "area", "box_top", "intensity_total_GFP"], ["GFP"])
    ['intensity_total_GFP', 'area']
    """
    first = [f"{FEATURE}_{channel}" for channel in channels]
    drawn = measured_columns(columns)
    ordered = [name for name in (*first, "area") if name in drawn]
    return [*ordered, *(name for name in drawn if name not in ordered)][:_MOST_COLUMNS]


def column_of(rows: pd.DataFrame, name: str) -> FloatArray:
    """Return a column, which is NaN where the position does not have it."""
    if name not in rows:
        return np.full(len(rows), np.nan)
    return rows[name].to_numpy(np.float64, na_value=np.nan)


def show_cells(
    fov: FovResults,
    sample: str,
    tables: FovTables,
    glimpse: Glimpse | None,
    columns: Sequence[str],
    n: int,
) -> Iterator[ShownCell]:
    """Draw some cells of a field of view by lot.

    Parameters
    ----------
    fov : FovResults
        The field of view.
    sample : str
        Its condition.
    tables : FovTables
        Its tables.
    glimpse : Glimpse or None
        Its small pictures.
    columns : sequence of str
        Which traces are wanted.
    n : int
        How many cells.
    """
    import pandas as pd

    cells, traces = tables.cells.set_index("cell"), tables.traces
    seen = set(traces["cell"].unique().tolist())
    lengths = zip(tables.cells["cell"].tolist(), tables.cells["n_frames"].tolist(), strict=True)
    tracks = [(cell, n_seen) for cell, n_seen in lengths if cell in seen]
    n_frames = int(traces["frame"].max()) + 1 if seen else 0
    wanted = sample_cells(fov.number, tracks, n_frames, n)
    strips = {} if glimpse is None else _strips_by_cell(fov, glimpse)
    channels = () if glimpse is None else glimpse.channels
    anchors = fov.describe_cells(wanted) if wanted else {}
    for cell in wanted:
        rows, row = traces[traces["cell"] == cell], cells.loc[cell]
        reasons = [row[f"reason_{channel}"] for channel in tables.channels]
        anchor = anchors.get(cell)
        yield ShownCell(
            fov=fov.number,
            cell=cell,
            position=title_of(fov),
            sample=sample,
            good=None if pd.isna(row["good"]) else bool(row["good"]),
            reason=next((reason for reason in reasons if reason), ""),
            frames=rows["frame"].to_numpy(np.int64),
            minutes=column_of(rows, "time_min"),
            values={name: column_of(rows, name) for name in columns},
            strip=strips.get(cell),
            channels=tuple(fov.name_of_channel(channel) for channel in channels),
            anchor=None if anchor is None else anchor.model_dump(mode="json"),
        )


def _strips_by_cell(fov: FovResults, glimpse: Glimpse) -> dict[int, Strip]:
    """Return the strips by the numbers of cells in tables; none of a label that is of several."""
    found = {}
    for strip in glimpse.strips:
        cells = {fov.numbers_in(t).get(strip.cell, strip.cell) for t in strip.frames}
        if len(cells) == 1:
            found[cells.pop()] = strip
    return found


def thinned(cells: Sequence[ShownCell], n: int) -> list[ShownCell]:
    """Return some cells at most, as many of each sample as there are, or its even share."""
    by_sample: dict[str, list[ShownCell]] = {}
    for cell in cells:
        by_sample.setdefault(cell.sample, []).append(cell)
    kept: list[ShownCell] = []
    # The smallest samples first, so that what they do not need is left to the others.
    for i, (_, own) in enumerate(sorted(by_sample.items(), key=lambda item: len(item[1]))):
        share = (n - len(kept)) // (len(by_sample) - i)
        kept += sorted(own, key=lambda each: draw_lots(each.fov, [each.cell])[0])[:share]
    return sorted(kept, key=lambda each: (each.fov, each.cell))
