"""Runs on a cluster: the scripts of jobs, and what becomes of them in a real SLURM."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import runs
import slurm_cluster
from pyama_core.cli.app import app
from pyama_core.cluster.slurm import Resources, make_scripts
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.errors import InputError
from slurm_cluster import Cluster

pytestmark = pytest.mark.slow

EXACT = ["--segmentation", "log-std", "--tracking", "iou"]


def words_for(demo: DemoFiles, out: Path) -> list[str]:
    return [str(demo.image), "-o", str(out), "--pc", "0", "--fl", "1", "--fl", "2", *EXACT]


# Scripts


def test_a_dry_run_prints_both_scripts_and_writes_nothing(demo: DemoFiles, tmp_path: Path) -> None:
    out = tmp_path / "Ergebnisse für 5 % Serum"
    given = ["--array", "2", "--time", "4:00:00", "--mem", "8G", "--cpus", "3", "--partition", "p"]
    words = ["submit", *words_for(demo, out), *given, "--sbatch=--qos=low", "--dry-run"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert not out.exists()
    array, closing = result.stdout.split("# the closing job")
    for option in ("array=1-2", "time=4:00:00", "mem=8G", "cpus-per-task=3", "qos=low", "requeue"):
        assert f"#SBATCH --{option}\n" in array
    assert '--output="' in array
    assert "5 %% Serum/slurm/%A_%a.out" in array
    assert "--segmentation log-std --tracking iou --workers 3 --shard" in array
    assert "--shard" not in closing
    assert "pyama_core finish" in closing


def test_a_dry_run_has_no_more_tasks_than_fovs(demo: DemoFiles, tmp_path: Path) -> None:
    words = ["submit", *words_for(demo, tmp_path / "out"), "--array", "50", "--dry-run"]
    assert "--array=1-3\n" in CliRunner().invoke(app, words).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--pc", "9"], "9"),
        (["--shard", "1/2"], "--shard is not for pyama submit"),
        (["--write-config"], "--write-config is not for pyama submit"),
        (["--nonsense"], "nonsense"),
    ],
)
def test_what_a_run_would_refuse_is_refused_before_a_job_waits(
    demo: DemoFiles, tmp_path: Path, words: list[str], told: str
) -> None:
    result = CliRunner().invoke(app, ["submit", *words_for(demo, tmp_path / "out"), *words])
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_without_slurm_one_line_says_so(
    demo: DemoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(app, ["submit", *words_for(demo, tmp_path / "out")])
    assert result.exit_code == 2
    assert "sbatch was not found" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a\nb", 'a"b'])
def test_names_that_no_script_can_hold_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a job cannot have one"):
        make_scripts(["run"], ["finish"], tmp_path / name, tmp_path, Resources(1, 1))


# A real cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := slurm_cluster.why_not_here():
        pytest.skip(f"no cluster: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)  # the daemon that makes keys looks whether others could come in
    with slurm_cluster.running(folder) as running:
        yield running


@pytest.fixture
def long_demo(tmp_path: Path) -> DemoFiles:
    """Write an experiment of which a part takes about ten seconds."""
    return write_demo(tmp_path / "long", fovs=2, frames=120, size=512, seed=3)


def submit(cluster: Cluster, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyama_core", "submit", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**cluster.environment, "OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )


def jobs_of(submitted: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    assert submitted.returncode == 0, submitted.stderr
    match = re.search(r"job (\d+),.*job (\d+) closes", submitted.stdout)
    assert match is not None
    return match[1], match[2]


def wait_until_begun(cluster: Cluster, out: Path) -> None:
    deadline = time.monotonic() + 120
    while not list(out.glob("fov_*/*.npy")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_array_of_jobs_makes_what_one_run_makes(
    cluster: Cluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    words = [*words_for(demo, Path("Größe 5 %")), "--array", "2", "--cpus", "1", "--time", "20"]
    array, closing = jobs_of(submit(cluster, words, tmp_path))
    assert cluster.wait_for(closing) == {"COMPLETED"}
    assert cluster.states_of(array) == {"COMPLETED"}
    out = tmp_path / "Größe 5 %"
    assert runs.data_files(out) == runs.data_files(results_of_demo)
    assert "3 done" in (out / f"slurm/{closing}.out").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--partition", "nowhere"], "nvalid partition"),
        (["--mem", "900000G"], "emory"),
        (["--sbatch=--no-such-option"], "no-such-option"),
    ],
)
def test_what_the_scheduler_refuses_is_told_in_its_words(
    cluster: Cluster, demo: DemoFiles, tmp_path: Path, words: list[str], told: str
) -> None:
    refused = submit(cluster, [*words_for(demo, tmp_path / "out"), "--cpus", "1", *words], tmp_path)
    assert refused.returncode == 2
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert cluster.ask("squeue", "--noheader").strip() == ""


def test_an_array_that_is_too_large_for_the_cluster_is_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    demo = write_demo(tmp_path / "many", fovs=101, frames=1, size=64, seed=0)
    words = [*words_for(demo, tmp_path / "out"), "--array", "101"]
    refused = submit(cluster, words, tmp_path)
    assert refused.returncode == 2
    assert "arrays of up to 100 tasks (MaxArraySize)" in refused.stderr


def test_a_queue_that_is_full_is_told_and_nothing_is_left_in_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    demo = write_demo(tmp_path / "many", fovs=70, frames=1, size=64, seed=0)
    words = [*words_for(demo, tmp_path / "out"), "--array", "70", "--cpus", "1"]
    refused = submit(cluster, words, tmp_path)
    assert refused.returncode == 2
    assert "temporarily unable to accept job" in refused.stderr
    assert cluster.ask("squeue", "--noheader").strip() == ""


def test_a_part_that_is_preempted_goes_on_when_it_is_queued_again(
    cluster: Cluster, long_demo: DemoFiles, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [*words_for(long_demo, out), "--array", "1", "--cpus", "1", "--time", "20"]
    array, closing = jobs_of(submit(cluster, words, tmp_path))
    wait_until_begun(cluster, out)
    cluster.ask("scontrol", "requeue", f"{array}_1")
    deadline = time.monotonic() + 60
    while "PENDING" not in cluster.states_of(array):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # SLURM would let it wait two minutes: what was allowed in the second of the requeue is revoked,
    # and a part that began in that one would be killed.
    cluster.ask("scontrol", "update", f"JobId={array}_1", "StartTime=now+3")
    assert cluster.wait_for(closing) == {"COMPLETED"}
    printed = (out / f"slurm/{array}_1.out").read_text(encoding="utf-8")
    assert printed.count("(shard 1/1)") == 2
    alone = tmp_path / "alone"
    assert runs.run(long_demo, alone).ok
    assert runs.data_files(out) == runs.data_files(alone)


def test_a_cancelled_array_is_told_of_by_the_closing_job(
    cluster: Cluster, long_demo: DemoFiles, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [*words_for(long_demo, out), "--array", "2", "--cpus", "2", "--time", "20"]
    array, closing = jobs_of(submit(cluster, words, tmp_path))
    wait_until_begun(cluster, out)
    cluster.ask("scancel", array)
    assert cluster.wait_for(closing) == {"FAILED"}
    told = (out / f"slurm/{closing}.out").read_text(encoding="utf-8")
    assert "submit or run the same again" in told
    assert "not begun" in told or "unfinished" in told
    assert not list(out.rglob("*.tmp"))


WAITING = """
import time
from pathlib import Path

def waiting(image, mask):
    while not Path(__file__).with_name("go").exists():
        time.sleep(0.1)
    return 1.0
"""


@pytest.mark.timeout(600)
def test_a_part_that_comes_to_its_limit_of_time_stops_in_order(
    cluster: Cluster, demo: DemoFiles, tmp_path: Path
) -> None:
    # A feature that never comes to its end: the work is longer than any limit.
    (tmp_path / "waiting_feature.py").write_text(WAITING)
    config = tmp_path / "run.yaml"
    config.write_text("extraction: {features: [shape, intensity, 'waiting_feature:waiting']}\n")
    out = tmp_path / "out"
    words = [*words_for(demo, out), "--config", str(config), "--array", "1", "--cpus", "1"]
    array, closing = jobs_of(submit(cluster, [*words, "--time", "1"], tmp_path))
    assert cluster.wait_for(closing) == {"FAILED"}
    assert cluster.states_of(array) & {"FAILED", "TIMEOUT", "CANCELLED"}
    told = (out / f"slurm/{closing}.out").read_text(encoding="utf-8")
    assert "submit or run the same again" in told
    printed = (out / f"slurm/{array}_1.out").read_text(encoding="utf-8")
    assert "stopping" in printed
    assert list(out.rglob(".*.tmp")) == []
    (tmp_path / "go").touch()
    again = submit(cluster, [*words, "--time", "20"], tmp_path)
    assert cluster.wait_for(jobs_of(again)[1]) == {"COMPLETED"}
