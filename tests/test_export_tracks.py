"""Tracks for other programs: graphs (GEFF) and the form of the Cell Tracking Challenge."""

from __future__ import annotations

import csv
import warnings

import cv2
import numpy as np
import pandas as pd
import pytest
import zarr
from yaozarrs import validate_zarr_store

from masked_movies import MaskedMovie, Square
from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.exports.ctc import Track, Tracks
from pyama_core.exports.geff_tracks import edges_of, founders_of
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.results.selection import SelectedTables

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")
ctc_validate = pytest.importorskip("ctc_metrics.scripts.validate")
geff = pytest.importorskip("geff")


def is_valid(folder) -> bool:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty frame")
        return ctc_validate.validate_sequence(str(folder), threads=1)["Valid"] == 1


def rows_of(path, delimiter):
    with path.open(encoding="utf-8", newline="") as file:
        return [
            [*map(int, row)] for row in csv.reader(file, delimiter=delimiter) if row[0] != "track"
        ]


def masks_in(folder) -> np.ndarray:
    paths = sorted(folder.glob("mask*.tif"))
    return np.array([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths])


# Cell Tracking Challenge


def test_masks_and_tracks_of_every_fov_are_accepted_and_have_the_numbers_of_the_cells(
    sampled, tmp_path
):
    folder = sampled.export("ctc", tmp_path / "out")
    for fov in sampled.fov_numbers:
        place = folder / f"{fov:02d}_RES"
        assert is_valid(place)
        masks = masks_in(place)
        assert masks.dtype == np.uint16
        np.testing.assert_array_equal(masks, sampled.fov(fov).labels)
        cells = sampled.fov(fov).cells
        assert rows_of(place / "res_track.txt", " ") == [
            [*each, 0]
            for each in zip(cells["cell"], cells["first_frame"], cells["last_frame"], strict=True)
        ]


def test_a_cell_that_is_gone_for_a_while_is_several_tracks_and_a_daughter_comes_from_the_last():
    tracks = Tracks([1, 2, 3], "FOV 0")
    frames = [[1, 2], [2], [1, 2], [2], [1], [3]]
    masks = [tracks.follow(t, np.array([[0, *cells]])) for t, cells in enumerate(frames)]
    assert [mask[0, 1:].tolist() for mask in masks] == [[1, 2], [2], [4, 2], [2], [5], [3]]
    assert tracks.linked({3: 1, 7: 1, 2: 9}) == [
        *(Track(1, 1, 0, 0), Track(2, 2, 0, 3), Track(3, 3, 5, 5, parent=5)),
        *(Track(4, 1, 2, 2, parent=1), Track(5, 1, 4, 4, parent=4)),
    ]


def test_tracks_after_gaps_are_accepted_and_told_apart(tmp_path, monkeypatch):
    movie = MaskedMovie(tmp_path)
    results = open_results(movie.run(Square(20, 20), Square(60, 60, range(5, 12))))
    fov = results.fov(0)
    labels = np.array(fov.labels)
    labels[3:5][labels[3:5] == 1] = 0
    monkeypatch.setattr(type(fov), "labels", property(lambda self: labels))
    place = results.export("ctc", tmp_path / "ctc") / "00_RES"
    assert is_valid(place)
    assert rows_of(place / "cells.csv", ",") == [[1, 1, 0, 2], [2, 2, 5, 11], [3, 1, 5, 11]]
    np.testing.assert_array_equal(masks_in(place)[5:], np.where(labels == 1, 3, labels)[5:])


def test_tracks_after_gaps_never_have_the_number_of_a_cell_that_is_left_out(tmp_path, monkeypatch):
    movie = MaskedMovie(tmp_path)
    results = open_results(movie.run(Square(20, 20), Square(60, 60, range(5, 8))))
    fov = results.fov(0)
    assert fov.cells.set_index("cell")["good"].tolist() == [True, False]
    labels = np.array(fov.labels)
    labels[3:5][labels[3:5] == 1] = 0
    monkeypatch.setattr(type(fov), "labels", property(lambda self: labels))
    place = results.export("ctc", tmp_path / "ctc", good_only=True) / "00_RES"
    assert rows_of(place / "cells.csv", ",") == [[1, 1, 0, 2], [3, 1, 5, 11]]


def test_more_tracks_than_masks_can_number_are_refused():
    tracks = Tracks([65_535], "FOV 3 (A1)")
    tracks.follow(0, np.array([[65_535]]))
    tracks.follow(1, np.array([[0]]))
    with pytest.raises(InputError, match=r"FOV 3 \(A1\): .* up to 65535, and frame 2 has .*65536"):
        tracks.follow(2, np.array([[65_535]]))


# GEFF


@pytest.fixture(scope="module")
def exported(sampled, tmp_path_factory):
    folder = sampled.export("geff", tmp_path_factory.mktemp("geff") / "out")
    zarr.core.sync.cleanup_resources()
    return folder


def test_a_graph_has_a_node_per_cell_and_frame_with_every_measurement_and_its_unit(
    sampled, exported
):
    for fov in sampled.fov_numbers:
        graph = zarr.open_group(exported / f"fov_{fov:03d}.zarr" / "tracks.geff", mode="r")
        traces = sampled.read_traces(fovs=[fov])
        assert graph["nodes/ids"].shape == (len(traces),)
        columns = {"t": "frame", "y": "position_y", "x": "position_x"}
        names = [*columns, *(n for n in traces if n not in ("sample", "fov", *columns.values()))]
        assert {*graph["nodes/props"].group_keys()} == {*names, "lineage", "tracklet"}
        for name in names:
            values = graph[f"nodes/props/{name}/values"][:]
            np.testing.assert_array_equal(values, traces[columns.get(name, name)])
        about = graph.attrs["geff"]
        assert about["directed"] is True
        told = about["node_props_metadata"]
        assert (told["area"]["unit"], told["x"]["unit"]) == ("px²", "px")
        assert told["intensity_total_GFP"]["unit"] == "grey values"
        t, _, x = about["axes"]
        assert (t["scaled_unit"], x["scaled_unit"]) == ("minute", "micrometer")
        assert t["scale"] == pytest.approx(5, abs=0.05)
        assert x["scale"] == pytest.approx(0.65)


def test_edges_lead_from_each_frame_of_a_cell_to_its_next(sampled, exported):
    graph = zarr.open_group(exported / "fov_000.zarr" / "tracks.geff", mode="r")
    cell, t = (graph[f"nodes/props/{name}/values"][:] for name in ("cell", "t"))
    edges = graph["edges/ids"][:]
    assert (cell[edges[:, 0]] == cell[edges[:, 1]]).all()
    assert (t[edges[:, 1]] - t[edges[:, 0]] == 1).all()
    n_cells = len(np.unique(cell))
    assert len(edges) == len(cell) - n_cells


def test_graphs_are_valid_and_speak_of_the_label_images_beside_them(sampled, exported):
    from geff.validate import data, segmentation

    for fov in sampled.fov_numbers:
        path = exported / f"fov_{fov:03d}.zarr" / "tracks.geff"
        geff.validate_structure(path)
        memory = geff.core_io.read_to_memory(path)
        data.validate_data(memory, data.ValidationConfig(graph=True, tracklet=True, lineage=True))
        (related,) = memory["metadata"].related_objects
        assert (related.type, related.node_prop) == ("labels", "cell")
        labels = zarr.open_array(path / related.path, mode="r")
        np.testing.assert_array_equal(labels[:], sampled.fov(fov).labels)
        props = memory["node_props"]
        times, cells = props["t"]["values"].tolist(), props["cell"]["values"].tolist()
        ok, errors = segmentation.has_seg_ids_at_time_points(labels[:], times, cells)
        assert ok, errors
        validate_zarr_store(str(path.parent / "cells"))


def test_graphs_without_label_images_are_written_and_it_is_told(owned, tmp_path, caplog):
    release_stacks(owned.folder, ["seg_labeled"])
    folder = open_results(owned.folder).export("geff", tmp_path / "out", fovs=[0])
    assert [path.name for path in (folder / "fov_000.zarr").iterdir() if path.is_dir()] == [
        "tracks.geff"
    ]
    graph = zarr.open_group(folder / "fov_000.zarr" / "tracks.geff", mode="r")
    assert not graph.attrs["geff"].get("related_objects")
    assert "--restore seg_labeled" in caplog.text


def test_results_without_traces_have_no_graph(owned, tmp_path):
    for path in owned.folder.glob("fov_*/*traces*.csv"):
        path.unlink()
    with pytest.raises(InputError, match=r"no tracks to export: FOV 0 .*gone"):
        open_results(owned.folder).export("geff", tmp_path / "out")


def family() -> SelectedTables:
    """Return 1, of which 2 and 3 come; 4 goes on as 5; 6, of a cell without a row; one gap."""
    frames = {1: [0, 1], 2: [2, 4], 3: [2], 4: [0], 5: [3], 6: [4]}
    rows = [(cell, t) for cell, times in frames.items() for t in times]
    cells = pd.DataFrame(
        {
            "cell": [1, 2, 3, 4, 5, 6, 7],
            "parent": pd.array([None, 1, 1, None, 4, 7, None], dtype="Int32"),
        }
    )
    return SelectedTables(pd.DataFrame(rows, columns=["cell", "frame"]), cells)


def test_edges_lead_from_the_last_frame_of_a_parent_to_the_first_of_its_daughters():
    tables = family()
    rows = [*zip(tables.traces["cell"], tables.traces["frame"], strict=True)]
    found = [(rows[start], rows[end]) for start, end in edges_of(tables)]
    assert found == [
        *(((1, 0), (1, 1)), ((1, 1), (2, 2)), ((1, 1), (3, 2))),
        *(((2, 2), (2, 4)), ((4, 0), (5, 3))),
    ]
    assert founders_of([1, 2, 3, 4, 5, 6], {2: 1, 3: 1, 5: 4}) == {
        1: 1,
        2: 1,
        3: 1,
        4: 4,
        5: 4,
        6: 6,
    }


def test_a_parent_that_is_seen_after_its_daughter_gets_no_edge_to_it():
    traces = pd.DataFrame({"cell": [1, 1, 2], "frame": [0, 3, 2]})
    cells = pd.DataFrame({"cell": [1, 2], "parent": pd.array([None, 1], dtype="Int32")})
    assert edges_of(SelectedTables(traces, cells)).tolist() == [[0, 1]]


def test_edges_of_no_cells_are_none():
    empty = SelectedTables(family().traces[:0], family().cells)
    assert edges_of(empty).shape == (0, 2)
