"""Reads a selection FOV by FOV for forms that are made of tables."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.exports.left_out import tell_left_out
from pyama_core.exports.options import TableOptions
from pyama_core.exports.progress import Steps
from pyama_core.exports.wide_tables import WideTables
from pyama_core.outputs import TRACES_CSV, TRACKS_CSV
from pyama_core.results.fov_results import FovResults
from pyama_core.results.selection import SelectedTables, Selection

logger = logging.getLogger(__name__)

NOT_MEASURED = (
    "no channel was measured, and positions of cells come with measurements; run with --fl"
)

_TABLES = (TRACES_CSV.name, TRACKS_CSV.name, "record")


@dataclass(frozen=True)
class TablesToWrite:
    """What a form of tables is made of.

    Attributes
    ----------
    selection : Selection
        With the features that were asked for.
    options : TableOptions
        What was asked for.
    wide : WideTables
        Gets the cells of all fields of view that were read.
    """

    selection: Selection
    options: TableOptions
    wide: WideTables
    _steps: Steps

    @property
    def is_long(self) -> bool:
        """Whether there is to be a table with a row per cell and frame."""
        return self.options.layout != "wide"

    def read(self) -> Iterator[tuple[str, SelectedTables]]:
        """Yield sample and tables of each field of view."""
        missing = tell_missing(self.selection)
        n_cells = n_bad = 0
        for fov in self.selection.fovs:
            tables = self.selection.read(fov)
            sample = self.selection.samples.of(fov.number)
            n_cells += len(tables.cells)
            n_bad += int((~tables.cells["good"].fillna(value=True).astype(bool)).sum())
            if self.options.layout != "long":
                self.wide.add(sample, fov.number, tables)
            yield sample, tables
            self._steps.done(f"FOV {fov.number}")
        if missing and not n_cells:
            raise InputError(f"there are no tables to export: {missing[0]}")
        if n_bad and self.options.layout != "long":
            logger.info(
                "%d of %d cells are not good, and in the wide tables like all others; "
                "--good-only leaves them out",
                n_bad,
                n_cells,
            )
        self._steps.expect(self.wide.n_tables)

    def written(self, table: str) -> None:
        """Take in that one of the wide tables was written."""
        self._steps.done(table)


def tell_missing(selection: Selection) -> list[str]:
    """Warn of tables that were asked of the run and cannot be read; return what was said."""
    missing = [words for fov in selection.fovs for words in missing_tables(fov)]
    tell_left_out(missing)
    return missing


def missing_tables(fov: FovResults) -> list[str]:
    """Return which tables of a field of view cannot be read, and why."""
    return [
        f"{fov.title}: {lack.output}: {lack.reason}" for lack in fov.missing if lack.kind in _TABLES
    ]


@contextmanager
def tables_to_write(
    selection: Selection, scratch: Path, options: TableOptions, steps: Steps
) -> Iterator[TablesToWrite]:
    """Lend what tables are written from.

    Parameters
    ----------
    selection : Selection
        What is exported.
    scratch : Path
        A folder in which files may lie meanwhile.
    options : TableOptions
        What was asked for.
    steps : Steps
        Are counted.

    Raises
    ------
    InputError
        There is no such feature.
    """
    if options.features is not None:
        selection = selection.with_features(options.features)
    steps.expect(len(selection.fovs))
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".parts") as parts:
        wide = WideTables(Path(parts), selection.features, options.time)
        yield TablesToWrite(selection, options, wide, steps)
