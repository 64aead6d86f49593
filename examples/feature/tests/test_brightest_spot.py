import numpy as np
import pytest

from brightest_spot import brightest_spot
from pyama_core.processing.extraction.custom import is_registered


def test_the_distance_is_measured_from_the_middle_of_the_cell():
    image, mask = np.ones((9, 9)), np.ones((9, 9), bool)
    image[1, 1] = 5
    assert brightest_spot(image, mask) == pytest.approx(np.hypot(3, 3))


def test_pixels_of_other_cells_do_not_count():
    image, mask = np.ones((9, 9)), np.ones((9, 9), bool)
    mask[0] = False
    image[0, 0] = 100
    image[4, 4] = 5
    assert brightest_spot(image, mask) == pytest.approx(0.5)


def test_pyama_knows_its_name():
    assert is_registered("brightest_spot")
