"""Bright and dark objects are found, told apart and measured out, whatever the picture is like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.bright.contrast import _quiet_noise
from pyama_core.processing.segmentation.bright.method import BrightParameters, DarkParameters
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.types import ProcessingContext
from pyama_core.processing.workflow.warm_up import warm_up_all, warm_ups
from truth import found_cells

Image = NDArray[Any]
SHAPE = (200, 240)


def same_cells(truth: Image, labels: Image, least_iou: float) -> float:
    """Return the part of the objects of both that are in both."""
    n = max(np.unique(truth[truth > 0]).size, int(labels.max()), 1)
    return len(found_cells(truth, labels, least_iou)) / n


def ellipse(
    shape: tuple[int, int], y: float, x: float, diameter: float, longer: float = 1.0
) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return ((rows - y) * longer) ** 2 + ((columns - x) / longer) ** 2 < (diameter / 2) ** 2


def scene(diameter: float = 20, spacing: float = 40, seed: int = 0) -> tuple[Image, Image]:
    """Return nuclei of different brightness as if through a lens, without noise, and the truth."""
    rng = np.random.default_rng(seed)
    light, truth = np.zeros(SHAPE), np.zeros(SHAPE, np.int32)
    centres = [
        (y, x)
        for y in np.arange(spacing / 2, SHAPE[0], spacing)
        for x in np.arange(spacing / 2, SHAPE[1], spacing)
    ]
    for label, (y, x) in enumerate(centres, 1):
        dy, dx = rng.uniform(-0.1, 0.1, 2) * spacing
        inside = ellipse(SHAPE, y + dy, x + dx, diameter, rng.uniform(0.85, 1.2))
        light[inside], truth[inside] = rng.uniform(150, 600), label
    return cv2.GaussianBlur(light, (0, 0), 1.2), truth


def photographed(light: Image, background: float = 100.0, noise: float = 8.0) -> Image:
    rng = np.random.default_rng(1)
    return np.round(light + background + rng.normal(0, noise, light.shape)).astype(np.uint16)


def segment(frame: Image, diameter: float | str = "auto", **parameters: Any) -> Image:
    segmenter = ObjectSegmenter(BrightParameters(cell_diameter=diameter, **parameters))
    segmenter.prepare([frame])
    return segmenter.segment(frame)


def diameters(labels: Image) -> Image:
    return np.sort(np.sqrt(np.bincount(labels.ravel())[1:] * 4 / np.pi))


def estimated(frame: Image) -> float | None:
    return ObjectSegmenter().prepare([frame]).cell_diameter


@pytest.fixture(scope="module")
def nuclei() -> tuple[Image, Image]:
    light, truth = scene()
    return photographed(light), truth


def test_each_nucleus_is_found_with_its_outline(nuclei: tuple[Image, Image]) -> None:
    frame, truth = nuclei
    labels = segment(frame)
    assert labels.max() == truth.max() == 30
    assert same_cells(truth, labels, least_iou=0.8) == 1


@pytest.mark.parametrize("diameter", [7, 12, 20, 30, 60])
def test_the_diameter_is_found_whatever_it_is(diameter: float) -> None:
    light, _ = scene(diameter, spacing=2 * diameter)
    assert estimated(photographed(light)) == pytest.approx(diameter, rel=0.15, abs=1)


@pytest.mark.parametrize("diameter", [13, 16, 20, 25, 30])
def test_a_diameter_that_is_half_wrong_finds_the_same(
    nuclei: tuple[Image, Image], diameter: float
) -> None:
    frame, truth = nuclei
    assert same_cells(truth, segment(frame, diameter), least_iou=0.75) >= 0.95


def test_dark_objects_are_found_as_bright_ones_are_in_the_inverted_frame(
    nuclei: tuple[Image, Image],
) -> None:
    frame = nuclei[0].astype(np.float32)
    dark = ObjectSegmenter(DarkParameters())
    assert dark.prepare([-frame]) == ObjectSegmenter().prepare([frame])
    np.testing.assert_array_equal(dark.segment(-frame), segment(frame))


CHANGES: dict[str, Callable[[Image], Image]] = {
    "brighter": lambda f: f + 5000.0,
    "more contrast": lambda f: 7.0 * f,
    "tiny floats": lambda f: 1e-9 * f,
    "huge floats": lambda f: 1e20 * f,
    "negative": lambda f: f - 40_000.0,
    "8 bit": lambda f: (f // 4).astype(np.uint8),
    "8 bit, background of zero": lambda f: np.maximum(f // 4.0 - 40, 0).astype(np.uint8),
    "saturated": lambda f: np.minimum(f, 300),
    "dark corners": lambda f: f * (1 - 0.6 * _distance_from_centre(f.shape) ** 2),
    "slanted": lambda f: f + 3.0 * np.arange(f.shape[1]),
    "32 bit": lambda f: f.astype(np.int32) * 1000,
}


def _distance_from_centre(shape: tuple[int, ...]) -> Image:
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return np.hypot(y[:, None], x) / np.sqrt(2)


@pytest.mark.parametrize("change", CHANGES)
def test_objects_are_found_again_under_another_light_or_camera(
    nuclei: tuple[Image, Image], change: str
) -> None:
    frame, truth = nuclei
    assert same_cells(truth, segment(CHANGES[change](frame)), least_iou=0.7) >= 0.95


@pytest.mark.parametrize("turn", [np.rot90, np.fliplr, np.flipud, np.transpose])
def test_objects_are_found_again_in_a_turned_frame(
    nuclei: tuple[Image, Image], turn: Callable[[Image], Image]
) -> None:
    frame, _ = nuclei
    found = segment(np.ascontiguousarray(turn(frame)), 20)
    assert same_cells(turn(segment(frame, 20)), found, least_iou=0.9) == 1


def touching(distance: float, ratio: float = 1.0) -> tuple[Image, Image]:
    """Return pairs of ellipses whose centres are so many diameters apart, and their truth."""
    light, truth = np.zeros(SHAPE), np.zeros(SHAPE, np.int32)
    label = 0
    for y in range(30, 200, 45):
        for x in range(40, 240, 80):
            for side, brightness in ((-0.5, 300.0), (0.5, 300.0 * ratio)):
                label += 1
                inside = ellipse(SHAPE, y, x + side * distance * 24, 24, 0.85)
                inside &= light < brightness
                light[inside], truth[inside] = brightness, label
    return photographed(cv2.GaussianBlur(light, (0, 0), 1.2)), truth


@pytest.mark.parametrize("diameter", [20, 24, 28])
def test_touching_nuclei_of_equal_brightness_are_told_apart(diameter: float) -> None:
    frame, truth = touching(0.75)
    assert same_cells(truth, segment(frame, diameter), least_iou=0.7) >= 0.9


@pytest.mark.parametrize("ratio", [2.5, 8.0])
def test_a_faint_nucleus_beside_a_bright_one_is_found(ratio: float) -> None:
    frame, truth = touching(0.75, ratio)
    assert same_cells(truth, segment(frame, 24), least_iou=0.5) >= 0.9


@pytest.mark.parametrize(("ratio", "off"), [(1.3, 0.02), (2.0, 0.02), (4.0, 0.04), (8.0, 0.11)])
def test_a_faint_nucleus_among_bright_ones_keeps_its_sides(ratio: float, off: float) -> None:
    y, x = np.mgrid[:160, :160]
    faint = np.hypot(y - 80, x - 80) < 12
    light = 100.0 * faint
    for dy, dx in ((0, 26), (22, -14), (-22, -14)):
        light = light + 100 * ratio * (np.hypot(y - 80 - dy, x - 80 - dx) < 12)
    noise = np.random.default_rng(0).normal(200, 3, light.shape)
    frame = cv2.GaussianBlur(light, (0, 0), 0.9) + noise
    labels = ObjectSegmenter(BrightParameters(cell_diameter=24)).segment(frame)
    assert labels.max() == 4
    found = labels == labels[80, 80]
    assert found.sum() == pytest.approx(faint.sum(), rel=off)
    assert (found & faint).sum() > (1 - off) * faint.sum()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spacing", [26, 24, 23])
def test_nuclei_that_cover_half_of_the_frame_are_found(spacing: float, seed: int) -> None:
    """However unequal: they are not taken for the noise of a background that is between them."""
    light, truth = scene(spacing=spacing, seed=seed)
    each = np.exp(np.random.default_rng(seed).uniform(np.log(0.6), np.log(6), truth.max()))
    unequal = np.concatenate([[0], 300 * each])[truth]
    assert np.mean(truth > 0) > 0.45
    for crowd in (light, cv2.GaussianBlur(unequal, (0, 0), 1.2)):
        frame = photographed(crowd)
        assert estimated(frame) == pytest.approx(20, rel=0.15)
        assert same_cells(truth, segment(frame), 0.5) > 0.95


def test_noise_is_that_of_the_quietest_blocks_where_all_else_is_objects() -> None:
    image = np.random.default_rng(3).normal(0, 1, (123, 250)).astype(np.float32)
    image[:60] *= 40
    spreads = [
        image[y : y + 12, x : x + 12].std() for y in range(0, 120, 12) for x in range(0, 240, 12)
    ]
    assert _quiet_noise(image, 24) == pytest.approx(np.percentile(spreads, 5), rel=1e-5)
    assert _quiet_noise(image[:50, :50], 24) == np.inf  # too few blocks to tell


def test_a_long_nucleus_and_one_with_a_notch_stay_whole() -> None:
    light, truth = np.zeros(SHAPE), np.zeros(SHAPE, np.int32)
    for label, (y, x) in enumerate(((50, 60), (50, 180), (150, 60), (150, 180)), 1):
        inside = ellipse(SHAPE, y, x, 24, 1.3)
        if label > 2:
            inside &= ~ellipse(SHAPE, y - 11, x, 9)
        light[inside], truth[inside] = 300, label
    labels = segment(photographed(cv2.GaussianBlur(light, (0, 0), 1.2)), 24)
    assert labels.max() == 4
    assert same_cells(truth, labels, least_iou=0.7) == 1


def dividing() -> tuple[Image, Image]:
    """Return nuclei, and the chromosomes of two that divide: as much light on a fifth of the area.

    There are specks of dirt too, as small as the chromosomes and no brighter than nuclei.
    """
    light, truth = np.zeros(SHAPE), np.zeros(SHAPE, np.int32)
    for label, (y, x) in enumerate(((50, 50), (50, 120), (50, 190), (150, 50), (150, 120)), 1):
        inside = ellipse(SHAPE, y, x, 28)
        light[inside], truth[inside] = 300, label
    for label, (y, x) in enumerate(((140, 180), (140, 200), (170, 180), (170, 200)), 6):
        inside = ellipse(SHAPE, y, x, 10, 1.4)
        light[inside], truth[inside] = 1800, label
    for y, x in ((100, 30), (100, 90), (100, 150)):
        light[ellipse(SHAPE, y, x, 8)] = 300
    return photographed(cv2.GaussianBlur(light, (0, 0), 1.2)), truth


def test_small_bright_chromosomes_are_kept_and_specks_are_not() -> None:
    frame, truth = dividing()
    labels = segment(frame, 28)
    assert labels.max() == truth.max()
    assert same_cells(truth, labels, least_iou=0.5) == 1
    assert segment(frame, 28, min_diameter=13).max() == 5


def test_a_faint_nucleus_is_not_torn_to_pieces_by_noise() -> None:
    light, truth = np.zeros(SHAPE), np.zeros(SHAPE, np.int32)
    for label, (y, x) in enumerate(((50, 50), (50, 150), (150, 50), (150, 150)), 1):
        inside = ellipse(SHAPE, y, x, 28)
        light[inside], truth[inside] = (500 if label == 1 else 18), label
    frame = photographed(cv2.GaussianBlur(light, (0, 0), 1.5), noise=12)
    labels = segment(frame, 28)
    assert labels.max() == 4
    assert same_cells(truth, labels, least_iou=0.7) == 1


def spread_cell() -> tuple[Image, Image]:
    """Return a cell whose thin parts have a sixth of its brightness."""
    body = ellipse(SHAPE, 100, 120, 40)
    thin = ellipse(SHAPE, 100, 120, 62, 1.5)
    light = cv2.GaussianBlur(np.where(body, 600.0, np.where(thin, 100.0, 0.0)), (0, 0), 2)
    return photographed(light, noise=5), (body | thin).astype(np.int32)


def test_the_body_of_a_spread_cell_is_one_object() -> None:
    frame, truth = spread_cell()
    labels = segment(frame, 45)
    middle = labels[100, 120]
    assert middle > 0
    assert np.mean(labels[ellipse(SHAPE, 100, 120, 34)] == middle) == 1
    assert np.mean(truth[labels == middle]) >= 0.98


@pytest.mark.parametrize("diameter", [12, 40, 90])
def test_one_object_alone_is_found_by_its_own_diameter(diameter: float) -> None:
    inside = ellipse((300, 300), 150, 140, diameter)
    frame = photographed(cv2.GaussianBlur(np.where(inside, 200.0, 0.0), (0, 0), 1.2))
    assert estimated(frame) == pytest.approx(diameter, rel=0.15)
    labels = segment(frame)
    assert labels.max() == 1
    assert same_cells(inside.astype(np.int32), labels, least_iou=0.85) == 1


def empty_frame(kind: str) -> Image:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1:1:300j, -1:1:400j]
    light = 300 * (1 - 0.4 * (x * x + y * y))
    frame = {
        "even": 1000 + rng.normal(0, 10, x.shape),
        "photons, uneven": rng.poisson(light),
        "constant": np.full(x.shape, 1000),
        "zero": np.zeros(x.shape),
        "hot pixels": 1000 + rng.normal(0, 10, x.shape) + 20_000 * (rng.random(x.shape) < 1e-4),
        "8 bit": np.round(rng.normal(3, 1, x.shape)).clip(0),
        "slope": 1000 + 300 * x,
    }[kind]
    return np.round(frame).astype(np.uint16)


EMPTY = ["even", "photons, uneven", "constant", "zero", "hot pixels", "8 bit", "slope"]


def drawn(low: float, high: float, dtype: type) -> Image:
    """Draw eleven discs in one grey on another, without any noise."""
    frame = np.full((260, 260), low, dtype)
    y, x = np.mgrid[:260, :260]
    for n in range(11):
        frame[np.hypot(y - 40 - 60 * (n // 4), x - 40 - 60 * (n % 4)) < 11] = high
    return frame


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, np.uint8), (0, 1, np.bool_), (100, 130, np.uint16), (-0.5, 0.5, np.float32)],
)
def test_objects_of_one_grey_on_another_are_found(low: float, high: float, dtype: type) -> None:
    frame = drawn(low, high, dtype)
    segmenter = ObjectSegmenter()
    segmenter.prepare([frame])
    assert segmenter.cell_diameter == pytest.approx(22, rel=0.2)
    labels = segmenter.segment(frame)
    assert labels.max() == 11
    assert (labels > 0).sum() == pytest.approx((frame == frame.max()).sum(), rel=0.15)


def test_objects_of_a_few_greys_are_found_and_dark_ones_by_dark() -> None:
    frame = np.maximum(drawn(0, 100, np.uint8), np.roll(drawn(0, 200, np.uint8), 30, axis=1))
    assert ObjectSegmenter(BrightParameters(cell_diameter=22)).segment(frame).max() >= 20
    dark = ObjectSegmenter(DarkParameters(cell_diameter=22))
    assert dark.segment(drawn(255, 0, np.uint8)).max() == 11


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.98])
def test_pixels_of_two_greys_at_random_are_noise(share: float) -> None:
    frame = (np.random.default_rng(0).random((300, 300)) < share).astype(np.uint8)
    assert ObjectSegmenter(BrightParameters(cell_diameter=12)).segment(frame).max() == 0


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("diameter", [6, 10, 24, 80])
def test_nothing_is_found_where_nothing_is(kind: str, diameter: float) -> None:
    assert not segment(empty_frame(kind), diameter).any()


@pytest.mark.parametrize("kind", EMPTY)
def test_of_nothing_no_diameter_is_known(kind: str) -> None:
    calibration = ObjectSegmenter().prepare([empty_frame(kind)])
    assert not calibration.found_cells
    assert calibration.cell_diameter == 24


def test_hot_pixels_are_neither_objects_nor_do_they_change_any(
    nuclei: tuple[Image, Image],
) -> None:
    frame, truth = nuclei
    hot = frame.copy()
    hot[np.random.default_rng(5).random(frame.shape) < 5e-4] = 60_000
    assert estimated(hot) == estimated(frame)
    assert same_cells(truth, segment(hot), least_iou=0.75) == 1


def test_debris_is_left_out(nuclei: tuple[Image, Image]) -> None:
    frame, truth = nuclei
    light = np.zeros(frame.shape)
    places = np.argwhere(cv2.dilate((truth > 0).astype(np.uint8), np.ones((13, 13))) == 0)
    for y, x in np.random.default_rng(2).permutation(places)[:15]:
        light[ellipse(SHAPE, y, x, 5)] = 400
    dirty = frame + np.round(cv2.GaussianBlur(light, (0, 0), 1)).astype(np.uint16)
    labels = segment(dirty)
    assert labels.max() == truth.max()
    assert same_cells(truth, labels, least_iou=0.75) == 1


def test_limits_of_size_leave_out_what_is_beyond() -> None:
    light = np.zeros(SHAPE)
    for x, diameter in ((30, 12), (80, 18), (150, 30)):
        light[ellipse(SHAPE, 100, x, diameter)] = 300
    frame = photographed(cv2.GaussianBlur(light, (0, 0), 1))
    assert diameters(segment(frame, 18)) == pytest.approx([12, 18, 30], rel=0.14)
    assert diameters(segment(frame, 18, min_diameter=15)) == pytest.approx([18, 30], rel=0.14)
    assert diameters(segment(frame, 18, max_diameter=24)) == pytest.approx([12, 18], rel=0.14)
    both = BrightParameters(cell_diameter="9 um", min_diameter="7.5 um", max_diameter="12um")
    assert diameters(ObjectSegmenter(both.in_pixels(0.5)).segment(frame)) == pytest.approx(
        [18], rel=0.14
    )


def test_more_contrast_leaves_out_faint_objects_and_less_finds_them() -> None:
    light = np.zeros(SHAPE)
    for x, brightness in ((40, 400), (120, 40), (200, 8)):
        light[ellipse(SHAPE, 100, x, 24)] = brightness
    frame = photographed(cv2.GaussianBlur(light, (0, 0), 1.2), noise=4)
    counts = [int(segment(frame, 24, contrast=contrast).max()) for contrast in (2, 3.5, 30)]
    assert counts[0] >= counts[1] >= 2
    assert counts[2] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"contrast": 0},
        {"min_diameter": -1},
        {"min_diameter": "large"},
        {"min_diameter": 20, "max_diameter": 10},
        {"cell_diameter": 2},
    ],
    ids=str,
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BrightParameters(**wrong)


def test_lengths_need_the_size_of_a_pixel() -> None:
    with pytest.raises(InputError, match="min_diameter is 4 um, but the file does not tell"):
        BrightParameters(min_diameter="4 um").in_pixels(None)
    with pytest.raises(InputError, match="Expected diameters in pixels"):
        ObjectSegmenter(BrightParameters(cell_diameter=20, max_diameter="4 um"))


def test_the_diameter_is_to_be_known_before_frames_are_segmented() -> None:
    with pytest.raises(InputError, match="call prepare"):
        ObjectSegmenter().segment(np.zeros((9, 9)))
    with pytest.raises(InputError, match="at least one frame"):
        ObjectSegmenter().prepare([])


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (7, 9), (5, 300)])
def test_frames_of_any_shape_are_segmented(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    for diameter in ("auto", 6, 24, 200):
        labels = segment(frame, diameter)
        assert labels.shape == shape
        assert labels.dtype == np.uint16


def test_a_frame_is_segmented_the_same_whatever_came_before(nuclei: tuple[Image, Image]) -> None:
    frame, _ = nuclei
    segmenter = ObjectSegmenter(BrightParameters(cell_diameter=20))
    first = segmenter.segment(frame)
    segmenter.segment(np.ascontiguousarray(frame.T[:90]))
    np.testing.assert_array_equal(segmenter.segment(frame), first)
    assert list(dict.fromkeys(first[first > 0].tolist())) == list(range(1, first.max() + 1))


@pytest.mark.parametrize("name", ["bright", "dark"])
def test_the_method_is_found_by_its_name_and_takes_no_nuclei(name: str) -> None:
    method = find_segmentation(name)
    parameters = method.parameters()
    assert parameters.model_dump()["method"] == name
    assert method.labels
    assert method.compiled
    assert not method.by_nuclei


def test_limits_in_micrometres_are_compared_when_the_pixel_size_is_known() -> None:
    parameters = BrightParameters(min_diameter="12 um", max_diameter=20)
    assert parameters.in_pixels(0.65).min_diameter == pytest.approx(12 / 0.65)
    with pytest.raises(InputError, match="at least min_diameter, found 20"):
        parameters.in_pixels(0.5)


def test_kernels_are_compiled_in_advance_whatever_unit_the_limits_have() -> None:
    segmentation = {"method": "bright", "min_diameter": "4 um", "cell_diameter": "12 um"}
    analysis = parse_analysis(ProcessingContext(params={"segmentation": segmentation}))
    warm_up_all(warm_ups(analysis, "uint16"))
