"""Cells that divide fast are good if their whole life was seen, and are what they seem."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.whole_lives import measure

from pyama_core import open_results
from pyama_core.results.fov_measures import measure_fov


@pytest.mark.slow
def test_bacteria_that_divide_every_few_frames_are_good_and_right(tmp_path):
    told = measure(seed=2, every=5, folder=tmp_path)
    assert told.length < 12  # half of the frames, which cells must else be seen in
    assert told.n_good >= 14
    assert told.n_right == told.n_whole > 0.9 * told.n_good
    fov = open_results(tmp_path / "out").fov(0)
    (traces,) = (entry.summary for entry in fov.record.outputs.values() if "good" in entry.summary)
    assert measure_fov(fov).n_cut_off == traces["cut off"] > told.n_good
