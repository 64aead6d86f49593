"""A folder of tables, whatever they are written as.

::

    traces      a row per cell and frame
    cells       a row per cell
    samples     a row per field of view
    columns     the unit and meaning of each column of the former
    wide/       a folder per sample, in it a table per feature with a column per cell
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyama_core.exports.columns import meanings_table
from pyama_core.exports.file_names import file_names
from pyama_core.exports.options import TableOptions
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import TablesToWrite, tables_to_write
from pyama_core.exports.wide_tables import WideTable
from pyama_core.results.selection import Selection

if TYPE_CHECKING:
    import pandas as pd


class LongTable(Protocol):
    """A table that grows by rows."""

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows; all have the same columns."""

    def close(self) -> None:
        """Finish the file."""


class TableFormat(Protocol):
    """How tables are written."""

    suffix: str

    def begin(self, path: Path, channels: tuple[str, ...]) -> LongTable:
        """Begin a table; the names of channels tell what columns mean."""

    def write_wide(self, path: Path, table: WideTable) -> None:
        """Write a table with a column per cell."""


def write_tables(
    selection: Selection, path: Path, options: TableOptions, steps: Steps, format_: TableFormat
) -> None:
    """Fill a folder with the tables of a selection.

    Parameters
    ----------
    selection : Selection
        What is exported.
    path : Path
        The folder.
    options : TableOptions
        What was asked for.
    steps : Steps
        Are counted.
    format_ : TableFormat
        How to write tables.
    """
    with tables_to_write(selection, path, options, steps) as tables:
        columns = _write_long(tables, path, format_)
        _write_wide(tables, path, format_)
    samples = selection.samples_table()
    meanings = meanings_table([*columns, *samples], selection.channels)
    for name, frame in (("samples", samples), ("columns", meanings)):
        with contextlib.closing(
            format_.begin(path / f"{name}{format_.suffix}", selection.channels)
        ) as table:
            table.append(frame)


def _write_long(tables: TablesToWrite, path: Path, format_: TableFormat) -> list[str]:
    """Write the tables with a row per cell and frame, and per cell; return their columns."""
    channels = tables.selection.channels
    columns: dict[str, None] = {}
    with contextlib.ExitStack() as stack:

        def begin(name: str) -> LongTable:
            table = format_.begin(path / f"{name}{format_.suffix}", channels)
            return stack.enter_context(contextlib.closing(table))

        cells = begin("cells")
        traces = begin("traces") if tables.is_long else None
        for _, each in tables.read():
            if traces is not None:
                traces.append(each.traces)
            cells.append(each.cells)
            columns |= dict.fromkeys([*each.traces, *each.cells])
    return list(columns)


def _write_wide(tables: TablesToWrite, path: Path, format_: TableFormat) -> None:
    of_samples = file_names(tables.selection.used_samples)
    of_features = file_names(tables.selection.features)
    for table in tables.wide.tables():
        folder = path / "wide" / of_samples[table.sample]
        folder.mkdir(parents=True, exist_ok=True)
        format_.write_wide(folder / f"{of_features[table.feature]}{format_.suffix}", table)
        tables.written(f"{table.sample}: {table.feature}")
