import numpy as np

from pyama_core.processing.background.corrector import find_correction


def corrector(**parameters):
    method = find_correction("median")
    return method.create(method.parameters(**parameters), (40, 50))


def test_what_remains_outside_of_the_cells_is_zero_in_the_middle():
    frame = np.random.default_rng(0).normal(500, 20, (40, 50))
    mask = np.zeros((40, 50), bool)
    mask[10:20, 10:20] = True
    frame[mask] += 1000
    median = corrector()
    corrected = median.correct(frame, median.estimate(frame, mask))
    assert corrected.dtype == np.float32
    assert abs(np.median(corrected[~mask])) < 1e-3
    assert abs(corrected[mask].mean() - 1000) < 20


def test_a_percentile_can_be_asked_for():
    frame = np.arange(2000.0).reshape(40, 50)
    assert corrector(percentile=0).estimate(frame, frame < 0) == 0


def test_a_frame_full_of_cells_shows_no_background():
    assert corrector().estimate(np.ones((40, 50)), np.ones((40, 50), bool)) is None
