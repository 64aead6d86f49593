"""Runs on the workers of a Dask cluster: the same bytes, the same words, and what is refused."""

from __future__ import annotations

import collections
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dask_cluster
import runs
from dask_cluster import DaskCluster, pyama
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles
from pyama_core.executors.dask_messages import decode, encode
from pyama_core.executors.dask_worker import Nature
from pyama_core.io.storage.naming import RESULTS_NAME
from pyama_core.processing.workflow.services.events import ProgressEvent
from pyama_core.version import __version__

pytestmark = pytest.mark.slow

EXACT = ["--segmentation", "log-std", "--tracking", "iou"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster.cluster(tmp_path_factory.mktemp("dask")) as running:
        yield running


def words_for(demo: DemoFiles, out: Path) -> list[str]:
    return ["run", str(demo.image), "-o", str(out), "--pc", "0", "--fl", "1", "--fl", "2", *EXACT]


def test_a_run_on_dask_makes_the_same_bytes_and_says_the_same(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "Ergebnisse für Übung 2"
    with pyama(*words_for(demo, out), "--scheduler", cluster.address) as command:
        assert command.finish() == 0, command.told
    assert "3 done" in command.told
    assert runs.data_files(out) == runs.data_files(results_of_demo)
    assert (out / RESULTS_NAME).read_text(encoding="utf-8") == (
        results_of_demo / RESULTS_NAME
    ).read_text(encoding="utf-8")
    # Every line of a worker in the log of a local run is in this one's as often: none is lost.
    assert lines_of_fovs(out) == lines_of_fovs(results_of_demo)
    assert "did not arrive" not in command.told
    assert list(out.rglob(".*")) == []
    records = [json.loads(path.read_text()) for path in out.glob("fov_*/*_record.json")]
    assert any(each["durable"] for record in records for each in record["outputs"].values())


def lines_of_fovs(out: Path) -> collections.Counter[str]:
    """Return what the log says of FOVs, without how far the run was."""
    said = (line.split("] ", 1)[-1] for line in (out / "pyama.log").read_text().splitlines())
    return collections.Counter(line.partition(" (")[0] for line in said if line.startswith("FOV "))


def test_a_second_run_finds_all_done_and_a_first_failure_is_not_remembered(
    cluster: DaskCluster, demo: DemoFiles, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [*words_for(demo, out), "--fovs", "0", "--scheduler", cluster.address]
    obstacle = out / "fov_000" / "demo_fov_000_seg_ch_0.npy"
    obstacle.mkdir(parents=True)
    (obstacle / "in the way").touch()
    with pyama(*words) as command:
        assert command.finish() == 1, command.told
    assert "1 failed" in command.told
    (obstacle / "in the way").unlink()
    obstacle.rmdir()
    for expected in ("1 done", "1 skipped"):
        with pyama(*words) as command:
            assert command.finish() == 0, command.told
        assert expected in command.told


def test_python_takes_a_client_and_progress_comes_back(
    cluster: DaskCluster, demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    script = f"""
from distributed import Client
from pyama_core import Channels, ProcessingContext, load_microscopy_file, run_complete_workflow
from pyama_core.executors.dask import dask_executor

source, metadata = load_microscopy_file({str(demo.image)!r})
source.close()
context = ProcessingContext(
    output_dir={str(out)!r}, channels=Channels(pc=0, fl=[1, 2]),
    params={runs.EXACT!r},
)
events = []
with Client({cluster.address!r}) as client:
    ok = run_complete_workflow(
        metadata, context, on_progress=events.append,
        executor=dask_executor(client, max_readers=1),
    )
    assert client.submit(sum, [1, 2]).result() == 3  # it was left open, and clean
assert ok
ends = {{(event["fov"], event["step"]) for event in events if event["t"] == event["T"]}}
steps = {{"copying", "segmentation", "correction", "tracking", "extraction"}}
assert ends == {{(fov, step) for fov in range(3) for step in steps}}, ends
assert context.results_paths[2].seg is not None
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert runs.data_files(out) == runs.data_files(results_of_demo)


def test_workers_with_threads_are_refused_before_anything_is_written(
    demo: DemoFiles, tmp_path: Path
) -> None:
    with dask_cluster.cluster(tmp_path / "dask", 0) as other:
        other.start_worker(threads=2)
        words = [*words_for(demo, tmp_path / "out"), "--scheduler", other.address]
        dask_cluster.wait_until(lambda: "Registered to" in other.printed())
        with pyama(*words) as command:
            assert command.finish() == 2
    assert "it has 2 threads: start it with --nthreads 1" in command.told
    assert "Traceback" not in command.told
    assert not (tmp_path / "out").exists()


def test_what_makes_a_worker_unfit_is_told() -> None:
    fit = Nature(__version__, pid=1, host="a", n_threads=1, blas_threads="1", sees=True)
    assert fit.unfit_for(2) == ""
    for change, told in (
        ({"version": "0.0.1"}, "it has pyama-core 0.0.1, this is"),
        ({"pid": 2}, "in the process of the client"),
        ({"n_threads": 4}, "--nthreads 1"),
        ({"blas_threads": ""}, "OMP_NUM_THREADS=1"),
        ({"sees": False}, "does not see the output folder"),
    ):
        assert told in Nature(**{**fit.__dict__, **change}).unfit_for(2)


def test_the_example_with_executorlib_makes_the_same_bytes(demo: DemoFiles, tmp_path: Path) -> None:
    pytest.importorskip("executorlib")
    example = Path(__file__).parents[1] / "docs/examples/run_on_executorlib.py"
    words = [sys.executable, str(example), str(demo.image), str(tmp_path / "theirs")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "'step': 'extraction', 'fov': 2" in done.stdout
    words = ["run", str(demo.image), "-o", str(tmp_path / "ours"), "--pc", "0", "--fl", "1"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert runs.data_files(tmp_path / "theirs") == runs.data_files(tmp_path / "ours")


def test_the_simulation_of_many_workers_hands_everything_out(tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from benchmarks.scaling import check_model
check_model(Path({str(tmp_path)!r}), [(12, 12, 0.1)], [(24, 8, 0.3)])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    fitted, told = map(json.loads, done.stdout.splitlines())
    assert fitted["fovs_per_second"] > 0
    assert told["fovs"] == 24
    assert 0.8 < told["by_workers_alone"] <= told["at_work"] + 0.1 < 20
    assert told["model"] >= told["by_workers_alone"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scheduler", "tcp://127.0.0.1:1", "--cluster", "local"], "give one of them"),
        (["--cluster", "kubernetes"], "--cluster: expected local, found 'kubernetes'"),
        (["--max-readers", "3"], "--max-readers is for the workers of a Dask cluster"),
        (["--scheduler-file", "nowhere.json"], "--scheduler-file nowhere.json: expected what"),
        (["--scheduler", "nonsense://x"], "no Dask scheduler answers at nonsense://x"),
    ],
)
def test_nonsense_about_clusters_is_refused_in_a_line(
    demo: DemoFiles, tmp_path: Path, words: list[str], told: str
) -> None:
    result = CliRunner().invoke(app, [*words_for(demo, tmp_path / "out"), *words])
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_messages_arrive_as_they_were_sent() -> None:
    event = ProgressEvent(step="tracking", fov=3, t=30, T=60, message="tracking: 30/60")
    received = decode(encode("task", event))
    assert (received.task, received.content) == ("task", event)
    record = logging.getLogger("pyama_core.x").makeRecord(
        "pyama_core.x", logging.WARNING, "file.py", 7, "%d of %s", (1, "Zellen"), None
    )
    heard = decode(json.loads(json.dumps(encode("task", record)))).content
    assert isinstance(heard, logging.LogRecord)
    assert heard.getMessage() == "1 of Zellen"
    assert (heard.name, heard.levelno, heard.process) == (
        "pyama_core.x",
        logging.WARNING,
        record.process,
    )
    for nonsense in (None, 3, {"task": 1}, {"task": "a"}, {"task": "a", "event": {"fov": 1}}):
        with pytest.raises(ValueError, match="no message"):
            decode(nonsense)
