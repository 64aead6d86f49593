"""The kernels of the segmentation of bright objects against slow, obvious twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import slow_objects as slow
from frames import label_image, seeds, shapes
from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.pixel_runs import find_runs
from pyama_core.processing.segmentation.bright.illumination import smooth_background
from pyama_core.processing.segmentation.bright.kernels.ellipses import choose_ellipses, moments
from pyama_core.processing.segmentation.bright.kernels.growth import grow, reclaim
from pyama_core.processing.segmentation.bright.kernels.levels import (
    mark_below,
    own_contrast,
    settle,
    steepest_levels,
)
from pyama_core.processing.segmentation.bright.kernels.polynomials import fit
from pyama_core.processing.segmentation.bright.kernels.tiles import busy_tiles, values_in

Image = NDArray[Any]
quick = settings(max_examples=40, deadline=None)


def smooth(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Return values of either sign that repeat, so that there are equal ones."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.integers(-3, 12, shape) / 4, np.float32)


def labelled(shape: tuple[int, int], seed: int) -> NDArray[np.int32]:
    return label_image(shape, seed, n=5).astype(np.int32)


@quick
@given(shapes, seeds, st.integers(1, 9), st.integers(1, 9))
def test_a_tile_is_busy_where_a_pixel_exceeds_the_limit(shape, seed, height, width) -> None:
    height, width = min(height, shape[0]), min(width, shape[1])
    image = smooth(shape, seed)
    found = busy_tiles(image, 2.5, height, width)
    np.testing.assert_array_equal(found, slow.busy_tiles(image, 2.5, height, width))
    free = (found == 0).astype(np.uint8)
    for step in (1, 3):
        assert values_in(image, free, step).tolist() == slow.values_in(image, free, step)


@quick
@given(shapes, seeds, st.floats(0, 0.05))
def test_the_best_ellipses_of_a_tree_are_chosen(shape, seed, margin) -> None:
    basins = labelled(shape, seed)
    rng = np.random.default_rng(seed)
    present = np.unique(basins[basins > 0])
    pairs = rng.choice(present, (6, 2)) if present.size else np.zeros((0, 2), np.int64)
    one, two = np.ascontiguousarray(pairs.T.astype(np.int64))
    sums = moments(find_runs(read_only(basins), 0), 5)
    becomes = choose_ellipses(sums, (one, two, one), 6.0, 60.0, margin)
    found = {
        frozenset(np.flatnonzero(becomes == group).tolist()) & frozenset(present.tolist())
        for group in becomes[present]
    }
    expected = slow.choose_ellipses(basins, [tuple(p) for p in pairs.tolist()], 6.0, 60.0, margin)
    assert found == expected
    assert becomes[0] == 0


@quick
@given(shapes, seeds)
def test_the_contrast_of_an_object_weighs_values_by_themselves(shape, seed) -> None:
    labels, image = labelled(shape, seed), smooth(shape, seed)
    found = own_contrast(labels, image, 5)
    np.testing.assert_allclose(found, slow.own_contrast(labels, image, 5), rtol=1e-12)


@quick
@given(shapes, seeds)
def test_the_level_of_the_steepest_outline_is_found(shape, seed) -> None:
    labels = labelled(shape, seed)
    rng = np.random.default_rng(seed)
    image = rng.random(shape).astype(np.float32)
    contrast = own_contrast(labels, image, 5)
    found = steepest_levels(labels, image, contrast)
    np.testing.assert_allclose(found, slow.steepest_levels(labels, image, contrast.tolist()))


@quick
@given(shapes, seeds)
def test_the_largest_part_above_a_level_is_kept_with_its_holes(shape, seed) -> None:
    labels, image = labelled(shape, seed), smooth(shape, seed)
    level = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25])
    expected = slow.cut_at(labels, image, level.tolist())
    mark_below(labels, image, level)
    settle(find_runs(read_only(labels), 0), labels, 5)
    np.testing.assert_array_equal(labels, expected)


@quick
@given(shapes, seeds, st.integers(0, 5))
def test_objects_grow_to_the_nearest_pixels_of_a_mask(shape, seed, steps) -> None:
    labels = labelled(shape, seed)
    rng = np.random.default_rng(seed)
    labels[rng.random(shape) < 0.7] = 0
    mask = (rng.random(shape) < 0.7) | (labels > 0)
    expected = slow.grow(labels, mask, steps)
    grow(labels, mask, steps)
    np.testing.assert_array_equal(labels, expected)


@quick
@given(shapes, seeds, st.integers(0, 5))
def test_objects_take_back_what_a_brighter_one_hides(shape, seed, steps) -> None:
    labels, image, near = labelled(shape, seed), smooth(shape, seed), smooth(shape, seed + 1)
    rng = np.random.default_rng(seed)
    labels[rng.random(shape) < 0.7] = 0
    lowest, highest, least = rng.uniform(-1, 3, (3, int(labels.max()) + 1))
    given_by = (lowest, lowest + np.abs(highest)), least, steps
    expected = slow.reclaim(labels, image, near, *given_by)
    reclaim(labels, image, near, *given_by)
    np.testing.assert_array_equal(labels, expected)


@quick
@given(st.integers(6, 60), st.integers(1, 5), seeds)
def test_terms_are_fitted_by_least_squares(n, n_terms, seed) -> None:
    rng = np.random.default_rng(seed)
    terms, values = rng.normal(size=(n, n_terms)), rng.normal(size=n)
    kept = np.ones(n, np.bool_)
    kept[: n // 8] = False
    expected = np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
    np.testing.assert_allclose(fit(terms, values, kept), expected, rtol=1e-6, atol=1e-8)


def test_terms_that_say_the_same_share_no_factor() -> None:
    terms = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 2.0]])
    found = fit(terms, np.array([1.0, 3.0, 5.0]), np.ones(3, np.bool_))
    np.testing.assert_allclose(found, [1, 0, 2])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 40), (64, 48)])
def test_uneven_light_is_found_beneath_objects(shape: tuple[int, int]) -> None:
    y, x = (np.arange(n) / n - 0.4 for n in shape)
    light = 100 - 40 * np.add.outer(y**2, x**2) + 10 * np.add.outer(y, x)
    tiles = light.astype(np.float32)
    tiles[shape[0] // 3 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] += 50
    np.testing.assert_allclose(smooth_background(tiles), light, atol=0.5)
