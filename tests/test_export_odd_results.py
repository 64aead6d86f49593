"""Exports of results with odd names, and of FOVs in which there is no cell."""

from __future__ import annotations

import re

import geff
import h5py
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr
from yaozarrs import validate_zarr_store

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.exports.forms import all_forms, form_named
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")
every_form = pytest.mark.parametrize("form", [form.name for form in all_forms()])
SCRIPT = "GFP/488 <script>alert(1)</script>"
EMPTY = r"..\..\evil"
SAMPLES = {"+dox 5/10 µM <b>": "0", "CON": "1", "con": "2"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Run three FOVs, of which the second shows no cell, in two channels with much the same name.

    Names are those that break file systems, pages, spreadsheets and paths in HDF5 and Zarr.
    """
    folder = tmp_path_factory.mktemp("Zellen äöü")
    corners = [(y, x) for y in range(20, 140, 40) for x in range(20, 140, 40)]
    cells = rough_squares(6, 160, corners, side=16)
    cells = np.concatenate([cells, cells[:, 1:]], axis=1)
    empty = np.full_like(cells, 100)
    names = ["A1/<b>bold</b>", EMPTY, '=HYPERLINK("x")']
    channels = ["Phasen/Größe", SCRIPT, SCRIPT.upper()]
    image = write_movie(folder / "ä.ome.tif", [cells, empty, cells], channels, 5.0, names)
    context = ProcessingContext(output_dir=folder / "out", channels=Channels(pc=0, fl=[1, 2]))
    assert run_workflow(metadata_of(image), context, n_workers=1).ok
    results = open_results(folder / "out")
    results.assign_samples(SAMPLES)
    assert [len(results.fov(fov).cells) > 0 for fov in range(3)] == [True, False, True]
    return results


@every_form
@pytest.mark.parametrize("fovs", [None, [1]])
def test_every_form_is_written_with_names_that_every_system_has(odd, tmp_path, form, fovs):
    path = odd.export(form, tmp_path / f"out{form_named(form).suffix}", fovs)
    names = [each.relative_to(path).as_posix() for each in path.rglob("*")]
    assert not [name for name in names if re.search(r'[<>:"\\\\|?*]|[. ]$|[. ]/', name)]
    assert not [name for name in names if re.search(r"(?i)(^|/)(con|nul|aux|prn)([./]|$)", name)]
    assert len({name.casefold() for name in names}) == len(names)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_tables_have_the_names_as_they_are(odd, tmp_path):
    csv = odd.export("csv", tmp_path / "csv")
    table = pd.read_csv(csv / "traces.csv")
    assert {f"intensity_total_{name}" for name in (SCRIPT, SCRIPT.upper())} <= {*table.columns}
    assert table["sample"].unique().tolist() == ["'+dox 5/10 µM <b>", "con"]
    samples = pd.read_csv(csv / "samples.csv")
    assert samples["name"].tolist() == ["A1/<b>bold</b>", EMPTY, '\'=HYPERLINK("x")']
    parquet = odd.export("parquet", tmp_path / "parquet")
    for name in ("traces", "cells", "samples"):
        read = pq.read_table(parquet / f"{name}.parquet").to_pandas()
        assert len(read) == len(pd.read_csv(csv / f"{name}.csv"))
    assert pq.read_table(parquet / "samples.parquet")["name"].to_pylist()[1] == EMPTY
    book = openpyxl.load_workbook(odd.export("xlsx", tmp_path / "out.xlsx"), read_only=True)
    assert book.sheetnames[:3] == ["+dox 5_10 µM <b>", "CON", "con-2"]
    book.close()


def test_graphs_are_valid_also_of_no_cell_and_tell_the_names_of_channels(odd, tmp_path):
    folder = odd.export("geff", tmp_path / "out")
    for fov in range(3):
        path = folder / f"fov_{fov:03d}.zarr" / "tracks.geff"
        geff.validate_structure(path)
        group = zarr.open_group(path, mode="r")
        assert group["nodes/ids"].shape == (len(odd.read_traces(fovs=[fov])),)
        props = group.attrs["geff"]["node_props_metadata"]
        told = [each["description"] for name, each in props.items() if "intensity_total" in name]
        assert [words.split("channel ")[1] for words in told] == [SCRIPT, SCRIPT.upper()]


def test_images_are_valid_also_of_no_cell_and_have_the_names_of_channels(odd, tmp_path):
    folder = odd.export("ome-zarr", tmp_path / "out")
    for fov in range(3):
        path = folder / f"fov_{fov:03d}.ome.zarr"
        validate_zarr_store(str(path))
        validate_zarr_store(str(path / "labels" / "tracks"))
        ome = zarr.open_group(path, mode="r").attrs["ome"]
        assert [each["label"] for each in ome["omero"]["channels"]][1:] == [SCRIPT, SCRIPT.upper()]
    assert not zarr.open_group(folder / "fov_001.ome.zarr", mode="r")["labels/tracks/0"][:].any()


def test_anndata_tells_the_names_of_channels(odd, tmp_path):
    with h5py.File(odd.export("anndata", tmp_path / "out.h5ad")) as file:
        variables = file["var/_index"].asstr()[:].tolist()
        assert f"intensity_total_{SCRIPT}" in variables
        assert file["X"].shape == (len(odd.traces), len(variables))


def test_cells_that_were_followed_alone_are_exported_but_where_positions_are_needed(
    odd, tmp_path, caplog
):
    context = ProcessingContext(output_dir=tmp_path / "out", channels=Channels(pc=0))
    assert run_inline(metadata_of(odd.folder.parent / "ä.ome.tif"), context).ok
    results = open_results(tmp_path / "out")
    caplog.set_level("INFO")
    for form in ("csv", "ctc", "fiji"):
        assert any(results.export(form, tmp_path / form).iterdir())
    cells = pd.read_csv(tmp_path / "csv" / "cells.csv")
    assert len(cells) == sum(len(results.fov(fov).cells) for fov in range(3)) > 0
    assert cells["good"].isna().all()
    assert "are not good" not in caplog.text
    for form in ("geff", "anndata"):
        path = tmp_path / f"made{form_named(form).suffix}"
        with pytest.raises(InputError, match="no channel was measured"):
            results.export(form, path)
        assert not path.exists()
