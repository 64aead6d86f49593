"""Nuclei are looked for by the size of the cells that they are in."""

from __future__ import annotations

import numpy as np
import pytest

from inline import run_inline
from movies import metadata_of, write_movie
from nuclear_movies import squares_of_nuclei, write_nuclear_movie
from pinned_scenes import difficult_nuclei
from pyama_core.errors import InputError
from pyama_core.processing.segmentation.seeds import SeedParameters, SeedSegmenter


def test_nuclei_are_found_at_the_size_of_the_cells(tmp_path):
    movie = write_nuclear_movie(tmp_path)
    context = movie.context(tmp_path / "out")
    context.params["nuclei"] = {"method": "seeds"}
    assert run_inline(metadata_of(movie.image), context).ok
    found = np.load(tmp_path / "out" / "fov_000" / "m_fov_000_nuclei_ch_1.npy")
    truth = squares_of_nuclei()
    for nucleus, cell in ((11, 1), (12, 2), (13, 2)):
        under = found[0][truth == nucleus]
        assert (under == cell).mean() > 0.5, nucleus


def test_by_default_nuclei_are_bright_objects_of_a_size_of_their_own(tmp_path):
    movie = write_nuclear_movie(tmp_path)
    places = ((28, 28), (28, 88), (88, 28), (88, 88))  # one in the middle of each cell
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:128, :128]
    light = sum(np.hypot(y - cy, x - cx) < 7 for cy, cx in places)
    frames = rng.normal(100 + 200 * light, 5, (4, 3, 128, 128)).round().astype(np.uint16)
    write_movie(movie.image, [frames], ["Cell", "H2B", "KTR"], 5.0)
    context = movie.context(tmp_path / "out")
    del context.params["nuclei"]
    assert run_inline(metadata_of(movie.image), context).ok
    found = np.load(tmp_path / "out" / "fov_000" / "m_fov_000_nuclei_ch_1.npy")
    for cell, place in enumerate(places, 1):
        assert (found[(slice(None), *place)] == cell).all()
        assert 0.8 * 49 * np.pi < (found[0] == cell).sum() < 1.25 * 49 * np.pi


def test_the_diameter_of_cells_is_taken_where_none_is_given():
    told, fitted = SeedSegmenter(SeedParameters(cell_diameter=24)), SeedSegmenter(SeedParameters())
    fitted.fit_to_cells(24.0)
    told.fit_to_cells(99.0)
    frame = difficult_nuclei()
    assert told.segment(frame).max() > 10
    np.testing.assert_array_equal(told.segment(frame), fitted.segment(frame))


def test_frames_without_cells_have_nuclei_of_the_smallest():
    segmenter = SeedSegmenter(SeedParameters())
    segmenter.fit_to_cells(0.0)
    assert not segmenter.segment(np.full((40, 40), 100, np.uint16)).any()


def test_without_a_diameter_it_says_what_is_lacking():
    with pytest.raises(InputError, match="give it as cell_diameter"):
        SeedSegmenter(SeedParameters()).segment(np.zeros((9, 9), np.uint16))
