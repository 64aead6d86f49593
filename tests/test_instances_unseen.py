"""The segmentation into instances on images that differ from those that it was made with.

What a microscope, a camera or a person may change without changing the cells must not change what
is found of them: gain and offset, orientation, magnification, grey levels, illumination, noise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

Image = NDArray[Any]

DEMO_DIAMETER, GLIOMA_DIAMETER = 41.0, 60.0


@pytest.fixture(scope="module")
def demo_frame() -> Image:
    movie = Movie(DemoParameters(fovs=1, frames=1, size=512, seed=0), 0)
    return next(iter(movie.frames())).planes[0]


@pytest.fixture(params=["demo", "glioma cells"])
def scene(request: pytest.FixtureRequest, demo_frame: Image) -> tuple[Image, float]:
    """A frame and the diameter of its cells in pixels."""
    if request.param == "demo":
        return demo_frame, DEMO_DIAMETER
    shared_data: Path = request.getfixturevalue("shared_data")
    frame = tifffile.imread(sorted((shared_data / "t98g" / "raw").glob("*.tif"))[9])
    return np.ascontiguousarray(frame[200:800, 200:800]), GLIOMA_DIAMETER


def segment(frame: Image, diameter: float) -> Image:
    return InstanceSegmenter(InstanceParameters(cell_diameter=diameter)).segment(frame)


def estimate(frame: Image) -> float:
    segmenter = InstanceSegmenter()
    segmenter.prepare([frame])
    assert segmenter.cell_diameter is not None
    return segmenter.cell_diameter


def same_cells(one: Image, other: Image) -> float:
    """Return the part of cells that are found in both, by more than half of their union."""
    n_one, n_other = int(one.max()), int(other.max())
    pairs = one.astype(np.int64).ravel() * (n_other + 1) + other.ravel()
    common = np.bincount(pairs, minlength=(n_one + 1) * (n_other + 1))
    common = common.reshape(n_one + 1, n_other + 1)
    union = common.sum(axis=1)[:, None] + common.sum(axis=0) - common
    n_both = np.count_nonzero(2 * common[1:, 1:] > union[1:, 1:])
    return 2 * n_both / (n_one + n_other)


def in_grey_levels(frame: Image, n: int) -> Image:
    low, high = np.percentile(frame, [0.1, 99.9])
    return np.clip((frame - low) / (high - low) * (n - 1), 0, n - 1).astype(np.uint8)


def vignetted(frame: Image) -> Image:
    y, x = np.ogrid[-1 : 1 : frame.shape[0] * 1j, -1 : 1 : frame.shape[1] * 1j]
    return np.round(frame * (1 - 0.35 * (x * x + y * y))).astype(np.uint16)


def noisy(frame: Image) -> Image:
    """Add noise of a twentieth of the contrast."""
    low, high = np.percentile(frame, [5, 95])
    noise = np.random.default_rng(0).normal(0, 0.05 * (high - low), frame.shape)
    return np.clip(np.round(frame + noise), 0, 65535).astype(np.uint16)


def resized(image: Image, factor: float, how: int) -> Image:
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return np.asarray(cv2.resize(image, size, interpolation=how))


CHANGES: dict[str, Callable[[Image], Image]] = {
    "a quarter of the gain, another offset": lambda f: np.round(f * 0.25 + 300).astype(np.uint16),
    "37 times the gain, as floats": lambda f: f.astype(np.float32) * 37,
    "8 bits": lambda f: in_grey_levels(f, 256),
    "32 grey levels": lambda f: in_grey_levels(f, 32),
    "a vignette": vignetted,
    "some noise": noisy,
}


@pytest.mark.parametrize("change", CHANGES)
def test_cells_are_found_again_after_a_change_of_camera_or_light(
    scene: tuple[Image, float], change: str
) -> None:
    frame, diameter = scene
    before, after = segment(frame, diameter), segment(CHANGES[change](frame), diameter)
    assert before.max() > 10
    assert same_cells(before, after) >= 0.9


def test_cells_are_found_where_they_cover_more_than_the_background() -> None:
    rng = np.random.default_rng(0)
    frame = rng.normal(1000, 4, (400, 400))
    y, x = np.ogrid[:400, :400]
    for row in range(0, 400, 50):
        for column in range(0, 400, 50):
            disc = np.hypot(y - row - 24, x - column - 24) < 23
            frame += np.where(disc, cv2.GaussianBlur(rng.normal(0, 200, (400, 400)), (0, 0), 1), 0)
    labels = segment(frame, 45.0)
    assert np.mean(labels > 0) > 0.6
    assert labels.max() > 30


@pytest.mark.parametrize("turn", [np.rot90, np.fliplr, np.flipud, np.transpose])
def test_cells_are_found_again_in_a_turned_or_mirrored_frame(
    scene: tuple[Image, float], turn: Callable[[Image], Image]
) -> None:
    frame, diameter = scene
    before = turn(segment(frame, diameter))
    after = segment(np.ascontiguousarray(turn(frame)), diameter)
    assert before.max() > 10
    assert same_cells(before, after) >= 0.95


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_cells_are_found_again_at_another_magnification(
    scene: tuple[Image, float], factor: float
) -> None:
    frame, diameter = scene
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    before = resized(segment(frame, diameter), factor, cv2.INTER_NEAREST)
    after = segment(resized(frame.astype(np.float32), factor, how), diameter * factor)
    assert before.max() > 10
    assert same_cells(before, after) >= 0.95


def test_the_estimated_diameter_follows_the_magnification(demo_frame: Image) -> None:
    expected = estimate(demo_frame)
    assert expected == pytest.approx(DEMO_DIAMETER, rel=0.15)
    for factor, how in ((0.5, cv2.INTER_AREA), (1.5, cv2.INTER_CUBIC)):
        found = estimate(resized(demo_frame.astype(np.float32), factor, how))
        assert found / factor == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("corner", [(0, 0), (0, 256), (256, 0), (256, 256)])
def test_a_few_cells_in_each_of_some_frames_are_enough_to_estimate_their_diameter(
    corner: tuple[int, int],
) -> None:
    movie = Movie(DemoParameters(fovs=1, frames=40, size=512, seed=0), 0)
    y, x = corner
    frames = [
        np.ascontiguousarray(frame.planes[0][y : y + 256, x : x + 256])
        for frame in movie.frames()
        if frame.index in (0, 20, 39)
    ]
    segmenter = InstanceSegmenter()
    segmenter.prepare(frames)
    assert segmenter.cell_diameter == pytest.approx(DEMO_DIAMETER, rel=0.25)


@pytest.mark.parametrize("change", CHANGES)
def test_the_estimated_diameter_survives_a_change_of_camera_or_light(
    demo_frame: Image, change: str
) -> None:
    assert estimate(CHANGES[change](demo_frame)) == pytest.approx(estimate(demo_frame), rel=0.1)


def empty_frame(kind: str) -> Image:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1:1:400j, -1:1:500j]
    light = 300 * (1 - 0.4 * (x * x + y * y))
    frame = {
        "even": 1000 + rng.normal(0, 10, x.shape),
        "photons, uneven": rng.poisson(light),
        "stripes": 1000 + 15 * np.sin(40 * x + 10 * y) + rng.normal(0, 10, x.shape),
        "hot pixels": 1000 + rng.normal(0, 10, x.shape) + 20_000 * (rng.random(x.shape) < 1e-4),
    }[kind]
    return np.round(frame).astype(np.uint16)


@pytest.mark.parametrize("kind", ["even", "photons, uneven", "stripes", "hot pixels"])
@pytest.mark.parametrize("diameter", [20.0, 40.0, 60.0])
def test_nearly_nothing_is_found_where_there_are_no_cells(kind: str, diameter: float) -> None:
    assert np.mean(segment(empty_frame(kind), diameter) > 0) < 0.02
