"""Full disks, dead workers, strange folders, two runs at once, Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml

from chaos import command, compare, prepare
from inline import asked_files, run_inline
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.errors import StorageError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.storage import as_written, atomic, fov_folder, stacks
from pyama_core.io.storage.locks import LOCK_NAME
from pyama_core.processing.workflow.outcome import FovStatus
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.types import Channels
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import (
    by_all_methods,
    data_files,
    describe,
    made_files,
    new_context,
    run,
    worker_processes,
)

EXACT_WORDS = ["--segmentation", "log-std", "--tracking", "iou"]
"""As `new_context` asks for."""

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and groups of POSIX")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("small"), fovs=3, frames=4, size=64, seed=2)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_inline(describe(small), new_context(out)).ok
    return data_files(out)


# The disk


class FailingDisk:
    """Fails the n-th write to any file below a folder; counts them all."""

    def __init__(self, folder: Path, number: int = 0, at: int = 0) -> None:
        self.folder, self.number, self.at, self.writes = folder, number, at, 0

    def open(self, path, mode="r", *arguments, **options):
        file = io.open(path, mode, *arguments, **options)  # noqa: SIM115, UP020
        return file if "r" in mode or self.folder not in Path(path).parents else Sick(file, self)

    def write(self, file, data):
        self.writes += 1
        if self.writes == self.at:
            raise OSError(self.number, os.strerror(self.number))
        return file.write(data)


class Sick:
    """A file on a failing disk."""

    def __init__(self, file, disk: FailingDisk) -> None:
        self._file, self._disk = file, disk

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        return self._disk.write(self._file, data)


def run_on(disk: FailingDisk, metadata, context, monkeypatch):
    with monkeypatch.context() as patch:
        opened = SimpleNamespace(**{**vars(io), "open": disk.open})
        patch.setattr(sys.modules[Path.open.__module__], "io", opened)
        return run_inline(metadata, context)


@by_all_methods
@pytest.mark.parametrize(
    "every", [5, pytest.param(1, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])]
)
@pytest.mark.slow
def test_whichever_write_fails_the_file_is_named_and_a_later_run_completes(
    tmp_path, monkeypatch, caplog, every, methods
):
    metadata = describe(write_demo(tmp_path / "demo", fovs=2, frames=2, size=64, seed=2))
    healthy = FailingDisk(tmp_path / "whole")
    assert run_on(healthy, metadata, new_context(healthy.folder, **methods), monkeypatch).ok
    whole = data_files(healthy.folder)
    endings = set()
    for at in range(1, healthy.writes + 1, every):
        out = tmp_path / f"out {at}"
        disk = FailingDisk(out, [errno.ENOSPC, errno.EIO][at % 2], at)
        caplog.clear()
        outcome = run_on(disk, metadata, new_context(out, **methods), monkeypatch)
        endings.add(outcome.exit_code)
        failed = outcome.with_status(FovStatus.FAILED)
        told = [outcome.refusal or "", *(failure.error or "" for failure in failed)]
        if outcome.exit_code == 0:
            # What failed was not an output: the results file, the log, a record made durable.
            told = [record.getMessage() for record in caplog.records]
        assert any(re.search(rf"cannot .*out {at}/.*: {os.strerror(disk.number)}", t) for t in told)
        assert len(failed) <= 1
        assert "Traceback" not in caplog.text
        assert run_inline(metadata, new_context(out, **methods)).ok
        assert data_files(out) == whole
        assert list(out.rglob(".*")) == []
        shutil.rmtree(out)
    assert endings >= {1, 2}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("experiment"))


@needs_posix
@pytest.mark.parametrize("at", ["3", "20"])
@pytest.mark.slow
def test_a_disk_that_stays_full_ends_the_run_with_the_file_named(experiment, tmp_path, at):
    out = tmp_path / "out"
    with command(experiment.image, out, CHAOS_FAIL=at) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"No space left on device" in errors
    assert b"demo_fov_000_" in errors
    assert b"Traceback" not in errors
    with command(experiment.image, out) as process:
        assert process.wait(60) == 0
    assert compare(experiment, out) == []


def test_a_real_write_error_of_the_system_names_the_file(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    monkeypatch.setattr(stacks, "temporary_path", lambda final: Path("/dev/full"))
    monkeypatch.setattr(Path, "open", lambda self, *_, **__: open(self, "wb", buffering=0))  # noqa: PTH123, SIM115
    writer = stacks.FileWriter(tmp_path / "stack.npy")
    with pytest.raises(StorageError, match=r"cannot write .*stack\.npy: No space left"):
        writer.write(b"data")
    writer._file.close()


def test_a_rename_across_file_systems_is_an_error_that_names_the_file(
    small, whole, tmp_path, monkeypatch
):
    def refuse(self, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out), fovs=[0]).ok
    monkeypatch.setattr(Path, "replace", refuse)
    outcome = run_inline(describe(small), new_context(out), fovs=[1])
    monkeypatch.undo()
    assert outcome.exit_code != 0
    assert run_inline(describe(small), new_context(out)).ok
    assert data_files(out) == whole


def test_a_table_that_a_spreadsheet_holds_open_is_retried_then_named(
    small, whole, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out)).ok
    replace, held, tries = Path.replace, [True], [0]

    def held_open(self, target):
        if held[0] and target.name == "demo_fov_001_traces_ch_2.csv":
            tries[0] += 1
            raise PermissionError(13, "The process cannot access the file")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held_open)
    monkeypatch.setattr(atomic, "_PATIENCE_S", 0.5)
    params = {"extraction": {"min_frames": 1}}
    outcome = run_inline(describe(small), new_context(out, **params))
    failed = outcome.with_status(FovStatus.FAILED)
    assert [failure.fov for failure in failed] == [1]
    assert "demo_fov_001_traces_ch_2.csv" in (failed[0].error or "")
    assert "close it there" in (failed[0].error or "")
    assert tries[0] > 1
    held[0] = False
    assert run_inline(describe(small), new_context(out, **params)).ok


def test_a_table_that_is_let_go_in_time_is_replaced(tmp_path, monkeypatch):
    replace, refusals = Path.replace, [2]

    def held_open(self, target):
        if refusals[0]:
            refusals[0] -= 1
            raise PermissionError(13, "The process cannot access the file")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held_open)
    atomic.write_whole(tmp_path / "table.csv", "cell\n")
    assert (tmp_path / "table.csv").read_bytes() == b"cell\n"


@contextlib.contextmanager
def as_an_ordinary_user():
    """Drop the privileges of root, who may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_posix
@pytest.mark.parametrize("guarded", [".", "fov_001"])
def test_a_folder_without_write_permission_is_refused_and_named(small, whole, guarded):
    # Not below tmp_path, into which an ordinary user may not even look.
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        shutil.copy2(small.image, root)
        source, metadata = load_microscopy_file(root / small.image.name)
        source.close()
        out = root / "out"
        with as_an_ordinary_user():
            out.mkdir()
            (out / guarded).mkdir(exist_ok=True)
            (out / guarded).chmod(0o555)
            outcome = run_inline(metadata, new_context(out))
            assert outcome.exit_code == 2
            assert re.search(
                rf"cannot .*{re.escape(str(out))}.*: Permission", outcome.refusal or ""
            )
            assert "\n" not in (outcome.refusal or "")
            if (out / guarded).exists():
                (out / guarded).chmod(0o755)
            assert sorted(path for path in out.rglob("*") if path.is_file()) == []
            assert run_inline(metadata, new_context(out)).ok
        assert data_files(out) == whole


def test_an_output_folder_that_is_a_file_is_refused(small, tmp_path):
    (tmp_path / "out").write_text("something of the user's")
    outcome = run_inline(describe(small), new_context(tmp_path / "out"))
    assert outcome.exit_code == 2
    assert "is a file" in (outcome.refusal or "")


@pytest.mark.slow
def test_a_folder_that_disappears_ends_the_run_without_hanging(demo, tmp_path):
    out = tmp_path / "out"

    def remove(event):
        if event["step"] == "segmentation":
            shutil.rmtree(out, ignore_errors=True)

    outcome = run(demo, out, on_progress=remove)
    assert outcome.exit_code == 1
    shutil.rmtree(out, ignore_errors=True)
    assert run(demo, out).ok


def test_long_paths_with_spaces_and_umlauts_are_fine(small, whole, tmp_path):
    name = "Größe 37 °C – Zellen " + "ä" * 70
    out = tmp_path / name / name
    out.parent.mkdir()
    assert len(str(out)) > 200
    assert run_inline(describe(small), new_context(out)).ok
    assert data_files(out) == whole


# What lies in the folder


def test_outputs_of_another_shape_are_made_again(small, whole, tmp_path):
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out)).ok
    shutil.copy(
        out / "fov_000" / "demo_fov_000_seg_ch_0.npy",
        out / "fov_000" / "demo_fov_000_seg_labeled_ch_0.npy",
    )
    assert run_inline(describe(small), new_context(out)).ok
    assert made_files(out) == whole


@pytest.mark.parametrize(
    "content", ["", "not: [yaml", "a: &a [x]\nb: [*a, *a]", "!!python/object/apply:os.getcwd []"]
)
def test_whatever_stands_in_the_results_file_it_is_rebuilt(small, tmp_path, content):
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out)).ok
    before = (out / "processing_results.yaml").read_text()
    (out / "processing_results.yaml").write_text(content)
    assert run_inline(describe(small), new_context(out)).ok
    assert (out / "processing_results.yaml").read_text() == before


def test_a_folder_that_was_copied_elsewhere_is_believed_by_checksum(small, whole, tmp_path):
    out, moved = tmp_path / "out", tmp_path / "moved"
    assert run_inline(describe(small), new_context(out)).ok
    shutil.copytree(out, moved, copy_function=shutil.copyfile)  # times are not kept
    outcome = run_inline(describe(small), new_context(moved))
    assert outcome.ok
    assert data_files(moved) == whole
    log = (moved / "pyama.log").read_text()
    assert "already done" in log


def test_another_file_of_the_same_name_is_refused_in_one_sentence(small, tmp_path):
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out)).ok
    other = write_demo(tmp_path / "other", fovs=3, frames=4, size=64, seed=9)
    outcome = run_inline(describe(other), new_context(out))
    assert outcome.exit_code == 2
    assert "another file" in (outcome.refusal or "")
    assert "\n" not in (outcome.refusal or "")


@by_all_methods
@pytest.mark.parametrize("kind", ["whole", "partial", "zeroed pages"])
@pytest.mark.slow
def test_after_a_loss_of_power_nothing_unflushed_is_believed(
    small, tmp_path, monkeypatch, kind, methods
):
    monkeypatch.setattr(fov_folder.FovFolder, "make_durable", lambda *_: None)
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out, **methods)).ok
    monkeypatch.undo()
    whole = data_files(out)
    for path in [*out.rglob("*seg_ch*"), *out.rglob("*traces_ch_1*")]:
        lose(path, kind)
    monkeypatch.setattr(as_written, "boot_identity", lambda: "the boot after")
    assert run_inline(describe(small), new_context(out, **methods)).ok
    assert data_files(out) == whole


def lose(path: Path, kind: str) -> None:
    """Do to a file what a loss of power does to one that was not flushed."""
    status, content = path.stat(), bytearray(path.read_bytes())
    if kind == "whole":
        content = bytearray()
    elif kind == "partial":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_no_path_in_a_record_leads_out_of_the_folder(small, tmp_path):
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out)).ok
    victim = tmp_path / "victim.npy"
    victim.write_bytes(b"keep me")
    record = out / "fov_000" / "demo_fov_000_record.json"
    content = json.loads(record.read_text())
    content["outputs"]["../../victim.npy"] = content["outputs"]["demo_fov_000_seg_ch_0.npy"]
    record.write_text(json.dumps(content))
    assert run_inline(describe(small), new_context(out), check=True).ok
    assert victim.read_bytes() == b"keep me"
    results = yaml.safe_load((out / "processing_results.yaml").read_text())
    assert "victim" not in json.dumps(results)


def test_no_code_that_a_record_names_is_run(small, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert run_inline(describe(small), new_context(out)).ok
    (tmp_path / "planted.py").write_text("raise SystemExit('this was run')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in out.rglob("*_record.json"):
        record = json.loads(path.read_text())
        parameters = [record["settings"]["params"]["extraction"]]
        parameters += [entry["provenance"]["parameters"] for entry in record["outputs"].values()]
        for values in parameters:
            values["features"] = ["planted:feature"]
            values["method"] = "planted:method"
        path.write_text(json.dumps(record))
    describe_folder(out)
    verify_folder(out)
    release_stacks(out, ["fl"])
    assert run_inline(describe(small), new_context(out)).ok
    assert "planted" not in sys.modules


# Dead workers


@needs_posix
@pytest.mark.parametrize("way", ["SIGKILL", "SIGSEGV", "SIGBUS"])
@pytest.mark.slow
def test_a_worker_that_dies_of_a_signal_costs_nothing_but_time(demo, tmp_path, way):
    hit: list[psutil.Process] = []

    def strike(event):
        if event["step"] == "segmentation" and not hit:
            hit.extend(worker_processes())
            for process in hit:
                process.send_signal(getattr(signal, way))

    outcome = run(demo, tmp_path / "out", on_progress=strike, batch_size=3, n_workers=2)
    assert hit
    assert outcome.ok


LIMITED = """
import resource, sys
from pathlib import Path
import psutil
sys.path.insert(0, {tests!r})
from runs import describe, new_context
from pyama_core.demo import DemoFiles
from pyama_core.processing.workflow import worker
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService

segment = SegmentationService.process_fov

def hungry(self, metadata, context, output_dir, fov):
    if fov == 1:
        size = psutil.Process().memory_info().vms + (512 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        held = [bytearray(64 << 20) for _ in range(1000)]
    segment(self, metadata, context, output_dir, fov)

SegmentationService.process_fov = hungry

if __name__ == "__main__":
    demo = DemoFiles.under(Path(sys.argv[1]), 3)
    outcome = run_workflow(describe(demo), new_context(Path(sys.argv[2])), n_workers=1)
    failed = outcome.fovs[1]
    assert [str(outcome.fovs[fov].status) for fov in (0, 1, 2)] == ["done", "failed", "done"]
    assert "MemoryError" in (failed.error or ""), failed
    sys.exit(outcome.exit_code)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is Linux's")
def test_a_worker_without_memory_fails_its_fov_and_says_so(demo, tmp_path):
    script = tmp_path / "limited.py"
    script.write_text(LIMITED.format(tests=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, str(script), str(demo.folder), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr


SPARE = """
import resource, sys
import psutil
import pyama_core.cli.run
from pyama_core.cli.app import main

if __name__ == "__main__":
    size = psutil.Process().memory_info().vms + (int(sys.argv.pop(1)) << 20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is Linux's")
def test_where_no_thread_can_be_started_a_run_is_refused_in_a_line(small, tmp_path):
    script, out = tmp_path / "spare.py", tmp_path / "out"
    script.write_text(SPARE)
    words = [script, 20, "run", small.image, "-o", out, "--pc", "0", "--fl", "1"]
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"error: cannot start \d+ threads .*raise the limit.*\n", done.stderr)
    assert not out.exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("at", range(1, 11))
@pytest.mark.slow
def test_whichever_thread_cannot_be_started_a_run_ends_and_says_so(
    small, whole, tmp_path, monkeypatch, at, lasting
):
    numbers, start, out = itertools.count(1), threading.Thread.start, tmp_path / "out"

    def refuse(self):
        number = next(numbers)
        if number == at or (lasting and number > at):
            raise RuntimeError("can't start new thread")
        start(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        outcome = run(small, out, fovs=[0])
    told = [outcome.refusal or "", *(fov.error or "" for fov in outcome.fovs.values())]
    assert outcome.ok or any("can't start" in text for text in told), told
    assert list(out.rglob(".*")) == []
    if at == 1:
        assert run(small, out).ok
        assert data_files(out) == whole


# Two at once


@pytest.mark.slow
@needs_posix
def test_disjoint_ranges_from_two_processes_end_in_one_right_results_file(small, whole, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "pyama_core", "run", str(small.image), "-o", str(out)]
    words += ["--pc", "0", "--fl", "1", "--fl", "2", "--workers", "1", *EXACT_WORDS, "--fovs"]
    with (
        subprocess.Popen([*words, "0-1"], stderr=subprocess.DEVNULL) as first,
        subprocess.Popen([*words, "2"], stderr=subprocess.DEVNULL) as second,
    ):
        assert (first.wait(90), second.wait(90)) == (0, 0)
    assert data_files(out) == whole
    results = yaml.safe_load((out / "processing_results.yaml").read_text())
    assert sorted(results["results_paths"]) == [0, 1, 2]
    assert all(len(paths["traces_csv"]) == 2 for paths in results["results_paths"].values())


def test_a_second_run_into_the_same_folder_is_refused_while_the_first_works(demo, tmp_path):
    out, refusals = tmp_path / "out", []

    def intrude(event):
        if event["step"] == "segmentation" and event["fov"] == 0:
            refusals.append(run(demo, out).refusal)

    assert run(demo, out, on_progress=intrude).ok
    assert len(refusals) == 1
    assert re.search(rf"in use by process {os.getpid()} on \S+ since \d{{4}}-", refusals[0] or "")


def test_a_run_that_lost_its_lock_stops_and_does_no_harm(small, whole, tmp_path, monkeypatch):
    out, make, taken = tmp_path / "out", SegmentationService.make, []

    def lose_the_lock_and_go_on(self, job, outputs):
        if not taken:
            path = job.folder.path / LOCK_NAME
            lock = json.loads(path.read_text())
            path.write_text(json.dumps({**lock, "host": "one that was asleep"}))
            os.utime(path, (0, 0))
            taken.append(job.fov)
            assert run_inline(describe(small), new_context(out), fovs=taken).ok
        make(self, job, outputs)

    monkeypatch.setattr(SegmentationService, "make", lose_the_lock_and_go_on)
    outcome = run_inline(describe(small), new_context(out))
    failed = outcome.with_status(FovStatus.FAILED)
    assert [failure.fov for failure in failed] == taken
    assert "lost to another run" in (failed[0].error or "")
    assert data_files(out) == whole
    assert describe_folder(out)["fovs"][str(taken[0])]["failure"] is None
    assert list(out.rglob(".*")) == []


# Cancelling


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> tuple[DemoFiles, dict[str, bytes]]:
    """Large frames, and what an undisturbed run makes of them."""
    folder = tmp_path_factory.mktemp("large")
    demo = write_demo(folder / "demo", fovs=2, frames=12, size=1024, seed=0)
    assert run_inline(describe(demo), new_context(folder / "fresh")).ok
    return demo, data_files(folder / "fresh")


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_ctrl_c_on_large_frames_stops_in_time_and_keeps_what_is_finished(large, tmp_path, number):
    demo, fresh = large
    out = tmp_path / "out"
    words = [sys.executable, "-m", "pyama_core", "run", str(demo.image), "-o", str(out)]
    words += ["--pc", "0", "--fl", "1", "--fl", "2", "--workers", "1", "--batch-size", "1"]
    with subprocess.Popen([*words, *EXACT_WORDS], stderr=subprocess.DEVNULL) as process:
        wait_for(out / "fov_000" / "demo_fov_000_seg_ch_0.npy")
        process.send_signal(number)
        started = time.monotonic()
        assert process.wait(30) == 130
        assert time.monotonic() - started < 5  # two seconds on a machine that is not busy
    context = new_context(out)
    assert run_inline(describe(demo), context).ok
    assert "FOV 0, segmentation: already done" in (out / "pyama.log").read_text()
    assert data_files(out) == fresh


def wait_for(path: Path, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_cancel_from_another_thread_stops_a_run_that_reports_nothing_yet(demo, tmp_path):
    cancel = threading.Event()
    timer = threading.Timer(0.3, cancel.set)
    timer.start()
    outcome = run(demo, tmp_path / "out", cancel=cancel)
    timer.join()
    assert outcome.exit_code in (0, 130)
    assert run(demo, tmp_path / "out").ok


# Fewer frames or channels than asked for


def test_only_the_asked_for_channels_are_made(small, whole, tmp_path):
    context = new_context(tmp_path / "out")
    context.channels = Channels(pc=0, fl=[2])
    assert run_inline(describe(small), context).ok
    made = data_files(tmp_path / "out")
    assert made == asked_files(tmp_path / "out", [0, 1, 2], [2])
    assert all(whole[name] == content for name, content in made.items())
