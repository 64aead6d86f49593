"""Frames that a source lacks: what is there is processed, what is not is marked, nothing shifts."""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from typer.testing import CliRunner

from inline import run_inline
from movies import metadata_of, rough_squares
from pyama_core.cli.app import app
from pyama_core.io.frame_ranges import format_ranges, parse_ranges
from pyama_core.io.readers.image_folder import source as image_folder
from pyama_core.io.storage.records import FovRecord
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder
from runs import exact, inodes

pytestmark = pytest.mark.usefixtures("workers_inline")

N_FRAMES = 8
MOVIE = rough_squares(N_FRAMES, 96, [(10, 10), (50, 40)])
WHITE = np.iinfo(np.uint16).max


def write_folder(folder: Path, n_fovs: int = 1) -> Path:
    folder.mkdir()
    for fov in range(n_fovs):
        for t, channel in np.ndindex(N_FRAMES, 2):
            tifffile.imwrite(folder / image_name(fov, t, channel), MOVIE[t, channel])
    return folder


def image_name(fov: int, t: int, channel: int) -> str:
    return f"a_xy{fov}t{t}c{channel}.tif"


def remove(folder: Path, t: int, channel: int, fov: int = 0) -> None:
    (folder / image_name(fov, t, channel)).unlink()


def damage(folder: Path, t: int, channel: int) -> None:
    path = folder / image_name(0, t, channel)
    path.write_bytes(path.read_bytes()[:1000])


def run(folder: Path, out: Path, nuclei: int | None = None, **params: Any) -> Any:
    channels = Channels(pc=0, fl=[1], nuclei=nuclei)
    context = ProcessingContext(output_dir=out, channels=channels, params=exact(params))
    return run_inline(metadata_of(folder), context)


def stack(out: Path, kind: str, channel: int) -> Any:
    return np.load(next(out.glob(f"fov_000/*_{kind}_ch_{channel}.npy")))


def traces(out: Path, fov: int = 0) -> pd.DataFrame:
    return pd.read_csv(next((out / f"fov_{fov:03d}").glob("*_traces_ch_1.csv")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return the traces of the movie with nothing missing."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(write_folder(folder / "images"), folder / "out").ok
    found = traces(folder / "out")
    assert len(found) == 2 * N_FRAMES
    return found


def test_traces_are_those_of_the_whole_movie_without_the_frames_that_are_missing(
    tmp_path: Path, whole: pd.DataFrame
) -> None:
    folder = write_folder(tmp_path / "images")
    remove(folder, t=0, channel=0)
    remove(folder, t=3, channel=0)
    remove(folder, t=3, channel=1)
    remove(folder, t=5, channel=1)
    damage(folder, t=6, channel=1)
    assert run(folder, tmp_path / "out").ok
    expected = whole[~whole["frame"].isin([0, 3, 5, 6])].reset_index(drop=True)
    pd.testing.assert_frame_equal(traces(tmp_path / "out"), expected)


def test_missing_frames_keep_their_place_and_are_no_dark_images(tmp_path: Path) -> None:
    folder, out = write_folder(tmp_path / "images"), tmp_path / "out"
    remove(folder, t=2, channel=0)
    remove(folder, t=4, channel=1)
    assert run(folder, out).ok
    there = np.ones((N_FRAMES, 2), bool)
    there[2, 0] = there[4, 1] = False
    for channel, kind in enumerate(("pc", "fl")):
        copy = stack(out, kind, channel)
        np.testing.assert_array_equal(copy[there[:, channel]], MOVIE[there[:, channel], channel])
        assert (copy[~there[:, channel]] == WHITE).all()
    cells, corrected = stack(out, "seg_labeled", 0), stack(out, "fl_corrected", 1)
    assert [bool(frame.any()) for frame in cells] == list(there[:, 0])
    assert [bool(np.isnan(frame).all()) for frame in corrected] == list(~there.all(axis=1))
    assert [bool(np.isnan(frame).any()) for frame in corrected] == list(~there.all(axis=1))


def test_what_is_missing_is_said_in_log_record_results_and_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, out = write_folder(tmp_path / "images"), tmp_path / "out"
    remove(folder, t=2, channel=1)
    damage(folder, t=3, channel=1)
    remove(folder, t=6, channel=1)
    with caplog.at_level(logging.WARNING):
        assert run(folder, out).ok
    told = "FOV 0, channel 1: 3 of 8 frames are missing and left out (2-3,6), the first because"
    assert told in caplog.text
    results = yaml.safe_load((out / "processing_results.yaml").read_text(encoding="utf-8"))
    assert results["missing_frames"] == {0: {1: "2-3,6"}}
    assert describe_folder(out)["fovs"]["0"]["missing_frames"] == {1: "2-3,6"}
    shown = CliRunner().invoke(app, ["status", str(out)]).stdout
    assert re.search(r"FOV 0( \(.*\))?: channel 1( \(.*\))? lacks the frames 2-3,6", shown)
    record = next(out.glob("fov_000/*_record.json")).read_text(encoding="utf-8")
    missing = {e.kind: e.missing for e in FovRecord.model_validate_json(record).outputs.values()}
    assert missing == {
        **dict.fromkeys(("pc", "seg", "seg_labeled"), ""),
        **dict.fromkeys(("tracks_csv", "shifts_csv", "traces_csv"), ""),
        **dict.fromkeys(("fl", "fl_corrected"), "2-3,6"),
    }


def test_a_repeated_run_believes_what_is_there(tmp_path: Path) -> None:
    folder, out = write_folder(tmp_path / "images"), tmp_path / "out"
    remove(folder, t=2, channel=0)
    assert run(folder, out).ok
    before = inodes(out, "*.npy") | inodes(out, "*.csv")
    assert run(folder, out).ok
    assert inodes(out, "*.npy") | inodes(out, "*.csv") == before


def test_a_channel_taken_in_every_third_frame_has_traces_of_those(
    tmp_path: Path, whole: pd.DataFrame
) -> None:
    folder = write_folder(tmp_path / "images")
    taken = {0, 3, 6}
    for t in set(range(N_FRAMES)) - taken:
        remove(folder, t, channel=1)
    assert run(folder, tmp_path / "out").ok
    expected = whole[whole["frame"].isin(taken)].reset_index(drop=True)
    pd.testing.assert_frame_equal(traces(tmp_path / "out"), expected)
    assert stack(tmp_path / "out", "pc", 0).shape[0] == N_FRAMES


@pytest.mark.parametrize(
    ("nuclei", "params"),
    [
        (None, {"segmentation": {"method": "log-std"}, "tracking": {"method": "iou"}}),
        (None, {"segmentation": {"method": "log-std"}, "tracking": {"method": "lineage"}}),
        (1, {"segmentation": {"method": "instances"}, "tracking": {"method": "lineage"}}),
    ],
)
def test_every_method_passes_over_a_gap(
    tmp_path: Path, nuclei: int | None, params: dict[str, Any]
) -> None:
    folder, out = write_folder(tmp_path / "images"), tmp_path / "out"
    for t in (2, 4):
        remove(folder, t, channel=0)
        remove(folder, t, channel=1)
    assert run(folder, out, nuclei, **params).ok
    frames = traces(out).groupby("cell")["frame"].apply(list)
    assert [0, 1, 3, 5, 6, 7] in frames.to_list()


def test_a_channel_without_any_frame_fails_its_position_and_no_other(tmp_path: Path) -> None:
    folder, out = write_folder(tmp_path / "images", n_fovs=2), tmp_path / "out"
    for t in range(N_FRAMES):
        remove(folder, t, channel=1, fov=0)
    outcome = run(folder, out)
    assert not outcome.ok
    results = yaml.safe_load((out / "processing_results.yaml").read_text(encoding="utf-8"))
    assert list(results["failed"]) == [0]
    assert "channel 1 has no frame that can be read: " in results["failed"][0]["error"]
    assert len(traces(out, fov=1)) == 2 * N_FRAMES


def test_what_a_failing_drive_does_not_give_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = write_folder(tmp_path / "images"), tmp_path / "out"
    monkeypatch.setattr("pyama_core.io.retrying.PAUSES_S", (0.0,))
    real = image_folder.read_image

    def read_image(path: Path, *arguments: Any) -> Any:
        if path.name == image_name(0, 4, 0):
            raise OSError(errno.EIO, "the drive failed")
        return real(path, *arguments)

    with monkeypatch.context() as failing:
        failing.setattr(image_folder, "read_image", read_image)
        assert not run(folder, out).ok
    assert "drive failed" in (out / "processing_results.yaml").read_text(encoding="utf-8")
    assert run(folder, out).ok
    assert set(traces(out)["frame"]) == set(range(N_FRAMES))


def test_ranges_survive_being_text() -> None:
    rng = np.random.default_rng(0)
    for n in range(40):
        frames = frozenset(np.flatnonzero(rng.random(n) < 0.5).tolist())
        assert parse_ranges(format_ranges(frames), n) == frames


@pytest.mark.parametrize("text", ["3-1", "8", "0-99999999999", "-1", "x", "1-2-3", "9" * 5000])
def test_ranges_of_a_damaged_record_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|invalid|limit"):
        parse_ranges(text, 8)
