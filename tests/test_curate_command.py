"""`pyama curate`: corrections by command, of a run and of the run after it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import runs
from masked_movies import MaskedMovie, Square
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles
from pyama_core.io.storage.naming import EDITS_NAME, records_by_fov
from pyama_core.processing.workflow.edits.correcting import found_on
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.resolve import resolve

pytestmark = pytest.mark.usefixtures("workers_inline")


@pytest.fixture(scope="module")
def of_module(demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("finished") / "Ergebnisse für Übung 1"
    assert runs.run(demo, output_dir).ok
    return output_dir


@pytest.fixture
def finished(of_module: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(of_module, tmp_path / of_module.name))


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    return result.exit_code, result.output


def curate(folder: Path, *words: object) -> str:
    code, told = command("curate", folder, *words)
    assert code == 0, told
    return told


def refusal(folder: Path, *words: object) -> str:
    before = (folder / EDITS_NAME).read_bytes() if (folder / EDITS_NAME).exists() else None
    code, told = command("curate", folder, *words)
    assert code == 2
    after = (folder / EDITS_NAME).read_bytes() if (folder / EDITS_NAME).exists() else None
    assert after == before
    return told


def listed(folder: Path, *words: object) -> list[dict]:
    return json.loads(curate(folder, "--list", "--json", *words))["edits"]


def view(folder: Path) -> dict:
    return yaml.safe_load((folder / "processing_results.yaml").read_text("utf-8"))["edits"]


def long_cell(folder: Path, fov: int = 0) -> int:
    """Return a cell that is seen in most frames."""
    cells = found_on(records_by_fov(folder)[fov])
    return max(cells.known, key=lambda cell: len(cells.frame[cells.rows_of(cell)]))


def test_files_of_the_run_stay_and_a_run_skips_all(demo, finished):
    before = runs.data_files(finished)
    cell = long_cell(finished)
    curate(finished, "--fov", "position 1", "--cell", cell, "--bad", "dead")
    curate(finished, "--fov", 0, "--cut", f"{cell}@3")
    curate(finished, "--fov", 0, "--remove", cell, "--frames", "0-1")
    curate(finished, "--fov", 0, "--parent", 50_001, cell)
    curate(finished, "--fov", 0, "--parent", 50_001, "none")
    curate(finished, "--fov", 0, "--join", cell, 50_001)
    curate(finished, "--fov", 0, "--cell", cell, "--good", "--channel", "GFP")
    assert runs.data_files(finished) == before
    again = runs.run(demo, finished)
    assert {outcome.status for outcome in again.fovs.values()} == {"skipped"}
    assert [edit["text"] for edit in listed(finished)] == [
        f"{cell} is bad: dead",
        f"{cell} is 50001 from frame 3 on",
        f"{cell} is removed in frames 0-1",
        f"50001 has parent {cell}",
        "50001 has no parent",
        f"{cell} and 50001 are one cell",
        f"{cell} is good in channel 1",
    ]
    assert {edit["stands"] for edit in listed(finished)} == {"applied"}
    assert view(finished) == {0: {"edits": 7, "stale": 0}}


def test_undo_and_redo_go_back_and_forth_in_a_fov_or_all(finished):
    first, second = (long_cell(finished, fov) for fov in (0, 1))
    curate(finished, "--fov", 0, "--remove", first)
    curate(finished, "--fov", 1, "--remove", second)
    assert f"FOV 0 (position 1): {first} is removed" in curate(finished, "--undo", "--fov", 0)
    assert "FOV 1" in curate(finished, "--undo")
    assert "there is nothing to undo" in refusal(finished, "--undo")
    assert [edit["stands"] for edit in listed(finished)] == ["undone", "undone"]
    assert view(finished) == {}
    assert "FOV 1" in curate(finished, "--redo")
    name = listed(finished)[0]["id"]
    assert "FOV 0" in curate(finished, "--redo", "--id", name)
    assert "is not undone" in refusal(finished, "--redo", "--id", name)
    assert view(finished) == {0: {"edits": 1, "stale": 0}, 1: {"edits": 1, "stale": 0}}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--bad", "x", "--fov", "0"], r"--bad: say which cell: --cell 17"),
        (["--bad", "x", "--cell", "1"], r"say which of 3 FOVs: --fov NUMBER or NAME"),
        (["--bad", "x", "--cell", "1", "--fov", "Z"], r"there is no FOV 'Z'"),
        (["--bad", "x", "--cell", "1", "--fov", "0-1"], r"expected one FOV, found 2"),
        (["--bad", "x", "--cell", "nine", "--fov", "0"], r"--cell: expected the number of a cell"),
        (["--bad", "x", "--cell", "9999", "--fov", "0"], r"FOV 0: there is no cell 9999"),
        (["--bad", "x", "--cell", "1", "--fov", "0", "--channel", "DAPI"], r"no channel 'DAPI'"),
        (["--bad", "x", "--cell", "1", "--fov", "0", "--channel", "0"], r"0 was not measured"),
        (["--cut", "17", "--fov", "0"], r"--cut: expected CELL@FRAME such as 17@42, found '17'"),
        (["--cut", "1@0", "--fov", "0"], r"frame: Input should be greater"),
        (
            ["--remove", "1", "--frames", "5-3", "--fov", "0"],
            r"--remove: frames: '5-3' is no range",
        ),
        (["--remove", "1", "--good", "--fov", "0"], r"one correction at a time, found --good and"),
        (["--parent", "1", "1", "--fov", "0"], r"cell 1 cannot be its own parent"),
        (["--join", "1", "1", "--fov", "0"], r"expected two cells to join, found 1 twice"),
        (["--frames", "3"], r"--frames belongs to --remove, not to --list"),
        (["--redo"], r"there is nothing to redo"),
        (["--undo", "--id", "abc"], r"there is no correction 'abc'"),
        (["--import", "nowhere.jsonl"], r"cannot read nowhere\.jsonl"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line_and_nothing_is_written(finished, words, problem):
    told = refusal(finished, *words)
    assert re.search(problem, told)
    assert told.count("\n") == 1


def test_a_folder_that_holds_no_results_is_refused(tmp_path):
    assert "holds no results" in refusal(tmp_path, "--list")
    assert "there is no folder" in command("curate", tmp_path / "none")[1]


def test_after_a_re_run_that_numbers_cells_anew_corrections_find_them_or_are_stale(tmp_path):
    movie = MaskedMovie(tmp_path)
    folder = movie.run(Square(60, 60), Square(100, 20))
    curate(folder, "--cell", 1, "--bad", "dead")
    curate(folder, "--cut", "2@5")
    # There is a cell more, above the others, and all are outlined more widely.
    movie.run(Square(20, 20), Square(58, 58, side=20), Square(98, 18, side=20))
    assert [edit["stands"] for edit in listed(folder)] == ["applied", "applied"]
    assert view(folder) == {0: {"edits": 2, "stale": 0}}
    cells = resolve(found_on(records_by_fov(folder)[0]), EditLog(folder).read().edits).cells
    assert cells.marked == [2]
    assert cells.restructured == [3, 50_001]
    # One of the two is found no more, and where it was is another.
    movie.run(Square(20, 20), Square(66, 66, side=20), Square(98, 18, side=20))
    assert [edit["stands"] for edit in listed(folder)] == ["stale", "applied"]
    assert view(folder) == {0: {"edits": 2, "stale": 1}}
    assert "FOV 0 (position 0): 2 corrections, 1 of them stale" in command("status", folder)[1]
    told = curate(folder, "--list")
    assert "1 is bad: dead (cells were found anew since, and none overlaps what was" in told
    movie.run(Square(60, 60), Square(100, 20))
    assert view(folder) == {0: {"edits": 2, "stale": 0}}


def test_a_log_is_imported_into_the_folder_of_another_analysis(demo, finished, tmp_path):
    cell = long_cell(finished)
    curate(finished, "--fov", 0, "--cell", cell, "--bad", "dead")
    other = Path(shutil.copytree(finished, tmp_path / "other"))
    (other / EDITS_NAME).unlink()
    assert curate(other, "--import", finished / EDITS_NAME) == "1 imported\n"
    assert curate(other, "--import", finished / EDITS_NAME) == "0 imported, 1 were known\n"
    assert listed(other) == listed(finished)


def test_cells_of_a_run_that_measured_nothing_are_corrected_by_their_label_images(tmp_path):
    folder = MaskedMovie(tmp_path).run(Square(60, 60), Square(100, 20), fl=())
    curate(folder, "--cut", "2@4")
    [line] = (folder / EDITS_NAME).read_text("ascii").splitlines()
    first = json.loads(line)["anchors"][0]["seen"][0]
    assert first == {"frame": 0, "x": 27.5, "y": 107.5, "area": 256.0, "box": [100, 20, 116, 36]}
    assert command("release", folder, "--stacks", "seg_labeled")[0] == 0
    curate(folder, "--join", "2", "50001")
    assert [edit["stands"] for edit in listed(folder)] == ["applied", "applied"]
