"""Results as a workbook: a sheet per sample, and sheets of cells, FOVs and units."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pyama_core.errors import InputError
from pyama_core.exports.columns import meanings_table
from pyama_core.exports.file_names import sheet_names
from pyama_core.exports.options import Options, WorkbookOptions
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import TablesToWrite, tables_to_write
from pyama_core.exports.wide_tables import WideTable
from pyama_core.results.selection import Selection

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 1_048_576
_MOST_COLUMNS = 16_384
_MOST_LETTERS = 32_767
_WAYS_OUT = (
    "export csv or parquet, or fewer FOVs (--fovs), samples (--sample), features (--features) or "
    "only good cells (--good-only)"
)
_OTHER_SHEETS = ("cells", "samples", "columns")
_NO_CLOCK = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""The same results give the same bytes."""


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Write a workbook.

    Raises
    ------
    InputError
        A table is larger than a sheet.
    """
    asked = cast("WorkbookOptions", options)
    with tables_to_write(selection, path.parent, asked, steps) as tables:
        book = _Workbook(path)
        try:
            columns = _write_long(tables, book)
            _write_wide(tables, book)
            samples = selection.samples_table()
            book.sheet("samples").append(samples)
            book.sheet("columns").append(
                meanings_table([*columns, *samples], tables.selection.channels)
            )
            book.close()
        except BaseException:
            book.discard()
            raise


def _write_long(tables: TablesToWrite, book: _Workbook) -> list[str]:
    names = sheet_names(tables.selection.used_samples, taken=_OTHER_SHEETS)
    columns: dict[str, None] = {}
    of_samples = {
        sample: book.sheet(names[sample], f"sample {sample}") for sample in names if tables.is_long
    }
    cells = book.sheet("cells")
    for sample, each in tables.read():
        if tables.is_long:
            of_samples[sample].append(each.traces)
        cells.append(each.cells)
        columns |= dict.fromkeys([*each.traces, *each.cells])
    return list(columns)


def _write_wide(tables: TablesToWrite, book: _Workbook) -> None:
    samples, features = tables.selection.used_samples, tables.selection.features
    taken = [*_OTHER_SHEETS, *sheet_names(samples, taken=_OTHER_SHEETS).values()]
    titles = [f"{sample} {feature}" for sample in samples for feature in features]
    names = sheet_names(titles, taken=taken)
    for table in tables.wide.tables():
        title = f"{table.sample} {table.feature}"
        book.sheet(names[title], f"{table.feature} of sample {table.sample}").fill(table)
        tables.written(title)


class _Workbook:
    def __init__(self, path: Path) -> None:
        import xlsxwriter

        options = {
            "constant_memory": True,
            "tmpdir": str(path.parent),
            "nan_inf_to_errors": False,
        }
        self._book = xlsxwriter.Workbook(str(path), options)
        self._book.set_properties({"created": _NO_CLOCK})

    def sheet(self, name: str, title: str | None = None) -> _Sheet:
        """Begin a sheet; the title is for messages."""
        return _Sheet(self._book.add_worksheet(name), title or name)

    def close(self) -> None:
        from xlsxwriter.exceptions import FileCreateError, FileSizeError

        try:
            self._book.close()
        except FileCreateError as error:
            raise OSError(*error.args[0].args) from error
        except FileSizeError as error:
            raise InputError(f"the tables do not fit into a workbook; {_WAYS_OUT}") from error

    def discard(self) -> None:
        """Close the files that sheets are gathered in."""
        for sheet in self._book.worksheets():
            if sheet.row_data_fh is not None:
                sheet.row_data_fh.close()


class _Sheet:
    """A sheet that is written row by row; text never is a formula there."""

    def __init__(self, sheet: Any, title: str) -> None:
        self._sheet = sheet
        self._title = title
        self._n_rows = 0

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows, below a header."""
        if self._n_rows == 0:
            self._write_row(rows.columns.tolist())
        for values in zip(*(rows[name].tolist() for name in rows.columns), strict=True):
            self._write_row(values)

    def fill(self, table: WideTable) -> None:
        """Write a table with a column per cell."""
        self._write_row([table.first_name, *table.names])
        for first, row in zip(table.first.tolist(), table.rows(), strict=True):
            self._write_row([first, *row.tolist()])

    def _write_row(self, values: Sequence[object]) -> None:
        row = self._n_rows
        if row >= _MOST_ROWS or len(values) > _MOST_COLUMNS:
            what = f"{_MOST_ROWS:,} rows" if row >= _MOST_ROWS else f"{_MOST_COLUMNS:,} columns"
            raise InputError(
                f"{self._title} does not fit into a sheet, which holds {what}; {_WAYS_OUT}"
            )
        for column, value in enumerate(values):
            self._write(row, column, value)
        self._n_rows += 1

    def _write(self, row: int, column: int, value: object) -> None:
        if isinstance(value, bool):
            self._sheet.write_boolean(row, column, value)
        elif isinstance(value, str):
            if len(value) > _MOST_LETTERS:
                raise InputError(f"{self._title}: a text does not fit into a cell; {_WAYS_OUT}")
            if value:
                self._sheet.write_string(row, column, value)
        elif isinstance(value, (int, float)):
            if value - value == 0:  # finite; a sheet has no other numbers
                self._sheet.write_number(row, column, value)
        elif isinstance(value, Iterable):
            self._sheet.write_string(row, column, " ".join(map(str, value)))
