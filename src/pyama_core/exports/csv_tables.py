r"""Results as CSV: UTF-8 and ``\n`` on every system.

Numbers have the fewest digits that read back as the same number. Text that a spreadsheet would
take for a formula gets an apostrophe in front, as a person types it there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pyama_core.exports.options import Options, TextTableOptions
from pyama_core.exports.progress import Steps
from pyama_core.exports.table_folder import write_tables
from pyama_core.exports.wide_tables import WideTable
from pyama_core.results.selection import Selection

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Fill a folder with tables as text; see `pyama_core.exports.table_folder`."""
    asked = cast("TextTableOptions", options)
    write_tables(selection, path, asked, steps, CsvFormat(asked.decimal == "comma"))


def harmless(text: str) -> str:
    """Return text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("+dox"), harmless("control"), harmless("-5")
    ("'=1+1", "'+dox", 'control', '-5')
    """
    if not _FORMULA.match(text):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


class CsvFormat:
    """Tables as text.

    Parameters
    ----------
    decimal_comma : bool
        Whether numbers have a comma, and columns are separated by semicolons. Such files are for
        spreadsheets, which only take them for UTF-8 if they begin with a mark of it.
    """

    suffix = ".csv"

    def __init__(self, decimal_comma: bool = False) -> None:
        self._decimal = "," if decimal_comma else "."
        self._separator = ";" if decimal_comma else ","
        self._encoding = "utf-8-sig" if decimal_comma else "utf-8"

    def begin(self, path: Path, channels: tuple[str, ...]) -> CsvTable:
        """Begin a table."""
        del channels
        return CsvTable(path, self._separator, self._decimal, self._encoding)

    def write_wide(self, path: Path, table: WideTable) -> None:
        """Write a table with a column per cell."""
        with path.open("w", encoding=self._encoding, newline="") as file:
            writer = csv.writer(file, delimiter=self._separator, lineterminator="\n")
            writer.writerow([table.first_name, *table.names])
            for first, row in zip(table.first.tolist(), table.rows(), strict=True):
                writer.writerow([self._as_text(first), *map(self._as_text, row.tolist())])

    def _as_text(self, number: float) -> str:
        return "" if number != number else repr(number).replace(".", self._decimal)


class CsvTable:
    """A growing table as text."""

    def __init__(self, path: Path, separator: str, decimal: str, encoding: str) -> None:
        self._file = path.open("w", encoding=encoding, newline="")
        self._separator = separator
        self._decimal = decimal
        self._has_header = False

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows."""
        safe = rows.rename(columns=harmless)
        for name in safe.columns[[not _is_number(kind) for kind in safe.dtypes]]:
            safe[name] = _texts(safe[name])
        safe.to_csv(
            self._file,
            index=False,
            header=not self._has_header,
            sep=self._separator,
            decimal=self._decimal,
            lineterminator="\n",
        )
        self._has_header = True

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _is_number(kind: Any) -> bool:
    return getattr(kind, "kind", "O") in "iufb"


def _texts(column: pd.Series[Any]) -> list[str]:
    return [_text(value) for value in column.tolist()]


def _text(value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " ".join(map(str, value))
    return harmless(value) if isinstance(value, str) else ""
