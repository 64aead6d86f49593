from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.interpolate import RectBivariateSpline

from frames import blobs, frames, label_image, make_frame, seeds
from pyama_core.errors import InputError
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.background.tiled_interpolation.hidden_tiles import TENSION, HiddenTiles
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters
from pyama_core.processing.background.tiled_interpolation.spline_basis import SplineBasis
from reference import (
    background_plain,
    correct_plain,
    hidden_tiles_plain,
    tile_edges_plain,
    tile_medians_plain,
    twice_plain,
)

SMALL_TILES = TiledInterpolationParameters(tile_size=32, dilation_size=5)
BIG = (700, 300)


SCENES = {
    "frame": frames,
    "seed": seeds,
    "tile_size": st.sampled_from([8, 20, 64, 256]),
    "dilation_size": st.sampled_from([1, 5, 21]),
}


@settings(max_examples=100, deadline=None)
@given(**SCENES)
def test_medians_and_background_are_those_of_the_plain_algorithm(
    frame, seed, tile_size, dilation_size
):
    mask = blobs(frame.shape, seed, n=2)
    background = TiledBackground(
        frame.shape,
        TiledInterpolationParameters(tile_size=tile_size, dilation_size=dilation_size),
    )
    medians = background.estimate(frame, mask)
    expected = tile_medians_plain(frame, mask, dilation_size, tile_size)
    if expected is None:
        assert medians is None
        return
    np.testing.assert_array_equal(medians, expected)
    surface = background_plain(expected, frame.shape, tile_size)
    np.testing.assert_allclose(background.background(medians), surface, rtol=1e-10)
    corrected = background.correct(frame, medians)
    assert corrected.dtype == np.float32
    scale = float(np.abs(surface).max())
    np.testing.assert_allclose(corrected, frame - surface, rtol=1e-6, atol=1e-6 * scale)


@settings(max_examples=60, deadline=None)
@given(**SCENES)
def test_in_a_second_round_the_medians_of_what_is_left_are_added(
    frame, seed, tile_size, dilation_size
):
    mask = blobs(frame.shape, seed, n=2)
    parameters = TiledInterpolationParameters(
        tile_size=tile_size, dilation_size=dilation_size, rounds=2
    )
    medians = TiledBackground(frame.shape, parameters).estimate(frame, mask)
    expected = twice_plain(frame, mask, dilation_size, tile_size)
    if expected is None:
        assert medians is None
        return
    # Counted in sixteenths, or in steps of a part of the range of the medians.
    first = tile_medians_plain(frame, mask, dilation_size, tile_size)
    step = max(1 / 16, 4 * np.ptp(first) / 32_768)
    np.testing.assert_allclose(medians, expected, rtol=1e-6, atol=0.51 * step)


def test_a_bent_background_is_met_where_cells_leave_one_side_of_a_tile_free():
    rows, columns = np.ogrid[:400, :400]
    light = 1000 - 200 * ((rows - 200) ** 2 + (columns - 200) ** 2) / 200**2
    mask = (rows - 190) ** 2 + (columns - 210) ** 2 < 60**2
    noise = np.random.default_rng(3).normal(0, 10, light.shape)
    frame = np.rint(light + noise + 500 * mask).astype(np.uint16)
    left = []
    for rounds in (1, 2):
        parameters = TiledInterpolationParameters(tile_size=100, edges="linear", rounds=rounds)
        background = TiledBackground(frame.shape, parameters)
        error = background.background(background.estimate(frame, mask)) - light
        left.append((abs(error[mask].mean()), abs(error[~mask].mean())))
    assert left[1][0] < left[0][0] / 2
    assert left[1][1] < left[0][1] / 3


def test_how_often_medians_are_taken_follows_from_what_is_known_of_the_cells():
    parameters = TiledInterpolationParameters()
    assert [parameters.for_cells_of(d).rounds for d in (None, 40)] == [1, 2]
    assert TiledInterpolationParameters(rounds=1).for_cells_of(40).rounds == 1


def test_how_far_cells_are_enlarged_follows_from_their_diameter_if_left_to_it():
    auto = TiledInterpolationParameters(dilation_size="auto")
    sides = [auto.for_cells_of(d).dilation_size for d in (None, 6, 12, 16, 30, 42, 400)]
    assert sides == [21, 7, 7, 9, 17, 21, 21]
    assert TiledInterpolationParameters().for_cells_of(12).dilation_size == 21
    assert TiledInterpolationParameters(dilation_size=5).for_cells_of(12).dilation_size == 5


def test_an_operator_gives_for_each_frame_what_a_new_one_gives():
    operator = TiledBackground((64, 150), SMALL_TILES)
    dtypes = [np.uint16, np.uint8, np.uint16, np.int16, np.uint16]
    for seed, dtype in enumerate(dtypes):
        frame = make_frame((64, 150), "cells", seed, np.uint8).astype(dtype) << (seed % 3)
        mask = label_image((64, 150), seed) > 0
        expected = TiledBackground((64, 150), SMALL_TILES).estimate(frame, mask)
        np.testing.assert_array_equal(operator.estimate(frame, mask), expected)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_every_dtype_of_a_frame_is_corrected(dtype):
    frame = make_frame((65, 257), "cells", 3, np.uint16).astype(np.int64)
    if dtype in ("int16", "int32"):
        frame -= 30_000
    frame = frame > 20_000 if dtype == "bool" else (frame % 251 if dtype == "uint8" else frame)
    frame = frame.astype(dtype)
    mask = blobs(frame.shape, 4)
    background = TiledBackground(frame.shape, SMALL_TILES)
    medians = background.estimate(frame, mask)
    np.testing.assert_array_equal(medians, tile_medians_plain(frame, mask, 5, 32))
    np.testing.assert_allclose(
        background.correct(frame, medians), correct_plain(frame, mask, 5, 32), rtol=1e-6, atol=1e-3
    )


@settings(max_examples=60, deadline=None)
@given(seed=seeds, low=st.integers(0, 65_535), high=st.integers(0, 65_535))
def test_medians_do_not_depend_on_the_range_of_intensities(seed, low, high):
    rng = np.random.default_rng(seed)
    frame = rng.integers(min(low, high), max(low, high), (80, 90), endpoint=True).astype(np.uint16)
    frame[rng.random(frame.shape) < 0.01] = 65_535
    mask = label_image(frame.shape, seed) > 3
    medians = TiledBackground(frame.shape, SMALL_TILES).estimate(frame, mask)
    expected = tile_medians_plain(frame, mask, 5, 32)
    if expected is None:
        assert medians is None
    else:
        np.testing.assert_array_equal(medians, expected)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 12), seed=seeds)
def test_the_spline_of_an_axis_is_that_of_fitpack(n, seed):
    rng = np.random.default_rng(seed)
    centres = np.cumsum(rng.integers(2, 20, n)) / 2
    n_pixels = int(centres[-1]) + 5
    values = rng.normal(size=n)
    basis = SplineBasis.through(centres, n_pixels)
    coefficients = np.zeros(max(4, n))
    coefficients[:n] = np.linalg.solve(basis.collocation, values)
    found = sum(basis.weights[k] * coefficients[basis.first + k] for k in range(4))
    # FITPACK fits surfaces; one that is constant along its second axis is a curve.
    surface = RectBivariateSpline(
        centres, [0.0, 1.0], np.stack([values, values], axis=1), kx=min(3, n - 1), ky=1, s=0
    )
    pixels = np.clip(np.arange(n_pixels, dtype=float), centres[0], centres[-1])
    np.testing.assert_allclose(found, surface(pixels, [0.5])[:, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(basis.weights.sum(axis=0), 1, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 12), seed=seeds)
def test_a_spline_that_goes_on_is_straight_beyond_the_outer_centres(n, seed):
    rng = np.random.default_rng(seed)
    centres = 4 + np.cumsum(rng.integers(2, 20, n)) / 2
    n_pixels = int(centres[-1]) + 5
    values = rng.normal(size=n)
    constant, linear = (SplineBasis.through(centres, n_pixels, go_on) for go_on in (False, True))
    coefficients = np.zeros((max(4, n), 1))
    coefficients[:n, 0] = np.linalg.solve(linear.collocation, values)
    expected = constant.interpolate(coefficients)[:, 0]
    for x in range(n_pixels):
        if x < centres[0]:
            slope = (values[1] - values[0]) / (centres[1] - centres[0])
            expected[x] = values[0] + slope * (x - centres[0])
        if x > centres[-1]:
            slope = (values[-1] - values[-2]) / (centres[-1] - centres[-2])
            expected[x] = values[-1] + slope * (x - centres[-1])
    found = linear.interpolate(coefficients)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_slope_is_taken_away_up_to_the_edges_of_the_frame():
    rows, columns = np.ogrid[:200, :300]
    frame = (1000 + 2.0 * rows - 1.5 * columns).astype(np.float32)
    nothing = np.zeros(frame.shape, np.bool_)
    for edges, largest in (("linear", 0.3), ("constant", 70)):
        parameters = TiledInterpolationParameters(tile_size=40, edges=edges)
        background = TiledBackground(frame.shape, parameters)
        corrected = background.correct(frame, background.estimate(frame, nothing))
        assert abs(corrected).max() <= largest
        assert edges == "linear" or abs(corrected).max() > 30


def test_the_surface_goes_through_the_medians_and_is_constant_beyond_the_outer_centres():
    background = TiledBackground(BIG)
    medians = background.estimate(make_frame(BIG, "noise", 5, np.uint16), np.zeros(BIG, bool))
    assert medians.shape == (5, 3)
    surface = background.background(medians)
    np.testing.assert_allclose(surface[350, 150], medians[2, 1], rtol=1e-12)
    np.testing.assert_allclose(surface[:88, :75], medians[0, 0], rtol=0.05)
    assert np.ptp(surface[:87, 10]) < 1e-8
    assert np.ptp(surface[10, 226:]) < 1e-8


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (64, 64), (65, 257)])
def test_a_constant_frame_of_any_shape_is_corrected_to_0(shape):
    frame = np.full(shape, 500, np.uint16)
    background = TiledBackground(shape)
    medians = background.estimate(frame, np.zeros(shape, np.bool_))
    np.testing.assert_allclose(background.correct(frame, medians), 0, atol=1e-6)


def test_a_smooth_vignette_is_taken_away_and_cells_keep_their_brightness():
    rows, columns = np.ogrid[:1024, :1024]
    vignette = 1000 * np.exp(-((rows - 500) ** 2 + (columns - 550) ** 2) / 800**2)
    mask = blobs((1024, 1024), 7, n=3)
    frame = (vignette + 300 * mask + np.random.default_rng(0).normal(0, 5, mask.shape)).astype(
        np.float32
    )
    background = TiledBackground(frame.shape, TiledInterpolationParameters(tile_size=128))
    corrected = background.correct(frame, background.estimate(frame, mask))
    inner = np.s_[64:-64, 64:-64]
    assert abs(corrected[inner][~mask[inner]].mean()) < 3


def test_a_tile_without_background_takes_the_median_of_the_frame():
    frame = make_frame(BIG, "noise", 6, np.uint16)
    mask = np.zeros(BIG, np.bool_)
    mask[:400, :220] = True
    medians = TiledBackground(BIG).estimate(frame, mask)
    np.testing.assert_array_equal(medians, tile_medians_plain(frame, mask))
    free = tile_medians_plain(frame, mask)[0, 0]
    assert medians[0, 0] == medians[1, 0] == free


centres_of = st.integers(1, 9).flatmap(
    lambda n: st.lists(st.integers(3, 40), min_size=n, max_size=n).map(np.cumsum)
)


@settings(max_examples=100, deadline=None)
@given(rows=centres_of, columns=centres_of, seed=seeds, part=st.floats(0, 1))
def test_hidden_tiles_have_the_values_that_bend_least(rows, columns, seed, part):
    rng = np.random.default_rng(seed)
    values = rng.normal(500, 100, (rows.size, columns.size))
    shows = rng.random(values.shape) < part
    shows.flat[rng.integers(shows.size)] = True
    hidden = np.where(shows, values, np.nan)
    filled = HiddenTiles(rows / 2, columns / 2).fill(hidden, shows)
    expected = hidden_tiles_plain(values, shows, (rows / 2, columns / 2), TENSION)
    np.testing.assert_allclose(filled, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(filled[shows], values[shows])


def test_light_goes_on_evenly_where_cells_hide_it():
    rows, columns = np.ogrid[10:200:20, 10:260:20]
    light = 800 + 1.5 * rows - 0.7 * columns
    shows = np.ones(light.shape, np.bool_)
    shows[3:6, 4:8] = False
    filled = HiddenTiles(rows.ravel(), columns.ravel()).fill(light * shows, shows)
    np.testing.assert_allclose(filled, light, atol=3)
    alone = np.zeros(light.shape, np.bool_)
    alone[2, 5] = True
    filled = HiddenTiles(rows.ravel(), columns.ravel()).fill(light, alone)
    np.testing.assert_allclose(filled, light[2, 5], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_a_frame_is_corrected_around_hidden_tiles_as_the_plain_algorithm_does(dtype):
    rows, columns = np.ogrid[:300, :420]
    noise = make_frame((300, 420), "noise", 5, np.uint16) % 7
    frame = (500 + rows + columns // 2 + noise).astype(dtype)
    mask = np.zeros(frame.shape, np.bool_)
    mask[:150, 60:260] = True
    mask[200:, 300:] = True
    mask[298, 418] = False  # too few pixels of a tile to tell of it
    parameters = TiledInterpolationParameters(
        tile_size=64, dilation_size=1, edges="linear", hidden_tiles="around"
    )
    background = TiledBackground(frame.shape, parameters)
    medians = background.estimate(frame, mask)
    edges = [np.pad(tile_edges_plain(n, 64), 1, "edge") for n in frame.shape]
    plain, shows = np.zeros(medians.shape), np.zeros(medians.shape, np.bool_)
    for i, j in np.ndindex(plain.shape):
        tile = np.s_[edges[0][i] : edges[0][i + 2], edges[1][j] : edges[1][j + 2]]
        free = frame[tile][~mask[tile]]
        shows[i, j] = free.size >= max(1, 0.01 * mask[tile].size)
        plain[i, j] = np.median(free) if shows[i, j] else 0
    assert not shows.all()
    centres = tuple((e[:-2] + e[2:]) / 2 for e in edges)
    expected = hidden_tiles_plain(plain, shows, centres, TENSION)
    np.testing.assert_allclose(medians, expected, rtol=1e-9)
    light = 500 + rows + columns // 2 + 3
    assert abs(background.background(medians) - light).max() < 50
    flat = TiledBackground(frame.shape, parameters.model_copy(update={"hidden_tiles": "median"}))
    surface = flat.background(flat.estimate(frame, mask))
    assert abs(surface - light).max() > 150
    assert background.free_part(mask) == pytest.approx(1 - mask.mean())


def test_a_tile_of_which_nearly_all_is_hidden_tells_only_where_no_other_does():
    parameters = TiledInterpolationParameters(
        tile_size=40, dilation_size=1, edges="linear", hidden_tiles="around"
    )
    mask = np.ones((80, 120), np.bool_)
    mask[10, 10] = False
    frame = np.full(mask.shape, 300, np.uint16)
    frame[10, 10] = 700
    background = TiledBackground(mask.shape, parameters)
    np.testing.assert_allclose(background.estimate(frame, mask), 700, rtol=1e-9)
    mask[50:70, 80:100] = False
    np.testing.assert_allclose(background.estimate(frame, mask), 300, rtol=1e-9)
    assert background.estimate(frame, np.ones(mask.shape, np.bool_)) is None


def test_tiles_too_many_to_count_have_the_same_medians():
    frame = make_frame((20, 2000), "cells", 1, np.uint16)
    mask = blobs(frame.shape, 1)
    parameters = TiledInterpolationParameters(tile_size=8, dilation_size=1)
    medians = TiledBackground(frame.shape, parameters).estimate(frame, mask)
    np.testing.assert_array_equal(medians, tile_medians_plain(frame, mask, 1, 8))


def test_a_frame_without_background_has_no_medians():
    frame = make_frame((61, 61), "noise", 1, np.uint16)
    assert TiledBackground(frame.shape).estimate(frame, np.ones((61, 61), np.bool_)) is None
    lonely = np.zeros((61, 61), np.bool_)
    lonely[10::20, 10::20] = True  # the dilation by 21 pixels covers the frame
    assert TiledBackground(frame.shape).estimate(frame, lonely) is None


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_a_label_image_masks_what_is_above_0(dtype):
    labels = label_image(BIG, 3)
    frame = make_frame(BIG, "noise", 2, np.uint16)
    background = TiledBackground(BIG)
    medians = background.estimate(frame, labels > 0)
    np.testing.assert_array_equal(background.estimate(frame, labels.astype(dtype)), medians)
    if np.dtype(dtype).kind == "i":
        negative = np.where(labels > 0, labels.astype(dtype), -1)
        np.testing.assert_array_equal(background.estimate(frame, negative), medians)


def test_frames_that_do_not_fit_are_refused():
    background = TiledBackground((64, 64))
    frame, mask = np.ones((64, 64), np.uint16), np.zeros((64, 64), np.bool_)
    medians = background.estimate(frame, mask)
    with pytest.raises(InputError, match=r"fluorescence frame of shape \(64, 64\), found \(64, 6"):
        background.estimate(frame[:, :60], mask)
    with pytest.raises(InputError, match=r"mask of shape \(64, 64\), found \(60, 64\)"):
        background.estimate(frame, mask[:60])
    with pytest.raises(InputError, match="first nan at row 0, column 0"):
        background.correct(np.full((64, 64), np.nan), medians)
    with pytest.raises(InputError, match=r"tile medians of shape \(1, 1\)"):
        background.correct(frame, np.ones((2, 1)))
    with pytest.raises(InputError, match="finite tile medians"):
        background.correct(frame, medians * np.nan)
    with pytest.raises(InputError, match="at least one pixel"):
        TiledBackground((0, 64))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"dilation_size": 20}, "must be odd"),
        ({"dilation_size": -1}, "greater than or equal to 1"),
        ({"tile_size": 7}, "greater than or equal to 8"),
        ({"tile_size": 10**6}, "less than or equal to 16384"),
        ({"method": "median"}, "tiled-interpolation"),
        ({"tiles": 3}, "Extra inputs"),
        ({"rounds": 0}, "greater than or equal to 1"),
    ],
)
def test_parameters_out_of_bounds_are_refused(bad, words):
    with pytest.raises(ValidationError, match=words):
        TiledInterpolationParameters(**bad)


def test_real_fluorescence_is_corrected_as_the_plain_algorithm_does(shared_data):
    paths = [
        min((shared_data / "nanog").glob("*.tif")),
        min((shared_data / "incucyte").glob("*_G_*.tif")),
    ]
    for path in paths:
        frame = tifffile.imread(path)
        mask = frame > np.quantile(frame, 0.9)
        parameters = TiledInterpolationParameters(dilation_size=5)
        background = TiledBackground(frame.shape, parameters)
        medians = background.estimate(frame, mask)
        np.testing.assert_array_equal(medians, tile_medians_plain(frame, mask, 5))
        expected = correct_plain(frame, mask, 5)
        np.testing.assert_allclose(background.correct(frame, medians), expected, atol=1e-3)
