"""The tables of one field of view: its traces, channels side by side, and its cells.

Columns of `FovTables.traces`, a row per cell and frame, sorted by both:

===================== ============================================================================
``fov``, ``cell``     field of view, and the cell's number in the label image
``frame``             from 0
``time_min``          minutes since the first frame of the file; NaN where it does not tell
``time_h``            the same in hours
``position_x``, ``_y`` centroid, pixels
``area``              pixels
further               of the shape, as in the tables of the run, and of the intensity in a channel,
                      with its name: ``intensity_total_GFP``
===================== ============================================================================

Columns of `FovTables.cells`, a row per cell, sorted:

============================ =====================================================================
``fov``, ``cell``            as above
``parent``, ``daughters``    cells before and after a division: a number or none; a tuple
``first_frame``, ``last_frame`` from 0
``n_frames``                 in how many it was seen
``n_merged``                 in how many of them its object held other cells too
``fate``                     ``divided``, ``lost`` and so on
``good``                     whether it can be trusted in all channels; unknown if not measured
``reason_GFP``               of each channel: why not; empty if it can
``corrections``              what a person corrected; empty where nothing was
============================ =====================================================================
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.feature_names import COMPARTMENT_SHAPES, SHAPE_FEATURES
from pyama_core.processing.tracking.fates import SURE_DIVISION
from pyama_core.processing.tracking.tables import link_confidence, unsure_links

if TYPE_CHECKING:
    import pandas as pd

SHARED = ("position_x", "position_y", "area", *SHAPE_FEATURES, *COMPARTMENT_SHAPES)
"""Columns that are the same in the tables of all channels: they are of label images."""
KEYS = ("fov", "cell", "frame")
TIMES = ("time_min", "time_h")
_OF_CELLS = ("good", "reason")
_TYPES: Mapping[str, Any] = {
    "cell": np.int32,
    "frame": np.int32,
    "good": np.bool_,
    "reason": "category",
}
"""Of columns of the tables of a run that are no measurements."""


@dataclass(frozen=True)
class FovTables:
    """Traces and cells of one field of view.

    Attributes
    ----------
    fov : int
        Field of view.
    channels : tuple of str
        Names of the channels that the traces have.
    traces, cells : DataFrame
        As the module describes them.
    least_sure : mapping of int to (float, int)
        Of cells how sure the tracker was of the least sure link from frame to frame, from 0 to 1,
        and the frame that it leads to; empty where that was not told, as in older tables.
    unsure : mapping of int to sequence of (int, float)
        Of these the frames that all unsure links lead to, and how sure each is.
    born, divided : frozenset of int
        Cells that came from a division, and that divided, of which the tracker was sure.
    """

    fov: int
    channels: tuple[str, ...]
    traces: pd.DataFrame
    cells: pd.DataFrame
    least_sure: Mapping[int, tuple[float, int]] = dataclasses.field(default_factory=dict)
    unsure: Mapping[int, Sequence[tuple[int, float]]] = dataclasses.field(default_factory=dict)
    born: frozenset[int] = frozenset()
    divided: frozenset[int] = frozenset()

    def narrowed(self, columns: Collection[str] | None) -> FovTables:
        """Return the tables with only some columns of the traces, besides those of keys."""
        if columns is None:
            return self
        kept = [name for name in self.traces if name in KEYS or name in columns]
        return dataclasses.replace(self, traces=self.traces[kept])


def make_tables(
    fov: int,
    traces: Mapping[str, bytes],
    tracks: bytes | None,
    columns: Collection[str] | None = None,
) -> FovTables:
    """Put the tables that a run wrote for a field of view together.

    Parameters
    ----------
    fov : int
        Field of view.
    traces : mapping of str to bytes
        Content of the table of traces of each channel, by its name.
    tracks : bytes or None
        Content of the table of cells.
    columns : collection of str, optional
        Columns of the traces to read; those by which rows are known always are.
    """
    read = {name: _read_traces(content, name, columns) for name, content in traces.items()}
    return FovTables(
        fov=fov,
        channels=tuple(read),
        traces=_side_by_side(fov, read, columns),
        cells=_cells(fov, read, tracks),
        least_sure=_least_sure(tracks),
        unsure={int(row["cell"]): links for row in _rows(tracks) if (links := unsure_links(row))},
        born=_surely(tracks, "birth_probability"),
        divided=_surely(tracks, "fate_probability", "divided"),
    )


def columns_of(headers: Mapping[str, str]) -> list[str]:
    """Return the columns that the traces of some channels give, by the headers of their tables.

    Examples
    --------
    >>> columns_of({"GFP": "fov,cell,frame,time,good,area,intensity_total,reason"})[5:]
    ['area', 'intensity_total_GFP']
    """
    shared: dict[str, None] = {}
    own: dict[str, None] = {}
    for name, header in headers.items():
        for column in filter(None, header.split(",")):
            if column in SHARED:
                shared[column] = None
            elif column not in (*KEYS, "time", *_OF_CELLS):
                own[f"{column}_{name}"] = None
    ordered = [column for column in SHARED if column in shared]
    return [*KEYS, *TIMES, *ordered, *own]


def _header(content: bytes) -> list[str]:
    return content[: content.index(b"\n")].decode().split(",")


def _read_traces(content: bytes, channel: str, columns: Collection[str] | None) -> pd.DataFrame:
    """Read the table of a channel; its own columns get its name."""
    import pandas as pd

    found = [column for column in _header(content) if _is_wanted(column, channel, columns)]
    types: dict[str, Any] = {column: _TYPES.get(column, np.float64) for column in found}
    table = pd.read_csv(
        io.BytesIO(content),
        usecols=found,
        dtype=types,
        keep_default_na=False,
        na_values={column: [""] for column in found if column != "reason"},
    )
    own = [name for name in found if name not in (*KEYS, *SHARED, "time")]
    return table.rename(columns={name: f"{name}_{channel}" for name in own})


def _is_wanted(column: str, channel: str, columns: Collection[str] | None) -> bool:
    if column in ("cell", "frame", *_OF_CELLS):
        return True
    if column == "time":
        return columns is None or any(time in columns for time in TIMES)
    return column != "fov" and (
        columns is None or column in columns or f"{column}_{channel}" in columns
    )


def _side_by_side(
    fov: int, read: Mapping[str, pd.DataFrame], columns: Collection[str] | None
) -> pd.DataFrame:
    """Return the traces of all channels in one table, with a row for what any of them has."""
    import pandas as pd

    tables = [
        table.drop(columns=[f"{column}_{channel}" for column in _OF_CELLS], errors="ignore")
        for channel, table in read.items()
    ]
    empty = pd.DataFrame({name: np.empty(0, np.int32) for name in ("cell", "frame")})
    joined = functools.reduce(_joined, tables) if tables else empty
    made: dict[str, Any] = {"fov": np.full(len(joined), fov, np.int32)}
    made |= {str(name): column for name, column in joined.items()}
    if "time" in made:
        times = made.pop("time")
        made |= {"time_min": times, "time_h": times / 60}
    own = [name for name in made if name not in (*KEYS, *TIMES, *SHARED)]
    order = [name for name in (*KEYS, *TIMES, *SHARED) if name in made] + own
    if columns is not None:
        order = [name for name in order if name in KEYS or name in columns]
    return pd.DataFrame({name: made[name] for name in order})


def _joined(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Put two channels side by side; frames that only one of them has are kept."""
    import pandas as pd

    keys = ["cell", "frame"]
    shared = [name for name in right.columns if name in left.columns and name not in keys]
    if left[keys].equals(right[keys]):
        return pd.concat([left, right.drop(columns=[*keys, *shared])], axis="columns")
    both = left.merge(right, on=keys, how="outer", sort=True, suffixes=("", "\0"))
    for name in shared:
        both[name] = both[name].fillna(both.pop(f"{name}\0"))
    return both


def _cells(fov: int, read: Mapping[str, pd.DataFrame], tracks: bytes | None) -> pd.DataFrame:
    """Return the table of cells, with the verdicts of all channels."""
    import pandas as pd

    cells = _seen(read) if tracks is None else _tracked(tracks)
    good = pd.Series(True if read else pd.NA, index=cells.index, dtype="boolean")
    reasons = {}
    for channel, table in read.items():
        verdicts = table.drop_duplicates("cell").set_index("cell")
        judged = verdicts[f"good_{channel}"].astype("boolean")
        good &= judged.reindex(cells.index)
        name = f"reason_{channel}"
        # Older tables have none.
        reason = verdicts[name].astype("str") if name in verdicts else pd.Series(dtype="str")
        reasons[name] = reason.reindex(cells.index).fillna("")
    made = cells.assign(good=good, **reasons, corrections="").reset_index()
    made["cell"] = made["cell"].astype(np.int32)
    made.insert(0, "fov", np.full(len(made), fov, np.int32))
    return made


def _tracked(tracks: bytes) -> pd.DataFrame:
    """Return the cells that the tracking found, by number."""
    import pandas as pd

    types: dict[str, Any] = {"cell": np.int32, "parent": "Int32", "fate": "str"}
    types |= dict.fromkeys(("first_frame", "last_frame", "n_frames", "n_merged"), np.int32)
    table = pd.read_csv(io.BytesIO(tracks), usecols=list(types), dtype=types).set_index("cell")
    return _with_daughters(table.sort_index())


def _rows(tracks: bytes | None) -> Iterable[dict[str, str]]:
    return csv.DictReader((tracks or b"").decode(errors="replace").splitlines())


def _least_sure(tracks: bytes | None) -> dict[int, tuple[float, int]]:
    """Return how sure the least sure link of each cell is, and the frame that it leads to."""
    return {
        int(row["cell"]): (sure, int(row["link_frame"]))
        for row in _rows(tracks)
        if (sure := link_confidence(row)) is not None and row.get("link_frame")
    }


def _surely(tracks: bytes | None, column: str, fate: str = "") -> frozenset[int]:
    """Return the cells, of one fate if any is given, whose division is told to be sure."""
    return frozenset(
        int(row["cell"])
        for row in _rows(tracks)
        if row["fate"] == (fate or row["fate"]) and float(row.get(column) or 0) >= SURE_DIVISION
    )


def _with_daughters(cells: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    daughters: dict[int, list[int]] = {}
    for cell, parent in cells["parent"].dropna().items():
        daughters.setdefault(int(parent), []).append(int(str(cell)))
    of_each: list[Any] = [tuple(daughters.get(int(cell), ())) for cell in cells.index]
    ordered = cells.assign(daughters=pd.Series(of_each, index=cells.index, dtype=object))
    return ordered[
        ["parent", "daughters", "first_frame", "last_frame", "n_frames", "n_merged", "fate"]
    ]


def _seen(read: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the cells that have traces, where nothing tells what became of them."""
    import pandas as pd

    rows = [table[["cell", "frame"]] for table in read.values()]
    empty = pd.DataFrame({name: np.empty(0, np.int32) for name in ("cell", "frame")})
    seen = pd.concat([empty, *rows]).drop_duplicates()
    frames = seen.groupby("cell")["frame"].agg(["min", "max", "size"]).astype(np.int32)
    frames.columns = pd.Index(["first_frame", "last_frame", "n_frames"])
    return _with_daughters(
        frames.assign(
            parent=pd.array([pd.NA] * len(frames), dtype="Int32"),
            n_merged=np.zeros(len(frames), np.int32),
            fate=pd.Series(pd.NA, index=frames.index, dtype="str"),
        )
    )


def fill_shifts(sizes: NDArray[np.float64], content: bytes) -> NDArray[np.float64]:
    """Enter how far a field of view moved before each frame, from the table of frames.

    Parameters
    ----------
    sizes : (T,) float array
        Is filled where the table knows; returned.
    content : bytes
        Of the table.
    """
    for row in csv.DictReader(content.decode(errors="replace").splitlines()):
        frame, x, y = (row.get(name) or "" for name in ("frame", "shift_x", "shift_y"))
        if x and y and 0 < int(frame) < sizes.size:
            sizes[int(frame)] = np.hypot(float(x), float(y))
    return sizes
