"""OME-Zarr: validated and read by programs that did not write it, and by this one."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr
from yaozarrs import validate_zarr_store

from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.exports import zarr_images
from pyama_core.exports.channel_colors import channel_colors
from pyama_core.exports.scale import Scale
from pyama_core.exports.zarr_images import ImageShape, ImageWriter, halved
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.processing.workflow.release import release_stacks

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")


@pytest.fixture(scope="module")
def exported(sampled, tmp_path_factory):
    folder = sampled.export("ome-zarr", tmp_path_factory.mktemp("ome-zarr") / "out")
    zarr.core.sync.cleanup_resources()
    return folder


def ome_of(path: Path) -> dict:
    return json.loads((path / "zarr.json").read_text("utf-8"))["attributes"]["ome"]


def test_every_fov_is_a_valid_image_with_valid_labels(sampled, exported):
    for fov in sampled.fov_numbers:
        validate_zarr_store(str(exported / f"fov_{fov:03d}.ome.zarr"))
        for name in ("tracks", "segmentation"):
            validate_zarr_store(str(exported / f"fov_{fov:03d}.ome.zarr" / "labels" / name))


def test_another_program_reads_the_same_pixels_with_sizes_times_and_names(sampled, exported):
    ngff_zarr = pytest.importorskip("ngff_zarr")
    image = ngff_zarr.from_ngff_zarr(str(exported / "fov_001.ome.zarr"), validate=True)
    full = image.images[0]
    assert tuple(full.dims) == ("t", "c", "y", "x")
    pixels = full.data.compute(scheduler="synchronous")
    for channel, stack in enumerate(sampled.fov(1).taken.values()):
        np.testing.assert_array_equal(pixels[:, channel], stack)
    assert full.scale["y"] == full.scale["x"] == pytest.approx(0.65)
    assert full.scale["t"] == pytest.approx(5, abs=0.05)
    units = {axis.name: axis.unit for axis in image.metadata.axes}
    assert units == {"t": "minute", "c": None, "y": "micrometer", "x": "micrometer"}
    channels = image.metadata.omero.channels
    assert [(channel.label, channel.color) for channel in channels] == [
        ("phase contrast", "FFFFFF"),
        ("GFP", "00FF00"),
        ("mCherry", "FF0000"),
    ]


def test_this_program_reads_the_whole_export_with_equal_pixels(sampled, exported):
    source, metadata = load_microscopy_file(exported)
    with source:
        assert metadata.fov_names == ("fov_000", "fov_001", "fov_002")
        assert metadata.channel_names == ("phase contrast", "GFP", "mCherry")
        assert metadata.pixel_size_um == pytest.approx(0.65)
        for fov in range(3):
            for channel, stack in enumerate(sampled.fov(fov).taken.values()):
                assert metadata.shape_of(fov) == stack.shape
                for t in range(len(stack)):
                    np.testing.assert_array_equal(source.read_frame(fov, channel, t), stack[t])


def test_labels_are_the_cells_of_each_frame_with_what_became_of_them(sampled, exported):
    for fov in sampled.fov_numbers:
        group = zarr.open_group(exported / f"fov_{fov:03d}.ome.zarr" / "labels", mode="r")
        results = sampled.fov(fov)
        np.testing.assert_array_equal(group["tracks/0"][:], results.labels)
        np.testing.assert_array_equal(group["segmentation/0"][:] > 0, results.masks > 0)
        about = ome_of(exported / f"fov_{fov:03d}.ome.zarr" / "labels" / "tracks")["image-label"]
        cells = results.cells
        assert [each["cell"] for each in about["properties"]] == cells["cell"].tolist()
        assert [each["label-value"] for each in about["colors"]] == cells["cell"].tolist()
        for each, (_, cell) in zip(about["properties"], cells.iterrows(), strict=True):
            assert each["label-value"] == cell["cell"]
            assert each["sample"] == ("control" if fov == 0 else "+dox 5 µM")
            assert (each["fate"], each["good"]) == (cell["fate"], cell["good"])
            assert each.get("reason_GFP", "") == cell["reason_GFP"]
            assert "parent" not in each
        assert about["source"] == {"image": "../../"}


def test_what_ome_zarr_has_no_place_for_is_told_beside_it(sampled, exported):
    document = json.loads((exported / "fov_002.ome.zarr" / "zarr.json").read_text("utf-8"))
    about = document["attributes"]["pyama_core"]
    assert (about["fov"], about["name"], about["sample"]) == (2, "position 3", "+dox 5 µM")
    assert about["times_min"] == list(sampled.source.timepoints[2])


def test_a_movie_is_a_few_files_of_many_frames_of_which_each_can_be_read_alone(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(zarr_images, "_SHARD_BYTES", 4 * 600 * 700 * 2)
    rng = np.random.default_rng(1)
    stack = rng.integers(0, 60_000, (2, 10, 600, 700), np.uint16)
    image = ImageWriter(tmp_path / "image", ImageShape(10, 600, 700, 2), np.uint16)
    for channel in range(2):
        for frame in stack[channel]:
            image.append(frame, channel)
    image.describe("x", Scale(0.5, tuple(5.0 * t for t in range(10))), {}, {})
    validate_zarr_store(str(tmp_path / "image"))
    group = zarr.open_group(tmp_path / "image", mode="r")
    full = group["0"]
    assert (full.shards, full.chunks) == ((4, 1, 600, 700), (1, 1, 600, 700))
    assert sum(path.is_file() for path in (tmp_path / "image" / "0" / "c").rglob("*")) == 2 * 3
    np.testing.assert_array_equal(full[:], stack.swapaxes(0, 1))
    assert {*group.array_keys()} == {"0", "1", "2"}
    expected = stack.swapaxes(0, 1).astype(float)
    for level in ("1", "2"):
        height, width = expected.shape[2:]
        expected = expected.reshape(10, 2, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
        expected = np.floor(expected + 0.5)
        np.testing.assert_array_equal(group[level][:], expected)
    ome = ome_of(tmp_path / "image")
    placed = ome["multiscales"][0]["datasets"][2]["coordinateTransformations"]
    assert placed[0]["scale"] == [5.0, 1.0, 2.0, 2.0]
    assert placed[1]["translation"] == [0.0, 0.0, 0.75, 0.75]


def test_of_a_long_movie_a_single_shard_is_in_memory(tmp_path, monkeypatch):
    shard = 1 << 20
    monkeypatch.setattr(zarr_images, "_SHARD_BYTES", shard)
    monkeypatch.setattr(zarr_images, "_SMALLEST_LEVEL", 64)
    frame = np.random.default_rng(4).integers(0, 16, (512, 512), np.uint8)
    shape = ImageShape(33, 512, 512, 1)
    ImageWriter(tmp_path / "warm", ImageShape(1, 512, 512, 1), np.uint8).append(frame)
    tracemalloc.start()
    image = ImageWriter(tmp_path / "image", shape, np.uint8)
    for t in range(32):
        image.append(frame + t)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What is gathered, as chunks, compressed and put together; not what is gathered of 4 levels.
    assert peak < 5.5 * shard
    image.append(frame + 32)
    smaller = zarr.open_group(tmp_path / "image", mode="r")["1"]
    assert smaller.shards[0] == 16
    for t in (0, 15, 16, 31, 32):
        np.testing.assert_array_equal(smaller[t, 0], halved(frame + t))


def test_frames_larger_than_a_chunk_are_cut_into_equal_parts(tmp_path):
    image = ImageWriter(tmp_path / "image", ImageShape(1, 1040, 1500), np.uint8, is_labels=True)
    frame = np.random.default_rng(2).integers(0, 99, (1040, 1500), np.uint8)
    image.append(frame)
    group = zarr.open_group(tmp_path / "image", mode="r")
    assert group["0"].chunks == (1, 520, 750)
    np.testing.assert_array_equal(group["0"][0], frame)
    np.testing.assert_array_equal(group["1"][0], frame[::2, ::2])


@pytest.mark.parametrize("shape", [(5, 7), (4, 4), (1, 1)])
def test_smaller_versions_are_means_also_at_odd_edges(shape):
    frame = np.random.default_rng(3).integers(0, 255, shape, np.uint8)
    even = np.pad(frame.astype(float), [(0, size % 2) for size in shape], mode="edge")
    blocks = even.reshape(math.ceil(shape[0] / 2), 2, math.ceil(shape[1] / 2), 2)
    np.testing.assert_array_equal(halved(frame), np.floor(blocks.mean(axis=(1, 3)) + 0.5))
    np.testing.assert_allclose(halved(frame.astype(np.float32)), blocks.mean(axis=(1, 3)))


def test_black_frames_are_there(tmp_path):
    image = ImageWriter(tmp_path / "image.ome.zarr", ImageShape(2, 64, 64, 1), np.uint16)
    for _ in range(2):
        image.append(np.zeros((64, 64), np.uint16), 0)
    image.describe("black", Scale(), {}, {})
    source, metadata = load_microscopy_file(tmp_path / "image.ome.zarr")
    with source:
        assert not source.read_frame(0, 0, 1).any()
        assert metadata.pixel_size_um is None


def test_only_good_cells_are_labels_if_that_is_asked_for(sampled, tmp_path):
    folder = sampled.export("ome-zarr", tmp_path / "out", fovs=[1], good_only=True)
    cells = sampled.fov(1).cells
    good = cells.loc[cells["good"], "cell"].tolist()
    group = zarr.open_group(folder / "fov_001.ome.zarr" / "labels" / "tracks", mode="r")
    assert set(np.unique(group["0"][:])) == {0, *good}
    assert [each["label-value"] for each in group.attrs["ome"]["image-label"]["colors"]] == good


def test_images_that_were_released_are_asked_for_and_labels_are_told(owned, tmp_path, caplog):
    release_stacks(owned.folder, ["seg"])
    folder = open_results(owned.folder).export("ome-zarr", tmp_path / "out", fovs=[0])
    assert ome_of(folder / "fov_000.ome.zarr" / "labels")["labels"] == ["tracks"]
    assert "left out: FOV 0" in caplog.text
    assert "--restore seg " in caplog.text
    release_stacks(owned.folder, ["fl"])
    with pytest.raises(InputError, match=r"FOV 0 .*fl_ch_1.*--restore fl "):
        open_results(owned.folder).export("ome-zarr", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_channels_have_colours_by_their_light_then_by_their_names():
    names = ["DAPI", "P", "Cy5", "R", "B", "mCherry", "?"]
    assert channel_colors(names, [None] * 7, "P") == [
        *("0000FF", "FFFFFF", "FF00FF", "FF0000", "0000FF", "FF0000", "00FF00"),
    ]
    assert channel_colors(["DAPI", "488"], [610.0, 509.0]) == ["FF0000", "00FF00"]
