"""Results as AnnData (``.h5ad``): an observation is a cell in a frame, a variable a measurement.

``X`` holds the measurements, ``obs`` which cell, frame, sample and time it is and what became of
the cell, ``var`` the unit and meaning of each measurement, ``obsm["spatial"]`` x and y in pixels.

Written as the description of the format says: the package that defines it goes with other versions
of pandas than this program. Whoever opens the file need not have both in one environment. It is put
together in memory, as it will be when it is opened.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.exports.columns import meanings_table
from pyama_core.exports.names import cell_of_fov_name, plain_keys
from pyama_core.exports.options import FeatureOptions, Options
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import NOT_MEASURED, tell_missing
from pyama_core.results.selection import ALWAYS, SelectedTables, Selection
from pyama_core.results.tables import TIMES

if TYPE_CHECKING:
    import h5py
    import pandas as pd

_PLACES = ["position_x", "position_y"]
_INDEX = "_index"
_OF_CELLS = ["parent", "fate", "corrections"]


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Write an AnnData file.

    Raises
    ------
    InputError
        Nothing was measured, or there is no such feature.
    """
    import h5py
    import pandas as pd

    words = cast("FeatureOptions", options).features
    missing = tell_missing(selection)
    features = list((selection if words is None else selection.with_features(words)).features)
    if not features:
        raise InputError(f"there is nothing to export: {next(iter(missing), NOT_MEASURED)}")
    steps.expect(len(selection.fovs))
    parts = []
    for fov in selection.fovs:
        parts.append(_rows(selection.read(fov)))
        steps.done(f"FOV {fov.number}")
    rows = pd.concat(parts, ignore_index=True)
    variables = meanings_table(features, selection.channels).set_index("column")
    # By way of memory, for HDF5 tells of a full disk in its own way, and not always.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        _mark(file, "anndata", "0.1.0")
        _write_array(file, "X", rows[features].to_numpy(np.float64))
        _write_frame(file, "obs", _observations(rows, selection))
        _write_frame(file, "var", variables)
        for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
            _mark(file.create_group(name), "dict", "0.1.0")
        _write_array(file, "obsm/spatial", rows[_PLACES].to_numpy(np.float64))
    # Not its buffer: an error keeps that alive, and Python 3.12.1 crashes when it collects both.
    path.write_bytes(image.getvalue())


def _rows(tables: SelectedTables) -> pd.DataFrame:
    """Return the traces of a field of view with what is known of each cell."""
    cells = tables.cells.set_index("cell")[_OF_CELLS]
    return tables.traces.join(cells, on="cell")


def _observations(rows: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Return what is known of each row, by its name."""
    known = [*ALWAYS, *(name for name in TIMES if name in rows), *_OF_CELLS]
    samples = selection.samples_table().set_index("fov").drop(columns=["sample"])
    keys = plain_keys(map(str, samples), taken=map(str, rows))
    samples = samples.rename(columns=keys)
    observations = rows[known].join(samples, on="fov")
    names = zip(rows["fov"].tolist(), rows["cell"].tolist(), rows["frame"].tolist(), strict=True)
    observations.index = [cell_of_fov_name(*each) for each in names]
    return observations


# The format


def _mark(element: h5py.HLObject, kind: str, version: str) -> None:
    element.attrs["encoding-type"] = kind
    element.attrs["encoding-version"] = version


def _write_array(group: h5py.Group, name: str, values: NDArray[Any]) -> None:
    packed = {"compression": "gzip"} if values.size else {}
    _mark(group.create_dataset(name, data=values, **packed), "array", "0.2.0")


def _write_texts(group: h5py.Group, name: str, values: list[str]) -> None:
    import h5py

    dataset = group.create_dataset(name, (len(values),), h5py.string_dtype("utf-8"))
    if values:
        dataset[:] = values
    _mark(dataset, "string-array", "0.2.0")


def _write_frame(file: h5py.File, name: str, frame: pd.DataFrame) -> None:
    group = file.create_group(name)
    _mark(group, "dataframe", "0.2.0")
    group.attrs["_index"] = _INDEX
    group.attrs["column-order"] = np.array([*map(str, frame.columns)], dtype=object)
    _write_texts(group, _INDEX, frame.index.tolist())
    for column in frame.columns:
        _write_column(group, str(column), frame[column])


def _write_column(group: h5py.Group, name: str, column: pd.Series[Any]) -> None:
    import pandas as pd

    dtype: Any = column.dtype
    kind = getattr(dtype, "kind", "O")
    if isinstance(dtype, np.dtype) and kind in "iufb":
        _write_array(group, name, column.to_numpy())
    elif kind in "iub":
        part = group.create_group(name)
        _mark(part, "nullable-integer" if kind in "iu" else "nullable-boolean", "0.1.0")
        _write_array(part, "values", column.fillna(0).to_numpy(dtype.numpy_dtype))
        _write_array(part, "mask", column.isna().to_numpy(bool))
    else:
        texts = pd.Categorical(column)
        part = group.create_group(name)
        _mark(part, "categorical", "0.2.0")
        part.attrs["ordered"] = False
        _write_array(part, "codes", texts.codes)
        _write_texts(part, "categories", texts.categories.astype(str).tolist())
