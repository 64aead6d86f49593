"""Nucleus, ring and cell: which nucleus is whose, where rings lie, what is measured in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from frames import blobs, label_image, seeds
from pyama_core.errors import InputError
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.compartments import CellNuclei
from pyama_core.processing.extraction.feature_names import (
    BUILT_IN,
    COMPARTMENT_INTENSITIES,
    COMPARTMENT_SHAPES,
    GROUPS,
)
from pyama_core.processing.extraction.measure import measure_cells, unmeasured
from pyama_core.processing.extraction.nuclei import assign_nuclei
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.ring_size import RingSize
from pyama_core.processing.extraction.rings import find_rings
from pyama_core.processing.extraction.selection import select_features

SHAPES = st.sampled_from([(1, 1), (1, 12), (9, 1), (17, 23), (40, 31)])
GAPS = st.sampled_from([0.0, 0.5, 1.0, math.sqrt(2), 2.3, 4.0])
WIDTHS = st.sampled_from([1.0, 1.7, 3.0, 5.0, 20.0])
EVERYTHING = select_features(("compartments", *COMPARTMENT_SHAPES, *COMPARTMENT_INTENSITIES))


def owned_nuclei(cells, seed):
    """Nuclei with the labels of cells, in several parts, also beyond the cells and over others."""
    rng = np.random.default_rng(seed)
    nuclei = np.where(rng.random(cells.shape) < 0.3, cells, 0)
    nuclei[blobs(cells.shape, seed, 1) & (cells > 0)] = 0
    return np.where(rng.random(cells.shape) < 0.02, 3, nuclei).astype(cells.dtype)


def squared_distance(mask):
    """Of each pixel to the nearest of a mask, exactly."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.rint(ndimage.distance_transform_edt(~mask) ** 2)


def rings_plain(cells, nuclei, size):
    """The definition, one nucleus after the other, on the whole frame."""
    rings = np.zeros_like(cells)
    labels = [label for label in np.unique(nuclei) if label]
    away = {label: squared_distance(nuclei == label) for label in labels}
    for label in labels:
        near, far = size.gap**2, (size.gap + size.width) ** 2
        ring = (cells == label) & (away[label] > near) & (away[label] <= far)
        for other in labels:
            ring &= away[other] > near
        rings[ring] = label
    return rings


def owners_plain(found, cells):
    """The cell of each nucleus, by counting the pixels of every cell under each."""
    if found.dtype == np.bool_:
        found = ndimage.label(found)[0]
    values, first = np.unique(found, return_index=True)
    ordered = [value for _, value in sorted(zip(first, values, strict=True)) if value]
    owners = []
    for value in ordered:
        under = cells[found == value]
        counts = {cell: int((under == cell).sum()) for cell in np.unique(under) if cell}
        best = min(counts, key=lambda cell: (-counts[cell], cell), default=0)
        owners.append(best if counts and counts[best] >= (under == 0).sum() else 0)
    return ordered, owners


# Rings


@settings(max_examples=150, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6), gap=GAPS, width=WIDTHS)
def test_rings_are_where_the_distances_say(shape, seed, n, gap, width):
    cells = label_image(shape, seed, n)
    nuclei, size = owned_nuclei(cells, seed), RingSize(width, gap)
    found = find_rings(FrameCells.of(cells), FrameCells.of(nuclei), size)
    np.testing.assert_array_equal(found, rings_plain(cells, nuclei, size))


@settings(max_examples=50, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6), gap=GAPS, width=WIDTHS)
def test_a_ring_lies_in_its_own_cell_and_in_no_nucleus(shape, seed, n, gap, width):
    cells = label_image(shape, seed, n)
    nuclei = owned_nuclei(cells, seed)
    rings = find_rings(FrameCells.of(cells), FrameCells.of(nuclei), RingSize(width, gap))
    assert (rings[rings > 0] == cells[rings > 0]).all()
    assert not rings[nuclei > 0].any()
    assert set(np.unique(rings)) <= {0, *np.unique(nuclei)}


@settings(max_examples=50, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(1, 6), dtype=st.sampled_from([np.uint32, np.int64]))
def test_rings_are_the_same_for_every_type_of_labels(shape, seed, n, dtype):
    cells = label_image(shape, seed, n)
    nuclei, size = owned_nuclei(cells, seed), RingSize(3, 1)
    few = find_rings(FrameCells.of(cells), FrameCells.of(nuclei), size)
    many = find_rings(
        FrameCells.of(cells.astype(dtype) * 70_000),
        FrameCells.of(nuclei.astype(dtype) * 70_000),
        size,
    )
    np.testing.assert_array_equal(many, few.astype(dtype) * 70_000)


def test_a_ring_around_a_lone_nucleus_is_the_difference_of_two_discs():
    cells, nuclei = np.ones((41, 41), np.uint16), np.zeros((41, 41), np.uint16)
    nuclei[20, 20] = 1
    rings = find_rings(FrameCells.of(cells), FrameCells.of(nuclei), RingSize(width=5, gap=4))
    rows, columns = np.ogrid[:41, :41]
    away = np.hypot(rows - 20, columns - 20)
    np.testing.assert_array_equal(rings > 0, (away > 4) & (away <= 9))


@pytest.mark.parametrize(("width", "gap"), [(0.5, 1), (3, -1), (990, 11), (math.nan, 1)])
def test_rings_that_are_none_are_refused(width, gap):
    with pytest.raises(InputError, match="ring_width"):
        RingSize(width, gap)


# Nuclei and their cells


@settings(max_examples=100, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6), m=st.integers(0, 6), mask=st.booleans())
def test_a_nucleus_belongs_to_the_cell_that_holds_most_of_it(shape, seed, n, m, mask):
    cells = label_image(shape, seed, n)
    found = label_image(shape, seed + 1, m)
    if mask:
        found = found > 2
    ordered, owners = owners_plain(found, cells)
    nuclei = assign_nuclei(found, cells)
    assert nuclei.cell.tolist() == owners
    labels = ndimage.label(found)[0] if mask else found
    expected = np.zeros_like(cells)
    for value, owner in zip(ordered, owners, strict=True):
        expected[labels == value] = owner
    np.testing.assert_array_equal(nuclei.labels, expected)
    assert nuclei.labels.dtype == cells.dtype
    assert nuclei.n_nuclei.tolist() == [owners.count(cell) for cell in np.unique(cells[cells > 0])]
    for i, value in enumerate(ordered):
        under = cells[labels == value]
        inside = (under == owners[i]).mean() if owners[i] else 0
        assert nuclei.part_in_cell[i] == pytest.approx(inside)
        assert nuclei.area[i] == under.size
        y, x = np.nonzero(labels == value)
        assert (nuclei.position_y[i], nuclei.position_x[i]) == pytest.approx((y.mean(), x.mean()))


def test_a_nucleus_half_of_which_lies_in_a_cell_belongs_to_it_and_one_of_less_to_none():
    cells = np.array([[4, 4, 0, 0, 0, 4, 0]])
    found = np.array([[1, 1, 1, 1, 0, 2, 2]])
    assert assign_nuclei(found, cells).cell.tolist() == [4, 4]
    assert assign_nuclei(np.array([[0, 1, 1, 1, 0, 0, 0]]), cells).cell.tolist() == [0]


def test_two_nuclei_of_a_cell_have_its_label_and_are_counted_apart_though_they_touch():
    cells = np.full((5, 8), 9, np.uint16)
    found = np.zeros((5, 8), np.uint16)
    found[1:4, 1:4], found[1:4, 4:7] = 1, 2
    nuclei = assign_nuclei(found, cells)
    assert nuclei.n_nuclei.tolist() == [2]
    np.testing.assert_array_equal(nuclei.labels, np.where(found > 0, 9, 0))


def test_nuclei_and_cells_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="same shape"):
        assign_nuclei(np.ones((3, 4), np.uint16), np.ones((4, 3), np.uint16))


# What is measured


def in_nuclei(labels, counts=None, size=None):
    return CellNuclei(labels, counts or {}, size or RingSize(3, 1))


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6))
def test_compartments_are_measured_as_cells_of_their_own_are(shape, seed, n):
    rng = np.random.default_rng(seed)
    cells = label_image(shape, seed, n)
    labels = owned_nuclei(cells, seed)
    image = rng.normal(20, 30, shape).astype(np.float32)
    counts = {int(cell): 1 + int(cell) % 2 for cell in np.unique(labels) if cell}
    found, [channel] = measure_cells(cells, [image], EVERYTHING, nuclei=in_nuclei(labels, counts))
    rings = rings_plain(cells, labels, RingSize(3, 1))
    for i, cell in enumerate(found["cell"]):
        nucleus, ring = labels == cell, rings == cell
        assert found["n_nuclei"][i] == counts.get(int(cell), 0)
        for mask, name in ((nucleus, "nucleus"), (ring, "ring")):
            area = found[f"area_{name}"][i]
            mean, total = (
                channel[f"intensity_mean_{name}"][i],
                channel[f"intensity_total_{name}"][i],
            )
            if not mask.any():  # nothing is no number, and never 0
                assert np.isnan([area, mean, total]).all()
                continue
            values = image[mask].astype(np.float64)
            assert area == mask.sum()
            assert total == pytest.approx(values.sum(), rel=1e-5, abs=1e-4)
            assert mean == pytest.approx(values.mean(), rel=1e-5, abs=1e-4)
            median = channel[f"intensity_median_{name}"][i]
            assert median == pytest.approx(np.median(values), rel=1e-5, abs=1e-4)
        ratio = channel["ratio_nucleus_ring"][i]
        below = image[ring].mean(dtype=np.float64) if ring.any() else math.nan
        if nucleus.any() and below > 1e-3:
            above = image[nucleus].mean(dtype=np.float64)
            assert ratio == pytest.approx(above / below, rel=1e-5, abs=1e-4)
        elif not below > -1e-3:
            assert np.isnan(ratio)


def test_the_shape_of_a_nucleus_is_that_of_a_cell_like_it():
    cells = np.full((30, 40), 5, np.uint16)
    rows, columns = np.ogrid[:30, :40]
    nucleus = ((rows - 15) / 6) ** 2 + ((columns - 20) / 11) ** 2 < 1
    labels = np.where(nucleus, 5, 0).astype(np.uint16)
    found, _ = measure_cells(cells, [], EVERYTHING, nuclei=in_nuclei(labels, {5: 1}))
    alike, _ = measure_cells(labels, [], select_features(("shape",)))
    for name in ("perimeter", "eccentricity", "solidity", "orientation", "area"):
        assert found[f"{name}_nucleus"] == alike[name]


def test_in_a_crowd_a_nucleus_without_room_for_a_ring_has_empty_values():
    cells = np.repeat(np.array([[1] * 20 + [2] * 6]), 12, axis=0)
    labels = np.zeros_like(cells)
    labels[3:9, 3:9], labels[:, 20:] = 1, 2
    found, [channel] = measure_cells(
        cells, [np.full(cells.shape, 7.0)], EVERYTHING, nuclei=in_nuclei(labels, {1: 1, 2: 1})
    )
    assert found["area_ring"][0] > 0
    assert found["area_nucleus"].tolist() == [36, 72]
    of_ring = [name for name in channel if name.endswith("_ring")]
    assert len(of_ring) == 9
    assert np.isnan([found["area_ring"][1], *(channel[name][1] for name in of_ring)]).all()
    assert channel["ratio_nucleus_ring"][0] == 1


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6), least=st.integers(1, 40))
def test_rings_below_the_least_area_have_no_light_and_all_others_what_they_had(
    shape, seed, n, least
):
    cells = label_image(shape, seed, n)
    labels = owned_nuclei(cells, seed)
    image = np.random.default_rng(seed).normal(50, 9, shape)
    for_all, for_large = (
        measure_cells(
            cells, [image], EVERYTHING, nuclei=in_nuclei(labels, size=RingSize(3, 1, few))
        )
        for few in (1, least)
    )
    areas = {name: for_large[0][name] for name in COMPARTMENT_SHAPES}
    for name, values in areas.items():
        np.testing.assert_array_equal(values, for_all[0][name])
    rings = rings_plain(cells, labels, RingSize(3, 1))
    is_large = [np.count_nonzero(rings == cell) >= least for cell in for_large[0]["cell"]]
    for name in COMPARTMENT_INTENSITIES:
        expected = for_all[1][0][name]
        if not name.endswith("_nucleus"):
            expected = np.where(is_large, expected, np.nan)
        np.testing.assert_array_equal(for_large[1][0][name], expected)


def test_where_nuclei_are_not_known_nothing_is_said_about_them():
    cells = label_image((20, 20), 3)
    found, [channel] = measure_cells(cells, [np.ones(cells.shape)], EVERYTHING)
    for name in COMPARTMENT_SHAPES:
        assert np.isnan(found[name]).all(), name
    for name in COMPARTMENT_INTENSITIES:
        assert np.isnan(channel[name]).all(), name


def test_a_channel_without_an_image_has_the_columns_of_compartments():
    made = unmeasured(2, EVERYTHING)
    assert set(COMPARTMENT_INTENSITIES) <= set(made)
    assert not set(COMPARTMENT_SHAPES) & set(made)


# Names


def test_compartments_come_by_group_or_by_name_and_stand_beside_the_features_of_cells():
    chosen = select_features(
        ("intensity_median_ring", "compartments", "intensity_mean", "solidity")
    )
    assert chosen.columns == (
        "solidity",
        "n_nuclei",
        "area_nucleus",
        "area_ring",
        "intensity_mean",
        "intensity_mean_nucleus",
        "intensity_mean_ring",
        "intensity_median_ring",
        "ratio_nucleus_ring",
    )
    assert not select_features(("shape", "intensity")).has_compartments
    assert select_features(("intensity_median_ring",)).compartment_shapes == (
        "n_nuclei",
        "area_ring",
    )
    assert select_features(("area_nucleus",)).compartment_shapes == ("n_nuclei", "area_nucleus")


def test_every_name_is_a_feature_of_the_configuration():
    for word in (*GROUPS, *BUILT_IN):
        assert ExtractionParameters(features=[word]).features == (word,)


@pytest.mark.parametrize(
    ("given_length", "kept"), [("4 px", 4.0), (3, 3.0), ("2000 nm", "2 um"), ("1.5µm", "1.5 um")]
)
def test_sizes_of_rings_are_in_pixels_or_have_a_unit(given_length, kept):
    assert ExtractionParameters(ring_width=given_length).ring_width == kept


@pytest.mark.parametrize("value", ["wide", "-1", -2, "3 min", True, None, "inf", "nan um"])
def test_other_sizes_of_rings_are_refused(value):
    with pytest.raises(ValueError, match="as 5, or a length"):
        ExtractionParameters(ring_gap=value)
