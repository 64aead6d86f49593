"""Folders of FOVs that somebody swaps, renames or copies by hand: named, never mixed up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from inline import run_inline
from pyama_core import open_results
from pyama_core.cli.app import app
from pyama_core.demo import write_demo
from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.storage.naming import find_misplaced_records, find_records, records_by_fov
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import data_files, describe, new_context

RECORD_0, RECORD_1 = "demo_fov_000_record.json", "demo_fov_001_record.json"


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("movie"), fovs=3, frames=6, size=96, seed=2)


@pytest.fixture(scope="module")
def whole(movie, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_inline(describe(movie), new_context(out)).ok
    return out


def test_a_folder_that_goes_while_records_are_looked_for_hides_none_of_the_others(
    whole, tmp_path, monkeypatch
):
    out = shutil.copytree(whole, tmp_path / "out")
    list_folder = Path.iterdir

    def list_and_lose(folder):
        listed = [*list_folder(folder)]
        if folder == out:
            shutil.rmtree(out / "fov_001")
        return iter(listed)

    monkeypatch.setattr(Path, "iterdir", list_and_lose)
    assert [path.parent.name for path in find_records(out)] == ["fov_000", "fov_002"]
    shutil.rmtree(out)
    assert find_records(out) == []


@pytest.fixture
def swapped(whole, tmp_path):
    """Results whose folders 0 and 1 were swapped by hand."""
    out = shutil.copytree(whole, tmp_path / "out")
    swap(out)
    return out


def swap(out) -> None:
    (out / "fov_000").rename(out / "x")
    (out / "fov_001").rename(out / "fov_000")
    (out / "x").rename(out / "fov_001")


def pyama(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_swapped_folders_are_told_by_verify_and_status(swapped):
    faults = verify_folder(swapped)
    assert list(faults) == [f"fov_000/{RECORD_1}", f"fov_001/{RECORD_0}"]
    assert "these results belong into fov_001" in faults[f"fov_000/{RECORD_1}"]
    found = pyama("verify", swapped)
    assert found.exit_code == 1
    assert "rename it back, or pyama run makes them anew" in found.stderr
    assert f"fov_000/{RECORD_1}: these results belong" in pyama("status", swapped).stdout
    assert list(describe_folder(swapped)["fovs"]) == ["2"]


def test_folders_that_were_swapped_back_are_as_before(swapped):
    swap(swapped)
    assert verify_folder(swapped) == {}
    described = describe_folder(swapped)
    assert described["misplaced"] == {}
    assert [fov["status"] for fov in described["fovs"].values()] == ["done"] * 3


def test_a_run_says_so_makes_them_anew_and_verify_is_content(movie, swapped, whole, caplog):
    assert run_inline(describe(movie), new_context(swapped)).ok
    assert caplog.text.count("these results belong into") == 2
    made = data_files(swapped)
    assert {name: made[name] for name in data_files(whole)} == data_files(whole)
    assert verify_folder(swapped) == {}
    found = pyama("verify", swapped)
    assert (found.exit_code, found.stderr) == (0, "")
    assert f"fov_000/{RECORD_1}: results of fov_001, which has its own" in found.stdout
    caplog.clear()
    assert run_inline(describe(movie), new_context(swapped)).ok
    assert "belong" not in caplog.text


def test_results_are_read_from_their_own_folders_only(movie, swapped, whole):
    assert open_results(swapped).fov_numbers == [2]
    with pytest.raises(InputError):
        open_results(swapped).fov(0)
    write_results(swapped)
    paths = yaml.safe_load((swapped / "processing_results.yaml").read_text())["results_paths"]
    assert list(paths) == [2]
    assert run_inline(describe(movie), new_context(swapped)).ok
    for fov in range(3):
        traces = open_results(swapped).fov(fov).traces
        pd.testing.assert_frame_equal(traces, open_results(whole).fov(fov).traces)


def test_release_leaves_alone_what_lies_in_the_folder_of_another_fov(swapped):
    before = data_files(swapped)
    assert release_stacks(swapped, ["pc"]).n_files == 1
    gone = before.keys() - data_files(swapped).keys()
    assert gone == {"fov_002/demo_fov_002_pc_ch_0.npy"}


@pytest.mark.parametrize("name", ["fov_000 (copy)", "fov_000_old", "fov_0", "fov_0000"])
def test_a_copy_under_another_name_is_no_fov_and_no_fault(whole, tmp_path, name):
    out = shutil.copytree(whole, tmp_path / "out")
    shutil.copytree(out / "fov_000", out / name)
    assert verify_folder(out) == {}
    assert list(describe_folder(out)["misplaced"]) == [f"{name}/{RECORD_0}"]
    assert list(records_by_fov(out)) == [0, 1, 2]
    assert release_stacks(out, ["pc"]).n_files == 3
    assert (out / name / "demo_fov_000_pc_ch_0.npy").exists()


def test_a_folder_with_nothing_but_misplaced_results_has_results_to_tell_of(swapped):
    shutil.rmtree(swapped / "fov_002")
    assert len(verify_folder(swapped)) == 2
    assert describe_folder(swapped)["fovs"] == {}
    with pytest.raises(InputError, match="holds no results"):
        release_stacks(swapped, ["pc"])


def test_a_record_that_was_renamed_with_its_folder_is_a_fault_among_others(whole, tmp_path):
    out = shutil.copytree(whole, tmp_path / "out")
    record = json.loads((out / "fov_001" / RECORD_1).read_text())
    (out / "fov_000" / RECORD_0).write_text(json.dumps(record))
    results = open_results(out)
    assert results.fov(0).traces.empty
    with pytest.raises(DamagedFileError, match="is the record of FOV 1"):
        results.fov(0).record  # noqa: B018
    assert "with a damaged record: 0" in repr(results)
    (out / "fov_002" / "demo_fov_002_seg_ch_0.npy").unlink()
    assert verify_folder(out) == {
        f"fov_000/{RECORD_0}": "the record is that of FOV 1",
        "fov_002/demo_fov_002_seg_ch_0.npy": "missing",
    }


def test_records_are_told_from_other_files_by_their_names(tmp_path):
    for place in (
        "fov_000/a_fov_000_record.json",
        "fov_000/._a_fov_000_record.json",
        "fov_000/notes_record.json",
        "fov_000/fov_000_record.json",
        "fov_001/b_fov_000_record.json",
        "fov_1000/a\nb_fov_1000_record.json",
    ):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_records(tmp_path)]
    assert found == ["fov_000/a_fov_000_record.json", "fov_1000/a\nb_fov_1000_record.json"]
    (misplaced,) = find_misplaced_records(tmp_path)
    assert misplaced.name == "b_fov_000_record.json"
