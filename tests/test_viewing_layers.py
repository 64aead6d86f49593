"""Layers as napari takes them, made and read without napari."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tomllib
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.io.storage.records import load_record, save_record
from pyama_core.outputs import FL, PC
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.results.grey_range import grey_range
from pyama_core.viewing.label_stack import LabelStack
from pyama_core.viewing.layers import Layer, layers_of
from pyama_core.viewing.napari_reader import get_reader, read_layers
from pyama_core.viewing.napari_window import open_window

STACKS = ["pc", "fl", "seg", "fl_corrected", "seg_labeled"]


def shown(results, fov=0, **options):
    selection = results.select([fov])
    return layers_of(selection, selection.fovs[0], **options)


def layer(found: list[Layer], name: str) -> Layer:
    return next(each for each in found if each[1]["name"].endswith(f": {name}"))


def read(path) -> list[Layer]:
    """Read layers as napari does, whatever is told beside."""
    reader = get_reader(str(path))
    assert reader is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(str(path))


# What is shown


def test_channels_have_names_colours_contrast_and_are_hidden_where_a_corrected_one_is(sampled):
    images = [each for each in shown(sampled, 1).layers if each[2] == "image"]
    assert [(about["name"], about["colormap"], about["visible"]) for _, about, _ in images] == [
        ("FOV 1: phase contrast", "gray", True),
        ("FOV 1: GFP as taken", "green", False),
        ("FOV 1: mCherry as taken", "red", False),
        ("FOV 1: GFP", "green", True),
        ("FOV 1: mCherry", "red", True),
    ]
    for stack, about, _ in images:
        assert isinstance(stack, np.memmap)
        darkest, brightest = about["contrast_limits"]
        assert np.percentile(stack, 40) <= brightest < stack.max()
        assert darkest < brightest
    assert [about["contrast_limits"][0] for _, about, _ in images[-2:]] == [0, 0]
    np.testing.assert_array_equal(images[-1][0], sampled.fov(1).corrected["mCherry"])


def test_all_layers_are_in_micrometres_and_minutes_and_say_what_they_are_of(sampled):
    found = shown(sampled, 2, offset_x=100.0).layers
    assert [kind for *_, kind in found] == ["image"] * 5 + ["labels"] * 2 + ["tracks"]
    for _, about, _ in found:
        assert about["scale"] == pytest.approx((5, 0.65, 0.65), abs=0.01)
        assert about["units"] == ("minute", "micrometer", "micrometer")
        assert about["axis_labels"] == ("t", "y", "x")
        assert about["translate"] == (0, 0, 100)
        assert about["metadata"]["sample"] == "+dox 5 µM"
        assert len(about["metadata"]["times_min"]) == 10


def test_without_the_note_on_the_source_pixels_and_frames_are_the_units(copied_results):
    (copied_results / "source.json").unlink()
    found = shown(open_results(copied_results)).layers
    assert found[0][1]["name"] == "FOV 0: phase contrast"  # the records know it, too
    for _, about, _ in found:
        assert (about["scale"], about["units"]) == ((1, 1, 1), ("pixel", "pixel", "pixel"))


def test_labels_know_what_became_of_each_cell(sampled):
    stack, about, _ = layer(shown(sampled).layers, "cells")
    np.testing.assert_array_equal(stack, sampled.fov(0).labels)
    features, cells = about["features"], sampled.fov(0).cells
    assert features["index"].tolist() == cells["cell"].tolist()
    assert features["fate"].tolist() == cells["fate"].tolist()
    assert {"good", "parent", "reason_GFP", "reason_mCherry"} <= set(features)
    assert not features.isna().any(axis=None)


def test_masks_are_numbers_and_no_copy(sampled):
    stack, about, _ = layer(shown(sampled).layers, "segmentation")
    assert stack.dtype == np.uint8
    assert np.shares_memory(stack, stack.base)
    assert not about["visible"]


def test_tracks_go_through_the_centres_of_cells_and_carry_what_was_measured(sampled):
    data, about, _ = layer(shown(sampled).layers, "tracks")
    traces = sampled.fov(0).traces
    columns = ["cell", "frame", "position_y", "position_x"]
    np.testing.assert_array_equal(data, traces[columns].to_numpy(float))
    cell, t, y, x = data[len(data) // 2]
    assert sampled.fov(0).labels[int(t), round(y), round(x)] == cell
    features = about["features"]
    assert features["intensity_total_GFP"].tolist() == traces["intensity_total_GFP"].tolist()
    assert set(features["good"]) <= {0.0, 1.0}
    assert about["graph"] == {}


# Corrections


@pytest.fixture
def curated(owned):
    fov = owned.fov(0)
    cells = fov.cells
    long = cells[cells["n_frames"] == 10]["cell"].tolist()
    fov.remove(long[0])
    new = fov.cut(long[1], 5)
    fov.set_parent(new, long[1])
    return owned, long[0], long[1], new


def test_labels_tracks_and_lineages_are_as_they_were_corrected(curated):
    results, removed, parent, new = curated
    found = shown(results).layers
    labels, about, _ = layer(found, "cells")
    assert [(labels[t] == new).any() for t in range(10)] == [t >= 5 for t in range(10)]
    assert [(labels[t] == parent).any() for t in range(10)] == [t < 5 for t in range(10)]
    assert not (np.asarray(labels) == removed).any()
    fov = results.fov(0)
    for t in range(10):
        np.testing.assert_array_equal(labels[t], fov.label_image(t))
    data, tracks, _ = layer(found, "tracks")
    assert tracks["graph"] == {new: [parent]}
    assert set(np.unique(labels)) - {0} == set(data[:, 0]) == set(about["features"]["index"])


def test_other_fovs_stay_memory_maps_and_what_is_undone_is_undone(curated):
    results, *_ = curated
    assert isinstance(layer(shown(results, 1).layers, "cells")[0], np.memmap)
    for _ in range(3):
        results.undo()
    assert isinstance(layer(shown(results).layers, "cells")[0], np.memmap)


KEYS = {
    "frame": np.s_[3],
    "last-frame": np.s_[-1],
    "pixel": np.s_[3, 2, 1],
    "numpy-pixel": (np.int64(3), np.int64(2), np.int64(1)),
    "slice": np.s_[3, :, :],
    "part": np.s_[1:4, 2:5, ::2],
    "time": np.s_[:, 2, 1],
    "steps": np.s_[::-3],
    "frames": np.s_[[0, 3]],
    "mask": np.s_[np.arange(6) % 2 == 0],
    "ellipsis": np.s_[..., 1],
    "nothing": np.s_[()],
    "pixels": (np.array([0, 3, 3]), np.array([1, 2, 3]), np.array([0, 1, 2])),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_corrected_labels_are_read_in_parts_like_an_array(key):
    labels = np.random.default_rng(0).integers(0, 9, (6, 5, 4)).astype(np.uint16)
    numbers = {3: {1: 70_000, 2: 0}, 5: {}}
    whole = labels.astype(np.uint32)
    whole[3][labels[3] == 1], whole[3][labels[3] == 2] = 70_000, 0
    stack = LabelStack(labels, numbers)
    assert (stack.shape, stack.ndim, stack.size, len(stack)) == ((6, 5, 4), 3, 120, 6)
    assert stack.dtype == np.uint32
    np.testing.assert_array_equal(stack[key], whole[key])
    assert np.asarray(stack[key]).dtype == whole.dtype


def test_a_frame_that_is_not_there_is_an_index_error():
    stack = LabelStack(np.zeros((2, 3, 3), np.uint8), {})
    for key in (2, -3, (0, 3)):
        with pytest.raises(IndexError):
            stack[key]


# What is not there


def test_released_stacks_are_named_in_one_line_with_what_brings_them_back(copied_results):
    release_stacks(copied_results, ["fl", "seg", "fl_corrected"])
    found = shown(open_results(copied_results))
    assert [about["name"] for _, about, _ in found.layers] == [
        "FOV 0: phase contrast",
        "FOV 0: cells",
        "FOV 0: tracks",
    ]
    (note,) = found.notes
    assert note == (
        "FOV 0 (position 1): fl, seg, fl_corrected: released to save space; the command of the run "
        "with --restore fl,seg,fl_corrected makes them again"
    )


def test_a_channel_without_a_corrected_stack_is_shown_as_it_was_taken(copied_results):
    release_stacks(copied_results, ["fl_corrected"])
    images = [each for each in shown(open_results(copied_results)).layers if each[2] == "image"]
    assert [(about["name"], about["visible"]) for _, about, _ in images] == [
        ("FOV 0: phase contrast", True),
        ("FOV 0: GFP", True),
        ("FOV 0: mCherry", True),
    ]


def test_a_lost_table_is_named_and_the_images_are_shown(copied_results):
    for table in copied_results.glob("fov_000/*_traces_*.csv"):
        table.unlink()
    found = shown(open_results(copied_results))
    assert [kind for *_, kind in found.layers] == ["image"] * 5 + ["labels"] * 2
    assert len(found.notes) == 2
    assert all("the file is gone; run again to make it anew" in note for note in found.notes)


def test_frames_that_the_source_lacks_are_told_and_do_not_spoil_the_contrast():
    stack = np.tile(np.arange(64, dtype=np.uint16).reshape(8, 8), (10, 1, 1))
    expected = grey_range(stack)
    stack[[0, 9]] = np.iinfo(np.uint16).max
    assert grey_range(stack)[1] == 65535
    assert grey_range(stack, {0, 9}) == expected
    assert grey_range(stack, range(10)) == (0, 1)


def test_images_of_small_numbers_keep_their_contrast():
    stack = np.linspace(0, 0.1, 2 * 32 * 32, dtype=np.float32).reshape(2, 32, 32)
    darkest, brightest = grey_range(stack)
    assert 0 <= darkest < 0.01
    assert 0.09 < brightest < 0.1
    assert grey_range(np.full((1, 4, 4), np.nan)) == (0, 1)
    assert grey_range(np.full((1, 4, 4), 7, np.uint8)) == (7, 8)


# Nothing is read that is not looked at


def test_stacks_of_a_gigabyte_are_opened_without_being_read(copied_results):
    shape = (2000, 256, 256 * 4)
    path = records_by_fov(copied_results)[0]
    record = load_record(path)
    for name, entry in record.outputs.items():
        if entry.kind in (PC.name, FL.name):
            stack = copied_results / "fov_000" / name
            stack.unlink()
            np.lib.format.open_memmap(stack, "w+", np.uint16, shape)  # takes no room: a hole
            seen = stack.stat()
            assert seen.st_size > 1e9
            changed = {"shape": shape, "size": seen.st_size, "mtime_ns": seen.st_mtime_ns}
            record = record.with_output(name, entry.model_copy(update=changed))
    save_record(path, record)
    results = open_results(copied_results)
    before = psutil.Process().memory_info().rss
    found = shown(results)
    grown = psutil.Process().memory_info().rss - before
    assert layer(found.layers, "phase contrast")[0].shape == shape
    assert grown < 0.1e9


# What napari asks


def test_a_folder_of_results_one_of_a_fov_and_the_results_file_are_read(sampled):
    folder = sampled.folder
    for path, fov in (
        (folder, 0),
        (folder / "processing_results.yaml", 0),
        (folder / "fov_002", 2),
    ):
        assert {about["metadata"]["fov"] for _, about, _ in read(path)} == {fov}


def test_a_relative_path_is_read(sampled, monkeypatch):
    monkeypatch.chdir(sampled.folder / "fov_001")
    assert {about["metadata"]["fov"] for _, about, _ in read(".")} == {1}


def test_what_holds_no_results_is_left_to_others(sampled, tmp_path):
    (tmp_path / "fov_000").mkdir()
    (tmp_path / "processing_results.yaml").write_text("")
    for path in (
        tmp_path,
        tmp_path / "fov_000",
        tmp_path / "processing_results.yaml",
        tmp_path / "absent",
        next(sampled.folder.glob("fov_000/*.npy")),
    ):
        assert get_reader(str(path)) is None
    assert get_reader([str(sampled.folder)]) is None
    with pytest.raises(InputError, match="holds no results"):
        read_layers(str(tmp_path))


def test_of_several_fovs_the_first_is_shown_and_it_is_told_how_to_see_others(sampled):
    with pytest.warns(UserWarning, match=r"this is FOV 0, one of 3; drop the folder fov_001 .*"):
        read_layers(str(sampled.folder))


def test_a_fov_of_which_nothing_is_left_gives_way_to_the_next(copied_results):
    for path in (copied_results / "fov_000").iterdir():
        if not path.name.endswith("_record.json"):
            path.unlink()
    assert {about["metadata"]["fov"] for _, about, _ in read(copied_results)} == {1}
    with pytest.raises(InputError, match=r"there is nothing to show: .*the file is gone"):
        read(copied_results / "fov_000")


def test_what_is_not_there_is_warned_of_once(copied_results):
    release_stacks(copied_results, STACKS)
    with pytest.warns(UserWarning, match="released to save space") as told:
        found = read_layers(str(copied_results / "fov_001"))
    assert [kind for *_, kind in found] == ["tracks"]
    assert len(told) == 1


def test_the_manifest_names_what_there_is_and_the_package_names_the_manifest():
    manifest = yaml.safe_load((files("pyama_core.viewing") / "napari.yaml").read_text())
    (command,) = manifest["contributions"]["commands"]
    assert command["python_name"] == f"{get_reader.__module__}:{get_reader.__name__}"
    (reader,) = manifest["contributions"]["readers"]
    assert reader["command"] == command["id"]
    assert reader["accepts_directories"]
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    points = project["project"]["entry-points"]["napari.manifest"]
    assert points == {manifest["name"]: "pyama_core.viewing:napari.yaml"}


# The command


def view(*words, **environment):
    kept = ("PATH", "SYSTEMROOT", "HOME", "PYTHONPATH", "TEMP")
    clean = {name: os.environ[name] for name in kept if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "pyama_core", "view", *map(str, words)],
        capture_output=True,
        text=True,
        env={**clean, **environment},
        check=False,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere is always a screen")
def test_without_a_screen_the_command_says_so_in_one_line(sampled):
    done = view(sampled.folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no screen")
    assert done.stderr.count("\n") == 1


def test_a_fov_that_does_not_exist_is_refused_before_a_window_opens(sampled):
    done = view(sampled.folder, "--fov", "7", QT_QPA_PLATFORM="offscreen")
    assert (done.returncode, done.stdout) == (2, "")
    assert "7" in done.stderr


def test_nothing_of_napari_is_needed_to_make_layers(sampled):
    code = (
        "import sys; sys.modules['napari'] = None; "
        "from pyama_core.viewing.napari_reader import get_reader; "
        f"path = {str(sampled.folder / 'fov_000')!r}; print(len(get_reader(path)(path)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "8"


def test_without_napari_the_window_names_what_to_install(sampled, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "pyama-core\[napari\]"'):
        open_window(sampled)
