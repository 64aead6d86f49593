"""With `seeds: nuclei` every nucleus that is found by itself gets one cell of phase contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inline import run_inline
from movies import metadata_of, write_movie
from pyama_core.errors import InputError
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter
from pyama_core.processing.segmentation.scale import Scale
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

SIDE = 40
Image = NDArray[Any]


def scene(seed: int, radius: float) -> tuple[Image, Image]:
    """Return rough squares in threes that touch, and a channel of nuclei in two of each three."""
    rng = np.random.default_rng(seed)
    cells, nuclei = rng.normal(1000, 3, (260, 260)), rng.normal(100, 1, (260, 260))
    y, x = np.ogrid[:260, :260]
    for row in (20, 100, 180):
        for column in (20, 60, 180):
            square = np.s_[row : row + SIDE, column : column + SIDE]
            cells[square] += rng.normal(0, 150, (SIDE, SIDE))
            if column != 180:
                centre = row + SIDE / 2, column + SIDE / 2
                nuclei += 500 * (np.hypot(y - centre[0], x - centre[1]) < radius)
    return cells, nuclei


def prepared(nuclei: Image, seeds: str = "nuclei", diameter: float = 45) -> InstanceSegmenter:
    """Return a segmenter that has looked at nuclei."""
    parameters = InstanceParameters(cell_diameter=diameter, seeds=seeds)  # type: ignore[arg-type]
    segmenter = InstanceSegmenter(parameters)
    segmenter.prepare_nuclei([nuclei])
    return segmenter


def slowly_shrunk(labels: Image, height: int, width: int) -> Image:
    """Return for each pixel of a smaller image the label that its centre lies in."""
    small = np.zeros((height, width), np.int32)
    for row in range(height):
        for column in range(width):
            y = (2 * row + 1) * labels.shape[0] // (2 * height)
            x = (2 * column + 1) * labels.shape[1] // (2 * width)
            small[row, column] = labels[y, x]
    return small


@settings(deadline=None)  # kernels are compiled
@given(st.integers(1, 60), st.integers(1, 60), st.floats(6, 90), st.integers(0, 99))
def test_labels_shrink_to_what_the_centres_of_pixels_lie_in(height, width, diameter, seed) -> None:
    labels = np.random.default_rng(seed).integers(0, 9, (height, width), np.uint16)
    scale = Scale(diameter)
    small = scale.shrink_labels(labels)
    assert small.shape == scale.shrink(labels).shape
    np.testing.assert_array_equal(small, slowly_shrunk(labels, *small.shape))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.floats(5, 16))
def test_each_nucleus_has_a_cell_of_its_own_and_each_cell_a_nucleus(seed, radius) -> None:
    cells, nuclei = scene(seed, radius)
    alone = ObjectSegmenter()
    alone.prepare([nuclei])
    found = alone.segment(nuclei)
    labels = prepared(nuclei).segment(cells, nuclei)
    owners = [np.bincount(labels[found == n]).argmax() for n in range(1, int(found.max()) + 1)]
    assert found.max() == 6
    assert sorted(owners) == list(range(1, int(labels.max()) + 1))  # none twice, none without


def test_what_has_no_nucleus_is_left_out_and_a_nucleus_without_contrast_is_a_cell() -> None:
    cells, nuclei = scene(0, 10)
    cells[20:60, 20:100] = np.random.default_rng(3).normal(1000, 3, (40, 80))  # nothing is seen
    labels = prepared(nuclei).segment(cells, nuclei)
    assert labels.max() == 6
    assert not labels[20:220, 180:220].any()  # the squares of the third column have none
    assert 0.5 < np.count_nonzero(labels == labels[40, 40]) / (np.pi * 10**2) < 2


def test_the_size_of_nuclei_does_not_follow_from_that_of_cells() -> None:
    cells, nuclei = scene(1, 16)  # nuclei that nearly fill their cells
    by_size = [prepared(nuclei, diameter=d).segment(cells, nuclei).max() for d in (30, 45, 70)]
    assert by_size == [6, 6, 6]


def test_other_seeds_look_at_no_frame_of_nuclei() -> None:
    cells, nuclei = scene(2, 8)
    plain = InstanceSegmenter(InstanceParameters(cell_diameter=45))
    assert plain.prepare_nuclei([nuclei]) is None
    expected = plain.segment(cells, nuclei)
    np.testing.assert_array_equal(prepared(nuclei, "auto").segment(cells, nuclei), expected)


def test_nuclei_that_nothing_is_known_of_yet_are_asked_for() -> None:
    cells, nuclei = scene(0, 8)
    segmenter = InstanceSegmenter(InstanceParameters(cell_diameter=45, seeds="nuclei"))
    with pytest.raises(InputError, match="still to be estimated"):
        segmenter.segment(cells, nuclei)


# Whole runs


def write_scene(folder: Path) -> Path:
    """Write a movie of the scene, cells in the first channel and nuclei in the second."""
    frames = [np.stack(scene(seed, 9)).round().astype(np.uint16) for seed in range(4)]
    write_movie(folder / "m.ome.tif", [np.stack(frames)], ["Phase", "H2B"], 5.0)
    return folder / "m.ome.tif"


def context_of(out: Path, **more: Any) -> ProcessingContext:
    """Return a request for cells by nuclei."""
    segmentation = {"method": "instances", "cell_diameter": 45, "seeds": "nuclei"}
    params = {"segmentation": segmentation, "extraction": {"features": ["compartments"]}} | more
    return ProcessingContext(out, Channels(pc=0, fl=[1], nuclei=1), params=params)


def test_every_cell_of_a_run_has_one_nucleus_as_its_step_of_nuclei_finds_them(tmp_path) -> None:
    movie, out = write_scene(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(movie), context_of(out)).ok
    traces = pd.read_csv(out / "fov_000" / "m_fov_000_traces_ch_1.csv")
    assert len(traces) == 6 * 4
    assert (traces.n_nuclei == 1).all()


def test_a_run_that_has_no_channel_of_nuclei_is_refused(tmp_path, caplog) -> None:
    movie = write_scene(tmp_path)
    context = context_of(tmp_path / "out", extraction={})
    context.channels.nuclei = None
    assert not run_inline(metadata_of(movie), context).ok
    assert "name it as nuclei (--nuclei CH)" in caplog.text
    assert not (tmp_path / "out").exists()
