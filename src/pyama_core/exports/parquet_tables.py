"""Results as Parquet, whose columns carry their units as metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pyama_core.exports.columns import meaning_of
from pyama_core.exports.options import Options, TableOptions
from pyama_core.exports.progress import Steps
from pyama_core.exports.table_folder import write_tables
from pyama_core.exports.wide_tables import WideTable
from pyama_core.results.selection import Selection

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_PER_GROUP = 250_000
_NUMBERS_PER_GROUP = 4 << 20


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Fill a folder with Parquet files; see `pyama_core.exports.table_folder`."""
    write_tables(selection, path, cast("TableOptions", options), steps, ParquetFormat())


class ParquetFormat:
    """Tables as Parquet."""

    suffix = ".parquet"

    def begin(self, path: Path, channels: tuple[str, ...]) -> ParquetTable:
        """Begin a table."""
        return ParquetTable(path, channels)

    def write_wide(self, path: Path, table: WideTable) -> None:
        """Write a table with a column per cell."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        first = pa.array(table.first)
        note = {b"unit": meaning_of(table.feature, ()).unit.encode()}
        fields = [
            pa.field(table.first_name, first.type),
            *(pa.field(name, pa.float64(), metadata=note) for name in table.names),
        ]
        schema = pa.schema(fields)
        n_rows = max(1, _NUMBERS_PER_GROUP // len(fields))
        rows = table.rows()
        # Of each of thousands of short columns, what helps to search it is larger than the column.
        lean = {"use_dictionary": False, "write_statistics": False}
        with pq.ParquetWriter(path, schema, compression="zstd", **lean) as writer:
            for start in range(0, len(first), n_rows):
                some = first.slice(start, n_rows)
                numbers = np.array([next(rows) for _ in range(len(some))])
                columns = [pa.array(column, from_pandas=True) for column in numbers.T]
                writer.write_table(pa.table([some, *columns], schema=schema))


class ParquetTable:
    """A growing Parquet file; rows are gathered, for small groups of them are read slowly."""

    def __init__(self, path: Path, channels: tuple[str, ...]) -> None:
        self._path = path
        self._channels = channels
        self._waiting: list[pa.Table] = []
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows."""
        import pyarrow as pa

        if self._schema is None:
            self._schema = pa.schema([self._field(str(name), rows[name]) for name in rows.columns])
        table = pa.Table.from_pandas(rows, schema=self._schema, preserve_index=False)
        self._waiting.append(table.replace_schema_metadata())
        if sum(map(len, self._waiting)) >= _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        if self._waiting:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.concat_tables(self._waiting).unify_dictionaries()
        self._waiting = []
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=_ROWS_PER_GROUP)

    def _field(self, name: str, column: pd.Series[Any]) -> pa.Field:
        import pyarrow as pa

        if column.dtype == "category":
            kind = pa.dictionary(pa.int32(), pa.string())
        elif name == "daughters":
            kind = pa.list_(pa.int32())
        elif getattr(column.dtype, "kind", "O") in "iufb":
            kind = pa.from_numpy_dtype(getattr(column.dtype, "numpy_dtype", column.dtype))
        else:
            kind = pa.string()
        meaning = meaning_of(name, self._channels)
        told = {"unit": meaning.unit, "meaning": meaning.words}
        return pa.field(name, kind, metadata={key: word for key, word in told.items() if word})
