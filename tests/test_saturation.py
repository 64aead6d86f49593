"""Light that is more than the camera can tell: it is seen, measured, judged and told."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inline import run_inline
from movies import metadata_of, write_movie
from pyama_core import open_results
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.intensities import measure_saturation
from pyama_core.processing.workflow.doubts import About, find_doubts
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.services.steps.saturation_counts import (
    CEILING,
    SATURATED,
    SATURATED_FROM,
    Ceiling,
)
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

SIZE, SIDE, N_FRAMES, GROUND = 200, 24, 8, 300
PLACES = [(y, x) for y in (20, 80, 140) for x in (20, 80, 140)]
"""Corners of nine cells; the first two are the bright ones."""


def light(peaks: list[float], seed: int = 0) -> NDArray[np.float64]:
    """Return a frame with a round spot of light in each cell, as optics blur it."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    frame = np.random.default_rng(seed).normal(GROUND, 5, (SIZE, SIZE))
    for (y, x), peak in zip(PLACES, peaks, strict=True):
        middle = (SIDE - 1) / 2
        distance = (rows - y - middle) ** 2 + (columns - x - middle) ** 2
        frame += peak * np.exp(-distance / (2 * 5**2))
    return frame


def labels() -> NDArray[np.uint16]:
    found = np.zeros((SIZE, SIZE), np.uint16)
    for number, (y, x) in enumerate(PLACES, 1):
        found[y : y + SIDE, x : x + SIDE] = number
    return found


def recorded(peaks: list[float], ceiling: int = 4095) -> NDArray[np.uint16]:
    """Return (T, Y, X) frames of a camera that has such a ceiling."""
    frames = [light(peaks, seed) for seed in range(N_FRAMES)]
    return np.minimum(np.stack(frames), ceiling).astype(np.uint16)


def watched(frames: NDArray[np.generic], ground: float = 0) -> dict[str, int]:
    ceiling = Ceiling()
    for frame in frames:
        ceiling.add(frame, frame.astype(np.float32) - np.float32(ground))
    return ceiling.summary()


def test_pixels_that_pile_up_at_the_largest_value_are_at_the_ceiling():
    frames = recorded([9000, 5000, *[800] * 7])
    n = int(np.count_nonzero(frames == 4095))
    told = watched(frames, GROUND)
    assert told == {CEILING: 4095, SATURATED: n, SATURATED_FROM: 4095 - GROUND}
    # Any camera's, with numbers that do not begin at zero, and in eight bits.
    assert watched(frames + np.uint16(32768), 32768)[CEILING] == 32768 + 4095
    assert watched(recorded([9000, *[800] * 8], 3711))[CEILING] == 3711
    eight = np.minimum(recorded([9000, *[800] * 8]) // 8, 255).astype(np.uint8)
    assert watched(eight)[CEILING] == 255


def as_if_all_at_once(frames: NDArray[np.integer], ground: float) -> dict[str, int]:
    """Tell the same from all frames together, slowly."""
    largest = int(frames.max())
    n = n_near = n_sharing = 0
    usual = 0.0
    for frame in frames:
        values = frame.ravel().tolist()
        if max(values) < largest:
            continue
        n_values = max(1, int(np.ceil((largest - float(frame.mean())) / 8)))
        near = [value for value in values if largest - n_values <= value < largest]
        n += values.count(largest)
        n_sharing += values.count(largest) - 1
        n_near += len(near)
        usual += float(np.mean([near.count(value) for value in set(near)])) - 1 if near else 0
    is_pile = n_sharing >= 20 and n_sharing >= 10 * usual and n_near >= n / 100
    level = int(np.floor(np.float32(largest) - np.float32(ground)))
    if largest == 0 or not is_pile or level <= 0:
        return {}
    return {CEILING: largest, SATURATED: n, SATURATED_FROM: level}


@given(
    seed=st.integers(0, 2**16),
    top=st.integers(2, 300),
    spread=st.floats(1, 200),
    ground=st.integers(0, 40),
)
def test_frame_by_frame_tells_what_all_frames_together_do(seed, top, spread, ground):
    rng = np.random.default_rng(seed)
    frames = np.clip(rng.normal(0.5 * top, spread, (3, 12, 12)), 0, top).astype(np.uint16)
    assert watched(frames, ground) == as_if_all_at_once(frames, ground)


def stretched(frames: NDArray[np.integer], largest: int) -> NDArray[np.uint16]:
    """Return each frame from its darkest pixel, at 0, to its brightest, at the largest value."""
    darkest, brightest = (part(frames, axis=(1, 2), keepdims=True) for part in (np.min, np.max))
    scaled = (frames - darkest) * (largest / (brightest - darkest))
    return scaled.round().astype(np.uint16)


FIT = np.concatenate([recorded([3000, 2900, *[800] * 7])] * 4)
"""Light that fits, in so many frames that each may have a brightest pixel."""


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(recorded([3000, *[800] * 8]), id="light that fits"),
        pytest.param(
            np.random.default_rng(0).poisson(2, (5, 400, 400)).astype(np.uint8), id="few counts"
        ),
        pytest.param(1000 * (labels()[None] > 0).astype(np.uint16), id="a drawing in two colours"),
        pytest.param(np.zeros((2, 9, 9), np.uint16), id="nothing"),
        pytest.param(stretched(FIT, 65535), id="frames stretched one by one"),
        pytest.param(257 * stretched(FIT, 255), id="and with gaps between grey values"),
        pytest.param(FIT // 64 << 10, id="grey values shifted by bits"),
        pytest.param(np.minimum(recorded([9000, *[800] * 8]), 4095) / 4095, id="calculated"),
    ],
)
def test_what_was_not_cut_off_has_no_ceiling(frames):
    assert watched(frames) == {}


@settings(deadline=None)  # compiles at first
@given(
    labels=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    values=st.lists(st.integers(0, 9), min_size=12, max_size=12),
    level=st.integers(1, 9),
)
def test_the_part_of_a_cell_at_the_ceiling_is_that_of_its_pixels(labels, values, level):
    found, image = np.array(labels).reshape(3, 4), np.array(values, np.float32).reshape(3, 4)
    cells = FrameCells.of(found)
    expected = [np.mean(image[found == cell] >= level) for cell in cells.cell]
    assert measure_saturation(cells, image, level).tolist() == expected


# In a run


def run(folder: Path, *positions: list[float], **options):
    """Measure cells of given peaks in GFP, which its camera cuts off, and in RFP as a third."""
    pixels = [
        np.stack([recorded([0] * 9), recorded(peaks), recorded([p / 3 for p in peaks])], axis=1)
        for peaks in positions
    ]
    movie = write_movie(folder / "m.ome.tif", pixels, ["PC", "GFP", "RFP"], 1.0)
    np.save(folder / "masks.npy", np.stack([labels()] * N_FRAMES))
    context = ProcessingContext(
        folder / "out",
        Channels(pc=0, fl=[1, 2]),
        params={
            "segmentation": {"method": "files", "path": str(folder / "masks.npy")},
            "extraction": options.pop("extraction", {}),
        },
    )
    return run_inline(metadata_of(movie), context, **options)


BRIGHT = [9000, 4400, *[800] * 7]


def test_cells_at_the_ceiling_are_not_good_and_say_why_and_how_much(tmp_path):
    run(tmp_path, BRIGHT)
    cells = open_results(tmp_path / "out").cells.set_index("cell")
    saturated = cells["reason_GFP"] == "saturated"
    assert saturated[saturated].index.tolist() == [1, 2]
    assert not cells["good"][saturated].any()
    assert cells["good"][~saturated].all()
    assert (cells["reason_RFP"] == "").all()
    traces = open_results(tmp_path / "out").traces
    assert "saturated_part_RFP" not in traces
    part = traces.groupby("cell")["saturated_part_GFP"].max()
    true = [
        (recorded(BRIGHT)[:, labels() == cell] == 4095).mean(axis=1).max() for cell in part.index
    ]
    assert part.tolist() == pytest.approx(true, abs=0.01)


def test_how_much_may_be_at_the_ceiling_is_for_the_user_to_say(tmp_path):
    run(tmp_path, BRIGHT, extraction={"max_saturated_part": 0.1})
    cells = open_results(tmp_path / "out").cells.set_index("cell")
    assert cells["reason_GFP"][lambda reason: reason != ""].to_dict() == {1: "saturated"}


def test_corrected_cells_are_judged_by_the_ceiling_again(tmp_path):
    run(tmp_path, BRIGHT, extraction={"min_frames": 2})
    fov = open_results(tmp_path / "out").fov(0)
    later = fov.cut(1, 4), fov.cut(3, 4)
    reasons = open_results(tmp_path / "out").cells.set_index("cell")["reason_GFP"]
    assert [reasons[cell] for cell in (1, later[0])] == ["saturated", "saturated"]
    assert [reasons[cell] for cell in (3, later[1])] == ["", ""]


def test_positions_with_and_without_a_ceiling_open_as_one_table(tmp_path):
    run(tmp_path, BRIGHT, [800] * 9)
    traces = open_results(tmp_path / "out").traces
    assert traces.loc[traces["fov"] == 0, "saturated_part_GFP"].notna().all()
    assert traces.loc[traces["fov"] == 1, "saturated_part_GFP"].isna().all()
    exported = pd.read_csv(next((tmp_path / "out" / "fov_001").glob("*traces_ch_1.csv")))
    assert "saturated_part" not in exported


def test_many_cells_at_the_ceiling_are_a_doubt_at_which_a_strict_run_stops(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        outcome = run(tmp_path, BRIGHT, strict=True)
    assert outcome.exit_code == 3
    assert "pixels are at the camera's ceiling" in caplog.text
    [record] = [load_record(path) for path in find_records(tmp_path / "out")]
    assert record is not None
    [doubt] = [each for each in find_doubts(FovState(record)) if each.about is About.CEILING]
    assert "of 2 of 9 cells in channel 1 (grey value 4095)" in doubt.text
    assert "extraction.max_saturated_part" in doubt.advice
