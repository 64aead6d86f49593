"""What a person should look at first: cells of which something speaks for a mistake.

Verdicts say of each cell whether it can be trusted, and why not. Here is said where in its life to
look, in words, and how much each needs a look: what can be mended (a jump, which may be a swap of
two cells, or a track that ends where another begins) comes before what cannot (a cell at the edge).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.feature_names import SATURATED_PART
from pyama_core.results.tables import FovTables
from pyama_core.results.trouble import UNSURE

if TYPE_CHECKING:
    import pandas as pd

_MOST_GAP = 3
"""Frames between the end of a track and the beginning of one that may be its continuation."""
_FARTHEST = 1.5
"""Diameters of the lost cell, within which that begins."""
_LITTLE, _MUCH = 0.3, 0.9
_LOST = 0.25
"""How much a cell needs a look that is lost and nothing goes on from."""
_CONTINUED = 0.85
_LINK = 0.87
"""How much a cell needs a look of which a link is wrong; nearly as much as one that jumps."""
_OF_LINKS, _FAR_LINK = "unsure link", 0.88
"""The verdict on cells that went far over such a link, and how much they need a look."""
_OTHERS: Mapping[str, float] = {
    "too short": _LITTLE,
    "at the border": 0.2,
    "saturated": 0.1,
    "no light": 0.4,
    "no nucleus": 0.5,
    "several nuclei": 0.6,
}
_NO_RING = 0.15
"""How much a cell needs a look whose nucleus mostly has no ring; nothing but room can mend that."""
_ABOUT_ALL = ("not corrected",)
"""What speaks against all cells of a field of view alike."""


@dataclass(frozen=True)
class Doubt:
    """Why a person should look at a cell.

    Attributes
    ----------
    cell, frame : int
        The cell, and the frame in which to look.
    weight : float
        How much it needs a look, from 0 to 1.
    words : str
        Why.
    other : int or None
        A cell that may be the same one.
    """

    cell: int
    frame: int
    weight: float
    words: str
    other: int | None = None


def needed_columns(channels: Collection[str]) -> set[str]:
    """Return the columns of traces by which doubts are explained."""
    of_rings = ("n_nuclei", "area_ring")
    names = ("intensity_total", SATURATED_PART)
    of_light = (f"{name}_{channel}" for channel in channels for name in names)
    return {"position_x", "position_y", "area", *of_rings, *of_light}


def doubts_of(tables: FovTables, n_frames: int) -> list[Doubt]:
    """Return the cells that need a look, those that need it most first, each once.

    Parameters
    ----------
    tables : FovTables
        With `needed_columns`, as far as there are any.
    n_frames : int
        Frames of the movie.
    """
    traces = _Traces(tables.traces)
    found: dict[int, list[Doubt]] = {}
    for doubt in (
        *_of_verdicts(tables, traces),
        *_of_links(tables),
        *_of_lost(tables.cells, traces, n_frames),
        *_of_rings(tables.cells["cell"].tolist(), traces),
    ):
        found.setdefault(doubt.cell, []).append(doubt)
    merged = [_as_one(doubts) for doubts in found.values()]
    return sorted(merged, key=lambda doubt: (-doubt.weight, doubt.cell))


def _as_one(doubts: list[Doubt]) -> Doubt:
    """Put together what there is to say about a cell."""
    first = max(doubts, key=lambda doubt: doubt.weight)
    ordered = [first, *(doubt for doubt in doubts if doubt is not first)]
    words = "; ".join(dict.fromkeys(doubt.words for doubt in ordered))
    other = next((doubt.other for doubt in ordered if doubt.other is not None), None)
    return Doubt(first.cell, first.frame, first.weight, words, other)


class _Traces:
    """Rows of each cell, by frame."""

    def __init__(self, traces: pd.DataFrame) -> None:
        cells, begins = np.unique(traces["cell"].to_numpy(), return_index=True)
        ends = [*begins.tolist(), len(traces)][1:]
        self._rows = {
            cell: slice(begin, end)
            for cell, begin, end in zip(cells.tolist(), begins.tolist(), ends, strict=True)
        }
        self._columns = {str(name): traces[name].to_numpy() for name in traces}
        areas = self._columns.get("area", np.empty(0))
        self.median_area = float(np.nanmedian(areas)) if areas.size else float("nan")

    def of(self, cell: int, name: str) -> NDArray[Any]:
        """Return the values of a column of a cell; none if there is no such column."""
        if name not in self._columns:
            return np.empty(0)
        return self._columns[name][self._rows.get(cell, slice(0, 0))]

    def place(self, cell: int, i: int) -> tuple[float, float] | None:
        """Return where a cell is in its first (0) or last (-1) frame; None if not known."""
        x, y = self.of(cell, "position_x"), self.of(cell, "position_y")
        return (float(x[i]), float(y[i])) if x.size and y.size else None

    def largest_step(self, cell: int, name: str) -> tuple[int, float, float] | None:
        """Return the frame after the largest change of a value, and the values around it."""
        values, frames = self.of(cell, name).astype(float), self.of(cell, "frame")
        if values.size < 2 or not np.isfinite(values).any():
            return None
        steps = np.nan_to_num(np.abs(np.diff(values)), nan=-1)
        i = int(steps.argmax())
        return int(frames[i + 1]), float(values[i]), float(values[i + 1])


def _of_verdicts(tables: FovTables, traces: _Traces) -> Iterator[Doubt]:
    names = [str(name) for name in tables.cells if str(name).startswith("reason_")]
    rows: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in tables.cells.to_dict("records")
    ]
    for row in rows:
        for name in names:
            reason = row[name]
            told = reason == _OF_LINKS and row["cell"] in tables.least_sure
            if reason and reason not in _ABOUT_ALL and not told:
                channel = name.removeprefix("reason_")
                explain = _EXPLAIN.get(reason, _explain_other)
                yield explain({**row, "reason": reason}, channel, traces)


def _of_links(tables: FovTables) -> Iterator[Doubt]:
    """Yield cells of which the tracker was not sure that they are the same after some frame."""
    there = set(tables.cells["cell"].tolist())
    reasons = tables.cells[[name for name in tables.cells if str(name).startswith("reason_")]]
    far = set(tables.cells["cell"][(reasons == _OF_LINKS).any(axis=1)].tolist())
    for cell, (sure, frame) in tables.least_sure.items():
        if cell in far:
            words = f"it goes far to frame {frame}, where it may be another cell{_odds(sure)}"
            yield Doubt(cell, frame, _FAR_LINK, words)
        elif sure < UNSURE and cell in there:
            links = tables.unsure.get(cell, ())
            words = f"from frame {frame} on it may be another cell{_odds(sure)}"
            if len(links) > 1:
                words += f", and {len(links) - 1} more of its links are in doubt"
            right = math.prod(each for _, each in links) if links else sure
            yield Doubt(cell, frame, _LINK * (1 - 0.6 * right**4), words)


def _odds(sure: float) -> str:
    return f" (of such links {100 * (1 - sure):.0f} % are wrong)"


def _explain_area_jump(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    step = traces.largest_step(row["cell"], "area")
    if step is None:
        return _explain_other(row, channel, traces)
    frame, before, after = step
    words = f"its area jumps from {before:.0f} to {after:.0f} px at frame {frame}"
    return Doubt(row["cell"], frame, _of_step(before, after), words)


def _explain_intensity_jump(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    step = traces.largest_step(row["cell"], f"intensity_total_{channel}")
    if step is None:
        return _explain_other(row, channel, traces)
    frame, before, after = step
    words = f"its {channel} jumps from {_number(before)} to {_number(after)} at frame {frame}"
    return Doubt(row["cell"], frame, _of_step(before, after), words)


def _of_step(before: float, after: float) -> float:
    """Weigh a change: from 0.6 of a small one to nearly 1 of one to nothing, or from nothing."""
    larger = max(abs(before), abs(after), 1e-9)
    return 0.6 + 0.4 * min(abs(after - before) / larger, 1.0)


def _explain_size(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    areas, frames = traces.of(row["cell"], "area").astype(float), traces.of(row["cell"], "frame")
    if areas.size == 0 or not traces.median_area > 0:
        return _explain_other(row, channel, traces)
    own = float(np.median(areas))
    frame = int(frames[np.abs(areas - own).argmin()])
    factor = own / traces.median_area
    times = f"{factor:.1f}" if factor >= 1 else f"{factor:.2f}"
    return Doubt(row["cell"], frame, 0.7, f"its area is {times} times that of most cells")


def _explain_merged(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    del channel, traces
    if row["fate"] == "merged":
        words = f"it ends in the outline of another cell at frame {row['last_frame']}"
        return Doubt(row["cell"], row["last_frame"], _MUCH, words)
    words = f"its outline holds other cells too in {row['n_merged']} of {_frames(row['n_frames'])}"
    return Doubt(row["cell"], row["first_frame"], _MUCH - 0.1, words)


def _explain_short(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    del channel, traces
    words = f"it is seen in {_frames(row['n_frames'])} only"
    return Doubt(row["cell"], row["first_frame"], _OTHERS["too short"], words)


def _explain_border(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    del channel, traces
    frame = row["last_frame"] if row["fate"] == "left the frame" else row["first_frame"]
    return Doubt(row["cell"], frame, _OTHERS["at the border"], "it is at the edge of the image")


def _explain_saturated(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    part = np.nan_to_num(traces.of(row["cell"], f"{SATURATED_PART}_{channel}"))
    if part.size == 0:
        return _explain_other(row, channel, traces)
    frame = int(traces.of(row["cell"], "frame")[part.argmax()])
    words = f"up to {100 * part.max():.0f} % of it are at the camera's ceiling in {channel}"
    return Doubt(row["cell"], frame, _OTHERS["saturated"], words)


def _explain_other(row: Mapping[str, Any], channel: str, traces: _Traces) -> Doubt:
    del channel, traces
    return Doubt(row["cell"], row["first_frame"], _OTHERS.get(row["reason"], 0.5), row["reason"])


_EXPLAIN: Mapping[str, Callable[[Mapping[str, Any], str, _Traces], Doubt]] = {
    "area jump": _explain_area_jump,
    "intensity jump": _explain_intensity_jump,
    "unusual size": _explain_size,
    "merged": _explain_merged,
    "too short": _explain_short,
    "at the border": _explain_border,
    "saturated": _explain_saturated,
}


def _of_lost(cells: pd.DataFrame, traces: _Traces, n_frames: int) -> Iterator[Doubt]:
    """Yield cells that are gone before the end, with what may be the same cell later."""
    starts = _Starts.of(cells, traces)
    lost = cells[(cells["fate"] == "lost") & (cells["last_frame"] < n_frames - 1)]
    for cell, last in zip(lost["cell"].tolist(), lost["last_frame"].tolist(), strict=True):
        other = starts.next_to(cell, last, traces)
        if other is None:
            yield Doubt(cell, last, _LOST, f"it is lost after frame {last}")
        else:
            number, start, distance = other
            words = (
                f"it is lost after frame {last}, and cell {number} begins {distance:.0f} px away "
                f"at frame {start}"
            )
            yield Doubt(cell, last, _CONTINUED, words, number)


def _of_rings(cells: Iterable[int], traces: _Traces) -> Iterator[Doubt]:
    """Yield cells whose nucleus has no ring in most of the frames in which they have one."""
    for cell in cells:
        n_nuclei, area = traces.of(cell, "n_nuclei"), traces.of(cell, "area_ring")
        if n_nuclei.size == 0 or area.size == 0:
            continue
        has_nucleus = n_nuclei > 0
        without = has_nucleus & np.isnan(area)
        n, n_known = int(np.count_nonzero(without)), int(np.count_nonzero(has_nucleus))
        if 2 * n > n_known:
            frame = int(traces.of(cell, "frame")[without.argmax()])
            words = f"its nucleus has no ring in {n} of {_frames(n_known)}"
            yield Doubt(cell, frame, _NO_RING, words)


@dataclass(frozen=True)
class _Starts:
    """Where and when cells without a parent begin."""

    cell: NDArray[Any]
    frame: NDArray[Any]
    place: NDArray[np.float64]

    @classmethod
    def of(cls, cells: pd.DataFrame, traces: _Traces) -> _Starts:
        parentless = cells[cells["parent"].isna()]
        known = [
            (cell, int(frames[0]), *place)
            for cell in parentless["cell"].tolist()
            if (frames := traces.of(cell, "frame")).size
            and (place := traces.place(cell, 0)) is not None
        ]
        rows = np.array(known, np.float64).reshape(-1, 4)
        return cls(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:])

    def next_to(self, cell: int, last: int, traces: _Traces) -> tuple[int, int, float] | None:
        """Return what begins nearest to the end of a cell, in which frame, and how far away."""
        place, area = traces.place(cell, -1), traces.of(cell, "area")
        soon = np.flatnonzero((self.frame > last) & (self.frame <= last + _MOST_GAP))
        if place is None or area.size == 0 or soon.size == 0:
            return None
        distance = np.hypot(*(self.place[soon] - place).T)
        i = int(distance.argmin())
        if distance[i] > _FARTHEST * 2 * np.sqrt(area[-1] / np.pi):
            return None
        return int(self.cell[soon[i]]), int(self.frame[soon[i]]), float(distance[i])


def _number(value: float) -> str:
    """Return a number with three figures or more, and thousands set apart."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


def _frames(n: int) -> str:
    return f"{n} frame{'' if n == 1 else 's'}"
