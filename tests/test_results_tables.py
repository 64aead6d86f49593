"""Tables of results: what the records prove, put side by side."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.results.tables import make_tables


def test_traces_are_those_of_the_run_with_channels_side_by_side(results_of_demo):
    traces = open_results(results_of_demo).traces
    for channel, name in ((1, "GFP"), (2, "mCherry")):
        written = pd.concat(
            pd.read_csv(path)
            for path in sorted(results_of_demo.rglob(f"*_traces_ch_{channel}.csv"))
        ).reset_index()
        for column in ("fov", "cell", "frame", "position_x", "area"):
            assert (traces[column] == written[column]).all()
        assert (traces[f"intensity_total_{name}"] == written["intensity_total"]).all()
        assert (traces["time_min"] == written["time"]).all()
        assert (traces["time_h"] == written["time"] / 60).all()


def test_cells_have_the_verdict_of_all_channels_and_what_became_of_them(results_of_demo):
    cells = open_results(results_of_demo).cells
    tracks = pd.concat(
        pd.read_csv(path) for path in sorted(results_of_demo.rglob("*_tracks.csv"))
    ).reset_index()
    for column in ("fov", "cell", "first_frame", "last_frame", "fate", "n_frames"):
        assert (cells[column] == tracks[column]).all()
    assert (cells["good"] == (cells["reason_GFP"] + cells["reason_mCherry"] == "")).all()
    assert 0 < cells["good"].sum() < len(cells)


def test_only_the_columns_and_fovs_that_are_asked_for_are_read(results_of_demo):
    traces = open_results(results_of_demo).read_traces(fovs="1-2", columns=["area"])
    assert list(traces) == ["sample", "fov", "cell", "frame", "good", "area"]
    assert set(traces["fov"]) == {1, 2}


def test_a_column_that_does_not_exist_is_refused_with_those_that_do(results_of_demo):
    with pytest.raises(InputError, match=r"'intensity_total'; there are .*intensity_total_GFP"):
        open_results(results_of_demo).read_traces(columns=["intensity_total"])


def test_frames_that_only_one_channel_has_are_rows_all_the_same():
    header = "fov,cell,frame,time,good,position_x,intensity_total,area,reason\n"
    first = f"{header}0,1,0,0.0,True,5.5,10.0,7,\n0,1,2,10.0,True,6.5,12.0,9,\n"
    second = f"{header}0,1,1,5.0,False,6.0,3.0,8,merged\n0,1,2,10.0,False,6.5,4.0,9,merged\n"
    tables = make_tables(0, {"GFP": first.encode(), "RFP": second.encode()}, None)
    traces = tables.traces
    assert traces["frame"].tolist() == [0, 1, 2]
    assert traces["time_min"].tolist() == [0.0, 5.0, 10.0]
    assert traces["area"].tolist() == [7, 8, 9]
    assert traces["position_x"].tolist() == [5.5, 6.0, 6.5]
    np.testing.assert_equal(traces["intensity_total_GFP"].to_numpy(), [10.0, np.nan, 12.0])
    np.testing.assert_equal(traces["intensity_total_RFP"].to_numpy(), [np.nan, 3.0, 4.0])
    assert tables.cells["good"].tolist() == [False]
    assert tables.cells["reason_RFP"].tolist() == ["merged"]
    assert tables.cells[["first_frame", "last_frame", "n_frames"]].to_numpy().tolist() == [
        [0, 2, 3]
    ]


def test_numbers_are_read_to_the_last_digit():
    value = 0.1 + 0.2
    table = f"fov,cell,frame,time,good,intensity_total,reason\n0,1,0,,True,{value!r},\n"
    traces = make_tables(0, {"GFP": table.encode()}, None).traces
    assert traces["intensity_total_GFP"][0] == value
    assert traces["time_min"].isna().all()


def test_a_cell_that_no_channel_measured_is_neither_good_nor_bad():
    tracks = (
        "fov,cell,parent,first_frame,last_frame,fate,n_frames,n_merged\n"
        "0,1,,0,3,divided,4,0\n0,2,1,4,9,end of movie,6,0\n0,3,1,4,5,lost,2,0\n"
    )
    cells = make_tables(0, {}, tracks.encode()).cells
    assert cells["good"].isna().all()
    assert cells["parent"].tolist() == [pd.NA, 1, 1]
    assert cells["daughters"].tolist() == [(2, 3), (), ()]


def test_tables_without_rows_have_all_columns():
    header = b"fov,cell,frame,time,good,position_x,position_y,intensity_total,area,reason\n"
    tracks = b"fov,cell,parent,first_frame,last_frame,fate,n_frames,n_merged\n"
    tables = make_tables(0, {"GFP": header}, tracks)
    assert len(tables.traces) == len(tables.cells) == 0
    assert "intensity_total_GFP" in tables.traces
    assert "reason_GFP" in tables.cells


def test_pandas_and_matplotlib_are_imported_only_where_they_are_asked_for():
    code = (
        "import sys, pyama_core, pyama_core.cli.app, pyama_core.results.results, "
        "pyama_core.processing.workflow.pipeline, pyama_core.processing.workflow.worker; "
        "print(*[name for name in ('pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_run_needs_no_pandas(demo, tmp_path):
    code = (
        "import sys; sys.modules['pandas'] = None; sys.modules['matplotlib'] = None\n"
        "from pyama_core.cli.app import app; app()"
    )
    words = ["run", str(demo.image), "-o", str(tmp_path / "out"), "--pc", "0", "--fl", "1"]
    words += ["--fovs", "0", "--segmentation", "log-std", "--tracking", "iou", "--workers", "1"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
