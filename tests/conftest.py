"""What all tests share: no test leaves anything behind, and where the real images are."""

from __future__ import annotations

import gc
import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import runs
from inline import inline_crew
from pyama_core import open_results
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.io.storage.atomic import is_temporary
from pyama_core.processing.workflow import pipeline
from pyama_core.results.results import Results

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_GRACE_S = 5.0
_HARNESS_THREADS = ("pytest_timeout",)


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real microscope images, or skip the test."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real images: the folder {SHARED_DATA} is absent")
    return SHARED_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test in a browser once more that waited in vain; the summary counts it as rerun.

    On a busy machine a browser may stand still for longer than a test is patient. What
    is wrong in the page is so the second time as well; other failures are not tried again.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["Timeout .*exceeded"]))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """Write a small experiment: 3 fields of view, 10 frames of 256×256, 3 channels."""
    return write_demo(tmp_path_factory.mktemp("demo"), fovs=3, frames=10, size=256, seed=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Write what is in some file names and is no text in another way: reports travel as UTF-8."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def results_of_demo(demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the demo by the exact algorithm, for tests that only read its results."""
    output_dir = tmp_path_factory.mktemp("results") / "Ergebnisse für Übung 1"
    assert runs.run(demo, output_dir).ok
    return output_dir


@pytest.fixture
def copied_results(results_of_demo: Path, tmp_path: Path) -> Path:
    """Copy the results of the demo, with their times, for tests that change them."""
    return Path(shutil.copytree(results_of_demo, tmp_path / "Kopie der Ergebnisse"))


@pytest.fixture(scope="session")
def sampled(results_of_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return results of the demo whose FOVs are in samples, and which no test changes."""
    output_dir = tmp_path_factory.mktemp("sampled") / "Versuch 1"
    results = open_results(shutil.copytree(results_of_demo, output_dir))
    results.assign_samples(runs.SAMPLES)
    return results


@pytest.fixture
def owned(sampled: Results, tmp_path: Path) -> Results:
    """Return results as `sampled` that a test may change."""
    return open_results(shutil.copytree(sampled.folder, tmp_path / "own"))


def _open_files() -> set[str]:
    return {file.path for file in psutil.Process().open_files()}


def _children() -> set[int]:
    """Child processes; the resource tracker of multiprocessing lives as long as the interpreter."""
    alive = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if "resource_tracker" not in " ".join(child.cmdline()):
                alive.add(child.pid)
        except psutil.Error:
            continue
    return alive


def _threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if not t.name.startswith(_HARNESS_THREADS)}


@pytest.fixture(scope="module")
def workers_inline() -> Iterator[None]:
    """Let all runs of a module that is not about processes work in this one.

    A process that works takes a second to start, which is most of the time of a small run.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "LocalCrew", inline_crew)
        yield


@pytest.fixture
def works_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runs of a test work in this process, where others of its module have workers."""
    monkeypatch.setattr(pipeline, "LocalCrew", inline_crew)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a browser without a window, for all tests of a module."""
    from browsing import chromium

    with chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves a file handle, process, thread, temporary file or log handler.

    But for tests in a browser, which keeps processes as it likes.
    """
    if "browser" in request.fixturenames:
        yield
        return
    files, children, threads = _open_files(), _children(), _threads()
    handlers = list(logging.getLogger("pyama_core").handlers)
    yield
    deadline = time.monotonic() + _GRACE_S
    generation = 1  # first what the test made alone: all there is takes a tenth of a second
    while (left := _describe_leftovers(files, children, threads)) and time.monotonic() < deadline:
        gc.collect(generation)
        generation = 2
        time.sleep(0.01)
    assert not left, left
    assert logging.getLogger("pyama_core").handlers == handlers
    assert [path for path in tmp_path.rglob("*") if is_temporary(path)] == []


@pytest.fixture
def zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    """End the event loop of zarr, which is one for the whole process and outlives its arrays."""
    yield
    if "zarr" in sys.modules:
        sys.modules["zarr.core.sync"].cleanup_resources()


def _describe_leftovers(
    files: set[str], children: set[int], threads: set[threading.Thread]
) -> dict[str, list[str]]:
    left = {
        "files": sorted(_open_files() - files),
        "processes": sorted(map(str, _children() - children)),
        "threads": sorted(thread.name for thread in _threads() - threads),
    }
    return {kind: names for kind, names in left.items() if names}
