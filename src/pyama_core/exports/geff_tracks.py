"""Results as GEFF: tracks, lineages and measurements as a graph, beside the labels it speaks of.

::

    fov_000.zarr/
        tracks.geff/    a node per cell and frame, an edge to the next frame or to a daughter
        cells/          OME-Zarr label images; the property ``cell`` of a node is its label

Nodes are numbered by cell, then by frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.exports.columns import Meaning, meaning_of
from pyama_core.exports.file_names import file_names
from pyama_core.exports.labels import LabelImages, labels_if_any
from pyama_core.exports.left_out import tell_left_out
from pyama_core.exports.options import Options
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import NOT_MEASURED, missing_tables, tell_missing
from pyama_core.exports.scale import Scale
from pyama_core.exports.zarr_images import ImageShape, ImageWriter
from pyama_core.io.storage.naming import fov_folder_name
from pyama_core.results.fov_results import FovResults
from pyama_core.results.selection import ALWAYS, SelectedTables, Selection

if TYPE_CHECKING:
    import pandas as pd
    from geff_spec import GeffMetadata

_AXES = {"t": "frame", "y": "position_y", "x": "position_x"}
"""Names that readers of graphs expect, and the columns that they hold."""
_FAMILIES = ("lineage", "tracklet")
_GRAPH, _LABELS = "tracks.geff", "cells"


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Fill a folder with a graph per FOV, and its label images where there are any."""
    del options
    missing = tell_missing(selection)
    if not set(_AXES.values()).issubset({*ALWAYS, *selection.columns}):
        raise InputError(f"there are no tracks to export: {next(iter(missing), NOT_MEASURED)}")
    fovs = [fov for fov in selection.fovs if _has_tracks(selection, fov)]
    left_out: list[str] = []
    labels = {fov.number: labels_if_any(selection, fov, left_out) for fov in fovs}
    tell_left_out(left_out)
    steps.expect(len(labels) + sum(each.shape[0] for each in labels.values() if each))
    for fov in fovs:
        folder = path / f"{fov_folder_name(fov.number)}.zarr"
        images = labels[fov.number]
        _make_group(selection, fov, folder)
        _write_graph(selection, fov, folder / _GRAPH, has_labels=images is not None)
        steps.done(f"FOV {fov.number}")
        if images is not None:
            _write_labels(selection, images, folder / _LABELS, steps)


def _has_tracks(selection: Selection, fov: FovResults) -> bool:
    """Whether tracks are known; they are also where no cell was found."""
    return not missing_tables(fov) or not selection.read(fov, ()).traces.empty


def _make_group(selection: Selection, fov: FovResults, path: Path) -> None:
    import zarr

    about = {"fov": fov.number, "name": fov.name, "sample": selection.samples.of(fov.number)}
    zarr.create_group(path, zarr_format=3, attributes={"pyama_core": about})


# The graph


def _write_graph(selection: Selection, fov: FovResults, path: Path, *, has_labels: bool) -> None:
    """Write the graph of a field of view."""
    from geff.core_io import write_arrays

    tables = selection.read(fov)
    traces = tables.traces
    nodes = np.arange(len(traces), dtype=np.uint64)
    edges = edges_of(tables)
    columns = _columns(traces)
    properties: dict[str, Any] = {
        name: _property(traces[column]) for name, column in columns.items()
    }
    properties |= _families(traces, edges)
    meanings = {
        name: meaning_of(columns.get(name, name), selection.channels) for name in properties
    }
    write_arrays(
        path,
        nodes,
        properties,
        edges.astype(np.uint64),
        None,
        _metadata(Scale.of(selection, fov), properties, meanings, has_labels=has_labels),
        zarr_format=3,
    )


def _columns(traces: pd.DataFrame) -> dict[str, str]:
    """Return the columns of traces by the names of properties, which are folders."""
    known = ("sample", "fov", *_AXES.values())
    own = [str(name) for name in traces if name not in known]
    return {**_AXES, **{key: name for name, key in file_names(own, [*_AXES, *_FAMILIES]).items()}}


def edges_of(tables: SelectedTables) -> NDArray[np.int64]:
    """Return edges between rows of traces: to the next of the same cell, and to daughters.

    No edge leads back in time: a parent that is seen after its daughter is none.

    Parameters
    ----------
    tables : SelectedTables
        Traces, sorted by cell and frame, and cells, by number.

    Returns
    -------
    (N, 2) array
        Rows from and to, sorted.
    """
    cells = tables.traces["cell"].to_numpy(np.int64)
    frames = tables.traces["frame"].to_numpy(np.int64)
    goes_on = np.flatnonzero(cells[:-1] == cells[1:])
    first = np.flatnonzero(np.append(True, cells[:-1] != cells[1:])) if cells.size else cells
    last = np.append(first[1:], cells.size) - 1 if cells.size else cells
    rows = dict(
        zip(cells[first].tolist(), zip(first.tolist(), last.tolist(), strict=True), strict=True)
    )
    known = tables.cells[tables.cells["parent"].notna()]
    divisions = [
        (rows[parent][1], rows[cell][0])
        for cell, parent in zip(known["cell"].tolist(), known["parent"].tolist(), strict=True)
        if cell in rows and parent in rows and frames[rows[parent][1]] < frames[rows[cell][0]]
    ]
    edges = np.array(
        [*np.column_stack([goes_on, goes_on + 1]).tolist(), *divisions], np.int64
    ).reshape(-1, 2)
    return edges[np.lexsort((edges[:, 1], edges[:, 0]))]


def parents_of(traces: pd.DataFrame, edges: NDArray[np.int64]) -> dict[int, int]:
    """Return the parents of cells that edges between rows of traces tell."""
    cells = traces["cell"].to_numpy(np.int64)
    pairs = np.column_stack([cells[edges[:, 1]], cells[edges[:, 0]]])
    return {cell: parent for cell, parent in pairs.tolist() if cell != parent}


def founders_of(cells: Iterable[int], parents: Mapping[int, int]) -> dict[int, int]:
    """Return the cell that each cell descends from in the end.

    Examples
    --------
    >>> founders_of([1, 2, 3, 4], {2: 1, 3: 2})
    {1: 1, 2: 1, 3: 1, 4: 4}
    """
    founders: dict[int, int] = {}
    for cell in cells:
        line = [cell]
        while line[-1] not in founders and line[-1] in parents:
            line.append(parents[line[-1]])
        founder = founders.get(line[-1], line[-1])
        founders |= dict.fromkeys(line, founder)
    return founders


def _families(traces: pd.DataFrame, edges: NDArray[np.int64]) -> dict[str, Any]:
    """Return lineages, and the paths between divisions, by the number of their first cell.

    A path is usually a cell; of a parent with a single daughter they are one.
    """
    cells = traces["cell"].to_numpy(np.int64)
    parents = parents_of(traces, edges)
    n_daughters = Counter(parents.values())
    only = {cell: parent for cell, parent in parents.items() if n_daughters[parent] == 1}
    numbers, rows = np.unique(cells, return_inverse=True)
    found = {}
    for name, links in zip(_FAMILIES, (parents, only), strict=True):
        founders = founders_of(numbers.tolist(), links)
        of_each = np.array([founders[cell] for cell in numbers.tolist()], np.int64)
        found[name] = {"values": of_each[rows], "missing": None}
    return found


def _property(column: pd.Series[Any]) -> dict[str, Any]:
    values = column.to_numpy()
    missing = column.isna().to_numpy()
    if not missing.any():
        return {"values": values, "missing": None}
    return {"values": np.where(missing, 0, values).astype(values.dtype), "missing": missing}


def _metadata(
    scale: Scale,
    properties: Mapping[str, Any],
    meanings: Mapping[str, Meaning],
    *,
    has_labels: bool,
) -> GeffMetadata:
    from geff_spec import Axis, GeffMetadata, PropMetadata, RelatedObject

    pixel: dict[str, Any] = {"unit": "pixel"}
    if scale.pixel_size_um:
        pixel |= {"scale": scale.pixel_size_um, "scaled_unit": "micrometer"}
    frame: dict[str, Any] = {}
    if scale.interval_min:
        frame = {"scale": scale.interval_min, "scaled_unit": "minute"}
    return GeffMetadata(
        directed=True,
        axes=[
            Axis(name="t", type="time", **frame),
            Axis(name="y", type="space", **pixel),
            Axis(name="x", type="space", **pixel),
        ],
        node_props_metadata={
            name: PropMetadata(
                identifier=name,
                dtype=properties[name]["values"].dtype.name,
                unit=meaning.unit or None,
                description=meaning.words or None,
            )
            for name, meaning in meanings.items()
        },
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet", "lineage": "lineage"},
        related_objects=[RelatedObject(type="labels", path=f"../{_LABELS}/0", node_prop="cell")]
        if has_labels
        else None,
    )


# Label images


def _write_labels(selection: Selection, images: LabelImages, path: Path, steps: Steps) -> None:
    writer = ImageWriter(path, ImageShape(*images.shape), images.dtype, is_labels=True)
    for t, labels in enumerate(images.frames()):
        writer.append(labels)
        steps.done(f"FOV {images.fov.number}: label images, frame {t}")
    writer.describe(_LABELS, Scale.of(selection, images.fov), {"image-label": {}}, {})
