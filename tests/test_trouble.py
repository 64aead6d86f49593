"""How much a position needs a look: what is found in numbers, in words that people read."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

import pyama_core.results.trouble as there
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.io.storage.records import Failure, load_record, save_record
from pyama_core.results.fov_measures import FovMeasures, ImageMeasures, measure_fov
from pyama_core.results.results import open_results
from pyama_core.results.trouble import LOOK, Finding, Trouble
from pyama_core.results.troubles import troubles_of, troubles_on_record

STEADY = np.random.default_rng(1).poisson(30, 60)


def test_several_findings_count_more_than_each_and_the_worst_comes_first():
    trouble = Trouble.of([Finding("a", 0.3, "some"), None, Finding("b", 0.6, "much")])
    assert trouble.words == "much; some"
    assert trouble.score == pytest.approx(1 - 0.4 * 0.7)
    assert trouble.needs_look


def test_many_small_findings_ask_nobody_for_a_look_and_the_smallest_are_not_told():
    trouble = Trouble.of([Finding("a", 0.4, "some"), Finding("b", 0.45, "more"), *3 * [tiny()]])
    assert trouble.score > LOOK
    assert not trouble.needs_look
    assert trouble.words == "more; some"


def tiny():
    return Finding("c", 0.1, "hardly anything")


def test_nothing_is_found_where_nothing_is_wrong():
    none = np.zeros(60, int)
    assert Trouble().score == 0
    assert there.find_lost(STEADY, none) is None
    assert there.find_born(STEADY, none) is None
    assert there.find_count_jump(STEADY, (), str) is None
    assert there.find_missing_frames((), 60) is None
    assert there.find_stage_jump(np.full(60, np.nan), str) is None
    assert there.find_stage_jump(np.abs(np.random.default_rng(0).normal(0, 2, 60)), str) is None
    frames, level = np.arange(60), 200 + np.random.default_rng(0).normal(0, 3, 60)
    assert there.find_background_jump(frames, level, "GFP", str) is None
    assert there.find_blur(frames, level, 190.0, "phase", str) is None
    assert there.find_unlike_size(40, 45) is None
    assert there.find_few_cells(20, 34) is None


@pytest.mark.parametrize("per_frame", [0.001, 0.03])
def test_cells_that_are_lost_ask_for_a_look_from_two_of_a_hundred_per_frame(per_frame):
    counts = np.full(101, 100)
    lost = np.zeros(101, int)
    lost[:100] = 100 * per_frame if per_frame > 0.01 else [1] * 10 + [0] * 90
    found = there.find_lost(counts, lost)
    assert (found.score >= LOOK) is (per_frame > 0.01)
    assert found.words.startswith("3 % of the cells" if per_frame > 0.01 else "0.1 % of the cells")


def test_two_lost_cells_are_no_rate():
    assert there.find_lost(np.full(10, 4), np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 0])) is None


def test_cells_ask_for_a_look_where_many_are_probably_not_the_same_throughout():
    assert there.find_unsure_links(np.array([0.1] * 5 + [1.0] * 20)) is None  # 4.5 of them
    assert there.find_unsure_links(np.zeros(0)) is None
    some = there.find_unsure_links(np.array([0.9] * 60 + [1.0] * 40))
    assert some is not None
    assert some.score == pytest.approx(LOOK * 6 / 100 / 0.3)
    assert "about 6 of 100 cells" in some.words
    many = there.find_unsure_links(np.array([0.1] * 12 + [1.0] * 8))
    assert many is not None
    assert many.score > LOOK


def test_all_unsure_links_of_a_cell_count_together(owned):
    fov = owned.fov(0)
    tables = fov.read_tables()
    [first, second, *_] = tables.cells["cell"].tolist()
    told = dataclasses.replace(
        tables,
        least_sure={first: (0.5, 3), second: (0.95, 2)},
        unsure={first: [(3, 0.5), (7, 0.8)]},
    )
    measured = measure_fov(fov, tables=told)
    assert measured.sure.tolist() == [0.5, 0.95]
    assert measured.whole.tolist() == [0.4, 0.95]


def test_links_of_cells_that_are_no_more_do_not_count(owned):
    fov = owned.fov(0)
    tables = fov.read_tables()
    sure = dict.fromkeys(tables.cells["cell"].tolist(), (0.5, 3))
    told = dataclasses.replace(tables, least_sure={**sure, 60_000: (0.5, 3)}, unsure={})
    measured = measure_fov(fov, tables=told)
    assert measured.sure.tolist() == measured.whole.tolist() == [0.5] * len(tables.cells)
    many = dataclasses.replace(measured, whole=np.full(20, 0.5))
    trouble = troubles_of([many])[0]
    assert any(finding.about == "links" for finding in trouble.findings)


def test_a_fall_of_the_count_is_told_with_its_frame_but_a_slow_one_is_not():
    counts = np.r_[STEADY[:40], STEADY[40:] // 8]
    found = there.find_count_jump(counts, (), lambda frame: f"frame {frame}")
    assert found.words == f"the number of cells falls from {counts[39]} to {counts[40]} at frame 40"
    assert found.score > 0.8
    assert there.find_count_jump(np.linspace(60, 10, 60).astype(int), (), str) is None


def test_frames_without_an_image_are_no_jump_of_the_count():
    counts = np.full(20, 30)
    counts[7:9] = 0
    assert there.find_count_jump(counts, {7, 8}, str) is None
    assert there.find_count_jump(counts, (), str) is not None


def test_a_jump_of_the_background_is_told_and_a_drift_is_not():
    frames = np.arange(0, 180, 6)
    level = np.where(frames < 90, 200.0, 480.0) + np.random.default_rng(0).normal(0, 2, 30)
    level[3] = np.nan
    found = there.find_background_jump(frames, level, "GFP", lambda frame: f"frame {frame}")
    assert found.score > LOOK
    assert found.words.startswith("the background of GFP jumps from")
    assert found.words.endswith("at frame 90")
    assert there.find_background_jump(frames, np.linspace(200, 400, 30), "GFP", str) is None


def test_a_jump_of_the_stage_asks_for_a_look_from_thirty_pixels_on():
    shifts = np.r_[np.nan, np.full(30, 1.0)]
    shifts[17] = 15
    assert 0 < there.find_stage_jump(shifts, str).score < LOOK
    shifts[17] = 45
    assert there.find_stage_jump(shifts, str).score >= LOOK


def test_frames_out_of_focus_are_told_and_so_is_a_position_that_always_is():
    frames, sharp = np.arange(20), np.full(20, 8.0)
    sharp[[11, 12]] = 1.0
    found = there.find_blur(frames, sharp, 8.0, "phase", lambda frame: f"frame {frame}")
    assert found.words == ("phase is out of focus at frame 11 and 1 more of 20 that were looked at")
    blunt = there.find_blur(frames, np.full(20, 2.0), 8.0, "phase", str)
    assert blunt.words == "phase is less sharp than in the other positions throughout"
    assert there.find_blur(frames, np.full(20, 2.0), None, "phase", str) is None


def test_few_good_cells_are_told_with_the_usual_reason():
    found = there.find_few_good(12, 40, {"too short": 20, "merged": 8, "at the border": 0})
    assert found.words == "12 of 40 cells are good, most others: too short (20)"
    assert found.score == pytest.approx(0.7)
    assert there.find_few_good(39, 40, {"merged": 1}).score < there.TOLD
    assert there.find_few_good(21, 40, {"merged": 19}).score < LOOK
    assert there.find_few_good(0, 0, {}) is None
    of_a_colony = there.find_few_good(26, 159, {"too short": 109}, 80)
    assert of_a_colony.score == pytest.approx(1 - 26 / 79)
    assert of_a_colony.words == "26 of 159 cells are good, most others: too short (109)"
    assert there.find_few_good(0, 4, {"too short": 4}, 4) is None


def made(fov, count=30, diameter=40.0, **more):
    counts = np.full(20, count)
    return FovMeasures(
        fov, n_frames=20, counts=counts, n_cells=count, n_good=count, diameter=diameter, **more
    )


def test_a_position_is_held_against_the_others():
    sharp = {fov: {"phase": np.full(20, 2.0 if fov == 4 else 9.0)} for fov in range(6)}
    frames = np.arange(20)
    measured = [
        made(
            fov,
            count=3 if fov == 2 else 30,
            diameter=20.0 if fov == 3 else 40.0,
            images=ImageMeasures(frames, {}, sharp[fov]),
        )
        for fov in range(6)
    ]
    troubles = troubles_of(measured)
    assert {fov for fov, trouble in troubles.items() if trouble.needs_look} == {2, 3, 4}
    assert troubles[2].words == "about 3 cells in a frame, others have 30"
    assert troubles[3].words == "cells are 20 px wide, those of the others 40 px"
    assert "less sharp" in troubles[4].words


def test_two_positions_are_not_held_against_each_other():
    assert not any(t.needs_look for t in troubles_of([made(0, count=3), made(1)]).values())


def test_a_frame_is_told_with_its_time_where_that_is_known():
    each = FovMeasures(0, n_frames=2, minutes=np.array([0.0, 845.0]))
    assert each.when(1) == "frame 1 (14 h 05 min)"
    assert FovMeasures(0, n_frames=2).when(1) == "frame 1"


def test_the_demo_is_measured_as_its_tables_are(sampled):
    for fov in sampled.chosen():
        measured, tables = measure_fov(fov), fov.read_tables()
        of_frame = tables.traces["frame"].value_counts()
        assert measured.counts.tolist() == [of_frame.get(t, 0) for t in range(measured.n_frames)]
        assert measured.n_cells == len(tables.cells)
        assert measured.n_good == tables.cells["good"].sum()
        assert sum(measured.reasons.values()) == measured.n_cells - measured.n_good
        assert measured.diameter == pytest.approx(
            2 * np.sqrt(tables.traces["area"].median() / np.pi)
        )
        assert measured.standing == ()


def test_what_people_corrected_counts(owned):
    fov = owned.fov(0)
    before = measure_fov(fov)
    cells = fov.cells
    fov.remove(int(cells["cell"].iloc[0]))
    after = measure_fov(owned.fov(0))
    assert after.n_cells == before.n_cells - 1
    assert after.counts.sum() < before.counts.sum()


def test_shifts_are_read_from_the_table_of_frames(copied_results, sampled):
    fov = open_results(copied_results).fov(0)
    assert np.isnan(fov.read_shifts(10)).all()  # IoU does not find them out
    from pyama_core.results.tables import fill_shifts

    table = b"frame,shift_x,shift_y\n0,,\n1,3,4\n2,0,0\n99,9,9\n"
    np.testing.assert_equal(fill_shifts(np.full(4, np.nan), table), [np.nan, 5, 0, np.nan])


def test_a_failure_a_damaged_record_and_missing_tables_are_the_worst(results_of_demo, tmp_path):
    folder = shutil.copytree(results_of_demo, tmp_path / "own")
    paths = records_by_fov(folder)
    record = load_record(paths[0])
    failure = Failure(step="tracking", error="FOV 0: the disk is full")
    save_record(paths[0], record.model_copy(update={"failure": failure}))
    paths[1].write_text("no record", encoding="utf-8")
    for each in (*paths[2].parent.glob("*_traces_*.csv"),):
        each.unlink()
    results = open_results(folder)
    for troubles in (
        troubles_of([measure_fov(fov) for fov in results.chosen()]),
        troubles_on_record(results.chosen()),
    ):
        assert troubles[0].words.startswith("tracking failed: FOV 0: the disk is full")
        assert "damaged" in troubles[1].words
        assert "not finished" in troubles[2].words
        assert all(trouble.needs_look for trouble in troubles.values())


def test_records_alone_tell_the_same_of_good_cells_where_nothing_was_corrected(sampled):
    full = troubles_of([measure_fov(fov) for fov in sampled.chosen()])
    quick = troubles_on_record(sampled.chosen())
    for fov, trouble in full.items():
        told = {f.about: f.words for f in trouble.findings}
        assert {f.about: f.words for f in quick[fov].findings}.items() <= told.items()
