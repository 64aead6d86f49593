"""Nuclei and cells together, from the file to the tables and results."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from inline import run_inline
from movies import metadata_of
from nuclear_movies import (
    N_FRAMES,
    NuclearMovie,
    squares_of_cells,
    squares_of_nuclei,
    write_nuclear_movie,
)
from pyama_core import open_results
from pyama_core.cli.app import app
from pyama_core.cli.display import WorkCounter
from pyama_core.cli.status import _steps_shown
from pyama_core.errors import DamagedFileError
from pyama_core.exports.columns import meaning_of
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.io.yaml_files import load_yaml
from pyama_core.outputs import step_names
from pyama_core.processing.workflow.doubts import About, find_doubts
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.outcome import FovStatus, RunOutcome
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.steps.nuclei import _counted
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from pyama_core.report.write import write_report
from pyama_core.results.doubts import doubts_of, needed_columns
from runs import data_files, inodes

pytestmark = pytest.mark.usefixtures("workers_inline")


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> NuclearMovie:
    return write_nuclear_movie(tmp_path_factory.mktemp("movie"))


def run(movie: NuclearMovie, out: Path, **options) -> RunOutcome:
    return run_inline(metadata_of(movie.image), movie.context(out, **options))


@pytest.fixture(scope="module")
def done(movie, tmp_path_factory) -> Path:
    """Run it once, for tests that only read."""
    out = tmp_path_factory.mktemp("done")
    assert run(movie, out).ok
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def traces(out: Path, channel: int = 2) -> list[dict[str, str]]:
    return rows_of(out / "fov_000" / f"m_fov_000_traces_ch_{channel}.csv")


def entries(out: Path) -> dict[str, object]:
    (path,) = find_records(out)
    return {
        name.removeprefix("m_fov_000_"): each for name, each in load_record(path).outputs.items()
    }


# What is found and told


def test_nuclei_have_the_numbers_of_their_cells(done):
    found = np.load(done / "fov_000" / "m_fov_000_nuclei_ch_1.npy")
    cells, nuclei = squares_of_cells(), squares_of_nuclei()
    expected = np.zeros_like(cells)
    for nucleus, cell in ((11, 1), (12, 2), (13, 2), (14, 4)):
        expected[nuclei == nucleus] = cell
    assert found.dtype == np.uint16
    for t in range(N_FRAMES):
        np.testing.assert_array_equal(found[t], expected)


def test_the_table_of_nuclei_names_the_cell_of_each_and_leaves_it_empty_for_none(done):
    rows = rows_of(done / "fov_000" / "m_fov_000_nuclei.csv")
    assert list(rows[0]) == [
        "fov",
        "frame",
        "nucleus",
        "cell",
        "area",
        "part_in_cell",
        "position_x",
        "position_y",
    ]
    assert [(row["frame"], row["nucleus"], row["cell"]) for row in rows[5:10]] == [
        ("1", "1", "2"),
        ("1", "2", "1"),
        ("1", "3", "2"),
        ("1", "4", "4"),
        ("1", "5", ""),
    ]
    assert float(rows[3]["part_in_cell"]) == pytest.approx(32**2 / 34**2)
    assert (rows[1]["position_x"], rows[1]["area"]) == ("26.5", "100")


def test_traces_have_nucleus_and_ring_beside_the_cell(done):
    first = traces(done)[0]
    assert first["n_nuclei"] == "1.0"
    assert (first["area_nucleus"], first["area_ring"]) == ("100.0", "288.0")
    mean = {name: float(first[f"intensity_mean_{name}"]) for name in ("nucleus", "ring")}
    assert mean["nucleus"] == pytest.approx(200, rel=0.02)
    assert mean["ring"] == pytest.approx(50, rel=0.05)
    ratio = mean["nucleus"] / mean["ring"]
    assert float(first["ratio_nucleus_ring"]) == pytest.approx(ratio, rel=1e-5)
    names = list(first)
    assert (
        names.index("area_ring") < names.index("intensity_mean") < names.index("ratio_nucleus_ring")
    )


def test_cells_without_a_nucleus_or_with_several_are_said_and_not_good(done):
    verdicts = {row["cell"]: (row["good"], row["reason"]) for row in traces(done)}
    assert verdicts == {
        "1": ("True", ""),
        "2": ("False", "several nuclei"),
        "3": ("False", "no nucleus"),
        "4": ("True", ""),
    }
    counts = {row["cell"]: row["n_nuclei"] for row in traces(done)}
    assert counts == {"1": "1.0", "2": "2.0", "3": "0.0", "4": "1.0"}


@pytest.mark.parametrize(
    ("cells", "none", "several", "told"),
    [
        (40, 9, 8, "nuclei may be missed"),
        (40, 4, 8, "cells may be put together"),
        (40, 4, 5, None),
        (16, 8, 8, None),  # of so few by chance
    ],
)
def test_nuclei_and_cells_that_do_not_go_together_are_a_doubt(done, cells, none, several, told):
    [path] = find_records(done)
    record = load_record(path)
    [name] = [name for name, entry in record.outputs.items() if entry.kind == "nuclei_csv"]
    summary = {"cells": cells, "without nucleus": none, "with several nuclei": several}
    assert record.outputs[name].summary.keys() >= summary.keys()
    entry = record.outputs[name].model_copy(update={"summary": summary})
    outputs = {**record.outputs, name: entry}
    found = find_doubts(FovState(record.model_copy(update={"outputs": outputs})))
    doubts = [doubt for doubt in found if doubt.about is About.OWNERS]
    assert len(doubts) == (told is not None)
    if told:
        assert told in doubts[0].advice
        assert f"of {cells} cells, counted in each frame, {none} have no nucleus" in doubts[0].text


@pytest.mark.parametrize(
    ("nuclei", "none", "small", "is_told"),
    [(40, 6, 4, True), (40, 6, 3, False), (16, 16, 0, False)],
)
def test_many_nuclei_without_a_ring_are_a_doubt(done, nuclei, none, small, is_told):
    record = load_record(find_records(done)[0])
    [name] = [name for name, entry in record.outputs.items() if entry.kind == "traces_csv"]
    assert record.outputs[name].summary.items() >= {"cells": 4, "good": 2}.items()
    counts = {"nuclei of cells": nuclei, "without ring": none, "with too small a ring": small}
    summary = record.outputs[name].summary | counts
    entry = record.outputs[name].model_copy(update={"summary": summary})
    outputs = {**record.outputs, name: entry}
    found = find_doubts(FovState(record.model_copy(update={"outputs": outputs})))
    doubts = [doubt for doubt in found if doubt.about is About.RINGS]
    assert len(doubts) == is_told
    for doubt in doubts:
        assert "of 40 nuclei in cells, counted in each frame, 6 have no ring" in doubt.text


def test_missing_rings_are_said_in_the_log_the_status_the_results_file_and_the_report(
    movie, tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        assert run(movie, tmp_path, extraction={"min_ring_area": 289}).ok
    told = "of 12 nuclei in cells, counted in each frame, 4 have no ring and 4 too small a one"
    odd = "of 16 cells, counted in each frame, 4 have no nucleus and 4 several"
    assert f"FOV 0, channel 2: {told}" in caplog.text
    assert (
        entries(tmp_path)["traces_ch_2.csv"].summary.items()
        >= {
            "nuclei of cells": 12,
            "without ring": 4,
            "with too small a ring": 4,
        }.items()
    )
    assert describe_folder(tmp_path)["fovs"]["0"]["compartments"] == [odd, told]
    shown = CliRunner().invoke(app, ["status", str(tmp_path)]).stdout
    assert odd in shown
    assert told in shown
    written = load_yaml(tmp_path / "processing_results.yaml")
    assert written["compartments"] == {0: [odd, told]}
    report = write_report(tmp_path)[0].read_text(encoding="utf-8")
    assert odd in report
    assert told in report


def test_of_nuclei_cells_and_rings_that_go_together_nothing_is_said_but_in_the_log(
    movie, tmp_path, caplog
):
    np.save(tmp_path / "one.npy", np.where(squares_of_cells() == 1, 1, 0)[None].repeat(N_FRAMES, 0))
    context = movie.context(tmp_path / "out")
    context.params["segmentation"]["path"] = str(tmp_path / "one.npy")
    with caplog.at_level(logging.INFO):
        assert run_inline(metadata_of(movie.image), context).ok
    assert "of 4 nuclei in cells, counted in each frame, 0 have no ring and 0" in caplog.text
    assert describe_folder(tmp_path / "out")["fovs"]["0"]["compartments"] == []


def test_in_a_ring_that_is_too_small_nothing_is_measured_and_its_area_is_told(movie, tmp_path):
    assert run(movie, tmp_path, extraction={"min_ring_area": 289}).ok
    for row in traces(tmp_path):
        assert bool(row["intensity_mean_ring"]) == (row["cell"] == "2")
        assert bool(row["ratio_nucleus_ring"]) == (row["cell"] == "2")
    first = traces(tmp_path)[0]
    assert (first["area_ring"], bool(first["intensity_mean_nucleus"])) == ("288.0", True)


def test_a_person_is_told_to_look_at_cells_whose_nucleus_has_no_ring(done):
    fov = open_results(done).fov(0)
    found = doubts_of(fov.read_tables(needed_columns(["KTR"])), N_FRAMES)
    words = {doubt.cell: doubt.words for doubt in found if "ring" in doubt.words}
    assert words == {4: "its nucleus has no ring in 4 of 4 frames"}


def test_how_many_nuclei_a_good_cell_may_lack_is_a_limit(movie, tmp_path):
    extraction = {"features": ["compartments"], "max_odd_nuclei_part": 1}
    assert run(movie, tmp_path, extraction=extraction).ok
    assert {row["reason"] for row in traces(tmp_path)} == {""}


def test_what_there_is_not_is_empty_and_never_zero(done):
    for row in traces(done):
        has_nucleus, has_ring = row["cell"] != "3", row["cell"] in "12"
        for name in ("area_nucleus", "intensity_mean_nucleus"):
            assert bool(row[name]) == has_nucleus, row
        for name in ("area_ring", "intensity_mean_ring", "ratio_nucleus_ring"):
            assert bool(row[name]) == has_ring, row


def test_the_log_and_the_record_count_what_does_not_go_together(movie, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert run(movie, tmp_path).ok
    assert (
        "FOV 0: 20 nuclei in 4 frames, 4 of them of no cell; of 16 cells in these frames 4 have no "
        "nucleus, 4 several"
    ) in caplog.text
    assert entries(tmp_path)["nuclei.csv"].summary == {
        "nuclei": 20,
        "of no cell": 4,
        "cells": 16,
        "without nucleus": 4,
        "with several nuclei": 4,
    }
    summary = entries(tmp_path)["traces_ch_2.csv"].summary
    assert (summary["no nucleus"], summary["several nuclei"], summary["good"]) == (1, 1, 2)


def test_no_nucleus_in_any_frame_is_a_warning(movie, tmp_path, caplog):
    np.save(tmp_path / "none.npy", np.zeros((N_FRAMES, 128, 128), np.uint16))
    context = movie.context(tmp_path / "out")
    context.params["nuclei"]["path"] = str(tmp_path / "none.npy")
    assert run_inline(metadata_of(movie.image), context).ok
    told = [r for r in caplog.records if "0 nuclei in 4 frames" in r.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]
    assert {row["reason"] for row in traces(tmp_path / "out")} == {"no nucleus"}


def test_in_a_frame_without_an_image_of_nuclei_cells_are_measured_and_nuclei_are_not_known(
    movie, tmp_path
):
    pixels = tifffile.imread(movie.image)
    (tmp_path / "images").mkdir()
    for t, channel in np.ndindex(N_FRAMES, 3):
        if (t, channel) != (2, 1):
            path = tmp_path / "images" / f"m_xy0t{t}c{channel}.tif"
            tifffile.imwrite(path, pixels[t, channel])
    context = movie.context(tmp_path / "out")
    assert run_inline(metadata_of(tmp_path / "images"), context).ok
    (path,) = (tmp_path / "out").glob("fov_000/*_traces_ch_2.csv")
    rows = rows_of(path)
    assert len(rows) == 4 * N_FRAMES
    of_nuclei = [name for name in rows[0] if name.endswith(("nuclei", "nucleus", "ring"))]
    assert len(of_nuclei) == 6
    for row in rows:
        assert row["intensity_mean"]
        if row["frame"] == "2":
            assert not [row[name] for name in of_nuclei if row[name]]
        else:
            assert row["n_nuclei"] == {"1": "1.0", "2": "2.0", "3": "0.0", "4": "1.0"}[row["cell"]]
    assert {row["cell"] for row in rows if row["reason"] == "no nucleus"} == {"3"}


# What depends on what


def test_a_run_that_does_not_ask_for_compartments_makes_what_it_always_made(movie, done, tmp_path):
    assert run(movie, tmp_path, nuclei=None, extraction={"features": ["intensity"]}).ok
    plain, full = entries(tmp_path), entries(done)
    assert not [name for name in plain if "nuclei" in name]
    for name, entry in plain.items():
        if not name.startswith("traces"):
            assert entry.provenance == full[name].provenance, name
            assert entry.checksum == full[name].checksum, name
    made = plain["traces_ch_2.csv"].provenance
    assert set(made.inputs) == {"seg_labeled", "tracks_csv", "fl_corrected", "times"}
    assert made.parameters == {"features": ["intensity"]}
    kept = [*traces(tmp_path)[0]]
    verdicts = ("good", "reason")
    for few, many in zip(traces(tmp_path), traces(done), strict=True):
        same = [name for name in kept if name not in verdicts]
        assert [few[name] for name in same] == [many[name] for name in same]


def test_a_wider_ring_measures_again_and_finds_no_nucleus_anew(movie, tmp_path):
    assert run(movie, tmp_path).ok
    before = inodes(tmp_path, "*.[cn][sp][vy]")
    assert run(movie, tmp_path, extraction={"ring_width": "8 px"}).ok
    after = inodes(tmp_path, "*.[cn][sp][vy]")
    assert {name for name in before if before[name] != after[name]} == {"m_fov_000_traces_ch_2.csv"}
    assert float(traces(tmp_path)[0]["area_ring"]) > 288
    assert run(movie, tmp_path, extraction={"ring_width": 8}).fovs[0].status == FovStatus.SKIPPED


def test_other_nuclei_make_the_steps_after_them_anew(movie, tmp_path):
    assert run(movie, tmp_path / "out").ok
    before = inodes(tmp_path / "out", "*.[cn][sp][vy]")
    context = movie.context(tmp_path / "out")
    context.params["nuclei"] = {"method": "log-std"}
    assert run_inline(metadata_of(movie.image), context).ok
    after = inodes(tmp_path / "out", "*.[cn][sp][vy]")
    assert {name.removeprefix("m_fov_000_") for name in before if before[name] != after[name]} == {
        "nuclei_ch_1.npy",
        "nuclei.csv",
        "traces_ch_2.csv",
    }


def test_resuming_after_every_loss_gives_the_same_bytes(movie, tmp_path):
    assert run(movie, tmp_path).ok
    whole = data_files(tmp_path)
    for name in whole:
        if "nuclei" in name or "traces" in name:
            (tmp_path / name).unlink()
            assert run(movie, tmp_path).ok
            assert data_files(tmp_path) == whole, name
    assert verify_folder(tmp_path) == {}


def test_released_nuclei_come_back_when_rings_change(movie, tmp_path):
    assert run(movie, tmp_path).ok
    before = data_files(tmp_path)
    assert release_stacks(tmp_path, ["nuclei"]).n_files == 1
    assert run(movie, tmp_path).fovs[0].status == FovStatus.SKIPPED
    assert run(movie, tmp_path, extraction={"ring_gap": 2}).ok
    name = "fov_000/m_fov_000_nuclei_ch_1.npy"
    assert data_files(tmp_path)[name] == before[name]


def test_another_channel_of_nuclei_outdates_the_traces(movie, tmp_path):
    assert run(movie, tmp_path).ok
    assert run(movie, tmp_path, nuclei=0).ok
    made = entries(tmp_path)
    assert {"nuclei_ch_1.npy", "nuclei_ch_0.npy"} <= set(made)
    assert made["traces_ch_2.csv"].provenance.inputs["nuclei"] == made["nuclei_ch_0.npy"].checksum
    assert describe_folder(tmp_path)["fovs"]["0"]["status"] == "done"


def test_nuclei_may_be_those_of_the_channel_that_is_segmented_and_measured(movie, tmp_path):
    assert run(movie, tmp_path, nuclei=0, fl=(0, 2)).ok
    assert sorted(path.name for path in tmp_path.rglob("*_fl_ch_*")) == [
        "m_fov_000_fl_ch_0.npy",
        "m_fov_000_fl_ch_2.npy",
    ]
    shared = ("n_nuclei", "area_nucleus", "area_ring")
    for one, other in zip(traces(tmp_path, 0), traces(tmp_path, 2), strict=True):
        assert [one[name] for name in shared] == [other[name] for name in shared]


# What is refused


def test_compartments_without_a_channel_of_nuclei_are_refused(movie, tmp_path, caplog):
    outcome = run(movie, tmp_path / "out", nuclei=None)
    assert outcome.refusal is not None
    assert "name it as nuclei (--nuclei CH)" in caplog.text
    assert not (tmp_path / "out").exists()


def test_a_channel_of_nuclei_of_which_no_use_is_made_is_refused(movie, tmp_path, caplog):
    outcome = run(movie, tmp_path / "out", extraction={"features": ["shape"]})
    assert outcome.refusal is not None
    assert "measure nuclei and rings around them" in caplog.text


def test_rings_in_micrometres_need_the_size_of_a_pixel(movie, tmp_path, caplog):
    outcome = run(movie, tmp_path / "out", extraction={"ring_width": "2 um"})
    assert outcome.refusal is not None
    assert "ring_width is 2 um, but the file does not tell its pixel size" in caplog.text
    known = dataclasses.replace(metadata_of(movie.image), pixel_size_um=0.4)
    context = movie.context(tmp_path / "out", extraction={"ring_width": "2 um", "ring_gap": 1})
    assert run_inline(known, context).ok
    made = entries(tmp_path / "out")["traces_ch_2.csv"].provenance
    assert made.inputs["pixel_size_um"] == "0.4"
    assert traces(tmp_path / "out")[0]["area_ring"] == "288.0"
    assert open_results(tmp_path / "out").fov(0).ring_image(0).any()


def test_masks_of_nuclei_that_are_not_there_are_refused_before_the_run(movie, tmp_path, caplog):
    context = movie.context(tmp_path / "out")
    context.params["nuclei"]["path"] = str(tmp_path / "absent.npy")
    assert run_inline(metadata_of(movie.image), context).refusal is not None
    assert "FOV 0, nuclei:" in caplog.text
    assert "absent.npy" in caplog.text


@pytest.mark.parametrize(
    "text", ["", "fov,frame\n", "fov,frame,cell\n0,1\n", "fov,frame,cell\n0,x,1\n"]
)
def test_what_is_no_table_of_nuclei_is_not_read_as_one(text):
    with pytest.raises((ValueError, DamagedFileError)):
        _counted(text.splitlines(keepends=True))


# Results and the command


def test_results_show_nuclei_and_rings_with_the_numbers_of_their_cells(done):
    fov = open_results(done).fov(0)
    np.testing.assert_array_equal(fov.nuclei_image(2), fov.nuclei[2])
    rings = fov.ring_image(2)
    assert np.unique(rings).tolist() == [0, 1, 2]
    areas = {row["cell"]: row["area_ring"] for row in traces(done)}
    assert (rings == 1).sum() == float(areas["1"])
    assert (rings == 2).sum() == float(areas["2"])
    first = fov.traces.iloc[0]
    assert first["n_nuclei"] == 1
    assert first["ratio_nucleus_ring_KTR"] == pytest.approx(4, rel=0.1)


def test_every_column_of_compartments_has_a_meaning(done):
    for column in open_results(done).fov(0).traces.columns:
        assert meaning_of(column, ["KTR"]).words, column
    assert meaning_of("intensity_mean_ring_KTR", ["KTR"]).words == (
        "mean of the corrected fluorescence, ring around the nucleus, channel KTR"
    )


def test_cells_that_a_person_changed_are_judged_anew_by_their_nuclei(movie, tmp_path):
    assert run(movie, tmp_path).ok
    fov = open_results(tmp_path).fov(0)
    fov.remove([2, 4], frames=[0])
    cells = open_results(tmp_path).fov(0).cells.set_index("cell")
    assert cells["reason_KTR"].tolist() == ["", "several nuclei", "no nucleus", ""]


def headings(out: Path) -> list[str]:
    """Return the columns of steps that are shown; narrow ones break words at any letter."""
    return _steps_shown(describe_folder(out))


def test_status_shows_the_step_where_it_is_asked_for(movie, done, tmp_path):
    told = json.loads(CliRunner().invoke(app, ["status", str(done), "--json"]).output)
    assert told["fovs"]["0"]["steps"]["nuclei"] == "done"
    assert headings(done) == [*step_names()]
    assert run(movie, tmp_path, nuclei=None, extraction={"features": []}).ok
    told = json.loads(CliRunner().invoke(app, ["status", str(tmp_path), "--json"]).output)
    assert told["fovs"]["0"]["steps"]["nuclei"] == "not asked for"
    assert told["fovs"]["0"]["status"] == "done"
    assert headings(tmp_path) == [step for step in step_names() if step != "nuclei"]


def test_bars_are_full_when_all_steps_of_a_run_are_done(movie):
    metadata, steps = metadata_of(movie.image), ["copying", "extraction"]
    counter = WorkCounter(metadata, [0], steps)
    for step in steps:
        counter.count({"step": step, "fov": 0, "t": N_FRAMES, "T": N_FRAMES, "message": ""})
    assert counter.done == counter.total == 2 * N_FRAMES
    assert counter.frames == N_FRAMES
