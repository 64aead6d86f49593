"""Files that are read where they cannot be mapped well: the same arrays, and a line of log."""

from __future__ import annotations

import errno
import logging
import mmap
from collections import namedtuple
from pathlib import Path

import numpy as np
import psutil
import pytest

from pyama_core import load_microscopy_file, open_results
from pyama_core.errors import InputError
from pyama_core.io import mapping
from pyama_core.io.mapping import ArrayOnDisk, maps_well, open_array

Mount = namedtuple("Mount", "mountpoint fstype opts")


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("PYAMA_MMAP", raising=False)
    monkeypatch.setattr(mapping, "_told", set())
    caplog.set_level(logging.INFO)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "Stapel ü.npy"
    np.save(path, np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7))
    return path


def on(kind: str, folder: Path, opts: str = "rw"):
    return lambda **_: [Mount("/", "ext4", "rw"), Mount(str(folder), kind, opts)]


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "cifs", "smb3", "fuse.sshfs", "fuseblk"])
def test_file_systems_that_map_badly_are_read_and_told_once(
    stack: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", on(kind, stack.parent))
    assert not maps_well(stack)
    assert not maps_well(stack)
    [line] = [record.getMessage() for record in caplog.records]
    assert line == f"{stack.parent} is a file system ({kind}) that maps files badly: they are read"
    assert isinstance(open_array(stack), ArrayOnDisk)


@pytest.mark.parametrize(("kind", "opts", "well"), [("xfs", "rw", True), ("NTFS", "remote", False)])
def test_the_file_system_is_that_of_the_nearest_mount(
    stack: Path, monkeypatch: pytest.MonkeyPatch, kind: str, opts: str, well: bool
) -> None:
    mounts = on(kind, stack.parent, opts)()
    elsewhere = Mount(f"{stack.parent}x", "nfs", "rw")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [*mounts, elsewhere])
    assert maps_well(stack) == well


def test_what_cannot_be_mapped_is_found_out_by_trying(
    stack: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert not maps_well(stack)
    assert "cannot map files (No such device): they are read" in caplog.text


def test_by_hand_goes_before_all_else(
    stack: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", on("nfs", stack.parent))
    monkeypatch.setenv("PYAMA_MMAP", "1")
    assert isinstance(open_array(stack), np.memmap)
    monkeypatch.setenv("PYAMA_MMAP", "0")
    assert isinstance(open_array(stack), ArrayOnDisk)
    assert "files are read and not mapped, as PYAMA_MMAP=0 says" in caplog.text
    monkeypatch.setenv("PYAMA_MMAP", "yes")
    with pytest.raises(InputError, match=r"PYAMA_MMAP: expected 0 .* found 'yes'"):
        open_array(stack)


def test_an_array_that_is_read_is_as_one_that_is_mapped(stack: Path) -> None:
    mapped, read = np.load(stack, mmap_mode="r"), ArrayOnDisk(stack)
    assert (read.shape, read.dtype, read.ndim, len(read)) == (mapped.shape, mapped.dtype, 3, 5)
    for key in (
        *(0, -1, np.int64(3), slice(1, 3), slice(None), slice(None, None, 2), slice(4, 1)),
        *((2, 3), (1, slice(2, 4), 5), (slice(1, 4), 2), ..., (..., 3), [0, 2], (0, ..., 1)),
    ):
        np.testing.assert_array_equal(read[key], mapped[key])
        assert np.asarray(read[key]).dtype == np.uint16
    with pytest.raises(IndexError):
        read[5]
    np.testing.assert_array_equal(np.stack(list(read)), mapped)
    np.testing.assert_array_equal(read > 7, mapped > 7)
    assert (read.max(), np.mean(read)) == (mapped.max(), np.mean(mapped))
    with pytest.raises(ValueError, match="read-only"):
        read[0][0, 0] = 1


def test_one_frame_is_all_that_is_read_of_a_stack(stack: Path) -> None:
    content = bytearray(stack.read_bytes())
    read = ArrayOnDisk(stack)
    content[-2:] = b"\xff\xff"  # of the last frame
    stack.write_bytes(content)
    assert read[0].max() == 41
    assert read[4].max() == 65535


def test_files_that_are_no_arrays_are_refused(stack: Path) -> None:
    stack.write_bytes(stack.read_bytes()[:-1])
    with pytest.raises(ValueError, match="greater than file size"):
        ArrayOnDisk(stack)
    stack.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="magic"):
        ArrayOnDisk(stack)
    np.save(stack, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="Object arrays"):
        ArrayOnDisk(stack)


def test_results_are_the_same_by_either_way(
    results_of_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = open_results(results_of_demo).fov(0)
    monkeypatch.setenv("PYAMA_MMAP", "0")
    read = open_results(results_of_demo).fov(0)
    assert isinstance(read.labels, ArrayOnDisk)
    np.testing.assert_array_equal(read.labels[3], mapped.labels[3])
    np.testing.assert_array_equal(read.labels, mapped.labels)


def test_nd2_files_are_not_mapped_either(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared_data / "nd2/cluster.nd2"
    source, expected = load_microscopy_file(path)
    frame = source.read_frame(0, 0, 0)
    source.close()
    monkeypatch.setenv("PYAMA_MMAP", "0")
    monkeypatch.setattr(mmap, "mmap", None)  # whoever maps a file now fails
    source, metadata = load_microscopy_file(path)
    np.testing.assert_array_equal(source.read_frame(0, 0, 0), frame)
    source.close()
    assert metadata == expected
