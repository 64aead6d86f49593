"""Stacks that are not kept, on a local disk: the same results, wherever a run was killed."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dask_cluster
import runs
from chaos import VICTIMS, Kill, boundary_rounds, play, prepare, random_rounds
from dask_cluster import pyama
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles
from pyama_core.io.storage.scratch import Scratch


def test_only_what_is_kept_comes_to_the_folder_and_nothing_stays_on_the_disk(
    demo: DemoFiles, results_of_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, out = tmp_path / "schnelle Platte ü", tmp_path / "out"
    scratch.mkdir()
    monkeypatch.setenv("FAST_DISK", str(scratch))
    seen: set[str] = set()

    def look(_: object) -> None:
        seen.update(path.name for path in scratch.rglob("*.npy"))
        assert {path.name.split("_")[-3] for path in out.rglob("*.npy")} <= {"labeled"}

    result = runs.run(demo, out, keep="labels", scratch="$FAST_DISK", on_progress=look)
    assert result.ok
    assert any("_pc_" in name for name in seen)
    expected = {
        name: content
        for name, content in runs.data_files(results_of_demo).items()
        if "seg_labeled" in name or name.endswith(".csv")
    }
    assert runs.data_files(out) == expected
    assert list(scratch.iterdir()) == []
    again = runs.run(demo, out, keep="labels", scratch=scratch)
    assert [each.status for each in again.fovs.values()] == ["skipped"] * 3


def test_a_run_goes_on_from_the_disk_and_without_it(demo: DemoFiles, tmp_path: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    (out / "fov_000").mkdir(parents=True)
    obstacle = out / "fov_000" / "demo_fov_000_seg_labeled_ch_0.npy"
    obstacle.mkdir()
    (obstacle / "in the way").touch()
    options = {"fovs": [0], "keep": "labels"}
    assert not runs.run(demo, out, scratch=scratch, **options).ok
    assert list(scratch.iterdir()) == []  # what failed takes no room from others
    shutil.rmtree(obstacle)
    assert runs.run(demo, out, **options).ok


def test_stacks_that_were_there_before_stay_where_they_are(demo: DemoFiles, tmp_path: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    assert runs.run(demo, out, fovs=[0]).ok
    made = runs.data_files(out)
    features = {"extraction": {"min_frames": 2}}
    assert runs.run(demo, out, features, fovs=[0], keep="traces", scratch=scratch).ok
    assert {name.rpartition(".")[2] for name in runs.data_files(out)} == {"csv"}
    assert made.keys() > runs.data_files(out).keys()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scratch", "."], "--scratch: all stacks are kept"),
        (["--scratch", "nowhere", "--keep", "traces"], "--scratch nowhere: there is no folder"),
        (["--scratch", "$NOT_SET", "--keep", "traces"], "--scratch $NOT_SET: there is no folder"),
    ],
)
def test_a_disk_that_is_none_is_refused(
    demo: DemoFiles, tmp_path: Path, words: list[str], told: str
) -> None:
    run = ["run", str(demo.image), "-o", str(tmp_path / "out"), "--pc", "0", "--fl", "1"]
    result = CliRunner().invoke(app, [*run, *words])
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_runs_into_two_folders_do_not_meet(tmp_path: Path) -> None:
    kept = frozenset({"seg_labeled"})
    one, other = (Scratch(str(tmp_path), tmp_path / name, kept) for name in ("a", "b"))
    assert one.folder != other.folder
    assert dataclasses.replace(one, kept=frozenset()).folder == one.folder
    one.make(one.of_fov(3))
    if os.name == "posix":
        assert one.folder.stat().st_mode & 0o077 == 0
    one.leave(3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_killed_at_a_few_boundaries_is_completed_to_the_same_bytes(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    experiment = prepare(tmp_path / "experiment", keep="labels", scratch=scratch)
    kills = [
        Kill("after-rename demo_fov_000_fl_ch_1.npy 1 main", "group"),
        Kill("after-rename demo_fov_000_seg_ch_0.npy 1 worker", "main"),
        Kill("before-rename demo_fov_000_traces_ch_1.csv 1 worker", "group"),
    ]
    tally = play(experiment, [kills], tmp_path)
    assert (tally.faults, tally.killed) == ([], len(kills))
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("every", "n_random"),
    [
        pytest.param(10, 2, id="a fifth"),
        pytest.param(2, 8, id="all", marks=pytest.mark.nightly),
    ],
)
def test_a_run_killed_anywhere_is_completed_to_the_same_bytes(
    tmp_path: Path, every: int, n_random: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    experiment = prepare(tmp_path / "experiment", keep="labels", scratch=scratch)
    rounds = boundary_rounds(experiment, VICTIMS, in_a_row=10)[::every]
    rounds += random_rounds(experiment, n_random, seed=5, in_a_row=4)
    assert play(experiment, rounds, tmp_path).faults == []
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="disks are mounted on Linux, by root"
)
def test_a_worker_whose_disk_is_full_is_not_used_and_the_others_do_its_work(
    demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    small = f'mount -t tmpfs -o size=3m tmpfs "{scratch}" && exec "$@"'
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount of its own can be given to a process here")
    with dask_cluster.cluster(tmp_path / "dask", 0) as cluster:
        cluster.start_worker(prefix=("unshare", "--mount", "sh", "-c", small, "sh"))
        cluster.start_worker(SLOW_S="0.02")
        dask_cluster.wait_until(lambda: cluster.printed().count("Registered to") == 2)
        words = ["run", demo.image, "-o", out, "--pc", "0", "--fl", "1", "--fl", "2"]
        words += ["--segmentation", "log-std", "--tracking", "iou"]
        words += ["--keep", "traces", "--scratch", scratch, "--scheduler", cluster.address]
        with pyama(*words) as command:
            assert command.finish() == 0, command.told
    assert "is not used: FOV" in command.told
    assert "no space left" in command.told.lower()
    assert "3 done" in command.told
    tables = {n: c for n, c in runs.data_files(results_of_demo).items() if n.endswith(".csv")}
    assert runs.data_files(out) == tables
    assert list(out.rglob(".*")) == []
    assert list(scratch.iterdir()) == []
