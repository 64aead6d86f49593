"""Exports of images say how far frames are apart as the tables do."""

from __future__ import annotations

import numpy as np
import pytest

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core.exports.scale import Scale
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.results.results import open_results
from runs import exact


@pytest.mark.parametrize(
    ("of_file", "given", "interval"),
    [(2.0, None, 2.0), (2.0, 5.0, 5.0), (None, 5.0, 5.0), (None, None, None)],
)
def test_the_interval_that_was_given_counts_before_that_of_the_file(
    tmp_path, of_file, given, interval
):
    pixels = rough_squares(4, 96, [(8, 8), (50, 50)])
    pixels = np.concatenate([pixels, pixels[:, 1:] + 20], axis=1)
    movie = write_movie(tmp_path / "m.ome.tif", [pixels], ["PC", "GFP", "RFP"], of_file)
    params = exact({"extraction": {"interval_minutes": given, "min_frames": 1}})
    context = ProcessingContext(tmp_path / "out", Channels(pc="PC", fl=["GFP"]), params=params)
    assert run_inline(metadata_of(movie), context).ok
    results = open_results(tmp_path / "out")
    scale = Scale.of(results.select(), results.fov(0))
    assert scale.interval_min == interval
    if interval is not None:
        assert scale.times_min == tuple(interval * t for t in range(4))
