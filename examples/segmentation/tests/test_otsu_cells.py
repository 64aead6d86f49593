import numpy as np
import pytest
from pydantic import ValidationError

from otsu_cells import OtsuParameters
from pyama_core.processing.segmentation.segmenter import find_segmentation


def frame_with_two_cells():
    frame = np.random.default_rng(0).normal(100, 5, (60, 80))
    frame[10:30, 10:30] += 200
    frame[35:45, 50:65] += 220
    return frame.astype(np.uint16)


def segment(frame, **parameters):
    method = find_segmentation("otsu")
    return method.create(method.parameters(**parameters), 0).segment(frame)


def test_each_bright_cell_gets_a_label_of_its_own():
    labels = segment(frame_with_two_cells())
    found = [labels[20, 20], labels[40, 57]]
    assert sorted(np.unique(labels)) == sorted([0, *found])
    assert abs(np.count_nonzero(labels == found[0]) - 400) < 80
    assert abs(np.count_nonzero(labels == found[1]) - 150) < 40


def test_small_objects_are_no_cells():
    assert len(np.unique(segment(frame_with_two_cells(), min_area=250))) == 2


def test_a_frame_of_one_grey_has_no_cells():
    assert not segment(np.full((40, 50), 7, np.uint16)).any()


def test_parameters_that_make_no_sense_are_refused():
    with pytest.raises(ValidationError, match="min_area"):
        OtsuParameters(min_area=0)
