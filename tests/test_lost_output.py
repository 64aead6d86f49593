"""Standard output that is full, closed or read no further is no reason to stop, or to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from movies import rough_squares, write_movie
from pyama_core.io.storage.naming import find_records
from runs import data_files

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="streams of POSIX"),
    pytest.mark.slow,
]
full_only = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")

PYAMA = [sys.executable, "-m", "pyama_core"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small movie `m.ome.tif`, and its results in `out`."""
    path = tmp_path_factory.mktemp("lost")
    pixels = [rough_squares(2, 64, [(10, 10)])] * 2
    write_movie(path / "m.ome.tif", pixels, ["Phase", "GFP"], 1.0)
    done = subprocess.run([*PYAMA, *words("run", path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


def words(command: str, folder: Path, out: str = "out") -> list[str]:
    image, results = str(folder / "m.ome.tif"), str(folder / out)
    methods = ["--segmentation", "log-std", "--tracking", "iou", "--workers", "1", "--fovs", "0"]
    return {
        "run": ["run", image, "-o", results, "--pc", "0", "--fl", "1", *methods],
        "inspect": ["inspect", image],
        "inspect --json": ["inspect", image, "--json"],
        "status": ["status", results],
        "status --json": ["status", results, "--json"],
        "verify": ["verify", results],
        "release": ["release", results, "--stacks", "seg"],
        "demo": ["demo", str(folder / "demo"), "--fovs", "1", "--frames", "2", "--size", "64"],
        "help": ["--help"],
        "run help": ["run", "--help"],
        "version": ["--version"],
        "error": ["inspect", str(folder / "none.nd2")],
    }[command]


COMMANDS = [
    *("run", "inspect", "inspect --json", "status", "status --json", "verify", "release", "demo"),
    *("help", "run help", "version", "error"),
]
SHOWING = ("inspect", "status")


@full_only
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_standard_output_fails_what_only_shows_and_nothing_else(folder, command):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PYAMA, *words(command, folder)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    told = done.stderr.decode().splitlines()
    expected = 2 if command == "error" else int(command.startswith(SHOWING))
    assert done.returncode == expected
    assert not [line for line in told if "Traceback" in line or "Exception" in line]
    lost = "error: cannot write to standard output: No space left on device"
    assert (lost in told) == (command not in ("error", "help", "run help", "version"))


@pytest.mark.parametrize(
    ("command", "how"),
    [
        *((command, "reader gone") for command in COMMANDS),
        *((command, "closed") for command in ("run", "inspect", "status --json", "version")),
    ],
)
def test_a_closed_standard_output_changes_nothing(folder, command, how):
    reading, writing = os.pipe()
    os.close(reading)
    redirect = "1>&-" if how == "closed" else ""
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirect}', "sh", *PYAMA, *words(command, folder)],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    told = done.stderr.decode()
    assert done.returncode == (2 if command == "error" else 0), told
    assert "Traceback" not in told
    assert "Exception" not in told
    assert "Errno" not in told
    assert "cannot write" not in told


@pytest.mark.parametrize("command", ["run", "inspect", "error"])
@pytest.mark.parametrize("redirect", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
def test_a_standard_error_that_is_closed_or_full_changes_nothing(folder, command, redirect):
    if "full" in redirect and not Path("/dev/full").exists():
        pytest.skip("no device that is full")
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirect}', "sh", *PYAMA, *words(command, folder)],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == (2 if command == "error" else 0)
    assert b"Traceback" not in done.stdout


@full_only
@pytest.mark.parametrize("redirect", [">/dev/full", ">/dev/full 2>/dev/full", "0<&- 1>&- 2>&-"])
def test_a_whole_run_without_streams_gives_the_same_files(folder, redirect):
    out = f"out {redirect.replace('/', '_')}"
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirect}', "sh", *PYAMA, *words("run", folder, out)],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    expected = data_files(folder / "out")
    assert {name: data for name, data in data_files(folder / out).items() if name in expected} == (
        expected
    )
    assert len(expected) >= 7
    assert len(find_records(folder / out)) == 1
    log = (folder / out / "pyama.log").read_text(encoding="utf-8")
    assert "finished: 1 done" in log


def test_the_reader_of_a_pipe_can_leave_after_the_first_line(folder):
    for command in ("inspect --json", "status"):
        line = " ".join(f"'{word}'" for word in [*PYAMA, *words(command, folder)])
        script = f"{{ {line} 2>&-; echo $? >&2; }} | head -1"
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True)
        assert done.stderr == "0\n"
        assert len(done.stdout.splitlines()) == 1
