"""ROIs and label images for Fiji, opened by libraries that did not write them."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.exports import fiji
from pyama_core.exports.labels import LabelImages
from pyama_core.exports.scale import Scale
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.results.outlines import outlines_of

read_roi = pytest.importorskip("read_roi")
path_module = pytest.importorskip("matplotlib.path")
image_module = pytest.importorskip("PIL.Image")


def pixels_of(roi: dict, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centres are within a ROI, by the rule of even and odd."""
    paths = (
        roi["paths"] if roi["type"] == "composite" else [[*zip(roi["x"], roi["y"], strict=True)]]
    )
    height, width = shape
    y, x = np.mgrid[:height, :width] + 0.5
    centres = np.column_stack([x.ravel(), y.ravel()])
    inside = np.zeros(height * width, bool)
    for corners in paths:
        inside ^= path_module.Path([*corners, corners[0]]).contains_points(centres)
    return inside.reshape(shape)


@pytest.fixture(scope="module")
def exported(sampled, tmp_path_factory):
    return sampled.export("fiji", tmp_path_factory.mktemp("fiji") / "out")


def test_every_cell_in_every_frame_is_a_roi_that_encloses_the_pixels_of_its_label(
    sampled, exported
):
    for fov in sampled.fov_numbers[:2]:
        labels = sampled.fov(fov).labels
        rois = read_roi.read_roi_zip(str(exported / f"fov_{fov:03d}_rois.zip"))
        expected = {
            f"cell_{cell:04d}_t{t:03d}": (cell, t)
            for t, frame in enumerate(labels)
            for cell in np.unique(frame[frame > 0]).tolist()
        }
        assert rois.keys() == expected.keys()
        for name, (cell, t) in expected.items():
            assert rois[name]["position"] == {"channel": 0, "slice": 0, "frame": t + 1}
            found = pixels_of(rois[name], labels.shape[1:])
            np.testing.assert_array_equal(found, labels[t] == cell)


def test_a_cell_of_several_parts_or_with_a_hole_is_one_roi(tmp_path):
    labels = np.zeros((12, 14), np.uint16)
    labels[2:8, 1:6] = 7
    labels[4:6, 3:5] = 0
    labels[8:11, 6:12] = 7  # touches at a corner
    labels[0, 13] = 7
    roi = fiji.roi_of(7, 4, outlines_of(labels)[7])
    (tmp_path / "cell.roi").write_bytes(roi.tobytes())
    (found,) = read_roi.read_roi_file(str(tmp_path / "cell.roi")).values()
    assert found["type"] == "composite"
    assert [found[key] for key in ("left", "top", "width", "height")] == [1, 0, 13, 11]
    np.testing.assert_array_equal(pixels_of(found, labels.shape), labels == 7)


def test_label_images_have_the_pixels_frames_and_scale_of_the_results(sampled, exported):
    for fov in sampled.fov_numbers:
        path = exported / f"fov_{fov:03d}_labels.tif"
        labels = sampled.fov(fov).labels
        read, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
        assert read
        np.testing.assert_array_equal(np.array(pages), labels)
        with image_module.open(path) as image:
            words = dict(line.split("=") for line in image.tag_v2[270].split() if "=" in line)
            assert image.n_frames == len(labels)
            assert (words["frames"], words["hyperstack"], words["unit"]) == ("10", "true", "um")
            assert float(words["finterval"]) == pytest.approx(300, abs=1)
            assert float(1 / image.tag_v2[282]) == pytest.approx(0.65)
            assert image.tag_v2[259] == 8  # deflate
        assert path.stat().st_size < labels.nbytes / 20


def test_label_images_are_read_by_this_program_as_a_movie(sampled, exported):
    source, metadata = load_microscopy_file(exported / "fov_001_labels.tif")
    with source:
        assert metadata.fov_shapes[0] == sampled.fov(1).labels.shape
        assert metadata.pixel_size_um == pytest.approx(0.65)
        np.testing.assert_array_equal(
            source.read_frame(0, 0, 7), np.asarray(sampled.fov(1).labels[7])
        )


def test_only_good_cells_are_there_if_that_is_asked_for(sampled, tmp_path):
    folder = sampled.export("fiji", tmp_path / "out", fovs=[0], good_only=True)
    cells = sampled.fov(0).cells
    good = cells.loc[cells["good"], "cell"].tolist()
    assert 0 < len(good) < len(cells)
    rois = read_roi.read_roi_zip(str(folder / "fov_000_rois.zip"))
    assert {int(name[5:9]) for name in rois} == set(good)
    _, pages = cv2.imreadmulti(str(folder / "fov_000_labels.tif"), flags=cv2.IMREAD_UNCHANGED)
    assert set(np.unique(pages)) == {0, *good}
    assert sorted(path.name for path in folder.iterdir()) == [
        *("export.json", "fov_000_labels.tif", "fov_000_rois.zip"),
    ]


def test_numbers_of_cells_beyond_16_bits_are_written_as_long_as_they_are_exact(
    sampled, tmp_path, monkeypatch
):
    fov = sampled.fov(0)
    labels = np.zeros(fov.labels.shape, np.uint32)
    labels[0, 3, 4] = 70_001
    monkeypatch.setattr(type(fov), "labels", property(lambda self: labels))
    with fiji.LabelStack(
        tmp_path / "labels.tif", LabelImages.of(sampled.select(), fov), Scale()
    ) as tif:
        tif.append(labels[0])
        labels[1, 0, 0] = (1 << 24) + 1
        with pytest.raises(InputError, match=r"FOV 0 .*frame 1: .* the number 16777217 of a cell"):
            tif.append(labels[1])
    _, pages = cv2.imreadmulti(str(tmp_path / "labels.tif"), flags=cv2.IMREAD_UNCHANGED)
    assert pages[0][3, 4] == 70_001


def test_released_label_images_are_asked_for_with_the_command_that_brings_them_back(
    owned, tmp_path
):
    from pyama_core.processing.workflow.release import release_stacks

    release_stacks(owned.folder, ["seg_labeled"])
    with pytest.raises(InputError, match=r"released .*--restore seg_labeled"):
        open_results(owned.folder).export("fiji", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fovs_without_label_images_are_named_and_left_out(owned, tmp_path, caplog):
    for path in owned.folder.glob("fov_001/*seg_labeled*"):
        path.unlink()
    folder = open_results(owned.folder).export("fiji", tmp_path / "out")
    assert {path.name for path in folder.glob("fov_*")} == {
        f"fov_{fov:03d}_{name}"
        for fov, name in itertools.product((0, 2), ("rois.zip", "labels.tif"))
    }
    assert "left out: FOV 1" in caplog.text
    for folder in owned.folder.glob("fov_*"):
        for path in folder.glob("*seg_labeled*"):
            path.unlink()
    with pytest.raises(InputError, match=r"no label images to export: FOV 0 .*gone"):
        open_results(owned.folder).export("fiji", tmp_path / "other")
