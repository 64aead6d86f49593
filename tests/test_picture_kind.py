"""What a channel shows is told from its frames, or said to be unsure; never wrong and sure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.account.bounds import LEAST_RIGHT
from benchmarks.account.kinds_told import (
    BOTH,
    BRIGHT,
    DARK,
    OF_EACH_SERIES,
    UNSURE,
    options_of,
    views_told,
)

from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.processing.segmentation.picture.contrast import Contrast
from pyama_core.processing.segmentation.picture.kind import Picture, judge_picture
from pyama_core.processing.segmentation.picture.measuring import measure_contrast
from pyama_core.processing.workflow.services.pictures import look_at_channel


def discs(height: float, rim: float = 0.0, seed: int = 0, size: int = 240) -> NDArray[Any]:
    """Draw 20 smooth discs, with a rim of another height, on uneven and noisy ground."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(0, 2, (size, size)) + np.linspace(100, 130, size)
    y, x = np.mgrid[:size, :size]
    for cy, cx in rng.uniform(10, size - 10, (20, 2)):
        r = np.hypot(y - cy, x - cx)
        frame += height * (r < 9) + rim * ((r >= 9) & (r < 12))
    return frame


def judged(*frames: NDArray[Any], **options: bool) -> Picture:
    return judge_picture([measure_contrast(frame) for frame in frames], **options)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (discs(60), BRIGHT),
        (discs(-60), DARK),
        (discs(-40, rim=60), BOTH),
        (discs(40, rim=-40), BOTH),
        (discs(0), UNSURE),
        (np.full((200, 200), 7, np.uint16), UNSURE),
        (discs(0) + 400 - np.hypot(*np.mgrid[-120:120, -120:120]) ** 2 / 600, UNSURE),
        (discs(60, size=64), UNSURE),
        (np.random.default_rng(0).poisson(3, (256, 256)).astype(np.uint16), UNSURE),
    ],
)
def test_bright_dark_and_two_sided_objects_are_told_apart(frame, kind):
    found = judged(frame)
    assert found.kind is kind, found


def lit(field: NDArray[Any], gain: float, height: float = 0.0) -> NDArray[Any]:
    """Take a picture of discs, higher by a part of the light there, under an uneven light."""
    rng = np.random.default_rng(1)
    light = gain * field * (1 + height / 60 * (discs(60, size=480) - discs(0, size=480)))
    return rng.poisson(light + 100).astype(np.uint16)


Y, X = np.mgrid[-1:1:480j, -1:1:480j]
LIGHTS = {
    "bowl": 1 - 0.45 * (X * X + Y * Y),
    "spot": np.exp(-(X * X + Y * Y) / 0.18),
    "hole": 1 - 0.9 * np.exp(-(X * X + Y * Y) / 0.3),
    "edge of a field stop": (np.hypot(X, Y) < 0.9).astype(float),
    "corner": np.exp(-np.hypot(X - 1, Y - 1) / 0.15),
    "wide corner": np.exp(-np.hypot(X - 1, Y - 1) / 0.4),
    "soft stop": 1 / (1 + np.exp((np.hypot(X, Y) - 0.9) / 0.04)),
    "soft stop beyond the frame": 1 / (1 + np.exp((np.hypot(X, Y) - 1.2) / 0.02)),
    "soft square stop": 1 / (1 + np.exp((np.maximum(abs(X), abs(Y)) - 0.6) / 0.08)),
    "light from one side": 1 / (1 + np.exp((0.6 - X) / 0.08)),
}


@pytest.mark.slow
@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("gain", [300, 20_000])
@pytest.mark.parametrize("height", [0.0, 0.5, -0.3])
def test_uneven_light_is_never_taken_for_cells_with_confidence(light, gain, height):
    found = judged(lit(LIGHTS[light], gain, height))
    fitting = {0.0: UNSURE, 0.5: BRIGHT, -0.3: DARK}[height]
    assert found.kind in (fitting, UNSURE), found


@pytest.mark.parametrize("light", ["corner", "soft stop", "soft square stop"])
def test_steep_light_on_an_empty_frame_is_not_sure_to_be_anything(light):
    found = judged(lit(LIGHTS[light], 20_000))
    assert found.kind is UNSURE, found
    assert "steep illumination" in found.reason or light == "soft stop", found


def test_moderately_uneven_light_hides_nothing():
    assert judged(lit(LIGHTS["bowl"], 300, 0.5)).kind is BRIGHT
    assert judged(lit(LIGHTS["bowl"], 300, -0.3)).kind is DARK
    assert judged(lit(LIGHTS["hole"], 300, 0.5)).kind is BRIGHT


def test_dark_objects_in_a_channel_of_fluorescence_are_not_sure():
    found = judged(discs(-60), is_fluorescence=True)
    assert (found.kind, found.likely) == (UNSURE, BRIGHT)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_type_offset_and_gain_make_no_difference(dtype):
    for frame, kind in ((discs(60), BRIGHT), (discs(-40, rim=60), BOTH)):
        assert judged(np.clip(frame, 0, 255).astype(dtype)).kind is kind
        assert judged((frame * 50 + 900).astype("uint16")).kind is kind


def test_a_ground_of_zero_without_noise_is_no_contrast():
    frame = np.maximum(discs(60) - 140, 0)
    assert judged(frame.astype(np.uint8)).kind is BRIGHT
    sharp = np.where(discs(60) > 150, 200, 0).astype(np.uint8)
    assert judged(sharp).kind is BRIGHT


def test_frames_that_contradict_each_other_leave_the_kind_unsure():
    assert judged(discs(60), discs(-60)).kind is UNSURE
    assert judged(discs(60), discs(60, seed=1), discs(-60)).kind is UNSURE
    assert judged(discs(60), discs(60, seed=1), discs(0)).kind is BRIGHT


def test_a_movie_of_which_hardly_a_frame_shows_anything_is_unsure():
    found = judged(discs(0), discs(0, seed=1), discs(0, seed=2), discs(60))
    assert found.kind is UNSURE
    assert "only 1 of 4 frames" in found.reason
    assert judge_picture([]).reason == "no frame could be read"


def test_fluorescence_is_never_taken_for_phase_contrast():
    frame = discs(-40, rim=60)
    assert judged(frame).kind is BOTH
    found = judged(frame, is_fluorescence=True)
    assert (found.kind, found.likely) == (UNSURE, BRIGHT)
    assert "the channel is fluorescence" in found.reason


def test_cells_that_cover_the_frame_leave_no_background_to_compare_with():
    found = judge_picture([Contrast(0.5, 1.0, 0.8)])
    assert found.kind is UNSURE
    assert "cells cover 80% of the frame" in found.reason


def test_the_reason_gives_the_figures():
    assert str(judged(discs(60))).startswith("bright objects: 100% of the contrast is brighter")
    assert str(judged(discs(0))).startswith("unsure, perhaps ")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_number_are_an_error(bad):
    frame = discs(60)
    frame[3, 3] = bad
    with pytest.raises(InputError):
        measure_contrast(frame)


def test_the_same_frame_always_gives_the_same_figures():
    frame = discs(60).astype(np.uint16)
    other = np.asfortranarray(frame.astype(">u2"))
    assert measure_contrast(frame) == measure_contrast(frame.copy()) == measure_contrast(other)


# Real images


SURE_OF = ("hela", "il1b", "incucyte", "nanog", "t98g", "trpl", "nuclei", "cerevisiae", "multich")


@pytest.mark.parametrize("place", OF_EACH_SERIES)
def test_every_channel_of_every_series_is_right_or_unsure(shared_data, place):
    source, metadata = load_microscopy_file(shared_data / place, **options_of(place))
    with source:
        found = {channel: look_at_channel(source, channel) for channel in OF_EACH_SERIES[place]}
    for channel, expected in OF_EACH_SERIES[place].items():
        assert found[channel].kind in (expected, UNSURE), (metadata.channel_names[channel], found)
        if any(name in place for name in SURE_OF):
            assert found[channel].kind is expected, (metadata.channel_names[channel], found)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("place", OF_EACH_SERIES)
def test_views_of_every_series_are_right_or_unsure(shared_data, place):
    found = views_told(place)
    assert found.wrong == []
    assert found.n_right >= LEAST_RIGHT[place], found


def test_what_is_dark_inverted_is_bright(shared_data):
    frame = tifffile.imread(shared_data / "nuclei" / "image.tif")
    assert judged(frame).kind is BRIGHT
    assert judged(frame.max() - frame).kind is DARK


def test_the_demo_is_right_in_each_channel(demo):
    source, metadata = load_microscopy_file(demo.image)
    with source:
        kinds = [look_at_channel(source, channel).kind for channel in range(metadata.n_channels)]
    assert kinds == [BOTH, BRIGHT, BRIGHT]
