"""What goes wrong on a cluster, with a real scheduler and workers as processes of their own.

After each fault: nothing is lost, the bytes are those of a local run, and it is told what was.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dask_cluster
import runs
from dask_cluster import DaskCluster, at_work, pyama, wait_until
from pyama_core.demo import DemoFiles

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="processes are stopped by signals"),
]
SLOW = {"SLOW_S": "0.05"}
"""Of every frame that is written: a FOV then takes some seconds."""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    settings = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s"}
    with dask_cluster.cluster(tmp_path / "dask", 0, **settings) as running:
        yield running


def words_for(demo: DemoFiles, out: Path, *more: str) -> list[str]:
    exact = ["--segmentation", "log-std", "--tracking", "iou"]
    channels = ["--pc", "0", "--fl", "1", "--fl", "2"]
    return ["run", str(demo.image), "-o", str(out), *channels, *exact, *more]


def require_as_undisturbed(out: Path, undisturbed: Path) -> None:
    """Require the bytes of a run without a fault, and that nothing is left over."""
    assert runs.data_files(out) == runs.data_files(undisturbed)
    assert list(out.rglob(".*")) == []


def test_a_worker_that_is_killed_costs_nothing_but_time(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    workers = [cluster.start_worker(NOTES=str(notes), **SLOW) for _ in range(2)]
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        wait_until(lambda: any(workers[0].pid in pids for pids in at_work(notes).values()))
        time.sleep(0.5)
        workers[0].kill()
        assert command.finish() == 0, command.told
    assert "3 done" in command.told
    begun = at_work(notes)
    assert any(len(pids) == 2 and pids[0] != pids[1] for pids in begun.values()), begun
    require_as_undisturbed(out, results_of_demo)


def test_a_fov_that_kills_its_workers_costs_two_of_them(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    started = [cluster.start_worker(NOTES=str(notes), DEADLY_FOV="1") for _ in range(4)]
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        assert command.finish() == 1, command.told
    assert "2 done, 1 failed" in command.told
    assert "its worker process died twice" in command.told
    assert "Traceback" not in command.told
    assert sum(worker.poll() is not None for worker in started) == 2
    for worker in started:
        worker.kill()
    cluster.start_worker()
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        assert command.finish() == 0, command.told
    require_as_undisturbed(out, results_of_demo)


def test_a_worker_that_is_stopped_and_goes_on_writes_nothing_more(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    workers = {w.pid: w for w in (cluster.start_worker(NOTES=str(notes), **SLOW) for _ in "ab")}
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        wait_until(lambda: len(at_work(notes)) == 2)
        time.sleep(0.5)
        fov, [stopped] = next(iter(at_work(notes).items()))
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: len(at_work(notes)[fov]) == 2)
        os.kill(stopped, signal.SIGCONT)
        assert command.finish() == 0, command.told
    assert at_work(notes)[fov][1] != stopped
    assert "3 done" in command.told
    assert "error" not in command.told
    wait_until(lambda: workers[stopped].poll() is not None or not workers_of(out))
    require_as_undisturbed(out, results_of_demo)


def workers_of(out: Path) -> list[Path]:
    """Return what is being written."""
    return list(out.rglob(".*"))


def test_a_scheduler_that_is_killed_and_restarted_gets_the_work_anew(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    scheduler = cluster.processes[0]
    workers = [cluster.start_worker(NOTES=str(notes), **SLOW) for _ in range(2)]
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        wait_until(lambda: len(at_work(notes)) == 2)
        time.sleep(0.5)
        scheduler.kill()
        scheduler.wait()
        for worker in workers:
            worker.wait(60)  # without a scheduler they end by themselves
        cluster.start_scheduler()
        cluster.start_worker(NOTES=str(notes))
        assert command.finish() == 0, command.told
    assert "the Dask scheduler was lost and is back" in command.told
    assert "3 done" in command.told
    require_as_undisturbed(out, results_of_demo)


def test_a_scheduler_that_stays_away_ends_the_run_with_a_word(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    cluster.start_worker(NOTES=str(notes), **SLOW)
    out = tmp_path / "out"
    short = {"PYAMA_DASK_CONNECT_S": "3"}
    with pyama(*words_for(demo, out, "--scheduler", cluster.address), **short) as command:
        wait_until(lambda: at_work(notes))
        cluster.processes[0].kill()
        assert command.finish() == 1, command.told
    assert f"the Dask scheduler {cluster.address} is gone; run the same again" in command.told
    assert "3 failed" in command.told
    with pyama(*words_for(demo, out)) as command:
        assert command.finish() == 0, command.told
    require_as_undisturbed(out, results_of_demo)


def test_workers_whose_client_is_killed_stop_and_another_run_goes_on(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    workers = [cluster.start_worker(NOTES=str(notes), **SLOW) for _ in range(2)]
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        wait_until(lambda: len(at_work(notes)) == 2)
        time.sleep(0.5)
        command.process.kill()
        command.process.wait()
    # They hear of it and stop in the middle of a step: no FOV comes to its end.
    wait_until(lambda: not list(out.glob("fov_*/.*.tmp")), 20)
    assert not list(out.glob("fov_*/*_traces_*.csv"))
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        assert command.finish() == 0, command.told
    assert all(worker.poll() is None for worker in workers)
    require_as_undisturbed(out, results_of_demo)


def test_ctrl_c_stops_workers_within_a_frame_and_keeps_what_is_finished(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    for _ in range(2):
        cluster.start_worker(NOTES=str(notes), **SLOW)
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        command.wait_for_line("copying: 10/10")
        command.process.send_signal(signal.SIGINT)
        assert command.finish(20) == 130, command.told
    assert "3 cancelled" in command.told
    assert list(out.rglob("*_pc_*.npy"))
    assert list(out.rglob(".*")) == []
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        assert command.finish() == 0, command.told
    require_as_undisturbed(out, results_of_demo)


def test_ctrl_c_in_a_terminal_reaches_workers_of_this_computer_only_through_the_run(
    demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = words_for(demo, out, "--cluster", "local", "--workers", "2")
    with pyama(*words) as command:
        command.wait_for_line("copying: 10/10")
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.finish(30) == 130, command.told
    assert "cancelled" in command.told
    assert "Traceback" not in command.told
    assert "does not answer" not in command.told
    assert list(out.rglob(".*")) == []
    with pyama(*words) as command:
        assert command.finish() == 0, command.told
    require_as_undisturbed(out, results_of_demo)


def test_a_straggler_holds_up_nobody_else(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path, notes: Path
) -> None:
    for _ in range(2):
        cluster.start_worker(NOTES=str(notes), SLOW_S="0.12", SLOW_FOV="0")
    out = tmp_path / "out"
    with pyama(*words_for(demo, out, "--scheduler", cluster.address)) as command:
        command.wait_for_line("done (2 of 3 FOVs")
        assert "FOV 0 (" not in command.told
        assert command.finish() == 0, command.told
    assert all(len(pids) == 1 for pids in at_work(notes).values())
    require_as_undisturbed(out, results_of_demo)
