"""Limits of the segmentation into instances: what lies just within and just beyond each.

Each case stands within 15 % of a constant at the head of `contrast`, `separation` or `diameter`, so
that a constant that is changed by more fails here.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pyama_core.processing.runs.pixel_runs import find_runs
from pyama_core.processing.segmentation.instances.contrast import _lowest_mode
from pyama_core.processing.segmentation.instances.diameter import _best_peak
from pyama_core.processing.segmentation.instances.separation import (
    painted,
    separate,
    separate_by_nuclei,
    without_specks,
)
from pyama_core.processing.segmentation.scale import Scale

SCALE = Scale(18.0)  # the working image is the frame; a cell has 254 pixels
BoolArray = NDArray[np.bool_]


def ellipse(shape: tuple[int, int], y: float, x: float, height: float, width: float) -> BoolArray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1)


def cells_in(body: BoolArray, lines: BoolArray | None = None, brightness: float = 1.0) -> int:
    """How many cells a mask is, if lines part it."""
    lines = np.zeros_like(body) if lines is None else lines & body
    image = (brightness * body).astype(np.float32)
    labels = painted(separate(body, lines, image, SCALE), np.zeros(body.shape, np.int32))
    return np.unique(labels[labels > 0]).size


@pytest.mark.parametrize(("neck", "n_cells"), [(0.72, 2), (0.88, 1)])
def test_a_neck_of_less_than_four_fifths_of_the_width_separates(neck: float, n_cells: int) -> None:
    radius = 38.0  # far larger than a cell: roundness does not join what the neck separates
    apart = 2 * radius * np.sqrt(1 - neck**2)
    shape = (100, 200)
    body = ellipse(shape, 50, 50, radius, radius) | ellipse(shape, 50, 50 + apart, radius, radius)
    assert cells_in(body) == n_cells


@pytest.mark.parametrize(("area", "n_cells"), [(1.8, 1), (2.25, 2)])
def test_halves_join_to_a_disc_of_up_to_two_cells(area: float, n_cells: int) -> None:
    radius = 9.0 * np.sqrt(area)
    body = ellipse((40, 40), 20, 20, radius, radius)
    line = np.zeros_like(body)
    line[:, 20] = True
    assert cells_in(body, line) == n_cells


@pytest.mark.parametrize(("ratio", "n_cells"), [(0.72, 1), (0.52, 2)])
def test_halves_join_to_an_ellipse_of_a_roundness_of_nine_tenths(
    ratio: float, n_cells: int
) -> None:
    # The roundness of an ellipse is 2 q / (1 + q²): 0.95 and 0.82.
    body = ellipse((40, 60), 20, 30, 11 * np.sqrt(ratio), 11 / np.sqrt(ratio))
    line = np.zeros_like(body)
    line[:, 30] = True
    assert cells_in(body, line) == n_cells


@pytest.mark.parametrize(("radius", "n_cells"), [(3.75, 0), (4.2, 1)])
def test_a_cell_has_at_least_a_fifth_of_the_usual_area(radius: float, n_cells: int) -> None:
    body = ellipse((30, 60), 15, 15, radius, radius) | ellipse((30, 60), 15, 40, 9, 9)
    image = np.where(np.arange(60) < 28, 4.0, 1.0) * body  # bright, lest it be a speck
    labels = painted(
        separate(body, np.zeros_like(body), image.astype(np.float32), SCALE),
        np.zeros(body.shape, np.int32),
    )
    assert np.unique(labels[:, :28]).size - 1 == n_cells


def squares(
    sides: list[int], contrasts: list[float]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """A label image of squares, and an image of as many contrasts."""
    labels = np.zeros((24, 24 * len(sides)), np.int32)
    image = np.zeros(labels.shape, np.float32)
    for n, (side, contrast) in enumerate(zip(sides, contrasts, strict=True)):
        place = np.s_[2 : 2 + side, 24 * n + 2 : 24 * n + 2 + side]
        labels[place], image[place] = n + 1, contrast
    return labels, image


def kept(sides: list[int], contrasts: list[float]) -> list[int]:
    labels, image = squares(sides, contrasts)
    found = without_specks(find_runs(labels, 0), image, len(sides), SCALE)
    return np.unique(found.label).tolist()


@pytest.mark.parametrize(("contrast", "expected"), [(0.67, [1, 2]), (0.86, [1, 2, 3])])
def test_a_speck_has_less_than_three_tenths_of_the_mass_of_a_cell(
    contrast: float, expected: list[int]
) -> None:
    # 100 pixels of that contrast are 0.26 and 0.34 of 254 pixels of contrast 1.
    assert kept([16, 16, 10], [1.0, 1.0, contrast]) == expected


@pytest.mark.parametrize(("side", "expected"), [(9, [1, 2]), (12, [2])])
def test_the_typical_contrast_is_what_seven_tenths_of_the_pixels_do_not_exceed(
    side: int, expected: list[int]
) -> None:
    # 256 pixels of contrast 10 beside 81 or 144 of contrast 60: 76 % and 64 % of all.
    assert kept([16, side], [10.0, 60.0]) == expected


def test_with_nuclei_no_neck_is_too_wide() -> None:
    body = ellipse((40, 60), 20, 30, 14, 26)
    nuclei = np.zeros(body.shape, np.int32)
    nuclei[19:22, 19:22], nuclei[19:22, 39:42] = 1, 2
    labels = painted(
        separate_by_nuclei(body, np.zeros_like(body), nuclei, SCALE), np.zeros_like(nuclei)
    )
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert cells_in(body) == 1


@pytest.mark.parametrize(("height", "is_peak"), [(0.088, False), (0.113, True)])
def test_a_peak_of_the_roughness_is_one_from_a_tenth_of_the_highest_on(
    height: float, is_peak: bool
) -> None:
    centres = np.linspace(0, 10, 200)
    high, low = np.exp(-((centres - 7) ** 2) / 0.5), height * np.exp(-((centres - 2) ** 2) / 0.5)
    counts = np.round(20_000 * (high + low)).astype(int)
    values = np.repeat(centres, counts).astype(np.float32)
    mode = _lowest_mode(values, 0.0, 10.0, 0.5)
    assert mode == pytest.approx(2 if is_peak else 7, abs=0.2)


@pytest.mark.parametrize(("agreement", "best"), [(0.73, 4), (0.87, 1)])
def test_of_diameters_that_agree_nearly_as_well_the_one_that_fits_best_is_taken(
    agreement: float, best: int
) -> None:
    agreements = np.array([0.1, agreement, 0.2, 0.4, 1.0, 0.3, 0.0])
    fits = np.array([0.1, 0.9, 0.2, 0.3, 0.6, 0.2, 0.0])
    assert _best_peak(fits, agreements) == best
