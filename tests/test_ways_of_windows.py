"""What Windows does otherwise, played here: files that are held open, drives, long paths, codes."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from pyama_core import errors
from pyama_core.errors import StorageError, reason_of
from pyama_core.io import regular_files
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage import atomic
from pyama_core.io.storage.artifacts import put_in_place
from pyama_core.processing import compiling
from pyama_core.processing.workflow.pool_process import ending_of


def refuse_for(monkeypatch, target, name, times):
    """Let a call be refused as Windows refuses what another process holds open; count the calls."""
    real, calls = getattr(target, name), []

    def call(*arguments, **options):
        calls.append(arguments)
        if len(calls) <= times:
            raise PermissionError(errno.EACCES, "The process cannot access the file", "x", 32)
        return real(*arguments, **options)

    monkeypatch.setattr(target, name, call)
    return calls


def test_a_folder_of_which_a_file_is_open_is_replaced_as_soon_as_it_is_closed(
    tmp_path, monkeypatch
):
    for name in ("new", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    monkeypatch.setattr(atomic, "_PAUSE_S", 0.0)
    calls = refuse_for(monkeypatch, Path, "replace", 3)
    put_in_place(tmp_path / "new", tmp_path / "final")
    assert (tmp_path / "final" / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert len(calls) == 5


def test_a_folder_that_stays_open_is_named_and_stays(tmp_path, monkeypatch):
    for name in ("new", "final"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(atomic, "_PATIENCE_S", 0.0)
    refuse_for(monkeypatch, Path, "replace", 100)
    with pytest.raises(StorageError, match=r"cannot replace .*final: another program .* open"):
        put_in_place(tmp_path / "new", tmp_path / "final")
    assert (tmp_path / "final").is_dir()


def test_a_file_that_is_being_replaced_is_read_a_moment_later(tmp_path, monkeypatch):
    (tmp_path / "record.json").write_text("{}")
    monkeypatch.setattr(regular_files, "_PATIENCE_S", 5.0)
    calls = refuse_for(monkeypatch, os, "open", 2)
    assert read_regular(tmp_path / "record.json") == b"{}"
    assert len(calls) == 3


def test_a_file_that_may_not_be_read_is_given_up_soon(tmp_path, monkeypatch):
    (tmp_path / "record.json").write_text("{}")
    monkeypatch.setattr(regular_files, "_PATIENCE_S", 0.1)
    refuse_for(monkeypatch, os, "open", 10**6)
    began = time.monotonic()
    with pytest.raises(PermissionError):
        read_regular(tmp_path / "record.json")
    assert 0.1 <= time.monotonic() - began < 3


def test_a_folder_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(regular_files, "_PATIENCE_S", 60.0)
    refuse_for(monkeypatch, os, "open", 10**6)
    with pytest.raises(IsADirectoryError, match="a folder"):
        read_regular(tmp_path)


def test_a_path_too_long_for_windows_is_told_as_that(monkeypatch):
    error = FileNotFoundError(errno.ENOENT, "No such file or directory")
    long = Path("/data") / ("x" * 120) / ("y" * 120) / "a.npy"
    assert reason_of(error, long) == "No such file or directory"
    monkeypatch.setattr(errors, "_ON_WINDOWS", True)
    assert "its path has 253 characters" in reason_of(error, long)
    assert reason_of(error, Path("/data/a.npy")) == "No such file or directory"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ended with code 1"),
        (0xC0000005, "ended with code 0xc0000005"),
        (-9, "was ended by SIGKILL"),
    ],
)
def test_how_a_worker_ended_is_told_as_it_can_be_looked_up(code, words):
    assert ending_of(code) == words


def test_compiled_code_on_several_drives_has_a_place(monkeypatch):
    def refuse(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(compiling, "_places", {"D:\\code", "C:\\code"})
    monkeypatch.setattr(compiling, "_without_place", set())
    monkeypatch.setattr(compiling.os.path, "commonpath", refuse)
    assert compiling.place_of_code() == "C:\\code"
