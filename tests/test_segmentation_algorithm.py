from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from frames import frames, label_image, make_frame, seeds, shapes
from pyama_core.errors import InputError
from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.holes import fill_holes
from pyama_core.processing.segmentation.log_std.image import (
    IntegerImage,
    LogStdImages,
    write_log_std,
)
from pyama_core.processing.segmentation.log_std.kernels import logarithms as kernels
from pyama_core.processing.segmentation.log_std.method import LogStdParameters
from pyama_core.processing.segmentation.log_std.segmenter import (
    LogStdSegmenter,
    log_std,
    segment_frame,
)
from reference import clean_plain, log_std_plain, segment_plain, threshold_plain

NOISE = make_frame((65, 257), "cells", 1, np.uint16)


def doubtful(values: np.ndarray, n_bins: int, n_sigma: float) -> bool:
    """Whether rounding decides: a value on a bin's edge, or within 1e-9 of the threshold."""
    if values.min() == values.max():
        return False
    edges = np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]
    above = np.searchsorted(edges, values)
    around = edges[np.clip([above - 1, above], 0, len(edges) - 1)]
    nearest = np.abs(values - around).min()
    threshold = threshold_plain(values, n_bins, n_sigma)
    return bool(nearest < 1e-12 or np.abs(values - threshold).min() < 1e-9)


@settings(max_examples=80, deadline=None)
@given(frame=frames, radius=st.sampled_from([1, 2, 5]))
def test_log_std_is_half_the_logarithm_of_the_variance_of_each_window(frame, radius):
    expected = log_std_plain(frame, radius)
    found = log_std(frame, radius)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(found == 0, expected == 0)


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint32", "int32", "float64"])
def test_log_std_takes_every_dtype_of_a_frame(dtype):
    frame = (NOISE.astype(np.int64) - 20_000).clip(0 if dtype == "uint32" else None)
    frame = frame > 0 if dtype == "bool" else frame.astype(dtype)
    plain = frame.astype(np.uint8) if dtype == "bool" else frame
    np.testing.assert_allclose(log_std(frame), log_std_plain(plain), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("value", [0, 7, 65_535])
@pytest.mark.parametrize("radius", [1, 18])
def test_a_constant_window_has_log_std_0_at_any_brightness(value, radius):
    frame = np.full((50, 60), value, np.uint16)
    assert not log_std(frame, radius).any()
    assert not log_std(frame.astype(np.float32) * 1e20, radius).any()
    assert not segment_frame(frame).any()


def test_the_largest_window_of_the_brightest_pixels_is_exact():
    frame = np.where(np.random.default_rng(0).random((60, 50)) < 0.5, 65_535, 65_534)
    frame = frame.astype(np.uint16)
    np.testing.assert_allclose(log_std(frame, 18), log_std_plain(frame, 18), rtol=1e-13)


def test_the_logarithm_is_within_one_unit_in_the_last_place():
    values = np.exp(np.random.default_rng(0).uniform(-300, 300, 100_000))
    exact = 0.5 * np.log(values)
    found = np.empty_like(values)
    kernels.half_log(values.copy(), np.empty_like(values), found)
    assert (np.abs(found - exact) <= 2 * np.spacing(np.abs(exact))).all()


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds,
    n_bins=st.integers(2, 300),
    distinct=st.sampled_from([2, 3, 17, 10**6]),
    shape=shapes,
)
def test_the_histogram_is_that_of_numpy(seed, n_bins, distinct, shape):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, distinct, shape) / rng.integers(1, 1000)
    low, high = values.min(), values.max()
    assume(low < high)
    counts = kernels.histogram(values, low, high, n_bins)
    np.testing.assert_array_equal(counts, np.histogram(values, n_bins)[0])


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds,
    shape=shapes,
    radius=st.sampled_from([1, 2, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int16]),
    span=st.sampled_from([1, 2, 20, 250, 3_000, 14_563]),
    from_the_top=st.booleans(),
)
def test_integers_answer_as_logarithms_do(seed, shape, radius, dtype, span, from_the_top):
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    pixels = (rng.integers(0, span, shape, endpoint=True) * rng.random(shape) ** 3).astype(int)
    pixels = limits.max - pixels if from_the_top else limits.min + pixels
    frame = read_only(pixels.clip(limits.min, limits.max).astype(dtype))
    images = LogStdImages(radius)
    found = images.of(frame, 2)
    values = np.empty(shape)
    low, high = write_log_std(frame, radius, values)
    assert (found.low, found.high) == (low, high)
    for n_bins in (2, 30, 200) if high - low > 0.2 else ():
        counts = kernels.histogram(values, low, high, n_bins)
        np.testing.assert_array_equal(found.count_bins(n_bins), counts)
    masks = np.empty((2, *shape), np.uint8)
    for level in [low, high, *rng.uniform(low - 1, high + 1, 5)]:
        assert found.spread_up_to(level) == pytest.approx(
            kernels.spread_below(values, level, low), rel=1e-12, abs=1e-12
        )
        found.write_above(level, masks[0])
        kernels.above(values, level, masks[1])
        np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize(
    ("span", "n_bins", "integer"),
    [(14_563, 200, True), (14_564, 200, False), (14_563, 65_536, False)],
)
def test_logarithms_are_kept_where_integers_do_not_suffice(span, n_bins, integer):
    frame = np.random.default_rng(0).integers(0, span + 1, (64, 64)).astype(np.uint16)
    frame[0, :2] = 0, span
    image = LogStdImages(1).of(read_only(frame), n_bins)
    assert isinstance(image, IntegerImage) == integer
    frame[3:6, 3:6] = np.array([0, span, 0] * 3).reshape(3, 3)  # the widest spread of all
    assert not doubtful(log_std_plain(frame), n_bins, 3)
    parameters = LogStdParameters(n_bins=n_bins)
    np.testing.assert_array_equal(
        segment_frame(frame, parameters), segment_plain(frame, n_bins=n_bins)
    )


@settings(max_examples=60, deadline=None)
@given(seed=seeds, shape=shapes, density=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_holes_are_filled_as_scipy_fills_them(seed, shape, density):
    mask = np.random.default_rng(seed).random(shape) < density
    filled = mask.copy()
    fill_holes(filled)
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(mask))


@settings(max_examples=100, deadline=None)
@given(
    frame=frames,
    n_bins=st.sampled_from([2, 30, 200]),
    n_sigma=st.sampled_from([0.0, 0.5, 3.0]),
    square_size=st.sampled_from([1, 3, 7]),
    iterations=st.integers(1, 3),
)
def test_the_mask_is_that_of_the_plain_algorithm(frame, n_bins, n_sigma, square_size, iterations):
    assume(not doubtful(log_std_plain(frame), n_bins, n_sigma))
    parameters = LogStdParameters(
        n_bins=n_bins, n_sigma=n_sigma, square_size=square_size, iterations=iterations
    )
    before = frame.copy()
    mask = segment_frame(frame, parameters)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(
        mask, segment_plain(frame, 1, n_bins, n_sigma, square_size, iterations)
    )
    np.testing.assert_array_equal(frame, before)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, shape=shapes, iterations=st.integers(1, 3))
def test_opening_and_closing_count_outside_of_the_frame_as_background(seed, shape, iterations):
    mask = label_image(shape, seed) > 0
    segmenter = LogStdSegmenter(LogStdParameters(square_size=3, iterations=iterations))
    cleaned = ndimage.binary_fill_holes(mask).view(np.uint8)
    cleaned = segmenter._opened_and_closed(cleaned)
    np.testing.assert_array_equal(cleaned, clean_plain(mask, 3, iterations))


def test_a_closing_clears_the_outermost_pixels_of_a_frame_full_of_cells():
    mask = LogStdSegmenter()._opened_and_closed(np.ones((100, 100), np.uint8))
    assert mask[9:-9, 9:-9].all()
    assert mask.sum() == 82 * 82


def test_a_segmenter_gives_for_each_frame_what_a_new_one_gives():
    segmenter = LogStdSegmenter()
    movie = [make_frame((64, 64), "cells", seed, np.uint16) for seed in range(3)]
    movie += [make_frame((65, 257), "cells", 9, np.uint16), movie[0]]
    masks = [segmenter.segment(frame) for frame in movie]
    for frame, mask in zip(movie, masks, strict=True):
        np.testing.assert_array_equal(mask, segment_frame(frame))
        assert mask.flags.writeable


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(lambda frame: np.asfortranarray(frame), id="column-major"),
        pytest.param(lambda frame: np.repeat(frame, 2, 1)[:, ::2], id="strided"),
        pytest.param(lambda frame: frame.astype(">u2"), id="big-endian"),
        pytest.param(lambda frame: np.frombuffer(frame.tobytes(), frame.dtype).reshape(frame.shape),
                     id="read-only"),
    ],
)  # fmt: skip
def test_the_memory_layout_of_a_frame_does_not_matter(seen):
    np.testing.assert_array_equal(segment_frame(seen(NOISE)), segment_frame(NOISE))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((2, 3, 4), np.uint8), r"shape \(2, 3, 4\)"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.zeros((4, 4), np.complex64), "complex64"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.full((4, 4), np.nan), "16 of 16 that are not, the first nan at row 0, column 0"),
        (np.array([[1, 2], [np.inf, 3]], np.float32), "1 of 4 .* inf at row 1, column 0"),
        (np.array([[1, -1e200]]), "at row 0, column 1"),
    ],
)
def test_a_frame_that_cannot_be_segmented_is_refused(frame, words):
    with pytest.raises(InputError, match=words):
        segment_frame(frame)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"window_radius": 0}, "greater than or equal to 1"),
        ({"window_radius": 19}, "less than or equal to 18"),
        ({"n_bins": 1}, "greater than or equal to 2"),
        ({"n_sigma": float("nan")}, "finite"),
        ({"n_sigma": -1}, "greater than or equal to 0"),
        ({"square_size": 8}, "must be odd"),
        ({"iterations": 0}, "greater than or equal to 1"),
        ({"method": "magic"}, "log-std"),
        ({"windowradius": 1}, "Extra inputs"),
    ],
)
def test_parameters_out_of_bounds_are_refused(bad, words):
    with pytest.raises(ValidationError, match=words):
        LogStdParameters(**bad)


def test_real_phase_contrast_is_segmented_as_the_plain_algorithm_does(shared_data):
    paths = [
        min((shared_data / "t98g" / "raw").glob("*.tif")),
        min((shared_data / "incucyte").glob("*_P_*.tif")),
    ]
    for path in paths:
        frame = tifffile.imread(path)
        values = log_std_plain(frame)
        np.testing.assert_allclose(log_std(frame), values, rtol=1e-13, atol=1e-14)
        mask = segment_frame(frame)
        threshold = threshold_plain(values)
        assert np.abs(values - threshold).min() > 1e-12
        np.testing.assert_array_equal(mask, clean_plain(values > threshold))
        assert 0.01 < mask.mean() < 0.99
