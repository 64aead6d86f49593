"""Results folders that are made of tables are as valid as those of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.made_results import Size, make_results

from pyama_core import open_results
from pyama_core.processing.workflow.status import describe_folder, verify_folder

SIZE = Size(n_fovs=6, n_frames=12, n_cells=40, channels=("GFP", "mCherry"), n_unlike=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("made") / "results", SIZE)


def test_all_of_it_is_proven_and_done(made):
    assert verify_folder(made) == {}
    assert {fov["status"] for fov in describe_folder(made)["fovs"].values()} == {"done"}
    results = open_results(made)
    assert set(results.missing["kind"]) == {"pc", "fl", "seg", "fl_corrected", "seg_labeled"}
    traces = results.traces
    assert len(traces) == sum(fov["n_frames"].sum() for _, fov in results.cells.groupby("fov"))
    assert set(traces["fov"]) == set(range(6))
    assert traces["intensity_total_mCherry"].notna().all()
    assert len(set(traces["sample"])) == 4


def test_its_cells_can_be_corrected_and_are_judged_anew_by_the_same_limits(made):
    results = open_results(made)
    fov = results.fov(3)
    before = results.read_cells(fovs=[3]).set_index("cell")
    last = before.index[before["n_frames"] == SIZE.n_frames][-1]
    new = fov.cut(last, 6)
    fov.join(last, new)
    after = results.read_cells(fovs=[3]).set_index("cell")
    for column in ("good", "reason_GFP", "reason_mCherry", "fate", "n_frames"):
        assert after[column].tolist() == before[column].tolist()


def test_a_part_of_many_fovs_is_read_without_looking_at_the_others(made, monkeypatch):
    results = open_results(made)
    expected = results.traces
    others = {fov for fov in results.chosen() if fov.number not in (1, 4)}
    for fov in others:
        monkeypatch.setattr(fov, "_files", None)
    part = results.read_traces(fovs=[1, 4], columns=["area", "intensity_total_GFP"])
    assert list(part)[5:] == ["area", "intensity_total_GFP"]
    rows = expected[expected["fov"].isin([1, 4])]
    assert part["intensity_total_GFP"].tolist() == rows["intensity_total_GFP"].tolist()
