"""Samples of results: from the configuration, by command and in Python, computing nothing."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import runs
from image_folders import write_image
from movies import rough_squares, write_movie
from pyama_core import open_results
from pyama_core.cli.app import app
from pyama_core.errors import InputError

pytestmark = pytest.mark.usefixtures("workers_inline")

CORNERS = [(20, 20), (60, 70)]


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    return result.exit_code, result.output


def view(output_dir: Path) -> dict:
    return yaml.safe_load((output_dir / "processing_results.yaml").read_text("utf-8"))


def test_positions_that_were_given_no_sample_are_unassigned(copied_results):
    traces = open_results(copied_results).traces
    assert list(traces["sample"].unique()) == ["unassigned"]
    assert view(copied_results)["samples"] == {"unassigned": "0-2"}


def test_samples_are_set_by_command_and_nothing_is_computed_again(demo, copied_results):
    before = runs.data_files(copied_results)
    code, told = command(
        "samples", copied_results, "--set", "drug=position 3", "--set", "control=0"
    )
    assert (code, "drug" in told, "position 2" in told) == (0, True, True)
    after = runs.data_files(copied_results)
    assert after.pop("samples.csv").decode().splitlines() == [
        "fov,name,sample",
        "2,position 3,drug",
        "0,position 1,control",
        "1,position 2,unassigned",
    ]
    assert after == before
    assert view(copied_results)["samples"] == {"drug": "2", "control": "0", "unassigned": "1"}
    again = runs.run(demo, copied_results)
    assert {outcome.status for outcome in again.fovs.values()} == {"skipped"}
    cells = open_results(copied_results).cells
    assert dict(zip(cells["fov"], cells["sample"], strict=True)) == {
        0: "control",
        1: "unassigned",
        2: "drug",
    }


def test_a_table_takes_the_place_of_all_samples_even_of_one_that_is_spoilt(
    copied_results, tmp_path
):
    (copied_results / "samples.csv").write_text("nonsense\n")
    with pytest.raises(InputError, match=r"samples\.csv: expected a header"):
        _ = open_results(copied_results).traces
    table = tmp_path / "from excel.csv"
    table.write_text("\ufeffFOV;Sample;Dose\n0-1;Größe;0,5\n", "utf-8")
    assert command("samples", copied_results, "--from", table)[0] == 0
    samples = open_results(copied_results).samples
    assert list(samples["sample"]) == ["Größe", "Größe", "unassigned"]
    assert list(samples["Dose"][:2]) == [0.5, 0.5]
    assert samples["Dose"].isna()[2]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("control=7", "--set: there is no FOV 7; the file has 0 (position 1), 1 (position 2)"),
        ("control=A1", "there is no FOV 'A1'; the file has 0 (position 1)"),
        ("control", "--set: expected SAMPLE=FOVS, such as control=0-9,12; found 'control'"),
        ("=HYPERLINK(0)=1", "--set: sample: expected a name or a number, found '=HYPERLINK(0)'"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(copied_results, setting, words):
    before = {path: path.read_bytes() for path in copied_results.rglob("*") if path.is_file()}
    code, told = command("samples", copied_results, "--set", setting)
    assert code == 2
    assert words in told
    assert before == {
        path: path.read_bytes() for path in copied_results.rglob("*") if path.is_file()
    }


def test_samples_are_shown_as_plain_data(copied_results):
    command("samples", copied_results, "--set", "a=0-1")
    code, told = command("samples", copied_results, "--json")
    assert code == 0
    shown = json.loads(told)
    assert shown["samples"] == {"a": [0, 1], "unassigned": [2]}
    assert shown["fovs"][1] == {"fov": 1, "name": "position 2", "sample": "a"}


def test_samples_change_in_python_and_are_found_by_their_names(copied_results):
    results = open_results(copied_results)
    results.assign_samples({"drug": {"fovs": [2], "dose": 5}, "control": "position 1"})
    assert list(results.samples["sample"]) == ["control", "unassigned", "drug"]
    assert set(results.read_traces(samples="Drug")["fov"]) == {2}
    assert set(results.read_cells(samples=["control", "unassigned"])["fov"]) == {0, 1}
    assert list(results.traces["sample"].cat.categories) == ["drug", "control", "unassigned"]
    with pytest.raises(InputError, match="there is no sample 'drugs'; there are drug, control, un"):
        results.read_traces(samples="drugs")


def test_a_sample_whose_positions_have_no_results_has_empty_tables(demo, tmp_path):
    assert runs.run(demo, tmp_path / "out", fovs="0").ok
    results = open_results(tmp_path / "out")
    results.assign_samples({"later": "1-2"})
    assert len(results.read_traces(samples="later")) == 0
    assert list(results.read_traces(samples="later")) == list(results.traces)


# The configuration


def write_config(folder: Path, image: Path, **more: object) -> Path:
    settings = {
        "file": str(image),
        "output": "out",
        "channels": {"pc": 0, "fl": [1]},
        "workers": 1,
        "segmentation": {"method": "log-std"},
        "tracking": {"method": "iou"},
        **more,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
    return path


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    """Three fields of view named as positions, in small movies."""
    movie = rough_squares(4, 128, CORNERS)
    return write_movie(tmp_path / "plate.ome.tif", [movie] * 3, ["phase", "GFP"], 5)


def test_samples_of_the_configuration_are_there_with_the_first_results(plate, tmp_path):
    samples = {"no": {"fovs": "0", "dose": 0.5, "lot": "007"}, "01": [1]}
    config = write_config(tmp_path, plate, samples=samples)
    assert command("run", "--config", config)[0] == 0
    found = open_results(tmp_path / "out").samples
    assert list(found["sample"]) == ["no", "01", "unassigned"]
    assert found["dose"][0] == 0.5
    assert view(tmp_path / "out")["samples"] == {"no": "0", "01": "1", "unassigned": "2"}


def test_words_of_yaml_are_names_of_samples_as_they_stand(plate, tmp_path):
    config = write_config(tmp_path, plate)
    config.write_text(config.read_text() + "samples:\n  no: 0\n  01: 1\n  2.50: {fovs: 2}\n")
    assert command("run", "--config", config)[0] == 0
    assert list(open_results(tmp_path / "out").samples["sample"]) == ["no", "01", "2.50"]


def test_a_table_of_the_configuration_starts_from_its_folder(plate, tmp_path, monkeypatch):
    (tmp_path / "my samples.csv").write_text("name,sample\nposition 2,drug\n")
    config = write_config(tmp_path, plate, samples="my samples.csv")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("run", "--config", config)[0] == 0
    assert list(open_results(tmp_path / "out").samples["sample"])[2] == "drug"


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ({"control": "0-9"}, "samples.control: there is no FOV 9; the file has 0 (position 0)"),
        ({"control": {"dose": 5}}, "samples.control: expected FOVs, such as 0-9,12; found none"),
        ({"control": None}, "samples.control: expected FOVs"),
        ({"control": [0, [1]]}, "samples.control: expected a FOV by number or name"),
        ({"a": "0", "b": "0-1"}, "is in 'a' (samples.a) and in 'b' (samples.b)"),
        ({"": "0"}, "expected a sample"),
        ({"a": {"fovs": "0", "dose": [1]}}, "dose: expected a text or a number"),
        ("none.csv", "none.csv: No such file"),
        (7, "samples"),
    ],
)
def test_samples_that_cannot_be_are_refused_before_anything_is_written(
    plate, tmp_path, samples, words
):
    config = write_config(tmp_path, plate, samples=samples)
    code, told = command("run", "--config", config)
    assert code == 2
    assert words in told
    assert "run.yaml" in told
    assert not (tmp_path / "out").exists()


def test_samples_that_were_changed_since_outlive_the_next_run(plate, tmp_path, caplog):
    config = write_config(tmp_path, plate, samples={"a": "0", "b": "1"})
    assert command("run", "--config", config, "--fovs", "0")[0] == 0
    assert command("samples", tmp_path / "out", "--set", "c=0")[0] == 0
    write_config(tmp_path, plate, samples={"a": "0", "b": "1", "d": "2"})
    with caplog.at_level(logging.WARNING, "pyama_core"):
        assert command("run", "--config", config)[0] == 0
    assert list(open_results(tmp_path / "out").samples["sample"]) == ["c", "b", "d"]
    assert "FOVs 0 have other samples in samples.csv than in the configuration" in caplog.text


def test_a_spoilt_table_of_samples_does_not_keep_a_run_from_running(plate, tmp_path, caplog):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "samples.csv").write_bytes(b"\0\0\0")
    with caplog.at_level(logging.WARNING, "pyama_core"):
        assert command("run", "--config", write_config(tmp_path, plate))[0] == 0
    assert "is not text; save the table as CSV (UTF-8); correct it, or replace it" in caplog.text
    assert view(tmp_path / "out")["samples"] is None


def test_wells_in_names_are_taken_and_a_run_says_so(tmp_path, caplog):
    movie = rough_squares(3, 128, CORNERS)
    for well in ("A1_1", "A1_2", "B3_1"):
        for frame, channels in enumerate(movie):
            for channel, pixels in zip("PG", channels, strict=True):
                name = f"VID1_{channel}_{well}_00d00h{10 * frame:02d}m.tif"
                write_image(tmp_path / "plate" / name, pixels)
    with caplog.at_level(logging.INFO, "pyama_core"):
        config = write_config(tmp_path, tmp_path / "plate", channels={"pc": "P", "fl": ["G"]})
        assert command("run", "--config", config)[0] == 0
    assert re.search("samples are taken from the wells .* A1 .0-1., B3 .2.", caplog.text)
    assert not (tmp_path / "out" / "samples.csv").exists()
    assert list(open_results(tmp_path / "out").samples["sample"]) == ["A1", "A1", "B3"]
    assert command("samples", tmp_path / "out", "--set", "control=A1")[0] == 0
    assert list(open_results(tmp_path / "out").samples["sample"]) == ["control", "control", "B3"]


def test_a_killed_writer_of_shared_files_leaves_nothing_behind(copied_results):
    for name in ("samples.csv", "source.json", "processing_results.yaml"):
        (copied_results / f".{name}.0123abcd.tmp").write_text("half")
    assert command("samples", copied_results, "--set", "a=0")[0] == 0
    assert list(copied_results.glob(".*.tmp")) == []
