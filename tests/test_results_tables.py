"""Tables of results: what the records prove, put side by side."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import runs
from pyama_core import open_results
from pyama_core.demo import DemoFiles
from pyama_core.errors import InputError


@pytest.fixture(scope="module")
def finished(demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("finished") / "Ergebnisse für Übung 1"
    assert runs.run(demo, output_dir).ok
    return output_dir


def test_traces_are_those_of_the_run_with_channels_side_by_side(finished):
    traces = open_results(finished).traces
    for channel, name in ((1, "GFP"), (2, "mCherry")):
        written = pd.concat(
            pd.read_csv(path) for path in sorted(finished.rglob(f"*_traces_ch_{channel}.csv"))
        ).reset_index()
        for column in ("fov", "cell", "frame", "position_x", "area"):
            assert (traces[column] == written[column]).all()
        assert (traces[f"intensity_total_{name}"] == written["intensity_total"]).all()
        assert (traces["time_min"] == written["time"]).all()
        assert (traces["time_h"] == written["time"] / 60).all()


def test_cells_have_the_verdict_of_all_channels_and_what_became_of_them(finished):
    cells = open_results(finished).cells
    tracks = pd.concat(
        pd.read_csv(path) for path in sorted(finished.rglob("*_tracks.csv"))
    ).reset_index()
    for column in ("fov", "cell", "first_frame", "last_frame", "fate", "n_frames"):
        assert (cells[column] == tracks[column]).all()
    assert (cells["good"] == (cells["reason_GFP"] + cells["reason_mCherry"] == "")).all()
    assert 0 < cells["good"].sum() < len(cells)


def test_only_the_columns_and_fovs_that_are_asked_for_are_read(finished):
    traces = open_results(finished).read_traces(fovs="1-2", columns=["area"])
    assert list(traces) == ["sample", "fov", "cell", "frame", "good", "area"]
    assert set(traces["fov"]) == {1, 2}


def test_a_column_that_does_not_exist_is_refused_with_those_that_do(finished):
    with pytest.raises(InputError, match=r"'intensity_total'; there are .*intensity_total_GFP"):
        open_results(finished).read_traces(columns=["intensity_total"])
