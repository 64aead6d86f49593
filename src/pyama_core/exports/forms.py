"""The forms that results can be exported in: a row for each, and nothing about them elsewhere.

A new form is a row here, an extra in `pyproject.toml` and a module with a function
``write(selection, path, options, steps)``, which writes a file or fills a folder.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pyama_core.errors import InputError
from pyama_core.exports.options import (
    FeatureOptions,
    Options,
    TableOptions,
    TextTableOptions,
    WorkbookOptions,
)
from pyama_core.exports.progress import Steps
from pyama_core.results.selection import Selection

Write = Callable[[Selection, Path, Options, Steps], None]


@dataclass(frozen=True)
class ExportForm:
    """A form of results.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    people : str
        Programs, or people, that it is for.
    about : str
        What one gets, for people.
    module : str
        Where its `write` is.
    options : type of Options
        What can be asked of it.
    suffix : str
        How the name of its file ends; empty for a folder.
    packages : tuple of str
        What it needs beyond the package's own dependencies.
    """

    name: str
    people: str
    about: str
    module: str
    options: type[Options] = Options
    suffix: str = ""
    packages: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files, and no file."""
        return not self.suffix

    def lacks(self) -> str | None:
        """Return in words which package is missing; None if none is."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return (
                    f"exporting {self.name} needs {package}, which is not installed: "
                    f'pip install "pyama-core[{self.name}]"'
                )
        return None

    def load(self) -> Write:
        """Import what writes it.

        Raises
        ------
        InputError
            A package that it needs is not installed.
        """
        if lacks := self.lacks():
            raise InputError(lacks)
        module = importlib.import_module(self.module)
        return cast("Write", module.write)


_FORMS = (
    ExportForm(
        "csv",
        "Prism, Origin, Excel",
        "tables as text: a row per cell and frame, and a column per cell for Prism and Origin",
        "pyama_core.exports.csv_tables",
        TextTableOptions,
    ),
    ExportForm(
        "parquet",
        "R, Python",
        "the same tables for pandas, polars, R and DuckDB",
        "pyama_core.exports.parquet_tables",
        TableOptions,
        packages=("pyarrow",),
    ),
    ExportForm(
        "xlsx",
        "Excel, LibreOffice",
        "a workbook with a sheet per sample",
        "pyama_core.exports.xlsx_tables",
        WorkbookOptions,
        suffix=".xlsx",
        packages=("xlsxwriter",),
    ),
    ExportForm(
        "fiji",
        "Fiji, ImageJ",
        "ROIs and label images of each FOV for Fiji and ImageJ",
        "pyama_core.exports.fiji",
        packages=("roifile",),
    ),
    ExportForm(
        "geff",
        "Tracking and lineage tools",
        "tracks, lineages and measurements of each FOV as a graph, with its label images",
        "pyama_core.exports.geff_tracks",
        packages=("geff",),
    ),
    ExportForm(
        "ctc",
        "Cell Tracking Challenge",
        "masks and tracks of each FOV in the form of the Cell Tracking Challenge",
        "pyama_core.exports.ctc",
    ),
    ExportForm(
        "ome-zarr",
        "napari, QuPath, Fiji",
        "images of each FOV with its cells as labels, for napari, Fiji, QuPath and others",
        "pyama_core.exports.ome_zarr",
    ),
    ExportForm(
        "anndata",
        "scanpy",
        "measurements with what is known of each cell, for scanpy and others",
        "pyama_core.exports.anndata_file",
        FeatureOptions,
        suffix=".h5ad",
        packages=("h5py",),
    ),
)


def all_forms() -> tuple[ExportForm, ...]:
    """Return all forms."""
    return _FORMS


def form_named(name: str) -> ExportForm:
    """Return the form of a name.

    Raises
    ------
    InputError
        There is none.
    """
    for form in _FORMS:
        if form.name == name.strip().lower():
            return form
    known = ", ".join(form.name for form in _FORMS)
    raise InputError(f"there is no form {name!r} to export; there are {known}")
