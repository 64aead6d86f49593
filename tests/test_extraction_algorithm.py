from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from frames import blobs, label_image, make_frame, seeds, shapes
from pyama_core.errors import InputError
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.quality import resolve_min_frames
from reference import measure_plain

IMAGE_DTYPES = ["uint8", "uint16", "int32", "float32", "float64"]
LABEL_DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


BASIC = ("cell", "area", "position_x", "position_y", "intensity_total")


def measured(labels, image):
    """The basic features of the cells of a frame."""
    shapes, [channel] = measure_cells(labels, [image])
    columns = shapes | channel
    return {name: columns[name] for name in BASIC}


def assert_measured(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert values.dtype == expected[name].dtype
        if name.startswith("position"):
            np.testing.assert_allclose(values, expected[name], rtol=1e-13)
        else:
            np.testing.assert_array_equal(values, expected[name])


@settings(max_examples=100, deadline=None)
@given(
    shape=shapes,
    seed=seeds,
    n=st.integers(0, 30),
    image_dtype=st.sampled_from(IMAGE_DTYPES),
    label_dtype=st.sampled_from(LABEL_DTYPES),
)
def test_cells_are_measured_as_with_one_full_mask_per_cell(
    shape, seed, n, image_dtype, label_dtype
):
    labels = label_image(shape, seed, n).astype(label_dtype)
    image = make_frame(shape, "cells", seed, image_dtype)
    assert_measured(measured(labels, image), measure_plain(labels, image))


def test_the_sum_is_added_pixel_by_pixel_in_raster_order():
    image = np.random.default_rng(0).lognormal(0, 20, (40, 50))
    labels = label_image(image.shape, 1)
    assert_measured(measured(labels, image), measure_plain(labels, image))


@pytest.mark.parametrize("largest", [2**20, 2**20 + 1, 2**40, 2**63 - 1])
def test_labels_may_be_any_numbers(largest):
    labels = label_image((60, 50), 2).astype(np.int64)
    labels[labels == 3] = largest
    image = make_frame(labels.shape, "noise", 2, np.float32)
    assert_measured(measured(labels, image), measure_plain(labels, image))


def test_every_pixel_may_be_a_cell():
    labels = np.arange(1, 3001, dtype=np.uint32).reshape(50, 60)
    image = make_frame(labels.shape, "noise", 2, np.float32)
    found = measured(labels[::-1], image)
    assert_measured(found, measure_plain(labels[::-1], image))
    assert (found["area"] == 1).all()


def test_a_mask_is_one_cell_and_a_frame_without_cells_has_no_rows():
    mask = blobs((64, 64), 5)
    image = np.ones(mask.shape, np.float32)
    assert measured(mask, image)["area"].tolist() == [mask.sum()]
    nothing = measured(np.zeros(mask.shape, np.uint16), image)
    assert all(column.size == 0 for column in nothing.values())


@pytest.mark.parametrize(
    ("labels", "image", "words"),
    [
        (np.zeros((4, 4), np.uint16), np.zeros((4, 5)), r"\(4, 4\) and \(4, 5\)"),
        (np.full((4, 4), -1), np.zeros((4, 4)), "found 16 pixels outside"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "dtype float64"),
        (np.zeros((4, 4), int), np.full((4, 4), np.inf), "first inf at row 0"),
        (np.full((4, 4), 2**63, np.uint64), np.zeros((4, 4)), "found 16 pixels outside"),
    ],
)
def test_frames_that_cannot_be_measured_are_refused(labels, image, words):
    with pytest.raises(InputError, match=words):
        measured(labels, image)


@pytest.mark.parametrize(
    ("min_frames", "n_frames", "expected"),
    [(None, 1, 1), (None, 11, 6), (None, 59, 30), (None, 60, 30), (None, 500, 30), (7, 500, 7)],
)
def test_cells_must_be_seen_in_30_frames_or_half_of_a_short_movie(min_frames, n_frames, expected):
    assert resolve_min_frames(min_frames, n_frames) == expected


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"min_frames": 0}, "greater than or equal to 1"),
        ({"interval_minutes": 0}, "greater than 0"),
        ({"interval_minutes": float("inf")}, "finite"),
        ({"interval": 1}, "Extra inputs"),
    ],
)
def test_parameters_out_of_bounds_are_refused(bad, words):
    with pytest.raises(ValidationError, match=words):
        ExtractionParameters(**bad)
