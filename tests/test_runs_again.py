"""What a later run makes anew, what it leaves, and what comes back of what was released."""

from __future__ import annotations

import os
import re
import shutil
import threading

import pytest
import yaml

from pyama_core import run_complete_workflow
from pyama_core.errors import InputError
from pyama_core.processing.workflow.release import parse_kinds, release_stacks
from pyama_core.processing.workflow.services.types import Channels
from pyama_core.processing.workflow.status import describe_folder
from runs import DATA_FILES, data_files, describe, inodes, made_files, new_context, run, statuses

pytestmark = pytest.mark.usefixtures("workers_inline")


@pytest.fixture(scope="module")
def undisturbed(demo, tmp_path_factory):
    """Output folder of a run that nothing disturbed."""
    output_dir = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run(demo, output_dir).exit_code == 0
    return output_dir


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of a finished output folder, times of files included."""
    return shutil.copytree(undisturbed, tmp_path / "out")


def test_ranges_of_fovs_add_up_to_the_whole(demo, undisturbed, tmp_path):
    assert run(demo, tmp_path / "out", fov_start=1, fov_end=2).ok
    assert sorted(path.name for path in (tmp_path / "out").glob("fov_*")) == ["fov_001", "fov_002"]
    assert run(demo, tmp_path / "out", fovs=[0]).ok
    assert data_files(tmp_path / "out") == data_files(undisturbed)
    results = yaml.safe_load((tmp_path / "out" / "processing_results.yaml").read_text())
    assert sorted(results["results_paths"]) == [0, 1, 2]


# Running again


def test_a_second_run_does_nothing_and_knows_all_paths(demo, finished):
    before = inodes(finished, "*.npy")
    context = new_context(finished)
    assert run_complete_workflow(describe(demo), context)
    assert inodes(finished, "*.npy") == before
    assert context.results_paths is not None
    assert context.results_paths[1].seg == (0, finished / "fov_001" / "demo_fov_001_seg_ch_0.npy")
    assert [channel for channel, _ in context.results_paths[2].traces_csv] == [1, 2]


REDONE = {
    "extraction": ({"extraction": {"min_frames": 1}}, {"traces"}),
    "tracking": ({"tracking": {"min_iou": 0.9}}, {"seg_labeled", "tracks", "shifts", "traces"}),
    "correction": ({"correction": {"tile_size": 64}}, {"fl_corrected", "traces"}),
    "segmentation": (
        {"segmentation": {"n_sigma": 5.0}},
        {"seg", "fl_corrected", "seg_labeled", "tracks", "shifts", "traces"},
    ),
}


@pytest.mark.parametrize("step", REDONE)
def test_a_changed_parameter_redoes_its_step_and_what_follows_only(demo, finished, step):
    params, redone = REDONE[step]
    before = inodes(finished, DATA_FILES)
    assert run(demo, finished, params).ok
    after = inodes(finished, DATA_FILES)
    changed = {name for name in after if after[name] != before[name]}
    assert {re.split(r"_ch_|\.", name[len("demo_fov_000_") :])[0] for name in changed} == redone


def test_a_step_redone_to_the_same_bytes_invalidates_nothing_after_it(demo, finished):
    before = inodes(finished, DATA_FILES)
    # A square of 19 applied once is a square of 7 applied three times.
    assert run(demo, finished, {"segmentation": {"square_size": 19, "iterations": 1}}).ok
    after = inodes(finished, DATA_FILES)
    assert {name.split("_", 3)[3] for name in after if after[name] != before[name]} == {
        "seg_ch_0.npy"
    }


def test_a_deleted_output_is_made_again_and_nothing_else(demo, undisturbed, finished):
    before = inodes(finished, DATA_FILES)
    (finished / "fov_001" / "demo_fov_001_seg_ch_0.npy").unlink()
    outcome = run(demo, finished)
    assert statuses(outcome) == {0: "skipped", 1: "done", 2: "skipped"}
    after = inodes(finished, DATA_FILES)
    assert {name for name in after if after[name] != before[name]} == {"demo_fov_001_seg_ch_0.npy"}
    assert data_files(finished) == data_files(undisturbed)


def test_another_channel_adds_to_what_is_there(demo, undisturbed, tmp_path):
    context = new_context(tmp_path / "out")
    context.channels = Channels(pc=0, fl=[2])
    assert run_complete_workflow(describe(demo), context)
    before = inodes(tmp_path / "out", "*seg*")
    assert run(demo, tmp_path / "out").ok
    assert inodes(tmp_path / "out", "*seg*") == before
    assert data_files(tmp_path / "out") == data_files(undisturbed)


def test_rot_that_keeps_size_and_time_is_found_by_check(demo, undisturbed, finished):
    path = finished / "fov_002" / "demo_fov_002_fl_corrected_ch_1.npy"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert statuses(run(demo, finished))[2] == "skipped"
    assert statuses(run(demo, finished, check=True))[2] == "done"
    assert made_files(finished) == data_files(undisturbed)


def test_results_of_another_state_of_the_source_are_refused(demo, finished, tmp_path):
    before = data_files(finished)
    content, status = demo.image.read_bytes(), demo.image.stat()
    try:
        demo.image.write_bytes(content + b"\0")
        assert not run_complete_workflow(describe(demo), new_context(finished))
        assert data_files(finished) == before
    finally:
        demo.image.write_bytes(content)
        os.utime(demo.image, ns=(status.st_atime_ns, status.st_mtime_ns))


# Releasing space


def test_released_stacks_are_deleted_and_a_later_run_has_nothing_to_do(demo, finished):
    n_bytes = sum(path.stat().st_size for path in finished.rglob("*_fl_corrected_*"))
    released = release_stacks(finished, ["fl_corrected", "fl"])
    assert released.n_files == 12
    assert released.n_bytes > n_bytes
    assert not list(finished.rglob("*_fl_*"))
    assert statuses(run(demo, finished)) == {0: "skipped", 1: "skipped", 2: "skipped"}
    assert release_stacks(finished, ["fl_corrected"]).n_files == 0
    described = describe_folder(finished)["fovs"]["0"]
    assert described["status"] == "done"
    assert described["steps"]["correction"] == "released"
    assert described["steps"]["tracking"] == "done"


@pytest.mark.parametrize("step", REDONE)
def test_released_stacks_come_back_when_a_later_step_needs_them(demo, finished, tmp_path, step):
    params, _ = REDONE[step]
    release_stacks(finished, ["pc", "fl", "seg", "fl_corrected", "seg_labeled"])
    assert run(demo, finished, params).ok
    assert run(demo, tmp_path / "fresh", params).ok
    fresh = data_files(tmp_path / "fresh")
    found = data_files(finished)
    assert {name for name in fresh if name.endswith("csv")} <= set(found)
    for name, content in found.items():
        assert fresh[name] == content
    needed = {"extraction": "seg_labeled", "segmentation": "pc"}.get(step)
    if needed:
        assert any(needed in name for name in found)


def test_only_stacks_can_be_released():
    for words in ("traces_csv", "fl_corected", "", "../x"):
        with pytest.raises(InputError, match="fl_corrected"):
            parse_kinds(words)
    assert parse_kinds("fl_corrected, seg") == ["fl_corrected", "seg"]


# Status


def test_after_a_stopped_run_with_other_parameters_nothing_old_passes_for_new(demo, finished):
    cancel = threading.Event()
    cancel.set()
    params = {"segmentation": {"n_sigma": 4.0}}
    assert run(demo, finished, params, cancel=cancel).exit_code == 130
    found = describe_folder(finished)["fovs"]["0"]
    assert found["status"] == "missing"
    assert found["steps"]["copying"] == "done"
    assert found["steps"]["segmentation"] == "outdated"
    results = yaml.safe_load((finished / "processing_results.yaml").read_text())
    assert results["params"]["segmentation"]["n_sigma"] == 4.0
    assert results["results_paths"][0]["seg"] is None
    assert "fov_000/demo_fov_000_seg_ch_0.npy" in results["outdated"][0]
    assert run(demo, finished, params).ok
    assert {fov["status"] for fov in describe_folder(finished)["fovs"].values()} == {"done"}


@pytest.mark.parametrize("kinds", [["fl_corrected"], ["seg_labeled", "pc"]])
def test_released_stacks_come_back_on_request_with_the_same_bytes(demo, finished, kinds):
    before = data_files(finished)
    release_stacks(finished, ["pc", "fl", "seg", "fl_corrected", "seg_labeled"])
    assert statuses(run(demo, finished, restore=kinds)) == {0: "done", 1: "done", 2: "done"}
    after = data_files(finished)
    assert {name: before[name] for name in after} == after
    for kind in kinds:
        assert any(f"_{kind}_ch_" in name for name in after)
    assert statuses(run(demo, finished, restore=kinds)) == {
        0: "skipped",
        1: "skipped",
        2: "skipped",
    }
