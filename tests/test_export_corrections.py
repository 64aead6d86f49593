"""Every export has the cells as people corrected them, and is of one piece."""

from __future__ import annotations

import json
import shutil

import cv2
import h5py
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
import read_roi
import zarr

from masked_movies import MaskedMovie, Square
from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.exports.forms import all_forms, form_named
from pyama_core.results.fov_results import FovResults
from runs import files_in

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")
every_form = pytest.mark.parametrize("form", [form.name for form in all_forms()])
EARLY, LATE = range(5), range(6, 11)


@pytest.fixture(scope="module")
def uncorrected(tmp_path_factory):
    """Run a movie of five cells: 1 and 4 are tracks of one, 5 comes after 2 was seen."""
    movie = MaskedMovie(tmp_path_factory.mktemp("movie"))
    squares = [Square(20, 20, EARLY), Square(60, 60), Square(100, 100)]
    return movie.run(*squares, Square(20, 20, LATE), Square(100, 20, range(9, 12)))


@pytest.fixture
def results(uncorrected, tmp_path):
    return open_results(shutil.copytree(uncorrected, tmp_path / "out"))


@pytest.fixture(scope="module")
def corrected(uncorrected, tmp_path_factory):
    folder = shutil.copytree(uncorrected, tmp_path_factory.mktemp("corrected") / "out")
    results = open_results(folder)
    correct(results.fov(0))
    return results


def correct(fov: FovResults) -> None:
    """Leave 1 (joined with 4), 2 up to frame 8, 50001 from then on, and 5, its daughter."""
    fov.join(1, 4)
    assert fov.cut(2, 8) == 50_001
    fov.remove(3)
    fov.set_parent(5, 2)
    fov.mark_bad(5, "dead")


def out(tmp_path, form):
    return tmp_path / f"export{form_named(form).suffix}"


def expected_labels(results) -> np.ndarray:
    fov = results.fov(0)
    labels = np.array([fov.label_image(t) for t in range(len(fov.labels))])
    assert set(np.unique(labels)) == {0, 1, 2, 5, 50_001}
    return labels


def spots_of(results) -> set[tuple[int, int]]:
    traces = results.traces
    return {*zip(traces["cell"], traces["frame"], strict=True)}


def test_tables_are_those_that_results_give(corrected, tmp_path):
    traces, cells = corrected.traces, corrected.cells
    folder = corrected.export("csv", tmp_path / "csv")
    read = pd.read_csv(folder / "traces.csv")
    pd.testing.assert_frame_equal(read, traces, check_dtype=False, check_categorical=False)
    read = pd.read_csv(folder / "cells.csv", keep_default_na=False)
    assert read["cell"].tolist() == [1, 2, 5, 50_001]
    assert read["corrections"].tolist() == cells["corrections"].tolist()
    assert read["reason_GFP"].tolist() == cells["reason_GFP"].tolist()
    assert read["parent"].tolist() == ["", "", "2", ""]
    wide = pd.read_csv(folder / "wide" / "unassigned" / "area.csv")
    assert wide.columns[1:].tolist() == [f"fov_000_cell_{n:04d}" for n in (1, 2, 5, 50_001)]
    assert wide["fov_000_cell_0001"].notna().tolist() == [t in (*EARLY, *LATE) for t in range(12)]
    parquet = corrected.export("parquet", tmp_path / "parquet")
    table = pq.read_table(parquet / "traces.parquet").to_pandas()
    pd.testing.assert_frame_equal(table, traces, check_dtype=False, check_categorical=False)
    path = corrected.export("xlsx", tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(path, read_only=True)
    header, *rows = book["unassigned"].iter_rows(values_only=True)
    book.close()
    found = pd.DataFrame(rows, columns=header)
    assert [*zip(found["cell"], found["frame"], strict=True)] == [
        *zip(traces["cell"], traces["frame"], strict=True)
    ]


def test_rois_and_label_images_for_fiji_have_the_numbers_of_the_tables(corrected, tmp_path):
    folder = corrected.export("fiji", tmp_path / "out")
    rois = read_roi.read_roi_zip(str(folder / "fov_000_rois.zip"))
    assert {*rois} == {f"cell_{cell:04d}_t{t:03d}" for cell, t in spots_of(corrected)}
    _, pages = cv2.imreadmulti(str(folder / "fov_000_labels.tif"), flags=cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pages, expected_labels(corrected))


def test_graphs_have_the_corrected_tracks_and_lineage(corrected, tmp_path):
    folder = corrected.export("geff", tmp_path / "out")
    group = zarr.open_group(folder / "fov_000.zarr", mode="r")
    np.testing.assert_array_equal(group["cells/0"][:], expected_labels(corrected))
    props = group["tracks.geff/nodes/props"]
    cell, t, lineage = (props[f"{name}/values"][:] for name in ("cell", "t", "lineage"))
    assert {*zip(cell.tolist(), t.tolist(), strict=True)} == spots_of(corrected)
    assert {*zip(cell.tolist(), lineage.tolist(), strict=True)} == {
        *((1, 1), (2, 2), (5, 2), (50_001, 50_001)),
    }
    edges = group["tracks.geff/edges/ids"][:]
    across = edges[cell[edges[:, 0]] != cell[edges[:, 1]]]
    assert [(cell[a], t[a], cell[b], t[b]) for a, b in across] == [(2, 7, 5, 9)]


def test_masks_and_tracks_of_the_challenge_are_the_corrected_ones(corrected, tmp_path):
    folder = corrected.export("ctc", tmp_path / "out") / "00_RES"
    rows = [line.split() for line in (folder / "res_track.txt").read_text().splitlines()]
    # Cell 1 is not seen in frame 5, hence two tracks; the number of the second is free.
    assert [[*map(int, row)] for row in rows] == [
        *([1, 0, 4, 0], [2, 0, 7, 0], [5, 9, 11, 2], [50_001, 8, 11, 0], [50_002, 6, 10, 1]),
    ]
    masks = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in sorted(folder.glob("mask*.tif"))]
    labels = expected_labels(corrected)
    labels[5:][labels[5:] == 1] = 50_002
    np.testing.assert_array_equal(masks, labels)


def test_labels_of_ome_zarr_are_the_corrected_cells_with_what_was_said(corrected, tmp_path):
    folder = corrected.export("ome-zarr", tmp_path / "out")
    group = zarr.open_group(folder / "fov_000.ome.zarr" / "labels" / "tracks", mode="r")
    np.testing.assert_array_equal(group["0"][:], expected_labels(corrected))
    about = {each["cell"]: each for each in group.attrs["ome"]["image-label"]["properties"]}
    assert [*about] == [1, 2, 5, 50_001]
    assert (about[5]["parent"], about[5]["good"], about[5]["reason_GFP"]) == (2, False, "dead")
    assert about[2]["daughters"] == [5]
    assert about[1]["corrections"] == "joined with 4"


def test_rows_of_anndata_are_the_corrected_cells(corrected, tmp_path):
    with h5py.File(corrected.export("anndata", tmp_path / "out.h5ad")) as file:
        rows = file["obs"]
        found = zip(rows["cell"][:].tolist(), rows["frame"][:].tolist(), strict=True)
        assert {*found} == spots_of(corrected)


def test_numbers_of_corrections_that_do_not_fit_into_the_label_images_make_these_larger(
    corrected, tmp_path, monkeypatch
):
    monkeypatch.setattr(FovResults, "numbers_in", lambda self, t: {2: 70_000} if t == 9 else {})
    folder = corrected.export("ome-zarr", tmp_path / "out")
    group = zarr.open_group(folder / "fov_000.ome.zarr" / "labels" / "tracks", mode="r")
    assert group["0"].dtype == np.uint32
    assert [70_000 in group["0"][t] for t in (8, 9)] == [False, True]


@every_form
def test_what_is_corrected_during_an_export_is_not_half_in_it(results, tmp_path, form):
    first = results.export(form, out(tmp_path / "before", form))
    corrections = iter([lambda: correct(results.fov(0))])

    def on_progress(_: object) -> None:
        next(corrections, lambda: None)()

    second = results.export(form, out(tmp_path / "meanwhile", form), on_progress=on_progress)
    assert next(corrections, None) is None
    third = results.export(form, out(tmp_path / "after", form))
    contents = [
        files_in(path) if path.is_dir() else path.read_bytes() for path in (first, second, third)
    ]
    assert contents[0] == contents[1] != contents[2]


@every_form
def test_what_a_run_makes_anew_during_an_export_is_not_half_in_it(results, tmp_path, form):
    (path,) = results.folder.glob("fov_000/*.json")
    record = json.loads(path.read_text("utf-8"))
    (name,) = (name for name in record["outputs"] if "seg_labeled" in name)

    def on_progress(_: object) -> None:
        record["outputs"][name]["checksum"] = "0" * len(record["outputs"][name]["checksum"])
        path.write_text(json.dumps(record), "utf-8")

    words = rf"FOV 0 .*{name} was made anew or deleted while it was exported; .*export again"
    with pytest.raises(InputError, match=words):
        results.export(form, out(tmp_path / "exports", form), on_progress=on_progress)
    assert list((tmp_path / "exports").iterdir()) == []
