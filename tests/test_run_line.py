"""`pyama inspect` ends with the `pyama run` line to type, the channel of the cells filled in."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from movies import rough_squares, write_movie
from pyama_core.cli.app import app
from pyama_core.cli.run_line import UNKNOWN_CHANNEL, as_line, words_of_run
from pyama_core.demo import write_demo
from pyama_core.demo.kinds import DemoKind
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.frame_source import MicroscopyMetadata
from pyama_core.io.readers.phase_contrast import find_phase_contrast
from pyama_core.io.readers.survey import Survey, survey
from pyama_core.io.storage.naming import find_records
from pyama_core.processing.segmentation.picture.kind import Picture
from pyama_core.processing.workflow.services.pictures import look_at_channel

_RNG = np.random.default_rng(5)
_NOISE = _RNG.normal(0, 5, (96, 96))


def blobs(height: float) -> np.ndarray:
    """Squares, a sixteenth of the frame, over a noisy ground."""
    frame = 1000 + _NOISE
    frame[8:32, 8:32] += height
    return frame


PIXELS: Mapping[str, np.ndarray] = {
    # Cells that are darker inside and have a bright rim.
    "both sides": blobs(-300) + np.roll(blobs(300), 48, 1),
    "bright": blobs(900),
    "dark": np.zeros((96, 96)),
    "even": np.full((96, 96), 7.0),
}


def looked_at(
    tmp_path: Path, channels: Sequence[tuple[str, str]]
) -> tuple[Path, MicroscopyMetadata, Survey]:
    """Write a movie of channels, each a name and what its pixels are, and look at it."""
    frames = np.stack([PIXELS[pixels] for _, pixels in channels])
    movie = np.stack([frames, frames]).astype(np.uint16)
    path = write_movie(tmp_path / "m.ome.tif", [movie], [name for name, _ in channels], 1.0)
    source, metadata = load_microscopy_file(path)
    with source:
        return path, metadata, survey(source)


def shown_by(path: Path) -> dict[int, Picture]:
    """Return what the channels show, but for those that are dark."""
    source, _ = load_microscopy_file(path)
    with source:
        lit = [c for c, limits in enumerate(survey(source).ranges) if limits != (0, 0)]
        return {channel: look_at_channel(source, channel) for channel in lit}


def inspect(*words: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, words)], env={"COLUMNS": "40"})


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        ([("GFP", "bright"), ("Phase", "bright")], 1),
        ([("GFP", "both sides"), ("20x Ph2", "both sides")], 1),
        ([("BF", "both sides"), ("phase-contrast", "bright")], 1),
        ([("GFP", "bright"), ("DIC", "bright")], 1),
        ([("FITC pH 9.0", "bright"), ("w1", "both sides")], 1),
        ([("w1", "bright"), ("w2", "both sides"), ("w3", "even")], 1),
        ([("Phase", "dark"), ("w2", "both sides")], 1),
        ([("Phase", "bright"), ("Phase 2", "both sides")], 1),
        ([("w1", "both sides")], 0),
        ([("GFP", "bright"), ("w3", "even"), ("w4", "dark")], None),
    ],
)
def test_the_channel_that_looks_like_phase_contrast_is_found(tmp_path, channels, found):
    _, metadata, seen = looked_at(tmp_path, channels)
    assert find_phase_contrast(metadata, seen) == found


@pytest.mark.parametrize(
    ("emission", "found"), [((510.0, None, 610.0), 1), ((510.0, 450.0, 610.0), None), ((), 0)]
)
def test_a_channel_without_emission_beside_others_is_transmitted_light(tmp_path, emission, found):
    channels = [("a", "both sides"), ("b", "bright"), ("c", "bright")]
    _, metadata, seen = looked_at(tmp_path, channels)
    metadata = dataclasses.replace(metadata, emission_nm=emission)
    assert find_phase_contrast(metadata, seen) == found


def test_frames_too_small_to_judge_make_no_phase_contrast(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((2, 3, 3), np.uint16))
    source, metadata = load_microscopy_file(tmp_path / "a.tif", axes="TYX")
    with source:
        assert find_phase_contrast(metadata, survey(source)) is None


def test_pixels_that_are_no_number_are_passed_over(tmp_path):
    frames = np.stack([PIXELS["bright"], PIXELS["both sides"], np.full((96, 96), np.nan)])
    frames[:, 0, :3] = np.nan, np.inf, -np.inf
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([frames, frames]).reshape(6, 96, 96).astype(np.float32))
    source, metadata = load_microscopy_file(path, axes="TCYX", sizes="2,3")
    with source:
        assert find_phase_contrast(metadata, survey(source)) == 1


@pytest.mark.parametrize(
    ("channels", "typed"),
    [
        (
            [("GFP", "bright"), ("Phase", "both sides"), ("BF", "both sides"), ("RFP", "dark")],
            ["--pc", "Phase", "--fl", "GFP"],
        ),
        ([("1", "both sides"), ("0", "bright")], ["--pc", "index:0", "--fl", "index:1"]),
        ([("a b", "both sides"), ("-x", "bright")], ["--pc", "a b", "--fl", "index:1"]),
        ([("GFP", "both sides"), ("GFP", "bright")], ["--pc", "index:0", "--fl", "index:1"]),
        ([("GFP", "bright")], ["--segment", "GFP", "--fl", "GFP"]),
        (
            [("GFP", "bright"), ("DAPI", "bright"), ("RFP", "dark")],
            ["--segment", "DAPI", "--fl", "GFP", "--fl", "DAPI"],
        ),
        ([("GFP", "even")], ["--segment", "CHANNEL", "--fl", "GFP"]),
    ],
)
def test_channels_are_named_so_that_each_word_means_one(tmp_path, channels, typed):
    path, metadata, seen = looked_at(tmp_path, channels)
    words = words_of_run(path, {}, metadata, seen, shown_by(path))
    assert words == ["pyama", "run", str(path), "-o", "results", *typed]


def test_the_line_can_be_typed_as_it_stands_and_runs(tmp_path, monkeypatch):
    folder = tmp_path / "Ö 'x' $y"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    pixels = rough_squares(3, 64, [(20, 20)])[:, [0, 1]].reshape(6, 64, 64)
    path = folder / "a b.tif"
    tifffile.imwrite(path, pixels)
    line = inspect(path, "--axes", "TCYX", "--sizes", "3,2").stdout.splitlines()[-1]
    line = line.replace("--segment CHANNEL", "--pc 0").replace(" --fl 'Channel 0'", "")
    assert line.endswith(" --axes TCYX --sizes 3,2")
    if os.name != "nt":
        _, *words = shlex.split(line)
        assert CliRunner().invoke(app, words).exit_code == 0
        assert len(find_records(Path("results"))) == 1


class PlannedError(Exception):
    """A run was planned to the last word, and would begin."""


@pytest.fixture
def only_planned(monkeypatch):
    def plan(parse, **_):
        parse()
        raise PlannedError

    monkeypatch.setattr("pyama_core.cli.run.carry_out", plan)


def is_planned_as_proposed(path: Path, out: Path) -> bool:
    words = json.loads(inspect(path, "--json").stdout)["run"]
    words[words.index("results")] = str(out)
    words = [word.replace(UNKNOWN_CHANNEL, "0") for word in words]
    return isinstance(CliRunner().invoke(app, words[1:]).exception, PlannedError)


@pytest.mark.parametrize(
    "channels",
    [
        [("Phase", "both sides")],
        [("Phase", "both sides"), ("Größe µ", "bright")],
        [("w1", "bright")],
        [("BF", "both sides"), ("dark", "dark")],
        [("one", "even"), ("two", "even")],
    ],
)
def test_what_is_proposed_is_taken(tmp_path, only_planned, channels):
    folder = tmp_path / "ein Ordner"
    folder.mkdir()
    path, _, _ = looked_at(folder, channels)
    assert is_planned_as_proposed(path, tmp_path / "out")


@pytest.mark.parametrize("kind", DemoKind)
def test_what_is_proposed_for_a_demo_is_taken(tmp_path, only_planned, kind):
    image = write_demo(tmp_path / "ä b", fovs=1, frames=2, size=128, kind=kind).image
    assert is_planned_as_proposed(image, tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("incucyte", marks=pytest.mark.slow),
        pytest.param("il1b", marks=pytest.mark.slow),
        pytest.param("nanog", marks=pytest.mark.slow),
        "t98g",
        "nd2/cluster.nd2",
        "nd2/example-pbmc.nd2",
        "nd2/example-timelapse.nd2",
        "nd2/example-zstack.nd2",
        "czi/WellD6-7_S2.czi",
        "czi/CellDivision_T3_Z5_CH2_X240_Y170.czi",
    ],
)
def test_what_is_proposed_for_real_images_is_taken(shared_data, tmp_path, only_planned, name):
    assert is_planned_as_proposed(shared_data / name, tmp_path / "out")


def test_cells_are_followed_where_nothing_is_measured(tmp_path, workers_inline):
    path, _, _ = looked_at(tmp_path, [("Phase", "both sides")])
    result = CliRunner().invoke(app, ["run", str(path), "-o", str(tmp_path / "out"), "--pc", "0"])
    assert result.exit_code == 0
    assert "cells are tracked, but not measured" in result.stderr
    [tracks] = (tmp_path / "out").glob("fov_*/*_tracks.csv")
    assert tracks.is_file()
    assert not list((tmp_path / "out").glob("fov_*/*_traces_*"))


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("name", ["plain", "a b'\"$(x)`\\", "Ö\u202e\n\t", "a\udcff'\\"])
def test_words_that_nobody_can_type_reach_the_program_all_the_same(name):
    printed = subprocess.run(
        ["bash", "-c", f"printf %s {as_line([name])}"], capture_output=True, check=True
    ).stdout
    assert printed == os.fsencode(name)
    assert as_line([name]).isprintable()


def test_options_without_a_value_and_files_like_options_stay_what_they_are(tmp_path):
    _, metadata, seen = looked_at(tmp_path, [("Phase", "both sides")])
    words = words_of_run(Path("-m.tif"), {"outside": True, "axes": "TYX"}, metadata, seen, {})
    assert words[2:3] + words[-3:] == ["./-m.tif", "--outside", "--axes", "TYX"]
    words = words_of_run(Path("s3://bucket/p.zarr"), {}, metadata, seen, {})
    assert words[2] == "s3://bucket/p.zarr"


def test_inspect_ends_with_the_line_however_narrow_the_terminal_is(tmp_path):
    path, metadata, seen = looked_at(tmp_path, [("w1", "bright"), ("w2", "both sides")])
    words = words_of_run(path, {}, metadata, seen, shown_by(path))
    result = inspect(path)
    assert result.stdout.endswith(f"\nto run it:\n{as_line(words)}\n")
    assert json.loads(inspect(path, "--json").stdout)["run"] == words


def test_inspect_says_where_no_channel_looks_like_cells(tmp_path):
    path, _, _ = looked_at(tmp_path, [("GFP", "even")])
    shown = inspect(path).stdout
    assert "no channel surely shows cells: put yours for CHANNEL:\n" in shown
    assert "--segment CHANNEL --fl GFP" in shown


def test_inspect_says_what_each_channel_shows_and_why(tmp_path):
    path, _, _ = looked_at(tmp_path, [("GFP", "bright"), ("w2", "even"), ("w3", "dark")])
    shown = " ".join(inspect(path).stdout.split())
    assert "channel 0 (GFP) shows bright objects: " in shown
    assert "% of the contrast is brighter" in shown
    assert "channel 1 (w2) shows unsure, perhaps" in shown
    assert "channel 2" not in shown
    pictures = json.loads(inspect(path, "--json").stdout)["pictures"]
    assert [each["kind"] for each in pictures] == ["bright objects", "unsure"]
    assert pictures[0]["segmentation"] == "bright"
    assert pictures[0]["bright_share"] > 0.9


def test_what_a_run_would_refuse_has_no_line(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((2, 9, 9), np.int64))
    result = inspect(path, "--axes", "TYX")
    assert "pyama run refuses it" in result.stderr
    assert "to run it" not in result.stdout
