"""The page reads the tables of a position once, and anew as soon as they are others."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from asking import Page
from pyama_core.app.table_readings import TableReadings
from pyama_core.results import fov_results
from pyama_core.results.results import open_results


@pytest.fixture
def reads(monkeypatch):
    """Return a list that gets longer whenever tables are parsed."""
    made = []
    make_tables = fov_results.make_tables

    def counted(*args, **kwargs):
        made.append(args[0])
        return make_tables(*args, **kwargs)

    monkeypatch.setattr(fov_results, "make_tables", counted)
    return made


def test_what_a_position_is_opened_with_is_read_once(results_of_demo, reads):
    page, at = Page([results_of_demo.parent]), str(results_of_demo)
    asks = [
        ("/api/cells", {}),
        ("/api/traces", {"columns": ["intensity_total_GFP"]}),
        ("/api/doubts", {}),
    ]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda each: page.get(each[0], at=at, fov=1, **each[1]), asks))
    column = "intensity_total_GFP"
    answers.append(page.get("/api/courses", at=at, fovs=[1], column=column, time="time_h"))
    answers.append(page.get("/api/counts", at=at, fovs=[1]))
    number = answers[0].json["cell"][0]
    answers.append(page.get("/api/strip", at=at, fov=1, cell=number, kind="phase", frames=[0]))
    assert [answer.status for answer in answers] == [200] * 6
    assert reads == [1]


@pytest.mark.parametrize("columns", [(), ("area",), ("eccentricity_GFP", "time_h", "no column")])
def test_kept_tables_are_those_of_the_results(results_of_demo, columns):
    fov, kept = open_results(results_of_demo).fov(0), TableReadings()
    kept.read(fov, ())
    expected, found = fov.read_tables(columns), kept.read(fov, columns)
    pd.testing.assert_frame_equal(found.traces, expected.traces)
    pd.testing.assert_frame_equal(found.cells, expected.cells)


def test_a_correction_is_seen_at_once_and_so_is_its_end(copied_results, reads):
    fov, kept = open_results(copied_results).fov(0), TableReadings()
    before = kept.read(fov, ()).cells["cell"].tolist()
    fov.remove(before[0])
    assert kept.read(fov, ()).cells["cell"].tolist() == before[1:]
    fov.undo()
    reads.clear()
    assert kept.read(fov, ()).cells["cell"].tolist() == before
    assert reads == []  # As it was read before.


def test_a_table_that_is_no_longer_as_it_was_written_is_not_shown_from_memory(copied_results):
    fov, kept = open_results(copied_results).fov(0), TableReadings()
    assert kept.read(fov, ()).channels == ("GFP", "mCherry")
    [path] = fov.folder.glob("*_traces_ch_1.csv")
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1) + b"\n")
    assert kept.read(fov, ()).channels == ("mCherry",)


def test_a_folder_that_is_made_anew_is_read_anew(copied_results, reads):
    fov, kept = open_results(copied_results).fov(0), TableReadings()
    kept.read(fov, ())
    shutil.rmtree(fov.folder)
    assert kept.read(fov, ()).traces.empty
    assert reads == [0, 0]
