"""Tables of fields of view that are looked at, read once for all that the page asks of them."""

from __future__ import annotations

import threading
from collections.abc import Collection

from pyama_core.app.kept import Kept
from pyama_core.results.doubts import needed_columns as columns_of_doubts
from pyama_core.results.edited import needed_columns
from pyama_core.results.fov_results import FovResults
from pyama_core.results.tables import TIMES, FovTables

_MOST_KEPT = 4


class TableReadings:
    """Keeps the tables that were read last, as long as they are as they were read.

    The first reading takes along what is asked for next (places, times, brightness, rings); a
    column besides is read with those that are there. Safe to use from several threads: who asks
    for what is being read waits for it.
    """

    def __init__(self) -> None:
        self._kept: Kept[_Reading] = Kept(_MOST_KEPT)

    def read(self, fov: FovResults, columns: Collection[str]) -> FovTables:
        """Return what `FovResults.read_tables` would; the tables must not be changed."""
        reading = self._kept.get((fov, fov.appearance()), lambda: _Reading(fov))
        return reading.with_columns(columns)


class _Reading:
    """The tables of a field of view, with the columns that were asked for so far."""

    def __init__(self, fov: FovResults) -> None:
        self._fov = fov
        self._columns: set[str] = set()
        self._tables: FovTables | None = None
        self._lock = threading.Lock()

    def with_columns(self, columns: Collection[str]) -> FovTables:
        with self._lock:
            tables = self._tables
            if tables is None or not self._columns.issuperset(columns):
                channels = self._fov.channels
                common = needed_columns(channels) | columns_of_doubts(channels)
                self._columns |= {*TIMES, *common, *columns}
                self._tables = tables = self._fov.read_tables(self._columns)
        return tables.narrowed(columns)
