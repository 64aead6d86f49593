"""The same words mean the same from the command, a configuration and Python, and say who erred."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from movies import metadata_of, rough_squares, write_movie
from pyama_core.cli.app import app
from pyama_core.errors import InputError
from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file
from pyama_core.processing.workflow.configuration import load_config
from pyama_core.processing.workflow.outcome import RunOutcome
from pyama_core.processing.workflow.pipeline import run_complete_workflow, run_workflow
from pyama_core.processing.workflow.request import select_fovs
from pyama_core.processing.workflow.services.analysis import ChannelChoice, parse_analysis
from pyama_core.processing.workflow.services.types import (
    Channels,
    ProcessingContext,
    ensure_context,
)
from runs import exact

pytestmark = pytest.mark.usefixtures("workers_inline")


def pyama(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """A movie whose channels are called 1, 2, 3."""
    pixels = rough_squares(2, 64, [(10, 10)])[:, [0, 1, 1]]
    path = tmp_path_factory.mktemp("numbered") / "m.ome.tif"
    return write_movie(path, [pixels], ["1", "2", "3"], 1.0)


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Path:
    """A movie of two FOVs with the channels Phase, GFP, 1."""
    pixels = rough_squares(2, 64, [(10, 10)])[:, [0, 1, 1]]
    path = tmp_path_factory.mktemp("named") / "m.ome.tif"
    return write_movie(path, [pixels, pixels], ["Phase", "GFP", "1"], 1.0)


Asked = tuple[ChannelChoice, tuple[int, ...]]


@pytest.fixture
def last_request(monkeypatch):
    """Let the command end where a run would begin; gives the channels and FOVs of the run."""
    requests: list[Asked] = []

    def note(parse, **_):
        request = parse()
        requests.append((request.analysis.channels, request.fovs))
        return RunOutcome({})

    monkeypatch.setattr("pyama_core.cli.run.carry_out", note)
    monkeypatch.setattr("pyama_core.processing.workflow.pipeline.carry_out", note)
    return requests


def by_flags(movie: Path, out: Path, pc: str, fl: str) -> str:
    return pyama("run", movie, "-o", out, f"--pc={pc}", f"--fl={fl}").stderr


def by_yaml(movie: Path, out: Path, pc: str, fl: str) -> str:
    config = out.with_suffix(".yaml")
    config.write_text(f"channels:\n  pc: {pc}\n  fl: [{fl}]\n", encoding="utf-8")
    return pyama("run", movie, "-o", out, "--config", config).stderr


def by_python(movie: Path, out: Path, pc: str, fl: str) -> str:
    context = ProcessingContext(out, Channels(pc=pc, fl=[fl]))
    try:
        run_workflow(metadata_of(movie), context)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("ask", [by_flags, by_yaml, by_python])
@pytest.mark.parametrize(
    ("pc", "fl", "expected"),
    [
        ("0", "2", "'2' means two things: by name channel 1 (2), by number channel 2 (3)"),
        ("1", "3", "'1' means two things: by name channel 0 (1), by number channel 1 (2)"),
        ("0", "3", ChannelChoice(pc=0, fl=(2,))),
        ("name:1", "name:2", ChannelChoice(pc=0, fl=(1,))),
        ("index:0", "index:2", ChannelChoice(pc=0, fl=(2,))),
        ("0", "4", "there is no channel 4; the file has 0 (1), 1 (2), 2 (3)"),
    ],
)
def test_channels_that_are_called_numbers_mean_the_same_everywhere(
    numbered, tmp_path, last_request, ask, pc, fl, expected
):
    told = ask(numbered, tmp_path / "out", pc, fl)
    if isinstance(expected, str):
        assert expected in told
        assert last_request == []
    else:
        assert last_request == [(expected, (0,))]


@pytest.mark.parametrize("ask", [by_flags, by_yaml, by_python])
@pytest.mark.parametrize(
    ("pc", "fl", "expected"),
    [
        ("phase", "GFP", ChannelChoice(pc=0, fl=(1,))),
        ("Phase", "gfp", ChannelChoice(pc=0, fl=(1,))),
        ("0", "2", ChannelChoice(pc=0, fl=(2,))),
        ("0", "name:1", ChannelChoice(pc=0, fl=(2,))),
        ("0", "index:1", ChannelChoice(pc=0, fl=(1,))),
        ("0", "1", "by name channel 2 (1), by number channel 1 (GFP)"),
        ("Phsae", "GFP", "did you mean 'Phase'?"),
    ],
)
def test_channels_that_have_names_mean_the_same_everywhere(
    named, tmp_path, last_request, ask, pc, fl, expected
):
    told = ask(named, tmp_path / "out", pc, fl)
    if isinstance(expected, str):
        assert expected in told
        assert last_request == []
    else:
        assert last_request == [(expected, (0, 1))]


def test_who_gave_a_wrong_word_is_named(named, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("channels: {pc: Phase, fl: [DAPI], nuclei: X}\n", encoding="utf-8")
    words = ["run", named, "-o", tmp_path / "out", "--config", config]
    for more, expected in (
        ([], f"error: {config}: channels.fl: there is no channel 'DAPI'"),
        (["--fl", "YFP"], "error: --fl: there is no channel 'YFP'"),
        (["--fl", "GFP"], f"error: {config}: channels.nuclei: there is no channel 'X'"),
        (["--fl", "GFP", "--nuclei", "Y"], "error: --nuclei: there is no channel 'Y'"),
        (["--pc", "P"], "error: --pc: there is no channel 'P'"),
        (["--fovs", "9"], "error: --fovs: there is no FOV 9"),
    ):
        result = pyama(*words, *more)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1].startswith(expected)
    assert not (tmp_path / "out").exists()


# FOVs by name


def folder_of_wells(path: Path) -> Path:
    path.mkdir()
    for well in ("A1", "A2", "B1"):
        for t, frame in enumerate(rough_squares(2, 64, [(10, 10)])):
            for channel, pixels in zip(("Phase", "GFP"), frame, strict=True):
                tifffile.imwrite(path / f"{well}_{channel}_t{t}.tif", pixels)
    return path


@pytest.fixture(scope="module")
def wells(tmp_path_factory) -> MicroscopyMetadata:
    """A folder of images of the wells A1, A2, B1, two frames of two channels of each."""
    folder = folder_of_wells(tmp_path_factory.mktemp("wells") / "plate")
    source, metadata = load_microscopy_file(folder, pattern="{fov}_{channel}_t{time}.tif")
    source.close()
    assert metadata.fov_names == ("A1", "A2", "B1")
    return metadata


PLATE = ["--pattern", "{fov}_{channel}_t{time}.tif", "--pc", "phase", "--fl", "gfp"]


@pytest.mark.parametrize(
    ("flags", "yaml"),
    [
        (["--fovs", "a1,B1"], ""),
        ([], "fovs: A1,B1"),
        ([], "fovs: [A1, 2]"),
        ([], "fovs: [A1, B1]"),
        (["--fovs", "0,2"], "fovs: A2"),
    ],
)
def test_fovs_are_chosen_by_name(wells, tmp_path, last_request, flags, yaml):
    config = tmp_path / "run.yaml"
    config.write_text(f"workers: 1\n{yaml}\n", encoding="utf-8")
    words = ["run", wells.file_path, "-o", tmp_path / "out", *PLATE, "--config", config, *flags]
    pyama(*words)
    assert last_request == [(ChannelChoice(pc=1, fl=(0,)), (0, 2))]


@pytest.mark.parametrize("fovs", ["A1,B1", ["A1", "B1"], ["b1", 0], [0, 2], (np.int64(0), "2")])
def test_fovs_are_chosen_by_name_from_python(wells, tmp_path, fovs):
    context = ProcessingContext(tmp_path, Channels(pc="Phase", fl=["GFP"]))
    assert select_fovs(wells, fovs=fovs) == [0, 2]
    parse_analysis(context, wells.channel_names)
    assert context.channels == Channels(pc=1, fl=[0])


def test_a_run_by_names_makes_the_files_of_their_numbers(wells, tmp_path):
    context = ProcessingContext(tmp_path, Channels(pc="phase", fl=["GFP"]), params=exact())
    assert run_complete_workflow(wells, context, fovs="B1", n_workers=1)
    assert [path.name for path in tmp_path.rglob("*.csv") if "traces" in path.name] == [
        "plate_fov_002_traces_ch_0.csv"
    ]
    assert run_complete_workflow(wells, context, fovs=[2], n_workers=1)


@pytest.mark.parametrize(
    ("fovs", "words"),
    [
        ("A3", "fovs: expected names, numbers and ranges such as 0-3,7, found 'A3'"),
        (["A1", 3], "no FOV 3"),
        (["A1", None], "expected an integer for FOV, found None"),
        ([], "the selection of FOVs is empty"),
        ("", "fovs: expected names"),
    ],
)
def test_fovs_that_are_not_there_are_refused_from_python(wells, tmp_path, fovs, words):
    context = ProcessingContext(tmp_path / "out", Channels(pc=0, fl=[1]))
    outcome = run_workflow(wells, context, fovs=fovs, n_workers=1)
    assert words in (outcome.refusal or "")
    assert not (tmp_path / "out").exists()


# What YAML takes for something else


@pytest.mark.parametrize("word", ["2", "02", "no", "1_0", "1.50", "2024-01-02", "0x1", "1e3", "on"])
def test_words_in_a_configuration_stay_as_they_were_written(tmp_path, word):
    path = tmp_path / "run.yaml"
    path.write_text(
        f"channels: {{pc: {word}, fl: [{word}]}}\nfovs: [{word}]\n"
        f"tracking: {{brightness_channel: {word}}}\n",
        encoding="utf-8",
    )
    config = load_config(path, {})
    assert config.channels.model_dump() == {
        "pc": word,
        "segment": None,
        "fl": [word],
        "nuclei": None,
    }
    assert config.fovs == [word]
    assert config.tracking.brightness_channel == word


def test_the_channel_of_brightness_is_found_by_name(named, tmp_path):
    params = {
        "segmentation": {"method": "log-std"},
        "tracking": {"divisions": True, "brightness_channel": "gfp"},
    }
    context = ProcessingContext(tmp_path / "out", Channels(pc="Phase", fl=["GFP"]), params=params)
    analysis = parse_analysis(context, metadata_of(named).channel_names)
    assert analysis.parameters.tracking.brightness_channel == 1
    assert params["tracking"]["brightness_channel"] == "gfp"


def test_a_channel_of_brightness_that_is_not_there_is_named(named, tmp_path):
    params = {"tracking": {"divisions": True, "brightness_channel": "DAPI"}}
    context = ProcessingContext(tmp_path / "out", Channels(pc="Phase", fl=["GFP"]), params=params)
    outcome = run_workflow(metadata_of(named), context, n_workers=1)
    assert "tracking.brightness_channel: there is no channel 'DAPI'" in (outcome.refusal or "")


# Paths without text

EMPTY = {
    "output": ["run", "{movie}", "-o", "{empty}", "--pc", 0, "--fl", 1],
    "file": ["run", "{empty}", "-o", "out", "--pc", 0, "--fl", 1],
    "config": ["run", "{movie}", "-o", "out", "--pc", 0, "--fl", 1, "--config", "{empty}"],
    "write-config": ["run", "--write-config", "--config", "{empty}"],
    "inspect": ["inspect", "{empty}"],
    "thumbnail": ["inspect", "{movie}", "--thumbnail", "{empty}"],
    "demo": ["demo", "{empty}"],
    "status": ["status", "{empty}"],
    "verify": ["verify", "{empty}"],
    "release": ["release", "{empty}", "--stacks", "seg"],
}
FLAGS = {"output": "--output", "config": "--config", "write-config": "--config"}


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize("case", EMPTY)
def test_an_empty_path_is_not_the_current_folder(named, tmp_path, monkeypatch, case, empty):
    monkeypatch.chdir(tmp_path)
    result = pyama(*[str(word).format(movie=named, empty=empty) for word in EMPTY[case]])
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "expected a path, found an empty text" in result.stderr
    assert result.stderr.startswith(f"error: {FLAGS.get(case, '')}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["output", "file"])
def test_an_empty_path_in_a_configuration_is_refused(named, tmp_path, monkeypatch, key):
    monkeypatch.chdir(tmp_path)
    text = {"file": f"'{named.as_posix()}'", "output": "out", key: "''"}
    channels = "channels: {pc: 0, fl: [2]}\n"
    Path("run.yaml").write_text(channels + "".join(f"{k}: {v}\n" for k, v in text.items()))
    result = pyama("run", "--config", "run.yaml")
    assert result.exit_code == 2
    assert f"error: run.yaml: {key}: expected a path, found an empty text" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


@pytest.mark.parametrize(
    "section",
    [
        {"segmentation": {"method": "cellpose", "weights": ""}},
        {"segmentation": {"method": "files", "path": ""}},
    ],
)
def test_an_empty_path_in_a_parameter_is_refused(named, tmp_path, section):
    context = ProcessingContext(tmp_path / "out", Channels(pc=0, fl=[2]), params=section)
    outcome = run_workflow(metadata_of(named), context, n_workers=1)
    assert ": expected a path" in (outcome.refusal or "") or "at least 1" in (outcome.refusal or "")


def test_an_empty_path_from_python_is_refused(named, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="output_dir: expected a path, found an empty text"):
        ensure_context(ProcessingContext(output_dir=""))
    with pytest.raises(InputError, match="microscope file: expected a path"):
        load_microscopy_file("")
    context = ProcessingContext(output_dir="", channels=Channels(pc=0, fl=[2]))
    with caplog.at_level(logging.ERROR):
        assert not run_complete_workflow(metadata_of(named), context, n_workers=1)
    assert "output_dir: expected a path" in caplog.text
    assert list(tmp_path.iterdir()) == []


# Who is to blame


BLAME = [
    (["--workers", 0], "batch_size: 2", "error: --workers: input should be greater than 0"),
    (["--batch-size", -1], "workers: 2", "error: --batch-size: input should be greater"),
    (["--interval", -1], "workers: 2", "error: --interval (extraction.interval_minutes): input"),
    (["--z", "top"], "workers: 2", "error: --z: input should be"),
    (["--segmentation", "otsu"], "workers: 2", "error: --segmentation (segmentation.method): Exp"),
    (["--tracking", "x"], "workers: 2", "error: --tracking (tracking.method): Expected a tracking"),
    (["--cell-diameter", "wide"], "workers: 2", "error: --cell-diameter: "),
    (
        ["--cell-diameter", "20", "--segmentation", "log-std"],
        "workers: 2",
        "error: --cell-diameter: unknown key 'segmentation.cell_diameter'; segmentation.method: in",
    ),
    (
        ["--segmentation", "log-std"],
        "segmentation: {cell_diameter: 20}",
        "has it, set that too (with --segmentation log-std)",
    ),
    (["--workers", 1], "batch_size: 0", "error: {config}: batch_size: input should be greater"),
    (["--workers", 1], "tracking: {method: x}", "error: {config}: Expected a tracking method"),
    ([], "workers: 0", "error: {config}: workers: input should be greater"),
]


@pytest.mark.parametrize(("flags", "yaml", "expected"), BLAME)
def test_a_wrong_value_is_blamed_on_who_gave_it(named, tmp_path, flags, yaml, expected):
    config = tmp_path / "run.yaml"
    config.write_text(yaml, encoding="utf-8")
    words = ["run", named, "-o", tmp_path / "out", "--pc", 0, "--fl", 2, "--config", config]
    result = pyama(*words, *flags)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert expected.format(config=config) in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("flags", "yaml", "expected"), BLAME[:8])
def test_a_wrong_flag_is_named_without_a_configuration_too(named, tmp_path, flags, yaml, expected):
    result = pyama("run", named, "-o", tmp_path / "out", "--pc", 0, "--fl", 2, *flags)
    assert result.exit_code == 2
    assert result.stderr.startswith(expected)
