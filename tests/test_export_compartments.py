"""Nuclei and rings are exported as the cells are that they belong to, by the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from inline import run_inline
from movies import metadata_of
from nuclear_movies import write_nuclear_movie
from pyama_core import open_results
from pyama_core.viewing.layers import layers_of


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of a run with nuclei in which a cell was cut, and so has another number later."""
    folder = tmp_path_factory.mktemp("nuclei")
    movie = write_nuclear_movie(folder)
    assert run_inline(metadata_of(movie.image), movie.context(folder / "out")).ok
    opened = open_results(folder / "out")
    opened.fov(0).cut(1, 2)
    return opened


@pytest.mark.parametrize("part", ["nuclei", "rings"])
def test_fiji_has_rois_and_label_images_of_them(results, part, tmp_path):
    read_roi = pytest.importorskip("read_roi")
    fov = results.fov(0)
    images = [fov.nuclei_image(t) if part == "nuclei" else fov.ring_image(t) for t in range(4)]
    assert len({*np.unique(images[0])} ^ {*np.unique(images[3])}) > 1  # before and after the cut
    folder = results.export("fiji", tmp_path / "fiji")
    written = tifffile.imread(folder / f"fov_000_{part}_labels.tif")
    np.testing.assert_array_equal(written[:4], images)
    rois = read_roi.read_roi_zip(str(folder / f"fov_000_{part}_rois.zip"))
    expected = {
        f"cell_{cell:04d}_t{t:03d}"
        for t in range(len(written))
        for cell in np.unique(written[t][written[t] > 0]).astype(int)
    }
    assert rois.keys() == expected
    holes = [len(roi["paths"]) for roi in rois.values() if roi["type"] == "composite"]
    assert (len(holes) == len(rois)) == (part == "rings")


def test_ome_zarr_has_them_as_labels_with_what_became_of_each(results, tmp_path):
    zarr = pytest.importorskip("zarr")
    folder = results.export("ome-zarr", tmp_path / "zarr") / "fov_000.ome.zarr" / "labels"
    listed = json.loads((folder / "zarr.json").read_text("utf-8"))["attributes"]["ome"]["labels"]
    assert listed == ["tracks", "nuclei", "rings", "segmentation"]
    fov = results.fov(0)
    for name, image in (("nuclei", fov.nuclei_image), ("rings", fov.ring_image)):
        written = zarr.open_array(folder / name / "0", mode="r")[:]
        for t in (0, 3):
            np.testing.assert_array_equal(written[t], image(t))
        about = json.loads((folder / name / "zarr.json").read_text("utf-8"))["attributes"]["ome"]
        known = {each["label-value"] for each in about["image-label"]["properties"]}
        assert known >= {*np.unique(written[written > 0]).tolist()}
    zarr.core.sync.cleanup_resources()


def test_viewers_get_them_by_the_same_numbers_in_each_frame(results):
    fov = results.fov(0)
    shown = layers_of(results.select([0]), fov).layers
    layers = {about["name"].removeprefix("FOV 0: "): (data, about) for data, about, _ in shown}
    (rings, about), (nuclei, _) = layers["rings"], layers["nuclei"]
    assert not about["visible"]
    assert rings.shape == nuclei.shape
    assert any(rings[t].any() for t in range(len(rings)))
    for t in (0, 3):
        np.testing.assert_array_equal(rings[t], fov.ring_image(t))
        np.testing.assert_array_equal(nuclei[t], fov.nuclei_image(t))
    np.testing.assert_array_equal(rings[1:4, 5:40, ::2][-1], fov.ring_image(3)[5:40, ::2])
    assert {*np.unique(rings[3])} - {*np.unique(rings[0])}  # the part that was cut off
    named = {about["name"].removeprefix("FOV 0: ") for _, about, _ in shown}
    assert {"segmentation", "rings", "nuclei", "cells"} <= named


def test_without_nuclei_there_are_none(sampled, tmp_path):
    assert not sampled.fov(0).has_rings
    names = {path.name for path in sampled.export("fiji", tmp_path / "fiji").iterdir()}
    assert not [name for name in names if "nuclei" in name or "rings" in name]
    layers = layers_of(sampled.select([0]), sampled.fov(0)).layers
    assert not [
        name for _, each, _ in layers if (name := each["name"]).endswith(("rings", "nuclei"))
    ]
