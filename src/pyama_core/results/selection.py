"""A part of the results of a run, as exports take them: some FOVs, with their samples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pyama_core.errors import InputError
from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.processing.workflow.source_description import SourceDescription
from pyama_core.results.fov_results import FovResults
from pyama_core.results.stacking import samples_frame, stack_tables, with_verdicts
from pyama_core.results.tables import KEYS, SHARED, TIMES

if TYPE_CHECKING:
    import pandas as pd

CELL_COLUMNS = (
    *("sample", "fov", "cell", "parent", "daughters", "first_frame", "last_frame", "n_frames"),
    *("n_merged", "fate", "good"),
)
"""Columns of the cells, before the reasons against them in each channel, and the corrections."""
ALWAYS = ("sample", "fov", "cell", "frame", "good")
"""Columns by which a row of the traces is known, and judged."""


@dataclass(frozen=True)
class SelectedTables:
    """Traces and cells of one field of view, with the sample in front.

    Attributes
    ----------
    traces, cells : DataFrame
        As `pyama_core.results.tables` describes them; the columns of the traces are the same for
        all fields of view of a selection.
    """

    traces: pd.DataFrame
    cells: pd.DataFrame


@dataclass(frozen=True)
class Selection:
    """Some fields of view of a run.

    Attributes
    ----------
    folder : Path
        The output folder.
    fovs : tuple of FovResults
        The fields of view, in order.
    samples : Samples
        Of all fields of view.
    source : SourceDescription or None
        What the microscope file said, if that is known.
    channels : tuple of str
        Names of the channels that were measured.
    columns : tuple of str
        Columns of the traces but for `ALWAYS`.
    good_only : bool
        Whether cells that cannot be trusted are left out.
    """

    folder: Path
    fovs: tuple[FovResults, ...]
    samples: Samples
    source: SourceDescription | None
    channels: tuple[str, ...]
    columns: tuple[str, ...]
    good_only: bool = False

    @classmethod
    def of(
        cls,
        folder: Path,
        fovs: Iterable[FovResults],
        samples: Samples,
        source: SourceDescription | None,
        *,
        good_only: bool = False,
    ) -> Self:
        """Return a selection with all columns that any of its fields of view has."""
        chosen = tuple(fovs)
        channels = dict.fromkeys(channel for fov in chosen for channel in fov.channels)
        there = dict.fromkeys(column for fov in chosen for column in fov.columns)
        first = [column for column in (*TIMES, *SHARED) if column in there]
        rest = [column for column in there if column not in (*KEYS, *first)]
        return cls(
            folder, chosen, samples, source, tuple(channels), (*first, *rest), good_only=good_only
        )

    @property
    def features(self) -> tuple[str, ...]:
        """Columns that were measured."""
        return tuple(column for column in self.columns if column not in TIMES)

    @property
    def cell_columns(self) -> tuple[str, ...]:
        """Columns of the cells, the same for all fields of view."""
        reasons = (f"reason_{channel}" for channel in self.channels)
        return (*CELL_COLUMNS, *reasons, "corrections")

    @property
    def used_samples(self) -> list[str]:
        """Samples that any of the fields of view is in, in order."""
        used = {self.samples.of(fov.number) for fov in self.fovs}
        return [sample for sample in self.samples.all() if sample in used]

    def with_features(self, words: Sequence[str]) -> Self:
        """Return the selection with some features only.

        Parameters
        ----------
        words : sequence of str
            Columns, or their names without a channel, which stand for those of all channels.

        Raises
        ------
        InputError
            There is no such feature.
        """
        wanted: set[str] = set()
        for word in words:
            meant = {word, *(f"{word}_{channel}" for channel in self.channels)}
            if not (found := meant.intersection(self.features)):
                raise InputError(
                    f"there is no feature {word!r}; there are {', '.join(self.features) or 'none'}"
                )
            wanted |= found
        kept = (column for column in self.columns if column in TIMES or column in wanted)
        return replace(self, columns=tuple(kept))

    def read(self, fov: FovResults, columns: Collection[str] | None = None) -> SelectedTables:
        """Read the tables of a field of view, under the corrections of a person.

        Parameters
        ----------
        fov : FovResults
            One of `fovs`.
        columns : collection of str, optional
            Out of `columns`, those that are wanted; by default all.
        """
        wanted = [name for name in self.columns if columns is None or name in columns]
        tables = fov.read_tables(wanted)
        traces, cells = with_verdicts(tables, good_only=self.good_only), tables.cells
        if self.good_only:
            cells = cells[cells["good"].fillna(value=False)]
        stacked = stack_tables([traces], self.samples)
        return SelectedTables(
            stacked.reindex(columns=[*ALWAYS, *wanted]),
            self._with_all_reasons(stack_tables([cells], self.samples)),
        )

    def _with_all_reasons(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Return cells with a column for each channel, of text also where it was not measured."""
        complete = cells.reindex(columns=list(self.cell_columns))
        lacking = set(complete.columns).difference(cells.columns)
        return complete.astype(dict.fromkeys(lacking, "str"))

    def samples_table(self) -> pd.DataFrame:
        """Return a row per field of view: its number, name, sample, and what else is known."""
        frame = samples_frame(self.samples)
        return frame[frame["fov"].isin([fov.number for fov in self.fovs])]
