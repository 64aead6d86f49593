"""Cells of which only nuclei are seen: nuclei that are grown, and not into each other."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from frames import blobs, label_image, seeds
from inline import run_inline
from movies import metadata_of
from nuclear_movies import N_FRAMES, NUCLEI, NuclearMovie, squares_of_nuclei, write_nuclear_movie
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.processing.segmentation.cellpose import CellposeParameters
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.segmentation.growth import grow_objects
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.sizes import expected_outputs
from runs import data_files

SHAPES = st.sampled_from([(1, 1), (1, 12), (9, 1), (17, 23), (40, 31)])
DISTANCES = st.sampled_from([0.5, 1.0, math.sqrt(2), 2.0, 3.7, 9.0, 60.0])


def away_from(mask):
    """Square of the distance of each pixel to the nearest of a mask."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.rint(ndimage.distance_transform_edt(~mask) ** 2)


# The operation


@settings(max_examples=200, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6), distance=DISTANCES, thinned=st.booleans())
def test_every_pixel_near_an_object_belongs_to_the_nearest(shape, seed, n, distance, thinned):
    labels = label_image(shape, seed, n)
    if thinned:
        labels[np.random.default_rng(seed).random(shape) < 0.9] = 0
    grown = grow_objects(labels, distance)
    away = {label: away_from(labels == label) for label in np.unique(labels) if label}
    nearest = np.min([np.full(shape, np.inf), *away.values()], axis=0)
    np.testing.assert_array_equal(grown > 0, nearest <= distance**2)
    for label, square in away.items():
        assert (square[grown == label] == nearest[grown == label]).all()
    np.testing.assert_array_equal(grown[labels > 0], labels[labels > 0])
    assert grown.dtype == labels.dtype


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, seed=seeds)
def test_each_part_of_a_mask_is_an_object(shape, seed):
    mask = blobs(shape, seed, 3)
    parts = ndimage.label(mask)[0]
    grown = grow_objects(mask, 2)
    np.testing.assert_array_equal(grown > 0, away_from(mask) <= 4)
    assert len(np.unique(grown[mask])) == len(np.unique(parts[mask]))


def test_what_is_as_near_to_two_objects_always_goes_to_the_same():
    labels = np.zeros((5, 5), np.uint16)
    labels[2, 0], labels[2, 4] = 1, 2
    first = grow_objects(labels, 3)
    assert all((grow_objects(labels, 3) == first).all() for _ in range(5))


def test_a_lone_object_becomes_a_disc_and_labels_stay_apart():
    labels = np.zeros((41, 61), np.uint32)
    labels[20, 20], labels[20, 31] = 70_000, 3
    rows, columns = np.ogrid[:41, :61]
    left = np.hypot(rows - 20, columns - 20)
    right = np.hypot(rows - 20, columns - 31)
    grown = grow_objects(labels, 9)
    np.testing.assert_array_equal(grown == 70_000, (left <= 9) & (left < right))
    np.testing.assert_array_equal(grown == 3, (right <= 9) & (right < left))


@pytest.mark.parametrize("value", ["far", -1, "-3 um", "5 min"])
def test_other_distances_are_refused(value):
    with pytest.raises(ValueError, match="as 5, or a length"):
        MaskFileParameters(path="a.npy", grow_by=value)


def test_methods_that_find_objects_can_grow_them(tmp_path):
    for parameters in (
        InstanceParameters(grow_by="5 px"),
        MaskFileParameters(path="a.npy", grow_by=5),
        CellposeParameters(weights=tmp_path / "weights", grow_by="5"),
    ):
        assert parameters.grow_by == 5


# A run


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> NuclearMovie:
    return write_nuclear_movie(tmp_path_factory.mktemp("movie"))


def asked(movie, out, grow_by=6, **options):
    """Ask for nuclei alone, which are grown."""
    found = movie.section("nuclei") | {"grow_by": grow_by}
    context = movie.context(out, nuclei=options.pop("nuclei", None), segmentation=found, **options)
    context.channels.segment = 1
    del context.params["nuclei"]
    return context


def test_cells_are_nuclei_grown_and_their_nuclei_what_they_were_grown_from(movie, tmp_path):
    context = asked(movie, tmp_path)
    assert run_inline(metadata_of(movie.image), context).ok
    folder = tmp_path / "fov_000"
    nuclei = squares_of_nuclei()
    cells = np.load(folder / "m_fov_000_seg_labeled_ch_1.npy")
    found = np.load(folder / "m_fov_000_nuclei_ch_1.npy")
    np.testing.assert_array_equal(np.load(folder / "m_fov_000_seg_ch_1.npy")[0] > 0, cells[0] > 0)
    np.testing.assert_array_equal(cells[0] > 0, away_from(nuclei > 0) <= 36)
    for t in range(N_FRAMES):
        np.testing.assert_array_equal(found[t] > 0, nuclei > 0)
        np.testing.assert_array_equal(found[t][nuclei > 0], cells[t][nuclei > 0])
        assert len(np.unique(cells[t])) == len(NUCLEI) + 1
    assert parse_analysis(context).channels.nuclei == 1
    made = load_record(find_records(tmp_path)[0]).outputs
    assert made["m_fov_000_nuclei.csv"].summary["without nucleus"] == 0
    rows = data_files(tmp_path)["fov_000/m_fov_000_traces_ch_2.csv"].decode().splitlines()
    assert rows[0].count("ratio_nucleus_ring") == 1
    assert len(rows) == 1 + N_FRAMES * len(NUCLEI)


def test_naming_the_channel_of_nuclei_too_changes_nothing(movie, tmp_path):
    assert run_inline(metadata_of(movie.image), asked(movie, tmp_path / "a")).ok
    assert run_inline(metadata_of(movie.image), asked(movie, tmp_path / "b", nuclei=1)).ok
    assert data_files(tmp_path / "a") == data_files(tmp_path / "b")


def test_a_context_that_was_used_asks_for_the_same_again(movie, tmp_path):
    context = asked(movie, tmp_path)
    assert parse_analysis(context) == parse_analysis(context)


def test_masks_that_are_grown_are_labels_and_the_space_for_them_is_known(movie, tmp_path):
    np.save(tmp_path / "mask.npy", np.stack([squares_of_nuclei() > 0] * N_FRAMES))
    context = asked(movie, tmp_path / "out", extraction={"features": []})
    context.params["segmentation"] |= {"path": str(tmp_path / "mask.npy"), "content": "mask"}
    metadata = metadata_of(movie.image)
    assert run_inline(metadata, context).ok
    stack = np.load(tmp_path / "out" / "fov_000" / "m_fov_000_seg_ch_1.npy")
    assert stack.dtype == np.uint16
    assert len(np.unique(stack[0])) == len(NUCLEI) + 1
    expected = expected_outputs(metadata, parse_analysis(context), 0)
    assert sum(expected.values()) == sum(p.stat().st_size for p in tmp_path.rglob("out/*/*.npy"))


def test_a_distance_in_micrometres_is_as_good_as_the_same_in_pixels(movie, tmp_path, caplog):
    without = metadata_of(movie.image)
    assert run_inline(without, asked(movie, tmp_path / "none", "3 um")).refusal is not None
    assert "grow_by is 3 um, but the file does not tell its pixel size" in caplog.text
    metadata = dataclasses.replace(without, pixel_size_um=0.5)
    assert run_inline(metadata, asked(movie, tmp_path / "a", "3 um")).ok
    assert run_inline(metadata, asked(movie, tmp_path / "b", 6)).ok
    assert data_files(tmp_path / "a") == data_files(tmp_path / "b")
    made = load_record(find_records(tmp_path / "a")[0]).outputs["m_fov_000_seg_ch_1.npy"]
    assert made.provenance.inputs["pixel_size_um"] == "0.5"
    assert run_inline(metadata, asked(movie, tmp_path / "far", "1 mm")).refusal is not None
    assert "grow_by: expected at most 1000 pixels" in caplog.text


def test_what_is_not_grown_has_the_provenance_that_it_always_had(movie, tmp_path):
    assert run_inline(metadata_of(movie.image), movie.context(tmp_path)).ok
    made = load_record(find_records(tmp_path)[0]).outputs["m_fov_000_seg_ch_0.npy"].provenance
    assert set(made.parameters) == {"method", "path", "content"}
