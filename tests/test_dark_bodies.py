"""Cells that are evenly dark: kernels against slow twins, outlines against known truth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.runs.pixel_runs import find_runs
from pyama_core.processing.segmentation.instances import bodies
from pyama_core.processing.segmentation.instances.bodies import outline_bodies, shows_bodies
from pyama_core.processing.segmentation.instances.kernels.bodies import (
    shed,
    spread_of_dark,
    two_levels,
)
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

Labels = NDArray[np.int32]
Image = NDArray[np.float32]

compiled = settings(max_examples=50, deadline=None)
seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from([(1, 1), (1, 9), (7, 1), (2, 2), (9, 12), (20, 17)])


def scene(shape: tuple[int, int], seed: int) -> tuple[Labels, Image]:
    """Labels from 1 to 3, each one part, some absent; values in steps that single precision has."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    drawn = ndimage.zoom(rng.integers(0, 4, shape), 3, order=0)[: shape[0], : shape[1]]
    for label in (1, 2, 3):
        parts, n = ndimage.label(drawn == label)
        if n:
            labels[parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])] = label
    return labels, (rng.integers(-40, 40, shape) / 8).astype(np.float32)


def levels_plain(values: NDArray[Any], rounds: int) -> tuple[float, float]:
    """The means of what is at most the middle, and beyond it, the first middle the mean of all."""
    dark = bright = float(values.mean())
    for _ in range(rounds):
        above = values > (dark + bright) / 2
        dark = float(values[~above].mean())
        bright = float(values[above].mean()) if above.any() else dark
    return dark, bright


def shed_plain(cell: NDArray[np.bool_], image: Image, limit: float) -> NDArray[np.bool_]:
    """A mask without what is brighter and hangs together with the outside, pixel after pixel."""
    around = np.pad(cell, 1, "edge")
    edge = cell & ~ndimage.binary_erosion(around)[1:-1, 1:-1]
    bright = cell & (image > limit)
    gone = ndimage.binary_propagation(edge & bright, mask=bright)
    return np.asarray(cell & ~gone)


def dark_plain(cell: NDArray[np.bool_], image: Image, limit: float) -> tuple[int, float]:
    """How many pixels, and their four neighbours, are not brighter, and the spread of those."""
    dark = cell & (image <= limit)
    inside = dark & ndimage.binary_erosion(np.pad(dark, 1, "edge"))[1:-1, 1:-1]
    spread = float(image[inside].astype(float).std()) if inside.any() else np.inf
    return int(inside.sum()), spread


def lacks_halo_plain(found: NDArray[np.bool_], image: Image, diameter: float, dark: float) -> bool:
    """Whether the mean of what is near, no neighbour, hardly exceeds the median of what is far."""
    far = ndimage.distance_transform_cdt(np.pad(~found, 1, constant_values=True), "chessboard")
    far = far[1:-1, 1:-1] if found.any() else np.full(found.shape, 10**6)
    near, around = (max(1, round(part * diameter)) for part in (bodies.HALO_FROM, bodies.HALO_TO))
    some = image[::3, ::3]
    empty, halo = some[far[::3, ::3] > around], image[(far > near) & (far <= around)]
    if not halo.size or empty.size < bodies.ENOUGH_EMPTY * some.size:
        return False
    ground = float(np.median(empty))
    return float(halo.mean()) - ground < bodies.LEAST_HALO * (ground - dark)


def outline_plain(labels: Labels, image: Image, diameter: float) -> Labels:
    """The same as `outline_bodies`, cell by cell."""
    found = []
    for label in range(1, labels.max(initial=0) + 1):
        cell = labels == label
        if not cell.any():
            continue
        dark, bright = levels_plain(image[cell].astype(float), bodies.ROUNDS)
        limit = dark + bodies.EDGE * (bright - dark)
        parts, _ = ndimage.label(shed_plain(cell, image, limit))
        body = parts == 1 + np.argmax(np.bincount(parts.ravel(), minlength=2)[1:])
        n_deep, spread = dark_plain(cell, image, limit)
        even = spread < bodies.EVEN * (bright - dark)
        is_body = bool(even and n_deep >= bodies.LEAST_BODY * cell.sum())
        found.append((label, cell, body, is_body, dark, (dark + bright) / 2))
    dark_area = sum(cell.sum() for _, cell, _, is_body, *_ in found if is_body)
    if not dark_area or dark_area < bodies.ENOUGH_DARK * np.count_nonzero(labels):
        return labels
    typical = np.median([middle for *_, is_body, _, middle in found if is_body])
    out, masks = np.zeros_like(labels), np.zeros(labels.shape, np.bool_)
    for label, cell, body, is_body, dark, _ in found:
        if dark <= typical:
            out[body if is_body else cell] = label
            masks |= body & is_body
    usual = float(np.median([dark for *_, is_body, dark, _ in found if is_body]))
    return labels if lacks_halo_plain(masks, image, diameter, usual) else out


@compiled
@given(shapes, seeds)
def test_levels_limits_and_spreads_are_those_of_each_label(
    shape: tuple[int, int], seed: int
) -> None:
    labels, image = scene(shape, seed)
    runs = find_runs(labels, 0)
    levels = two_levels(runs, image, 3, 2)
    limit = np.array([0.0, -1.0, 0.5, 2.0])
    n_deep, spread = spread_of_dark(runs, labels, image, limit)
    left = labels.copy()
    shed(runs, image, limit, left)
    for label in (1, 2, 3):
        cell = labels == label
        if cell.any():
            assert levels[label] == pytest.approx(levels_plain(image[cell].astype(float), 2))
        expected = dark_plain(cell, image, limit[label])
        assert (n_deep[label], spread[label]) == pytest.approx(expected, abs=1e-6)
        np.testing.assert_array_equal(left == label, shed_plain(cell, image, limit[label]))


@compiled
@given(shapes, seeds, st.sampled_from([0.0, 1.0, 4.0]), st.sampled_from([3.0, 9.0]))
def test_bodies_are_outlined_as_cell_by_cell(
    shape: tuple[int, int], seed: int, depth: float, diameter: float
) -> None:
    labels, image = scene(shape, seed)
    dark = ndimage.binary_erosion(labels > 0)
    image = (image / 16 - depth * dark).astype(np.float32)
    found = outline_bodies(labels, image, diameter)
    np.testing.assert_array_equal(found, outline_plain(labels, image, diameter))


def colony(reach: float = 9.0) -> tuple[NDArray[np.uint16], Labels]:
    """Rods about a gap as large as they are, and one by itself; their masks."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:240, :320]
    rods = [(70, 110, 0), (150, 110, 0), (110, 70, 1), (110, 150, 1), (110, 250, 1)]
    true = np.zeros(rows.shape, np.int32)
    outside = np.full(rows.shape, 1e9)
    for label, (y, x, upright) in enumerate(rods, 1):
        along, across = (rows - y, columns - x) if upright else (columns - x, rows - y)
        depth = np.hypot(np.maximum(np.abs(along) - 22, 0), across) - 11
        true[depth < 0] = label
        outside = np.minimum(outside, depth)
    halo = 0.3 * np.exp(-np.maximum(outside, 0) / reach)
    rod = 1 / (1 + np.exp(outside / 1.2))
    seen = 6000 * (1 + (1 - rod) * halo - 0.5 * rod)
    return (seen + rng.normal(0, 30, rows.shape)).astype(np.uint16), true


def segment(frame: NDArray[Any]) -> NDArray[Any]:
    return InstanceSegmenter(InstanceParameters(cell_diameter=40)).segment(frame)


def test_dark_rods_are_outlined_to_the_pixel_and_the_gap_between_them_is_none() -> None:
    frame, true = colony()
    found = segment(frame)
    assert found.max() == true.max() == 5
    assert found[110, 110] == 0
    for label in range(1, 6):
        rod = true == label
        own = found == np.bincount(found[rod]).argmax()
        assert (rod & own).sum() / (rod | own).sum() > 0.85


def test_cells_with_texture_keep_their_outlines(monkeypatch: pytest.MonkeyPatch) -> None:
    movie = Movie(DemoParameters(fovs=1, frames=1, size=400, seed=8), 0)
    frame = next(movie.frames()).planes[0]
    found = segment(frame)
    assert found.any()
    monkeypatch.setattr(bodies, "EVEN", 0.0)
    np.testing.assert_array_equal(segment(frame), found)


def test_a_bright_fringe_without_a_halo_belongs_to_the_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame, _ = colony(reach=1.5)
    found = segment(frame)
    monkeypatch.setattr(bodies, "EVEN", 0.0)
    np.testing.assert_array_equal(segment(frame), found)
    monkeypatch.undo()
    monkeypatch.setattr(bodies, "LEAST_HALO", -1.0)
    assert np.count_nonzero(segment(frame)) < 0.9 * np.count_nonzero(found)


def textured(size: int) -> NDArray[np.uint16]:
    """A frame that a textured cell, larger than all the rods, covers in the middle."""
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:240, :320]
    frame = rng.normal(6000, 30, rows.shape)
    inside = np.maximum(abs(rows - 120), abs(columns - 130)) < size
    frame[inside] += rng.normal(0, 900, np.count_nonzero(inside))
    return frame.astype(np.uint16)


def prepared(*frames: NDArray[Any]) -> InstanceSegmenter:
    segmenter = InstanceSegmenter(InstanceParameters(cell_diameter=40))
    segmenter.prepare(frames)
    return segmenter


def test_outlines_are_drawn_in_one_way_in_all_frames_of_a_movie() -> None:
    frame, _ = colony()
    # A frame of the same movie in which most of what is found is no body.
    mixed = textured(60)
    mixed[:, 220:] = frame[:, 220:]
    lone = np.s_[75:145, 225:275]
    alone, in_movie = segment(mixed), prepared(frame, frame).segment(mixed)
    assert np.count_nonzero(in_movie[lone]) < 0.85 * np.count_nonzero(alone[lone])
    # And the reverse: what a movie of textured cells shows now and then.
    assert np.count_nonzero(prepared(mixed, mixed).segment(frame)) > 1.2 * np.count_nonzero(
        segment(frame)
    )


def test_whether_there_is_a_halo_is_told_by_the_frames_that_can_tell() -> None:
    fringe, halo = colony(reach=1.5)[0], colony()[0]
    full = halo[50:170, 50:170]  # with hardly any background
    widened = np.pad(full, ((60, 60), (100, 100)), "symmetric")
    assert np.count_nonzero(prepared(fringe, widened).segment(fringe)) == np.count_nonzero(
        segment(fringe)
    )
    labels, image = np.zeros((9, 9), np.int32), np.zeros((9, 9), np.float32)
    assert shows_bodies([], 9.0) is None
    assert shows_bodies([(labels, image)], 9.0) is None


def test_a_bright_speck_in_a_body_is_part_of_it() -> None:
    frame, true = colony()
    frame[108:113, 248:253] = 7000
    found = segment(frame)
    assert found[110, 250] == found[110, 244] > 0
    assert found.max() == true.max()


def test_with_nuclei_outlines_stay_and_each_nucleus_has_its_cell() -> None:
    frame, true = colony()
    nuclei = np.full(frame.shape, 100, np.uint16)
    for y, x in ndimage.center_of_mass(true > 0, true, range(1, 6)):
        cv2.circle(nuclei, (round(x), round(y)), 5, 900, -1)
    found = InstanceSegmenter(InstanceParameters(cell_diameter=40)).segment(frame, nuclei)
    assert found.max() == 5
    assert np.count_nonzero(found) > 1.3 * np.count_nonzero(true)


def test_without_cells_there_is_nothing_to_outline() -> None:
    nothing = np.zeros((5, 7), np.int32)
    assert not outline_bodies(nothing, np.zeros((5, 7), np.float32), 9.0).any()
