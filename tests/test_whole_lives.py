"""Cells that divide fast are good if their whole life was seen, and are what they seem."""

from __future__ import annotations

import pytest
from benchmarks.whole_lives import measure


@pytest.mark.slow
def test_bacteria_that_divide_every_few_frames_are_good_and_right(tmp_path):
    told = measure(seed=2, every=5, folder=tmp_path)
    assert told.length < 12  # half of the frames, which cells must else be seen in
    assert told.n_good >= 14
    assert told.n_right == told.n_whole > 0.9 * told.n_good
