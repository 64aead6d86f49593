"""Corrections show in what `open_results` gives, and are made from there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from masked_movies import N_FRAMES, MaskedMovie, Square
from pyama_core import open_results
from pyama_core.cli.app import app
from pyama_core.errors import InputError
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.status import describe_folder

pytestmark = pytest.mark.usefixtures("workers_inline")

EARLY, LATE = range(5), range(6, 11)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four cells of a run: two tracks of one, one that stays, and one with it in the middle."""
    squares = [Square(20, 20, EARLY), Square(60, 60), Square(100, 100), Square(20, 20, LATE)]
    return MaskedMovie(tmp_path).run(*squares)


def cell_of(results, cell: int) -> pd.Series:
    return results.cells.set_index("cell").loc[cell]


def test_tracks_that_are_joined_are_one_trace_without_double_frames_and_judged_anew(folder):
    results = open_results(folder)
    before = results.traces
    assert cell_of(results, 1)["reason_GFP"] == "too short"
    results.fov(0).join(4, 1)
    after = results.traces
    assert sorted(after["cell"].unique()) == [1, 2, 3]
    joined = after[after["cell"] == 1]
    assert joined["frame"].tolist() == [*EARLY, *LATE]
    expected = before[before["cell"].isin([1, 4])].sort_values("frame")
    for column in ("intensity_total_GFP", "time_min", "area"):
        assert joined[column].tolist() == expected[column].tolist()
    cell = cell_of(results, 1)
    assert (cell["reason_GFP"], cell["good"], cell["n_frames"]) == ("", True, 10)
    assert cell["corrections"] == "joined with 4"
    assert joined["good"].all()


def test_a_cell_that_is_cut_is_two_of_which_one_may_be_too_short(folder):
    results = open_results(folder)
    assert results.fov(0).cut(2, 9) == 50_001
    traces = results.traces
    assert traces.loc[traces["cell"] == 50_001, "frame"].tolist() == [9, 10, 11]
    assert cell_of(results, 2)["reason_GFP"] == ""
    assert cell_of(results, 50_001)["reason_GFP"] == "too short"
    assert (cell_of(results, 2)["fate"], cell_of(results, 50_001)["fate"]) == (
        "lost",
        "end of movie",
    )


def test_a_cell_that_is_given_both_its_divisions_has_a_whole_life_and_is_good(tmp_path):
    times = range(4), range(4, 8), range(8, N_FRAMES)
    squares = [Square(20, 20, times[0]), Square(60, 60, times[1]), Square(100, 100, times[2])]
    results = open_results(MaskedMovie(tmp_path).run(*squares, Square(20, 100)))
    mother, cell, daughter = (
        int(row.cell)
        for row in results.cells.sort_values("first_frame").itertuples()
        if row.n_frames == 4
    )
    fov = results.fov(0)
    assert [cell_of(results, each)["reason_GFP"] for each in (mother, cell, daughter)] == [
        "too short"
    ] * 3
    fov.set_parent(cell, mother)
    assert cell_of(results, cell)["reason_GFP"] == "too short"
    fov.set_parent(daughter, cell)
    assert (cell_of(results, cell)["reason_GFP"], cell_of(results, cell)["good"]) == ("", True)
    assert cell_of(results, mother)["reason_GFP"] == "too short"
    assert results.traces.loc[results.traces["cell"] == cell, "good"].all()
    fov.undo()
    assert cell_of(results, cell)["reason_GFP"] == "too short"


def test_corrections_by_one_show_at_once_in_what_another_has_open(folder):
    mine, other = open_results(folder), open_results(folder)
    assert cell_of(other, 2)["good"]
    mine.fov("position 0").mark_bad([2, 3], "dead")
    assert cell_of(other, 2)["reason_GFP"] == "dead"
    assert not cell_of(other, 3)["good"]
    assert "2 in FOVs 0" in repr(other)
    assert other.undo() == "FOV 0: 2 is bad: dead\nFOV 0: 3 is bad: dead"
    assert cell_of(mine, 3)["good"]
    assert mine.redo(fov=0) == "FOV 0: 2 is bad: dead\nFOV 0: 3 is bad: dead"
    assert mine.fov(0).undo(name=other.edits["id"][0]) == "FOV 0: 2 is bad: dead"
    assert mine.fov(0).edits["stands"].tolist() == ["undone", "applied"]
    assert mine.fov(0).redo() == "FOV 0: 2 is bad: dead"
    assert other.edits[["fov", "correction", "stands"]].values.tolist() == [
        [0, "2 is bad: dead", "applied"],
        [0, "3 is bad: dead", "applied"],
    ]


def test_parts_of_tables_are_under_corrections_too(folder):
    results = open_results(folder)
    results.fov(0).join(1, 4)
    results.fov(0).mark_bad(2)
    traces = results.read_traces(columns=["perimeter"], good_only=True)
    assert list(traces) == ["sample", "fov", "cell", "frame", "good", "perimeter"]
    assert sorted(traces["cell"].unique()) == [1, 3]


def test_what_is_removed_is_nowhere_and_a_daughter_has_no_parent_then(folder):
    results = open_results(folder)
    fov = results.fov(0)
    fov.set_parent(4, 1)
    assert (cell_of(results, 4)["parent"], cell_of(results, 1)["daughters"]) == (1, (4,))
    assert cell_of(results, 1)["fate"] == "divided"
    fov.remove(1)
    fov.remove(2, frames=[0, 1, 11])
    assert sorted(results.cells["cell"]) == [2, 3, 4]
    assert pd.isna(cell_of(results, 4)["parent"])
    traces = results.traces
    assert traces.loc[traces["cell"] == 2, "frame"].tolist() == list(range(2, 11))
    assert 1 not in set(traces["cell"])


def test_no_file_of_the_run_changes_and_none_is_written_but_the_log_and_the_counts(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    fov = open_results(folder).fov(0)
    fov.join(1, 4)
    fov.mark_good(3, channel="GFP")
    fov.remove(2)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {EditLog(folder).path, folder / "processing_results.yaml"}


def test_what_cannot_be_is_an_error_that_says_why_and_changes_nothing(folder):
    fov = open_results(folder).fov(0)
    with pytest.raises(InputError, match=r"2 and 3 are both seen in frames 0-11"):
        fov.join(2, 3)
    with pytest.raises(InputError, match=r"FOV 0: there is no cell 17"):
        fov.mark_bad([2, 17], "dead")
    with pytest.raises(InputError, match=r"frame: Input should be greater than or equal to 1"):
        fov.cut(2, 0)
    with pytest.raises(InputError, match=r"there is no channel 'DAPI'"):
        fov.mark_good(2, channel="DAPI")
    assert not EditLog(folder).path.exists()


def test_without_corrections_tables_are_those_of_the_run(folder):
    results = open_results(folder)
    before = results.traces, results.cells
    results.fov(0).remove(2)
    results.undo()
    pd.testing.assert_frame_equal(results.traces, before[0])
    pd.testing.assert_frame_equal(results.cells, before[1])


def test_results_of_an_older_version_whose_defaults_were_others_are_there(folder):
    [path] = folder.glob("fov_000/*_record.json")
    record = json.loads(path.read_text("utf-8"))
    made = [output["provenance"] for output in record["outputs"].values()]
    # As if this had been the default then, which outputs do not name.
    record["settings"]["params"]["tracking"]["min_iou"] = 0.25
    path.write_text(json.dumps(record), "utf-8")
    assert len(open_results(folder).cells) == 0
    for each in made:
        if each["step"] == "tracking":
            each["algorithm"] = each["algorithm"].rpartition("/")[0] + "/0"
    path.write_text(json.dumps(record), "utf-8")
    assert len(open_results(folder).cells) == 4
    # What they do name was asked for otherwise.
    for each in made:
        if each["step"] == "tracking":
            each["parameters"]["min_iou"] = 0.5
    path.write_text(json.dumps(record), "utf-8")
    assert len(open_results(folder).cells) == 0


def test_results_of_an_older_version_are_corrected_from_python_and_by_the_command_alike(folder):
    record = next(folder.glob("fov_000/*_record.json"))
    content = json.loads(record.read_text("utf-8"))
    for entry in content["outputs"].values():
        if entry["kind"] in ("seg_labeled", "traces_csv"):
            entry["provenance"]["algorithm"] += " of before"
    record.write_text(json.dumps(content), "utf-8")
    results = open_results(folder)
    results.fov(0).mark_bad(2, "dead")
    code = CliRunner().invoke(app, ["curate", str(folder), "--remove", "3"]).exit_code
    assert code == 0
    assert sorted(results.cells["cell"]) == [1, 2, 4]
    assert results.edits["stands"].tolist() == ["applied", "applied"]
    assert describe_folder(folder)["fovs"]["0"]["edits"] == {"edits": 2, "stale": 0}


def test_verdicts_on_cells_of_which_nothing_was_measured_are_kept(tmp_path):
    results = open_results(MaskedMovie(tmp_path).run(Square(60, 60), Square(20, 20, EARLY), fl=()))
    results.fov(0).mark_bad(1, "dead")
    results.fov(0).remove(2, "0-1")
    cells = results.cells.set_index("cell")
    assert cells["good"].tolist() == [False, pd.NA]
    assert cells["corrections"].tolist() == ["bad: dead", "frames 0-1 removed"]
    assert cells["first_frame"].tolist() == [0, 2]
    assert len(results.traces) == 0


def test_label_images_and_tables_have_the_same_numbers_in_every_frame(folder):
    results = open_results(folder)
    fov = results.fov(0)
    fov.join(1, 4)
    fov.cut(2, 6)
    fov.remove(3, "2-4")
    traces = results.traces
    for t in range(N_FRAMES):
        there = set(traces.loc[traces["frame"] == t, "cell"])
        numbers = fov.numbers_in(t)
        shown = {numbers.get(label, label) for label in np.unique(fov.labels[t]).tolist()} - {0}
        assert shown == there
        assert set(np.unique(fov.label_image(t)).tolist()) - {0} == there
        assert fov.outlines(t).keys() == there
    assert fov.crop("GFP", 50_001, t=8, margin=0).shape == (16, 16)
    fov.mark_bad(2)
    results.undo()
    results.undo()
    assert set(np.unique(fov.label_image(3)).tolist()) == {0, 1, 2, 3}


def test_a_stale_correction_is_told_of_once_and_tables_are_without_it(tmp_path, caplog):
    movie = MaskedMovie(tmp_path)
    open_results(movie.run(Square(60, 60), Square(20, 100))).fov(0).remove(1)
    movie.run(Square(100, 20), Square(20, 100))
    results = open_results(movie.output_dir)
    assert sorted(results.cells["cell"]) == [2]
    movie.run(Square(100, 20), Square(60, 60, side=40))
    results = open_results(movie.output_dir)
    caplog.clear()
    assert len(results.cells) == len(set(results.traces["cell"])) == 2
    [record] = caplog.records
    assert record.getMessage().startswith("FOV 0: 1 of 1 corrections are stale and not applied")
    [row] = results.edits.itertuples()
    assert (row.stands, "none overlaps what was cell 1" in row.reason) == ("stale", True)


def test_the_results_file_counts_what_is_corrected_from_python(folder):
    results, path = open_results(folder), folder / "processing_results.yaml"

    def counts_are_those_of_a_file_made_anew() -> dict:
        text = path.read_text("utf-8")
        write_results(folder)
        assert path.read_text("utf-8") == text
        return yaml.safe_load(text)["edits"]

    before = path.read_text("utf-8")
    assert counts_are_those_of_a_file_made_anew() == {}
    results.fov(0).mark_bad([1, 2], "edits:\nedits: dead")
    assert counts_are_those_of_a_file_made_anew() == {0: {"edits": 2, "stale": 0}}
    results.undo()
    assert path.read_text("utf-8") == before
    results.redo()
    results.fov(0).join(4, 1)
    assert counts_are_those_of_a_file_made_anew() == {0: {"edits": 3, "stale": 0}}


@pytest.mark.parametrize("content", ["", "edits: [1]\n", "a: 1\nedits: {x: 1}\n", "a: [\nedits: {"])
def test_a_results_file_of_another_form_is_made_anew(folder, content):
    path = folder / "processing_results.yaml"
    path.write_text(content, "utf-8")
    open_results(folder).fov(0).mark_bad(1)
    plain = yaml.safe_load(path.read_text("utf-8"))
    assert plain["edits"] == {0: {"edits": 1, "stale": 0}}
    assert plain["results_paths"]
