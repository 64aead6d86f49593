"""`pyama inspect`: the table, the JSON, the contact sheet, the estimates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from inline import run_inline
from nd2_writer import position_loop, time_loop, write_nd2
from pyama_core import Channels, ProcessingContext
from pyama_core.cli.app import app
from pyama_core.cli.inspect import (
    describe_bytes,
    describe_seconds,
    estimate_output_bytes,
    estimate_run_seconds,
)
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.survey import Survey, first_middle_last, survey
from pyama_core.processing.workflow.keeping import CHOICES

FRAMES = np.random.default_rng(6).integers(100, 4096, (2, 5, 40, 60, 2), dtype=np.uint16)
TIMES_MS = [60_000.0 * (5 * t + p) + 600 * (t % 2) for p in range(2) for t in range(5)]


def inspect(*words: Any) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, words)], env={"COLUMNS": "120"})


@pytest.fixture
def nd2_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.nd2"
    loops = [position_loop(["left", "right [2]"]), time_loop(5, 300_000.0)]
    frames = FRAMES.reshape(-1, 40, 60, 2)
    write_nd2(path, frames, loops, times_ms=TIMES_MS, channel_names=["Phase", "GFP"])
    return path


def test_the_table_has_what_a_microscopist_looks_for(nd2_file: Path) -> None:
    result = inspect(nd2_file)
    assert result.exit_code == 0
    for words in (
        *("run.nd2", "left", "right [2]", "Phase", "GFP", "60 × 40", "uint16", "0.5 µm"),
        *("every 5 min ± 0.01 min (4.99 to 5.01 min), measured", "12 of 16", "10.0, 0.0"),
        *("writes about", "takes roughly", "1 min"),
        describe_bytes(nd2_file.stat().st_size),
    ):
        assert words in result.stdout, words


def test_columns_with_nothing_in_them_are_left_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAMES[0, ..., 0])
    shown = inspect(tmp_path / "a.tif", "--axes", "TYX").stdout
    assert "grey values seen" in shown
    assert not {"emission", "begins", "stage"} & set(shown.split())


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_shows_all_of_it(nd2_file: Path, width: int) -> None:
    result = CliRunner().invoke(app, ["inspect", str(nd2_file)], env={"COLUMNS": str(width)})
    *shown, run_line = result.stdout.splitlines()[1:]
    assert max(map(len, shown)) <= width
    assert run_line.startswith("pyama run ")
    assert {"Phase", "GFP", "left", "uint16", "10.0,", "measured"} <= set(result.stdout.split())


def test_intervals_that_are_all_the_same_have_no_jitter(tmp_path: Path) -> None:
    path = tmp_path / "a.nd2"
    write_nd2(path, FRAMES[0], [time_loop(5)], times_ms=[500.0 * t for t in range(5)])
    assert "every 0.5 s, without jitter, measured" in inspect(path).stdout


def test_what_a_reader_understood_is_said_once(tmp_path: Path) -> None:
    for t in range(2):
        tifffile.imwrite(tmp_path / f"run_xy1t{t}.tif", FRAMES[0, t, ..., 0])
    result = inspect(tmp_path)
    assert (result.stdout + result.stderr).count("NIS-Elements export") == 1


def test_json_is_one_document_with_the_fields_of_the_metadata(nd2_file: Path) -> None:
    source, metadata = load_microscopy_file(nd2_file)
    source.close()
    content = json.loads(inspect(nd2_file, "--json").stdout)
    assert content["n_fovs"] == 2
    assert content["fov_names"] == ["left", "right [2]"]
    assert content["fov_shapes"] == [[5, 40, 60], [5, 40, 60]]
    assert content["timepoints"] == [list(row) for row in metadata.timepoints]
    assert content["stage_positions_um"] == [[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]]
    assert content["size_on_disk_bytes"] == nd2_file.stat().st_size
    assert content["interval_min"]["mean"] == pytest.approx(5)
    assert content["interval_min"]["longest"] == pytest.approx(5.01)
    looked_at = FRAMES[:, [0, 2, 4]]
    assert content["intensity_ranges"] == [
        [looked_at[..., c].min(), looked_at[..., c].max()] for c in range(2)
    ]
    assert content["estimated_output_bytes"] == estimate_output_bytes(metadata)
    assert content["estimated_run_seconds"] > 0


@pytest.mark.parametrize("keep", CHOICES)
def test_the_estimated_output_is_what_is_kept(nd2_file: Path, tmp_path: Path, keep: str) -> None:
    source, metadata = load_microscopy_file(nd2_file)
    source.close()
    context = ProcessingContext(output_dir=tmp_path / "out", channels=Channels(pc=0, fl=[1]))
    assert run_inline(metadata, context, keep=keep).ok
    stacks = sum(stack.stat().st_size for stack in (tmp_path / "out").rglob("*.npy"))
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("fov_*/*"))
    estimated = estimate_output_bytes(metadata, CHOICES[keep])
    assert written <= estimated < stacks + 100_000
    found = json.loads(inspect(nd2_file, "--json").stdout)["estimated_bytes_by_keep"][keep]
    assert found["kept"] == estimated
    assert found["most_at_once"] >= estimated


def test_what_keeping_less_leaves_is_told(nd2_file: Path) -> None:
    shown = " ".join(inspect(nd2_file).stdout.split())
    assert "--keep labels leaves" in shown
    assert "--keep traces leaves" in shown
    assert "at a time)" in shown


def test_the_estimated_time_grows_with_the_data_and_shrinks_with_workers(nd2_file: Path) -> None:
    source, metadata = load_microscopy_file(nd2_file)
    source.close()
    slow, fast = (Survey(((0, 1),) * 2, seconds_per_frame, {}) for seconds_per_frame in (10.0, 0.0))
    assert estimate_run_seconds(metadata, slow, 1) > 2 * 5 * 2 * 10
    assert estimate_run_seconds(metadata, fast, 1) > estimate_run_seconds(metadata, fast, 2)


@pytest.mark.parametrize(
    ("n", "chosen"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (10, [0, 5, 9])]
)
def test_first_middle_and_last_are_told_apart(n: int, chosen: list[int]) -> None:
    assert first_middle_last(n) == chosen


def test_the_contact_sheet_shows_each_channel_three_times(tmp_path: Path, nd2_file: Path) -> None:
    result = inspect(nd2_file, "--thumbnail", tmp_path / "sheet.png")
    assert result.exit_code == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    height, width = round(320 * 40 / 60), 320
    assert sheet.shape == (2 * (height + 30), 3 * (width + 8))
    for row, column in np.ndindex(2, 3):
        cell = sheet[row * (height + 30) + 22 :, column * (width + 8) :][:height, :width]
        frame = FRAMES[0, (0, 2, 4)[column], :, :, row].astype(float)
        enlarged = cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST)
        assert np.corrcoef(cell.ravel(), enlarged.ravel())[0, 1] > 0.999


def test_a_frame_that_is_missing_is_crossed_out_and_said(tmp_path: Path) -> None:
    loops = [time_loop(5, 1000.0)]
    path = tmp_path / "a.nd2"
    write_nd2(path, FRAMES[0], loops, written=[0, 1, 3, 4])
    result = inspect(path, "--thumbnail", tmp_path / "sheet.png")
    assert result.exit_code == 0
    assert "lacks FOV 0, channel 0, frame 2" in result.stderr
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    height, width = round(320 * 40 / 60), 320
    crossed = sheet[22 : 22 + height, width + 8 : 2 * width + 8]
    assert set(np.unique(crossed)) == {32, 230}


@pytest.mark.parametrize("name", ["sheet.jpg", "missing/sheet.png"])
def test_a_contact_sheet_that_cannot_be_written_is_one_line(
    tmp_path: Path, nd2_file: Path, name: str
) -> None:
    result = inspect(nd2_file, "--thumbnail", tmp_path / name)
    assert result.exit_code == 2
    assert [line for line in result.stderr.splitlines() if line.startswith("error:")]


def test_a_survey_never_makes_up_a_frame(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", FRAMES[0], [time_loop(5)], written=[0, 1, 3, 4])
    source, _ = load_microscopy_file(tmp_path / "a.nd2")
    with source:
        seen = survey(source)
    assert set(seen.samples) == {(c, t) for c in range(2) for t in (0, 4)}
    assert len(seen.failures) == 2
    for (c, t), frame in seen.samples.items():
        np.testing.assert_array_equal(frame, FRAMES[0, t, :, :, c])


def test_a_folder_is_inspected_with_a_pattern(tmp_path: Path) -> None:
    for t in range(3):
        tifffile.imwrite(tmp_path / f"PH at {t}.tif", FRAMES[0, t, :, :, 0])
    refused = inspect(tmp_path)
    assert refused.exit_code == 2
    assert "--pattern" in refused.stderr
    result = inspect(tmp_path, "--pattern", "{channel} at {time}.tif")
    assert result.exit_code == 0
    assert "PH at 0.tif is channel PH, time 0" in result.stdout.replace("│", "").replace("\n", " ")


def test_the_real_phase_and_fluorescence_folder_is_shown(shared_data: Path) -> None:
    result = inspect(shared_data / "incucyte")
    assert result.exit_code == 0
    for words in (
        "Incucyte",
        "B2_1",
        "every 30 min, nominal",
        "1408 × 1040",
        "3 to 255           8",
    ):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 bytes"), (12_300, "12.3 kB"), (4.56e9, "4.56 GB")]
)
def test_sizes_are_written_for_people(size: float, text: str) -> None:
    assert describe_bytes(int(size)) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (36_000, "10.0 h")])
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text
