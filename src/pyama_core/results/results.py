"""An output folder as one object: `open_results`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

from pyama_core.errors import InputError
from pyama_core.io.paths import given_path
from pyama_core.io.storage.naming import find_records
from pyama_core.processing.workflow.services.selection import find_fovs
from pyama_core.processing.workflow.source_description import load_description
from pyama_core.results.channels import ChannelNames
from pyama_core.results.fov_results import FovResults
from pyama_core.results.proof import MissingOutput

if TYPE_CHECKING:
    import pandas as pd

UNASSIGNED = "unassigned"
"""The sample of positions that were given none."""

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


class Results:
    """The results of a run; made by `open_results`.

    Attributes
    ----------
    folder : Path
        The output folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reload()

    def reload(self) -> None:
        """Look at the folder anew, to which a run may have added."""
        self.source = load_description(self.folder)
        names = self.source.fov_names if self.source else ()
        self._channels = ChannelNames(self.source.channel_names if self.source else ())
        self._fovs: dict[int, FovResults] = {}
        for path in find_records(self.folder):
            number = int(path.parent.name.removeprefix("fov_"))
            name = names[number] if number < len(names) else f"FOV {number}"
            self._fovs[number] = FovResults(path, number, name, self._channels)

    @property
    def fov_numbers(self) -> list[int]:
        """Numbers of the fields of view that have a record, in order."""
        return sorted(self._fovs)

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

    def chosen(self, fovs: Fovs | None = None) -> list[FovResults]:
        """Return fields of view that words mean, in order; by default all.

        Raises
        ------
        InputError
            One of them does not exist, or has no results.
        """
        if fovs is None:
            return [self._fovs[number] for number in self.fov_numbers]
        last = max(self.fov_numbers)
        names = self.source.fov_names if self.source else [f"FOV {i}" for i in range(last + 1)]
        numbers = find_fovs(fovs, names)
        for number in numbers:
            if number not in self._fovs:
                raise InputError(
                    f"there are no results of FOV {number} ({names[number]}) in {self.folder}"
                )
        return [self._fovs[number] for number in numbers]

    @property
    def traces(self) -> pd.DataFrame:
        """A row per sample, field of view, cell and frame, channels side by side by name."""
        return self.read_traces()

    def read_traces(
        self, fovs: Fovs | None = None, columns: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Read a part of `traces`.

        Parameters
        ----------
        fovs : str or iterable, optional
            Fields of view by number, range or name.
        columns : collection of str, optional
            Columns; those by which rows are known always are there.
        """
        import pandas as pd

        tables = [fov.read_tables(columns).traces for fov in self.chosen(fovs)]
        joined = pd.concat(tables, ignore_index=True)
        joined.insert(0, "sample", pd.Series(UNASSIGNED, joined.index, dtype="category"))
        return joined

    @property
    def cells(self) -> pd.DataFrame:
        """A row per cell."""
        return self.read_cells()

    def read_cells(self, fovs: Fovs | None = None) -> pd.DataFrame:
        """Read a part of `cells`."""
        import pandas as pd

        tables = [fov.read_tables(()).cells for fov in self.chosen(fovs)]
        joined = pd.concat(tables, ignore_index=True)
        joined.insert(0, "sample", pd.Series(UNASSIGNED, joined.index, dtype="category"))
        return joined

    @property
    def missing(self) -> list[MissingOutput]:
        """What was asked for and cannot be read, and why."""
        return [missing for fov in self.chosen() for missing in fov.missing]
