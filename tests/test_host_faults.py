"""Faults of whole computers, with namespaces as computers: names, clocks and networks of their own.

Each needs root on Linux; without it, the tests are skipped by name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dask_cluster
import runs
from dask_cluster import at_work, pyama, wait_until
from pyama_core.demo import DemoFiles, write_demo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.skipif(
        sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None,
        reason="namespaces are made by root on Linux",
    ),
]


def on_host(name: str) -> tuple[str, ...]:
    """Return what lets a command run on a computer of another name."""
    return ("unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh")


def with_clock(offset: str) -> tuple[str, ...]:
    """Return what lets a command run by a clock that is off; that of the file system is not."""
    if offset == "+0h":
        return ()
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed")
    spared = ("NO_FAKE_STAT=1", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    return ("env", *spared, "faketime", "-m", "-f", offset)


@pytest.fixture(scope="module")
def long_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    folder = tmp_path_factory.mktemp("long")
    return write_demo(folder, fovs=2, frames=60, size=384, seed=3)


@pytest.fixture(scope="module")
def undisturbed(long_demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert runs.run(long_demo, out).ok
    return out


def words_for(demo: DemoFiles, out: Path, *more: object) -> list[object]:
    exact = ["--segmentation", "log-std", "--tracking", "iou"]
    channels = ["--pc", "0", "--fl", "1", "--fl", "2"]
    return ["run", demo.image, "-o", out, *channels, *exact, "--workers", "1", *more]


def require_as_undisturbed(out: Path, undisturbed: Path) -> None:
    assert runs.data_files(out) == runs.data_files(undisturbed)
    assert list(out.rglob(".*")) == []


@pytest.mark.parametrize("offset", ["+0h", "+1h", "-1h"])
def test_the_same_part_started_twice_on_two_computers_is_done_once(
    long_demo: DemoFiles, undisturbed: Path, tmp_path: Path, offset: str
) -> None:
    out = tmp_path / "out"
    words = words_for(long_demo, out, "--shard", "1/1")
    prefix = (*on_host("elsewhere"), *with_clock(offset))
    with pyama(*words, prefix=prefix) as first:
        first.wait_for_line("copying: 60/60")
        with pyama(*words) as second:
            second.wait_for_line("on elsewhere since", "waiting until it has ended")
            assert first.finish() == 0, first.told
            assert second.finish() == 0, second.told
    assert "2 done" in first.told
    assert "2 skipped" in second.told
    assert "lost to another run" not in first.told + second.told
    require_as_undisturbed(out, undisturbed)


def test_the_lock_of_a_computer_that_is_gone_is_respected_and_then_lost(
    long_demo: DemoFiles, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pyama(*words_for(long_demo, out), prefix=on_host("elsewhere")) as first:
        first.wait_for_line("segmentation: 30/60")
    locks = list(out.glob("fov_*/.pyama.lock"))
    assert len(locks) == 2
    with pyama(*words_for(long_demo, out)) as second:
        assert second.finish() == 2
    assert "in use by process" in second.told
    assert "on elsewhere since" in second.told
    for lock in locks:  # ten minutes and one later
        os.utime(lock, (time.time() - 660, time.time() - 660))
    with pyama(*words_for(long_demo, out)) as third:
        assert third.finish() == 0, third.told
    assert "2 done" in third.told
    require_as_undisturbed(out, undisturbed)


# A network that is cut

SCHEDULER = "10.213.77.1"


@contextlib.contextmanager
def computer(name: str) -> Iterator[str]:
    """Make a computer with a cable to this one; yield the name of the end of the cable here."""
    here, there = f"{name}-a", f"{name}-b"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("netns", "add", name)
        ip("link", "add", here, "type", "veth", "peer", "name", there)
        ip("link", "set", there, "netns", name)
        ip("addr", "add", f"{SCHEDULER}/24", "dev", here)
        ip("link", "set", here, "up")
        ip("-n", name, "addr", "add", "10.213.77.2/24", "dev", there)
        ip("-n", name, "link", "set", there, "up")
        ip("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        pytest.skip(f"no network of its own can be made here: {error}")
    try:
        yield here
    finally:
        subprocess.run(["ip", "link", "del", here], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def test_a_worker_that_is_cut_off_and_comes_back_writes_nothing_more(
    demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    notes, out, name = tmp_path / "notes", tmp_path / "out", f"py{os.getpid() % 10000}"
    notes.mkdir()
    settings = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4s"}
    cluster = dask_cluster.DaskCluster(tmp_path, settings, host=SCHEDULER)
    with computer(name) as cable, contextlib.ExitStack() as stack:
        stack.callback(cluster.end)
        cluster.start_scheduler()
        inside = ("ip", "netns", "exec", name, *on_host("elsewhere"))
        slow = {"NOTES": str(notes), "SLOW_S": "0.15"}
        cluster.start_worker(prefix=inside, **slow)
        wait_until(lambda: "Registered to" in cluster.printed())
        words = words_for(demo, out, "--scheduler", cluster.address)
        with pyama(*words) as command:
            wait_until(lambda: at_work(notes))
            [(fov, [cut_off])] = at_work(notes).items()
            subprocess.run(["ip", "link", "set", cable, "down"], check=True)
            subprocess.run(["ip", "addr", "add", f"{SCHEDULER}/32", "dev", "lo"], check=False)
            stack.callback(
                subprocess.run,
                ["ip", "addr", "del", f"{SCHEDULER}/32", "dev", "lo"],
                check=False,
                capture_output=True,
            )
            cluster.start_worker(NOTES=str(notes))
            wait_until(lambda: len(at_work(notes)[fov]) == 2)
            subprocess.run(["ip", "link", "set", cable, "up"], check=True)
            assert command.finish() == 0, command.told
        assert cut_off != at_work(notes)[fov][1]
        assert "3 done" in command.told
        wait_until(lambda: not list(out.rglob(".*")))
    require_as_undisturbed(out, results_of_demo)
