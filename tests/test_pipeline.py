from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Queue

import pandas as pd
import pytest
import yaml

from pyama_core import run_complete_workflow
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.stacks import StackReader
from pyama_core.processing.workflow import request as request_module
from pyama_core.processing.workflow.outcome import FovStatus
from pyama_core.processing.workflow.pipeline import (
    ForeignExecutor,
    _compute_batches,
    _merge_contexts,
    _split_worker_ranges,
)
from pyama_core.processing.workflow.services.types import (
    Channels,
    ProcessingContext,
    ResultsPathsPerFOV,
)
from runs import (
    data_files,
    describe,
    new_context,
    run,
    statuses,
    worker_processes,
)


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


# What comes out


def test_a_run_makes_every_output_of_every_fov(undisturbed):
    expected = {
        f"fov_{fov:03d}/demo_fov_{fov:03d}_{name}"
        for fov in range(3)
        for name in (
            "pc_ch_0.npy",
            "fl_ch_1.npy",
            "fl_ch_2.npy",
            "seg_ch_0.npy",
            "fl_corrected_ch_1.npy",
            "fl_corrected_ch_2.npy",
            "seg_labeled_ch_0.npy",
            "tracks.csv",
            "shifts.csv",
            "traces_ch_1.csv",
            "traces_ch_2.csv",
        )
    }
    assert set(data_files(undisturbed)) == expected


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("pc_ch_0", "uint16"),
        ("fl_ch_1", "uint16"),
        ("seg_ch_0", "bool"),
        ("fl_corrected_ch_1", "float32"),
        ("seg_labeled_ch_0", "uint16"),
    ],
)
def test_stacks_have_the_types_of_the_contract(undisturbed, name, dtype):
    with StackReader(undisturbed / "fov_001" / f"demo_fov_001_{name}.npy") as reader:
        assert (reader.shape, reader.dtype.name) == ((10, 256, 256), dtype)


def test_the_results_file_names_outputs_by_relative_paths_that_exist(undisturbed):
    results = yaml.safe_load((undisturbed / "processing_results.yaml").read_text())
    assert results["channels"] == {"pc": 0, "fl": [1, 2], "nuclei": None}
    assert results["time_units"] == "min"
    assert results["params"]["segmentation"]["n_sigma"] == 3.0
    assert results["failed"] == {}
    assert sorted(results["results_paths"]) == [0, 1, 2]
    for paths in results["results_paths"].values():
        pairs = [paths[kind] for kind in ("pc", "seg", "seg_labeled", "tracks_csv", "shifts_csv")]
        pairs += paths["fl"] + paths["fl_corrected"] + paths["traces_csv"]
        assert len(pairs) == 11
        for _, path in pairs:
            assert (undisturbed / path).is_file()


def test_traces_have_one_sorted_row_per_cell_and_frame_with_real_times(demo, undisturbed):
    metadata = describe(demo)
    table = pd.read_csv(undisturbed / "fov_002" / "demo_fov_002_traces_ch_1.csv")
    assert list(table.columns[:5]) == ["fov", "cell", "frame", "time", "good"]
    assert set(table.columns) >= {"position_x", "position_y", "intensity_total", "area"}
    assert len(table)
    assert not table.duplicated(["cell", "frame"]).any()
    assert table.equals(table.sort_values(["cell", "frame"], ignore_index=True))
    expected = [metadata.timepoints[2][frame] for frame in table.frame]
    assert table.time.tolist() == expected
    n_frames = table.groupby("cell").frame.transform("size")
    assert (n_frames[table.good] >= 5).all()
    assert (table.reason[n_frames < 5] == "too short").all()


def test_no_lock_and_no_unknown_file_is_left(undisturbed):
    names = Counter(path.suffix for path in undisturbed.rglob("*") if path.is_file())
    assert names == {
        ".npy": 21,
        ".csv": 12,
        ".json": 4,
        ".yaml": 1,
        ".log": 1,
        ".npz": 3,
        ".jsonl": 1,  # pictures for the report, and when the run was
    }


# The same bytes, whoever made them


@pytest.mark.parametrize(
    ("n_workers", "batch_size"),
    [(2, 1), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(1, 5), (2, 2)])],
)
def test_workers_and_batches_do_not_change_a_byte(
    demo, undisturbed, tmp_path, n_workers, batch_size
):
    outcome = run(demo, tmp_path / "out", n_workers=n_workers, batch_size=batch_size)
    assert outcome.ok
    assert data_files(tmp_path / "out") == data_files(undisturbed)


# Requests that cannot be


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fov_end": 3}, "FOVs 0 to 2"),
        ({"fov_start": 2, "fov_end": 1}, "2 to 1"),
        ({"fovs": [0, 7]}, "7"),
        ({"fovs": []}, "empty"),
        ({"n_workers": 0}, "n_workers"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_a_bad_range_or_number_is_refused_and_nothing_is_written(demo, tmp_path, change, words):
    outcome = run(demo, tmp_path / "out", **change)
    assert outcome.exit_code == 2
    assert words in (outcome.refusal or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (None, "no channel"),
        (Channels(), "no channel"),
        (Channels(fl=[1]), "no channel was chosen in which cells are found"),
        (Channels(pc=3, fl=[1]), "channel 3 does not exist"),
        (Channels(pc=0, fl=[-1]), "channel -1 does not exist"),
        (Channels(pc=0, fl=[1, 1]), "twice"),
    ],
)
def test_bad_channels_are_refused_and_nothing_is_written(demo, tmp_path, caplog, channels, words):
    context = ProcessingContext(output_dir=tmp_path / "out", channels=channels)
    assert not run_complete_workflow(describe(demo), context)
    assert words in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"segmentation": {"n_sigm": 3}}, "did you mean 'n_sigma'"),
        ({"segmentaton": {}}, "did you mean 'segmentation'"),
        ({"tracking": {"min_iou": 2}}, "tracking.min_iou"),
        ({"copying": {"z": 1}}, "plane z=1 does not exist"),
    ],
)
def test_bad_parameters_are_refused_and_nothing_is_written(demo, tmp_path, params, words):
    outcome = run(demo, tmp_path / "out", params)
    assert outcome.exit_code == 2
    assert words in (outcome.refusal or "")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_fit_is_refused_with_the_numbers(demo, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(request_module.shutil, "disk_usage", lambda path: usage)
    outcome = run(demo, tmp_path / "out")
    assert outcome.exit_code == 2
    assert re.search(
        r"[1-9][0-9.]* MB will be written, only 10.0 MB are free", outcome.refusal or ""
    )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_source_is_an_error_and_not_an_exception(demo, tmp_path):
    copied = shutil.copy(demo.image, tmp_path / "moved.ome.tif")
    from pyama_core import load_microscopy_file

    source, metadata = load_microscopy_file(copied)
    source.close()
    copied.unlink()
    assert not run_complete_workflow(metadata, new_context(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_and_left_as_it_was(demo, tmp_path):
    (tmp_path / "out" / "fov_001").mkdir(parents=True)
    lock = FolderLock.acquire(tmp_path / "out" / "fov_001")
    outcome = run(demo, tmp_path / "out")
    assert outcome.exit_code == 2
    assert f"process {os.getpid()}" in (outcome.refusal or "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fov_001"]
    assert run(demo, tmp_path / "out", fovs=[0, 2]).ok
    lock.release()


# Failures


def test_a_fov_that_fails_takes_no_other_with_it(demo, undisturbed, tmp_path):
    obstacle = tmp_path / "out" / "fov_001" / "demo_fov_001_seg_ch_0.npy"
    obstacle.mkdir(parents=True)
    outcome = run(demo, tmp_path / "out", n_workers=2)
    assert outcome.exit_code == 1
    assert statuses(outcome) == {0: "done", 1: "failed", 2: "done"}
    failed = outcome.fovs[1]
    assert failed.step == "segmentation"
    assert "FOV 1, segmentation" in (failed.error or "")
    assert obstacle.name in (failed.error or "")
    results = yaml.safe_load((tmp_path / "out" / "processing_results.yaml").read_text())
    assert results["failed"] == {1: {"step": "segmentation", "error": failed.error}}
    assert results["results_paths"][1]["pc"] is not None
    obstacle.rmdir()
    assert statuses(run(demo, tmp_path / "out")) == {0: "skipped", 1: "done", 2: "skipped"}
    assert data_files(tmp_path / "out") == data_files(undisturbed)
    results = yaml.safe_load((tmp_path / "out" / "processing_results.yaml").read_text())
    assert results["failed"] == {}


def test_a_fov_that_cannot_be_copied_takes_no_other_with_it(demo, tmp_path):
    obstacle = tmp_path / "out" / "fov_000" / "demo_fov_000_pc_ch_0.npy"
    obstacle.mkdir(parents=True)
    outcome = run(demo, tmp_path / "out")
    assert statuses(outcome) == {0: "failed", 1: "done", 2: "done"}
    assert outcome.fovs[0].step == "copying"


def test_a_worker_that_is_killed_costs_nothing_but_time(demo, undisturbed, tmp_path, caplog):
    killed = []

    def kill_once(event):
        if event["fov"] == 1 and event["step"] == "segmentation" and not killed:
            killed.extend(worker_processes())
            for process in killed:
                process.kill()

    outcome = run(demo, tmp_path / "out", on_progress=kill_once, batch_size=3)
    assert killed
    assert statuses(outcome) == {0: "done", 1: "done", 2: "done"}
    assert "FOV 1: its worker process died, it is tried once more" in caplog.text
    assert data_files(tmp_path / "out") == data_files(undisturbed)


@pytest.mark.slow
def test_a_fov_on_which_workers_die_twice_fails_alone(demo, undisturbed, tmp_path):
    def kill(event):
        if event["fov"] == 1 and event["step"] != "copying":
            for process in worker_processes():
                process.kill()

    outcome = run(demo, tmp_path / "out", on_progress=kill, batch_size=3)
    assert statuses(outcome) == {0: "done", 1: "failed", 2: "done"}
    assert "died twice" in (outcome.fovs[1].error or "")
    results = yaml.safe_load((tmp_path / "out" / "processing_results.yaml").read_text())
    assert "died twice" in results["failed"][1]["error"]
    assert run(demo, tmp_path / "out").ok
    assert data_files(tmp_path / "out") == data_files(undisturbed)


# Cancelling


@pytest.mark.slow
@pytest.mark.parametrize("step", ["copying", "segmentation", "tracking"])
def test_a_cancelled_run_keeps_what_is_finished_and_is_completed_by_the_next(
    demo, undisturbed, tmp_path, step
):
    cancel = threading.Event()

    def stop(event):
        if event["step"] == step:
            cancel.set()

    outcome = run(demo, tmp_path / "out", on_progress=stop, cancel=cancel, batch_size=1)
    assert outcome.exit_code == 130
    assert not outcome.ok
    assert FovStatus.CANCELLED in {found.status for found in outcome.fovs.values()}
    assert not list((tmp_path / "out").rglob("*.lock"))
    whole = data_files(undisturbed)
    for name, content in data_files(tmp_path / "out").items():
        assert whole[name] == content
    assert run(demo, tmp_path / "out").ok
    assert data_files(tmp_path / "out") == whole


def test_a_run_that_is_cancelled_before_it_starts_does_nothing(demo, tmp_path):
    cancel = threading.Event()
    cancel.set()
    outcome = run(demo, tmp_path / "out", cancel=cancel)
    assert outcome.exit_code == 130
    assert data_files(tmp_path / "out") == {}


# Progress and log


def test_every_step_of_every_fov_reports_its_end_and_none_goes_back(demo, tmp_path):
    events = []
    assert run(demo, tmp_path / "out", on_progress=events.append, n_workers=2).ok
    ends = {(event["fov"], event["step"]) for event in events if event["t"] == event["T"]}
    steps = ("copying", "segmentation", "correction", "tracking", "extraction")
    assert ends == {(fov, step) for fov in range(3) for step in steps}
    assert all(event["T"] == 10 and 0 < event["t"] <= 10 and event["message"] for event in events)


def test_a_callback_that_raises_or_is_slow_does_not_hold_up_the_run(demo, tmp_path, caplog):
    def bad(event):
        time.sleep(0.01)
        raise ValueError("no screen")

    assert run(demo, tmp_path / "out", on_progress=bad).ok
    assert "the progress callback failed" in caplog.text


def test_the_log_has_the_words_of_workers_and_is_appended_to(demo, finished, caplog):
    caplog.set_level(logging.INFO, logger="pyama_core")
    before = (finished / "pyama.log").read_text()
    assert "cells tracked" in before
    assert run(demo, finished, {"extraction": {"min_frames": 2}}).ok
    after = (finished / "pyama.log").read_text()
    assert after.startswith(before)
    assert "of them good" in after[len(before) :]
    assert "FOV 2, channel 2" in caplog.text
    assert "3 of 3 FOVs" in caplog.text


# Foreign executors


@dataclass
class QueueConnection:
    queue: Queue = field(default_factory=Queue)

    def send(self, message):
        self.queue.put(message)

    def cancelled(self):
        return False


def test_another_executor_serves_as_well(demo, undisturbed, tmp_path):
    connection, events = QueueConnection(), []
    with ThreadPoolExecutor(2) as executor:
        foreign = ForeignExecutor(executor, connection, connection.queue)
        outcome = run(demo, tmp_path / "out", executor=foreign, on_progress=events.append)
    assert outcome.ok
    assert {event["step"] for event in events} >= {"copying", "extraction"}
    assert data_files(tmp_path / "out") == data_files(undisturbed)


class BrokenAfterOne(Executor):
    """Does one task and then breaks."""

    def __init__(self):
        self.n_tasks = 0

    def submit(self, fn, /, *args, **kwargs):
        self.n_tasks += 1
        future = Future()
        if self.n_tasks == 1:
            future.set_result(fn(*args, **kwargs))
        else:
            future.set_exception(BrokenExecutor("gone"))
        return future


def test_what_breaks_another_executor_fails_what_remains(demo, tmp_path):
    connection = QueueConnection()
    foreign = ForeignExecutor(BrokenAfterOne(), connection, connection.queue)
    outcome = run(demo, tmp_path / "out", executor=foreign, batch_size=1)
    assert statuses(outcome) == {0: "done", 1: "failed", 2: "failed"}
    assert outcome.exit_code == 1


# Small pieces


def test_batches_are_contiguous_and_of_the_size_asked_for():
    assert _compute_batches([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3], [4]]
    assert _compute_batches([3, 5], 5) == [[3, 5]]
    assert _compute_batches([], 2) == []
    with pytest.raises(ValueError, match="batch_size"):
        _compute_batches([1], 0)


def test_ranges_are_contiguous_even_and_longer_from_the_front():
    assert _split_worker_ranges([0, 1, 2, 3, 4], 3) == [[0, 1], [2, 3], [4]]
    assert _split_worker_ranges([7], 4) == [[7]]
    assert _split_worker_ranges([], 2) == []
    with pytest.raises(ValueError, match="n_workers"):
        _split_worker_ranges([1], 0)


def test_merging_keeps_partial_results_of_both_sides(tmp_path):
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    parent = ProcessingContext(
        results_paths={0: ResultsPathsPerFOV(pc=(0, a), fl=[(1, a)])}, params={"x": {}}
    )
    child = ProcessingContext(
        results_paths={
            0: ResultsPathsPerFOV(seg=(0, b), fl=[(2, b)]),
            1: ResultsPathsPerFOV(traces_csv=[(1, c)]),
        }
    )
    _merge_contexts(parent, child)
    assert parent.results_paths == {
        0: ResultsPathsPerFOV(pc=(0, a), seg=(0, b), fl=[(1, a), (2, b)]),
        1: ResultsPathsPerFOV(traces_csv=[(1, c)]),
    }
    assert parent.params == {"x": {}}
