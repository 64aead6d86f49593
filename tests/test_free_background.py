"""Frames that cells nearly cover: how far the background is off then, and that it is told."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from inline import run_inline
from movies import metadata_of, write_movie
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.doubts import About, Doubt, find_doubts
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

SIZE, SIDE, SIGNAL, N_FRAMES = 312, 20, 400, 2
CORRECTION = {
    "tile_size": 64,
    "dilation_size": 9,
    "edges": "linear",
    "hidden_tiles": "around",
}


def crowd(lacking: float) -> NDArray[np.uint16]:
    """Return cells side by side, but for a part of them that is left out here and there."""
    rng = np.random.default_rng(1)
    labels = np.zeros((SIZE, SIZE), np.uint16)
    places = range(2, SIZE - SIDE, SIDE + 4)
    for number, (y, x) in enumerate(itertools.product(places, places), 1):
        if rng.random() >= lacking:
            labels[y : y + SIDE, x : x + SIDE] = number
    return labels


def lit(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return a frame of cells that shine evenly, in light that falls by a fifth to the corners."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / (SIZE / 2) - 1
    ground = 1000 * (1 - 0.1 * (rows**2 + columns**2))
    noise = np.random.default_rng(0).normal(0, 5, labels.shape)
    return np.asarray(ground + SIGNAL * (labels > 0) + noise, np.uint16)


def run(folder: Path, lacking: float, **options) -> tuple[list[Doubt], pd.Series, int]:
    """Return doubts of the background, light per pixel of each cell, and how it ended."""
    labels = crowd(lacking)
    frame = lit(labels)
    movie = write_movie(folder / "m.ome.tif", [np.stack([[frame] * 2] * N_FRAMES)], ["a", "b"], 1.0)
    np.save(folder / "masks.npy", np.stack([labels] * N_FRAMES))
    context = ProcessingContext(
        folder / "out",
        Channels(pc=0, fl=[1]),
        params={
            "segmentation": {"method": "files", "path": str(folder / "masks.npy")},
            "correction": CORRECTION,
        },
    )
    outcome = run_inline(metadata_of(movie), context, **options)
    [record] = [load_record(path) for path in find_records(folder / "out")]
    assert record is not None
    found = find_doubts(FovState(record))
    [table] = (folder / "out").rglob("*traces_ch_1.csv")
    traces = pd.read_csv(table)
    mean = traces.intensity_total / traces.area
    return [doubt for doubt in found if doubt.about is About.BACKGROUND], mean, outcome.exit_code


@pytest.mark.parametrize(("lacking", "is_told"), [(0.15, False), (0.1, True)])
def test_where_hardly_any_background_is_left_that_is_told_and_no_sooner(tmp_path, lacking, is_told):
    doubts, mean, _ = run(tmp_path, lacking)
    off = np.percentile(abs(mean / SIGNAL - 1), 90)
    assert len(doubts) == is_told
    if is_told:
        assert off > 0.1
        assert "leave 4.2 % of a frame" in doubts[0].text
        assert "correction.dilation_size" in doubts[0].advice
    else:
        assert off < 0.075


def test_a_strict_run_stops_there_and_says_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        _, _, code = run(tmp_path, 0.1, strict=True)
    assert code == 3
    assert "to tell the background from" in caplog.text
