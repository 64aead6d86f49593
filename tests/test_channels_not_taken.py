"""Channels that were not taken in some frames, of which files may hold images of zeros."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from nd2_writer import position_loop, time_loop, write_nd2, z_loop
from pyama_core.cli.app import app
from pyama_core.errors import MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.nd2 import source as nd2_source
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import exact

pytestmark = pytest.mark.usefixtures("workers_inline")

N_FRAMES = 8


def camera_frames(n: int, n_channels: int = 2, size: int = 24) -> np.ndarray[Any, Any]:
    """Return (N, Y, X, C) as a camera gives them, no pixel of which is zero."""
    rng = np.random.default_rng(n)
    return rng.integers(90, 4000, (n, size, size, n_channels), dtype=np.uint16)


def confocal_frames(n: int, n_channels: int = 2, size: int = 64) -> np.ndarray[Any, Any]:
    """Return (N, Y, X, C) with a bright spot in a field that is zero."""
    frames = np.zeros((n, size, size, n_channels), np.uint16)
    frames[:, 10:20, 10:20] = camera_frames(n, n_channels, 10)
    return frames


def read(path: Path, z: Any = 0) -> dict[tuple[int, int, int], Any]:
    """Return all frames of a file by (fov, channel, frame); None where one is missing."""
    frames: dict[tuple[int, int, int], Any] = {}
    source, about = load_microscopy_file(path, z=z)
    with source:
        for fov, (n_frames, _, _) in enumerate(about.fov_shapes):
            for t, c in np.ndindex(n_frames, about.n_channels):
                try:
                    frames[fov, c, t] = source.read_frame(fov, c, t)
                except MissingFrameError:
                    frames[fov, c, t] = None
    return frames


def missing(frames: dict[tuple[int, int, int], Any]) -> set[tuple[int, int, int]]:
    return {at for at, frame in frames.items() if frame is None}


STORED: list[dict[str, Any]] = [{}, {"compression": "lossless"}, {"row_padding": 8}]


@pytest.mark.parametrize("stored", STORED, ids=str)
@pytest.mark.parametrize("size", [24, 200])
def test_a_channel_taken_in_every_second_frame_lacks_the_others(
    tmp_path: Path, stored: dict[str, Any], size: int
) -> None:
    frames = camera_frames(2 * N_FRAMES, 2, size)
    frames[2 * 1 :: 4, ..., 1] = frames[2 * 1 + 1 :: 4, ..., 1] = 0
    loops = [time_loop(N_FRAMES, 60e3), position_loop(["a", "b"])]
    write_nd2(tmp_path / "a.nd2", frames, loops, **stored)
    found = read(tmp_path / "a.nd2")
    assert missing(found) == {(fov, 1, t) for fov in (0, 1) for t in (1, 3, 5, 7)}
    for (fov, c, t), frame in found.items():
        if frame is not None:
            np.testing.assert_array_equal(frame, frames[2 * t + fov, :, :, c])


def test_the_error_says_which_frame_and_why_and_gives_no_useless_advice(tmp_path: Path) -> None:
    frames = camera_frames(4)
    frames[2, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(4)])
    source, _ = load_microscopy_file(tmp_path / "a.nd2")
    told = r"a\.nd2 lacks FOV 0, channel 1, frame 2: it was not taken: all its pixels are 0[^.]*\.$"
    with source, pytest.raises(MissingFrameError, match=told):
        source.read_frame(0, 1, 2)


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations([(c, t) for c in (0, 1) for t in range(N_FRAMES)]),
    taken=st.sets(st.integers(0, N_FRAMES - 1), min_size=1),
)
def test_what_is_missing_depends_on_no_order_of_reading(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[int, int]], taken: set[int]
) -> None:
    frames = camera_frames(N_FRAMES)
    frames[[t for t in range(N_FRAMES) if t not in taken], ..., 1] = 0
    path = tmp_path_factory.mktemp("nd2") / "a.nd2"
    write_nd2(path, frames, [time_loop(N_FRAMES)])
    source, _ = load_microscopy_file(path)
    with source:
        for c, t in order[: len(order) // 2]:
            try:
                np.testing.assert_array_equal(source.read_frame(0, c, t), frames[t, ..., c])
                assert c == 0 or t in taken
            except MissingFrameError:
                assert c == 1
                assert t not in taken


def test_a_channel_taken_in_one_plane_only_has_that_plane_and_a_projection(
    tmp_path: Path,
) -> None:
    frames = camera_frames(3 * 5)
    stack = frames.reshape(3, 5, 24, 24, 2)
    stack[:, [0, 1, 3, 4], ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(3), z_loop(5)])
    for z in range(5):
        found = read(tmp_path / "a.nd2", z)
        assert missing(found) == (set() if z == 2 else {(0, 1, t) for t in range(3)})
    found = read(tmp_path / "a.nd2", "max")
    for t in range(3):
        np.testing.assert_array_equal(found[0, 0, t], stack[t, ..., 0].max(axis=0))
        np.testing.assert_array_equal(found[0, 1, t], stack[t, 2, ..., 1])


def test_planes_that_were_left_out_do_not_exceed_negative_values(tmp_path: Path) -> None:
    frames = -camera_frames(2 * 3).astype(np.float32)
    stack = frames.reshape(2, 3, 24, 24, 2)
    stack[:, [0, 2], ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(2), z_loop(3)])
    found = read(tmp_path / "a.nd2", "max")
    for t in range(2):
        np.testing.assert_array_equal(found[0, 1, t], stack[t, 1, ..., 1])


def test_a_projection_without_one_of_the_planes_of_other_frames_is_missing(tmp_path: Path) -> None:
    frames = camera_frames(3 * 4)
    stack = frames.reshape(3, 4, 24, 24, 2)
    stack[1, 2, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(3), z_loop(4)])
    assert missing(read(tmp_path / "a.nd2", "max")) == {(0, 1, 1)}


@pytest.mark.parametrize("z", [0, "max"])
def test_a_dark_frame_of_a_channel_with_a_black_background_is_measured(
    tmp_path: Path, z: Any
) -> None:
    frames = confocal_frames(4 * 2)
    frames[4:6, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(4), z_loop(2)])
    found = read(tmp_path / "a.nd2", z)
    assert missing(found) == set()
    assert not found[0, 1, 2].any()


def test_black_pixels_here_and_there_are_no_black_background(tmp_path: Path) -> None:
    frames = camera_frames(4, size=64)
    frames[np.random.default_rng(1).random(frames.shape) < 0.6] = 0
    frames[2, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(4)])
    assert missing(read(tmp_path / "a.nd2")) == {(0, 1, 2)}


def test_the_only_channel_of_a_file_was_taken_even_where_it_is_zero(tmp_path: Path) -> None:
    frames = camera_frames(4, 1)
    frames[2] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(4)])
    found = read(tmp_path / "a.nd2")
    assert missing(found) == set()
    assert not found[0, 0, 2].any()


@pytest.mark.parametrize("stored", STORED, ids=str)
def test_a_channel_taken_once_among_hundreds_of_frames_is_noticed(
    tmp_path: Path, stored: dict[str, Any]
) -> None:
    frames = camera_frames(700)
    frames[np.arange(700) != 341, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(700)], **stored)
    assert missing(read(tmp_path / "a.nd2")) == {(0, 1, t) for t in range(700) if t != 341}


def test_deciding_does_not_read_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 5000
    frames = np.ones((n, 1, 2, 2), np.uint16)
    frames[..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(n)])
    source, _ = load_microscopy_file(tmp_path / "a.nd2")
    chunks = source._chunks  # type: ignore[attr-defined]
    find, places = chunks.find_frame, []
    monkeypatch.setattr(chunks, "find_frame", lambda place: places.append(place) or find(place))
    with source:
        source.read_frame(0, 0, 7)
        assert places == [7]
        assert not source.read_frame(0, 1, 8).any()
        decided = len(places)
        assert decided < 1200
        source.read_frame(0, 1, 9)
        assert len(places) == decided + 1


def test_a_damaged_frame_decides_nothing(tmp_path: Path) -> None:
    frames = camera_frames(4)
    frames[2:, ..., 1] = 0
    path = tmp_path / "a.nd2"
    write_nd2(path, frames, [time_loop(4)], compression="lossless")
    data = bytearray(path.read_bytes())
    at = data.index(b"ImageDataSeq|0!") + 4072 + 8
    data[at : at + 40] = bytes(40)
    path.write_bytes(data)
    assert missing(read(path)) == {(0, 0, 0), (0, 1, 0), (0, 1, 2), (0, 1, 3)}


def test_a_drive_that_fails_while_deciding_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyama_core.io.retrying.PAUSES_S", (0.0, 0.0))
    frames = camera_frames(4)
    frames[2, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(4)])
    real, failures = nd2_source.Nd2Source._some_rows, [OSError(5, "the drive failed")]

    def fail_once(self: Any, place: int) -> Any:
        if failures:
            raise failures.pop()
        return real(self, place)

    monkeypatch.setattr(nd2_source.Nd2Source, "_some_rows", fail_once)
    assert missing(read(tmp_path / "a.nd2")) == {(0, 1, 2)}
    assert not failures


MOVIE = rough_squares(N_FRAMES, 96, [(10, 10), (50, 40)])


def run(path: Path, out: Path) -> Any:
    context = ProcessingContext(output_dir=out, channels=Channels(pc=0, fl=[1]), params=exact({}))
    return run_inline(metadata_of(path), context)


def test_frames_that_were_not_taken_have_no_rows_and_are_named(tmp_path: Path) -> None:
    frames = MOVIE.transpose(0, 2, 3, 1).copy()
    frames[1::2, ..., 1] = 0
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(N_FRAMES, 60e3)])
    assert run(tmp_path / "a.nd2", tmp_path / "out").ok
    traces = pd.read_csv(next(tmp_path.glob("out/fov_000/*_traces_ch_1.csv")))
    assert sorted(set(traces["frame"])) == [0, 2, 4, 6]
    assert traces["intensity_total"].min() > 30_000
    results = yaml.safe_load((tmp_path / "out/processing_results.yaml").read_text("utf-8"))
    assert results["missing_frames"] == {0: {1: "1,3,5,7"}}


def write_dark_nd2(path: Path) -> Path:
    frames = MOVIE.transpose(0, 2, 3, 1).copy()
    frames[..., 1] = 0
    write_nd2(path, frames, [time_loop(N_FRAMES, 60e3)], channel_names=["Phase", "YFP"])
    return path


def write_dark_tiff(path: Path) -> Path:
    pixels = MOVIE.copy()
    pixels[:, 1] = 0
    return write_movie(path, [pixels], ["Phase", "YFP"], 1.0)


DARK = [("a.nd2", write_dark_nd2), ("a.ome.tif", write_dark_tiff)]


@pytest.mark.parametrize(("name", "write"), DARK)
def test_a_channel_that_is_zero_everywhere_is_named_when_a_run_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, write: Any
) -> None:
    with caplog.at_level(logging.WARNING):
        assert run(write(tmp_path / name), tmp_path / "out").ok
    assert "channel 1 (YFP) is 0 in all frames looked at" in caplog.text
    assert "channel 0" not in caplog.text
    traces = pd.read_csv(next(tmp_path.glob("out/fov_000/*_traces_ch_1.csv")))
    assert set(traces["intensity_total"]) == {0}


@pytest.mark.parametrize(("name", "write"), DARK)
def test_a_channel_that_is_zero_everywhere_is_named_by_inspect(
    tmp_path: Path, name: str, write: Any
) -> None:
    path = write(tmp_path / name)
    told = "channel 1 (YFP) is 0 in all frames looked at"
    assert told in CliRunner().invoke(app, ["inspect", str(path)]).stderr
    shown = CliRunner().invoke(app, ["inspect", str(path), "--json"]).stdout
    assert any(told in warning for warning in json.loads(shown)["warnings"])


def test_the_dark_channel_of_a_real_file_is_named_and_its_zeros_are_read(
    shared_data: Path,
) -> None:
    path = shared_data / "nd2/cluster.nd2"
    assert missing(read(path)) == set()
    assert "(FM 4-64/2% CHAPS) is 0" in CliRunner().invoke(app, ["inspect", str(path)]).stderr


def test_zeros_of_other_formats_count_as_measured_and_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = MOVIE.copy()
    pixels[2:4, 1] = 0
    tifffile.imwrite(
        tmp_path / "a.ome.tif", pixels, photometric="minisblack", metadata={"axes": "TCYX"}
    )
    with caplog.at_level(logging.WARNING):
        assert run(tmp_path / "a.ome.tif", tmp_path / "out").ok
    assert "FOV 0, channel 1: 2 of 8 frames are 0 throughout (2-3)" in caplog.text
    assert "in all frames looked at" not in caplog.text
    traces = pd.read_csv(next(tmp_path.glob("out/fov_000/*_traces_ch_1.csv")))
    dark = traces[traces["frame"].isin([2, 3])]["intensity_total"]
    assert set(dark) == {0}
