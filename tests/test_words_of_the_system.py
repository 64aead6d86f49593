"""What the system refuses is told in words that lead to a way out."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from typer.testing import CliRunner

from movies import rough_squares, write_movie
from pyama_core.cli.app import app
from pyama_core.errors import ShortageError, StorageError, dangling_link, reason_of

pytestmark = pytest.mark.usefixtures("workers_inline")

PYAMA = [sys.executable, "-m", "pyama_core"]

posix_only = pytest.mark.skipif(os.name == "nt", reason="limits and links of POSIX")


def pyama(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


# Shortages


@posix_only
@pytest.mark.parametrize(
    ("error", "advised", "not_advised"),
    [
        (system_error(errno.EMFILE), "open files (ulimit -n)", "-v"),
        (system_error(errno.ENFILE), "open files (ulimit -n)", "-v"),
        (system_error(errno.ENOMEM), "memory (ulimit -v)", "-n"),
        (MemoryError(), "memory (ulimit -v)", "-n"),
        (system_error(errno.EAGAIN), "processes or memory (ulimit -u, ulimit -v)", "-n"),
        (RuntimeError("OSError: [Errno 24] Too many open files: 'x'"), "(ulimit -n)", "-v"),
        (RuntimeError("can't start new thread"), "processes or memory (ulimit -u", "-n"),
    ],
)
def test_a_shortage_advises_the_limit_of_what_is_short(error, advised, not_advised):
    told = str(ShortageError.about("start 8 worker processes", error))
    assert told.startswith("cannot start 8 worker processes: ")
    assert "Errno" not in told or isinstance(error, RuntimeError)
    assert advised in told
    assert f"ulimit {not_advised}" not in told


@posix_only
def test_too_many_open_files_are_called_so_wherever_they_are_met():
    for told in (
        str(StorageError.about("write", Path("x"), system_error(errno.EMFILE))),
        reason_of(system_error(errno.EMFILE)),
    ):
        assert "Too many open files; " in told
        assert "ulimit -n" in told
    assert reason_of(system_error(errno.EACCES)) == "Permission denied"


@posix_only
def test_a_limit_on_open_files_that_a_command_meets_is_one_line(tmp_path, monkeypatch):
    def none_left(*_: object) -> None:
        raise system_error(errno.EMFILE)

    monkeypatch.setattr("pyama_core.cli.status.describe_folder", none_left)
    result = pyama("status", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: cannot go on: Too many open files; use fewer workers, close other programs, or "
        "raise the limit on open files (ulimit -n)\n"
    )
    monkeypatch.setattr("pyama_core.cli.status.describe_folder", lambda _: 1 / 0)
    assert isinstance(pyama("status", tmp_path).exception, ZeroDivisionError)


@posix_only
@pytest.mark.parametrize("limit", [5, 10])
def test_a_run_under_a_limit_on_open_files_names_that_limit(tmp_path, limit):
    pixels = [rough_squares(2, 64, [(10, 10)])]
    image = write_movie(tmp_path / "m.ome.tif", pixels, ["Phase", "GFP"], 1.0)
    words = ["run", str(image), "-o", str(tmp_path / "out"), "--pc", "0", "--fl", "1"]
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *PYAMA, *words],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    (*_, last) = [line for line in done.stderr.splitlines() if "Too many open files" in line]
    assert "ulimit -n" in last
    assert "ulimit -v" not in done.stderr


# Links that lead to nothing


@pytest.fixture
def link(tmp_path) -> Path:
    path = tmp_path / "link"
    try:
        path.symlink_to(tmp_path / "gone")
    except OSError:
        pytest.skip("links are not allowed here")
    return path


@pytest.mark.parametrize("below", [".", "deep/er"])
def test_an_output_folder_that_is_a_dangling_link_is_told(tmp_path, link, below):
    pixels = [rough_squares(2, 64, [(10, 10)])]
    image = write_movie(tmp_path / "m.ome.tif", pixels, ["Phase", "GFP"], 1.0)
    result = pyama("run", image, "-o", link / below, "--pc", 0, "--fl", 1)
    assert result.exit_code == 2
    told = result.stderr.splitlines()[-1]
    assert told.startswith(f"error: cannot make the folder {link / below / 'fov_000'}: ")
    assert told.endswith(f"{link} is a link to {tmp_path / 'gone'}, which is not there")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "{link}"],
        ["inspect", "{link}/a.nd2"],
        ["run", "{link}", "-o", "{tmp}/out", "--pc", 0, "--fl", 1],
        ["run", "x.nd2", "--config", "{link}"],
    ],
)
def test_an_input_that_is_a_dangling_link_is_told(tmp_path, link, words):
    result = pyama(*[str(word).format(link=link, tmp=tmp_path) for word in words])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert f"{link} is a link to {tmp_path / 'gone'}, which is not there" in result.stderr


def test_only_links_that_lead_nowhere_are_named(tmp_path, link):
    good = tmp_path / "good"
    good.symlink_to(tmp_path)
    assert dangling_link(good / "none") == ""
    assert dangling_link(tmp_path / "none") == ""
    round_about = tmp_path / "round"
    round_about.symlink_to(round_about)
    assert "is a link to" in dangling_link(round_about)


def test_a_file_in_the_place_of_a_folder_is_called_one(tmp_path):
    pixels = [rough_squares(2, 64, [(10, 10)])]
    image = write_movie(tmp_path / "m.ome.tif", pixels, ["Phase", "GFP"], 1.0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fov_000").write_text("in the way")
    result = pyama("run", image, "-o", tmp_path / "out", "--pc", 0, "--fl", 1)
    assert result.exit_code == 2
    assert "fov_000: there is a file of this name" in result.stderr


# Nothing to see


@pytest.fixture
def unreadable(tmp_path) -> Path:
    """A folder of four images, the second of which is whole; the pixels of the others are cut."""
    frame = rough_squares(1, 64, [(10, 10)])[0, 0]
    for t in range(4):
        path = tmp_path / f"Phase_A1_t{t}.tif"
        tifffile.imwrite(path, frame, compression="zlib")
        if t != 1:
            content = path.read_bytes()
            path.write_bytes(content.replace(content[-3000:], b"\0" * 3000))
    return tmp_path


PATTERN = ["--pattern", "{channel}_{fov}_t{time}.tif"]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_inspect_fails_when_no_frame_can_be_read(unreadable, more):
    result = pyama("inspect", unreadable, *PATTERN, *more)
    assert result.exit_code == 1
    assert "error: none of the frames looked at can be read: " in result.stderr
    assert "lacks FOV 0, channel 0, frame 0" in result.stderr
    assert ("n_frames" if more else "Phase") in result.stdout


def test_inspect_warns_when_some_frames_cannot_be_read(unreadable):
    (unreadable / "Phase_A1_t3.tif").unlink()
    result = pyama("inspect", unreadable, *PATTERN)
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "(2 of the frames looked at)" in result.stderr
