"""An output folder as one object: `open_results`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from pyama_core.errors import InputError
from pyama_core.io.paths import given_path
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.outputs import TRACES_CSV
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.processing.workflow.samples.stored import change_samples, load_samples
from pyama_core.processing.workflow.samples.words import assignments_from_mapping
from pyama_core.processing.workflow.services.selection import find_fovs
from pyama_core.processing.workflow.source_description import load_description, load_names
from pyama_core.results.channels import ChannelNames
from pyama_core.results.curation import Curation
from pyama_core.results.fov_results import FovResults
from pyama_core.results.overview import (
    as_html,
    as_text,
    cell_line,
    edits_line,
    fov_line,
    samples_line,
    source_line,
)
from pyama_core.results.plotting import Time, Wanted, plot_courses
from pyama_core.results.records_of_fovs import (
    common_parameters,
    failures_frame,
    missing_frame,
    provenance_frame,
    warn_of_mixture,
)
from pyama_core.results.selection import Selection
from pyama_core.results.stacking import samples_frame, stack_tables, with_verdicts
from pyama_core.results.tables import KEYS, SHARED, TIMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Fovs = str | Iterable[SupportsIndex | str]
"""Words for FOVs, as the command line takes them: ``"0-3,7"``, ``"A1,B2"``, ``[0, "B2"]``."""


def open_results(folder: Path | str) -> Results:
    """Open the output folder of a run.

    Nothing is read but the names of its records; the rest follows when it is asked for.

    Parameters
    ----------
    folder : path
        Output folder of `pyama run`, wherever it lies now.

    Raises
    ------
    InputError
        There is no such folder, or it holds no results.

    Examples
    --------
    >>> results = open_results("results")  # doctest: +SKIP
    >>> results.traces.groupby("sample")["intensity_total_GFP"].median()  # doctest: +SKIP
    """
    path = given_path(folder, "folder of results")
    if not path.is_dir():
        raise InputError(f"there is no folder {path}")
    results = Results(path)
    if not results.fov_numbers:
        raise InputError(f"{path} holds no results: no record of any FOV")
    return results


class Results(Curation):
    """The results of a run; made by `open_results`.

    Attributes
    ----------
    folder : Path
        The output folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = EditLog(folder)
        self.reload()

    def reload(self) -> None:
        """Look at the folder anew, to which a run may have added."""
        self.source = load_description(self.folder)
        names = load_names(self.folder, self.source)
        self._names = names.fovs
        self._channels = ChannelNames(names.channels)
        self._fovs = {
            number: FovResults(path, number, self._names[number], self._channels, self._log)
            for number, path in records_by_fov(self.folder).items()
        }

    def __repr__(self) -> str:
        return as_text(f"Results in {self.folder}", self._overview())

    def _repr_html_(self) -> str:
        return as_html(f"Results in {self.folder}", self._overview())

    def _overview(self) -> list[tuple[str, str]]:
        try:
            samples: Samples | InputError = self.read_samples()
        except InputError as error:
            samples = error
        return [
            *source_line(self.source),
            fov_line(self.chosen()),
            cell_line(self.chosen(), self._channels),
            *edits_line(self.folder, self._log),
            samples_line(samples),
        ]

    @property
    def fov_numbers(self) -> list[int]:
        """Numbers of the fields of view that have a record, in order."""
        return list(self._fovs)

    def fov(self, which: SupportsIndex | str) -> FovResults:
        """Return the results of one field of view, by its number or its name.

        Raises
        ------
        InputError
            There is none, or none with results.
        """
        chosen = self.chosen([which])
        if len(chosen) != 1:
            raise InputError(f"expected one FOV, found {len(chosen)}: {which!r}")
        return chosen[0]

    def _fov_number(self, which: SupportsIndex | str) -> int:
        return self.fov(which).number

    def chosen(self, fovs: Fovs | None = None) -> list[FovResults]:
        """Return fields of view that words mean, in order; by default all.

        Raises
        ------
        InputError
            One of them does not exist, or has no results.
        """
        if fovs is None:
            return list(self._fovs.values())
        numbers = find_fovs(fovs, self._names)
        for number in numbers:
            if number not in self._fovs:
                raise InputError(
                    f"there are no results of FOV {number} ({self._names[number]}) in {self.folder}"
                )
        return [self._fovs[number] for number in numbers]

    # Samples

    @property
    def samples(self) -> pd.DataFrame:
        """A row per field of view: its number, name, sample, and what else is known of it."""
        return samples_frame(self.read_samples())

    def read_samples(self) -> Samples:
        """Return the sample of each field of view as it is now on disk.

        Raises
        ------
        InputError
            The table was edited and cannot be understood.
        """
        return load_samples(self.folder, self._names)

    def assign_samples(self, samples: Mapping[str, Any]) -> None:
        """Put fields of view into samples, for good; nothing is computed again.

        Parameters
        ----------
        samples : mapping
            By the name of each sample: words for fields of view, or these (``fovs``) and what
            else is known of them.

        Raises
        ------
        InputError
            One of them does not exist, or was given two samples.
        StorageError
            The folder cannot be written.

        Examples
        --------
        >>> results.assign_samples(  # doctest: +SKIP
        ...     {"control": "0-3", "drug": {"fovs": "A2,A3", "concentration": 5}}
        ... )
        """
        each = assignments_from_mapping(samples, self._names, "samples")
        change_samples(self.folder, lambda there: there.changed(each))
        write_results(self.folder)

    def _in_samples(
        self, fovs: Fovs | None, samples: str | Iterable[str] | None
    ) -> tuple[list[FovResults], Samples]:
        """Return the chosen fields of view that are in some samples, and all samples."""
        known = self.read_samples()
        chosen = self.chosen(fovs)
        if samples is not None:
            words = [samples] if isinstance(samples, str) else samples
            wanted = {known.meant_by(word) for word in words}
            chosen = [fov for fov in chosen if known.of(fov.number) in wanted]
        return chosen, known

    # Tables

    @property
    def traces(self) -> pd.DataFrame:
        """A row per sample, field of view, cell and frame, channels side by side by name.

        See `pyama_core.results.tables` for the columns; ``sample`` comes before them, and ``good``
        says whether the cell can be trusted.
        """
        return self.read_traces()

    def read_traces(
        self,
        fovs: Fovs | None = None,
        columns: Collection[str] | None = None,
        samples: str | Iterable[str] | None = None,
        *,
        good_only: bool = False,
    ) -> pd.DataFrame:
        """Read a part of `traces`.

        Parameters
        ----------
        fovs : str or iterable, optional
            Fields of view by number, range, name or well.
        columns : collection of str, optional
            Columns; those by which rows are known always are there.
        samples : str or iterable of str, optional
            Samples.
        good_only : bool
            Whether cells that cannot be trusted are left out.

        Raises
        ------
        InputError
            There is no such field of view, sample or column.
        """
        chosen, known = self._in_samples(fovs, samples)
        warn_of_mixture(chosen, TRACES_CSV)
        ordered = self._ordered(columns, chosen)
        asked = None if columns is None else set(ordered)
        tables = [
            with_verdicts(fov.read_tables(asked), good_only=good_only)
            for fov in chosen or self.chosen()[:1]
        ]
        stacked = stack_tables(tables if chosen else [tables[0][:0]], known)
        return stacked.reindex(columns=["sample", *KEYS, "good", *ordered])

    @property
    def columns(self) -> list[str]:
        """Columns of the traces, of any field of view."""
        return _columns_of(self.chosen())

    @property
    def channels(self) -> list[str]:
        """Names of the channels that were measured, in any field of view."""
        return list(dict.fromkeys(channel for fov in self.chosen() for channel in fov.channels))

    def _ordered(self, columns: Collection[str] | None, chosen: Sequence[FovResults]) -> list[str]:
        """Return the columns to read but for those by which rows are known, as they are ordered."""
        if isinstance(columns, str):
            raise InputError(f"columns: expected several, such as [{columns!r}], found a text")
        asked = None if columns is None else set(columns) - {"sample", "good", *KEYS}
        known = _columns_of(chosen)
        if asked is None or not asked.issubset(known):
            known = self.columns  # which looks at every field of view
        known = [column for column in known if column not in KEYS]
        if asked is None:
            return known
        if unknown := asked - set(known):
            raise InputError(
                f"there is no column {min(unknown)!r}; there are {', '.join(known) or 'none'}"
            )
        return [column for column in known if column in asked]

    @property
    def cells(self) -> pd.DataFrame:
        """A row per cell: what became of it, and whether it can be trusted."""
        return self.read_cells()

    def read_cells(
        self, fovs: Fovs | None = None, samples: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Read a part of `cells`; see `read_traces`."""
        chosen, known = self._in_samples(fovs, samples)
        tables = [fov.read_tables(()).cells for fov in chosen or self.chosen()[:1]]
        return stack_tables(tables if chosen else [tables[0][:0]], known)

    # Exports

    def select(
        self,
        fovs: Fovs | None = None,
        samples: str | Iterable[str] | None = None,
        *,
        good_only: bool = False,
    ) -> Selection:
        """Return a part of the results, as exports take them; parameters as `read_traces`.

        Samples and corrections stay as they are now, so that what is exported is of one piece.
        """
        chosen, known = self._in_samples(fovs, samples)
        log = self._log.frozen()
        frozen = [fov.under(log) for fov in chosen]
        return Selection.of(self.folder, frozen, known, self.source, good_only=good_only)

    def export(
        self,
        to: str,
        path: Path | str | None = None,
        fovs: Fovs | None = None,
        samples: str | Iterable[str] | None = None,
        *,
        good_only: bool = False,
        overwrite: bool = False,
        on_progress: Callable[[Any], None] | None = None,
        **options: Any,
    ) -> Path:
        """Write results in the form of another program, under samples and corrections.

        Parameters
        ----------
        to : str
            Name of the form: csv, parquet, xlsx and others, as `pyama export` has them.
        path : path, optional
            File or folder to write; by default in the folder ``exports`` of the run.
        fovs : str or iterable, optional
            Fields of view by number, range, name or well.
        samples : str or iterable of str, optional
            Samples.
        good_only : bool
            Whether cells that cannot be trusted are left out.
        overwrite : bool
            Whether an earlier export may be replaced.
        on_progress : callable, optional
            Is given a `pyama_core.exports.progress.ExportProgress` after each step.
        **options
            Of the form, such as ``layout="wide"``; see `pyama_core.exports.options`.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        InputError
            There is no such form, field of view, sample or option, a package is missing, something
            is in the way, or the results do not fit into the form.
        StorageError
            It cannot be written.

        Examples
        --------
        >>> results.export("csv", "for_prism", layout="wide", good_only=True)  # doctest: +SKIP
        """
        # By way of the face of the package: what exports results stands above this room.
        from pyama_core import export

        return export(
            self.select(fovs, samples, good_only=good_only),
            to,
            path,
            options,
            overwrite=overwrite,
            on_progress=on_progress,
        )

    # What was made, and what was not

    @property
    def missing(self) -> pd.DataFrame:
        """What was asked for and cannot be read: the output, its kind, and the reason."""
        return missing_frame(self.chosen())

    @property
    def failures(self) -> pd.DataFrame:
        """Fields of view that the last run could not finish: the step and the error."""
        return failures_frame(self.chosen())

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        """Parameters by step, as the last run was asked for them; those of most FOVs.

        What each output was made with stands in `provenance`.
        """
        return common_parameters(self.chosen())

    @property
    def provenance(self) -> pd.DataFrame:
        """A row per output: what it was made by and from, and its checksum.

        Of the parameters, those are told that differ from their defaults.
        """
        return provenance_frame(self.chosen(), self._channels)

    # Figures

    def plot(
        self,
        feature: str = "intensity_total",
        channels: Sequence[str] | None = None,
        fovs: Fovs | None = None,
        samples: str | Iterable[str] | None = None,
        *,
        good_only: bool = True,
        band: tuple[float, float] = (0.25, 0.75),
        n_lines: int = 30,
        time: Time | None = None,
    ) -> Figure:
        """Draw the traces of each sample: their median, a band of quantiles, and some cells.

        Fields of view are read one after the other, and only the columns that are drawn.

        Parameters
        ----------
        feature : str
            What is drawn, such as ``area``.
        channels : sequence of str, optional
            Names of channels, each of which has a panel; by default all that were measured.
        fovs : str or iterable, optional
            Fields of view by number, range, name or well.
        samples : str or iterable of str, optional
            Samples.
        good_only : bool
            Whether cells that cannot be trusted are left out.
        band : (float, float)
            Quantiles that the band reaches from and to.
        n_lines : int
            Cells of each sample that are drawn one by one.
        time : "h", "min" or "frame", optional
            Unit of the times; by default what suits the movie.

        Returns
        -------
        matplotlib.figure.Figure
            ``.savefig("traces.pdf")`` keeps it.

        Raises
        ------
        InputError
            There is nothing to draw, or matplotlib is not installed.
        """
        chosen, known = self._in_samples(fovs, samples)
        warn_of_mixture(chosen, TRACES_CSV)
        wanted = Wanted(feature, channels, good_only, band, n_lines, time)
        return plot_courses(chosen, known.of, known.all(), wanted)


def _columns_of(fovs: Iterable[FovResults]) -> list[str]:
    """Return the columns of the traces of any of some fields of view."""
    found = dict.fromkeys((*KEYS, *TIMES, *SHARED))
    there: set[str] = set()
    for fov in fovs:
        columns = fov.columns
        there.update(columns)
        found |= dict.fromkeys(columns)
    return [column for column in found if column in there]
