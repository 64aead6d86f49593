"""Which reader a file gets, readers of other packages, and what a failing drive does."""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from czi_library import czi_library
from nd2_writer import time_loop, write_nd2
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io import retrying
from pyama_core.io.microscopy import load_microscopy_file, open_source
from pyama_core.io.readers import registry as readers
from pyama_core.io.readers.czi import source as czi_source
from pyama_core.io.readers.czi.segments import CziSegments
from pyama_core.io.readers.image_folder import single_image
from pyama_core.io.readers.tiff import pages as tiff_pages
from pyama_core.io.readers.tiff import stack as tiff_stack
from pyama_core.io.retrying import patiently, system_failure
from pyama_core.io.urls import is_url, local_path, text_of, url_of

EXAMPLE = Path(__file__).parents[1] / "examples" / "reader" / "npy_reader.py"
MOVIE = np.random.default_rng(3).integers(0, 60000, (4, 6, 5), dtype=np.uint16)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that stands for the place where packages are installed."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    readers._third_party.cache_clear()
    yield site
    readers._third_party.cache_clear()
    for name in ("npy_reader", "broken_reader"):
        sys.modules.pop(name, None)


def install(site: Path, module: str, code: str, entry: str) -> None:
    (site / f"{module}.py").write_text(code)
    about = site / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[pyama_core.readers]\n{module} = {entry}\n")


def test_a_reader_of_another_package_is_found_again_by_its_name(
    installed: Path, tmp_path: Path
) -> None:
    install(installed, "npy_reader", EXAMPLE.read_text(encoding="utf-8"), "npy_reader:reader")
    np.save(tmp_path / "movie.npy", MOVIE)
    source, metadata = load_microscopy_file(tmp_path / "movie.npy")
    with source:
        for t, frame in enumerate(MOVIE):
            np.testing.assert_array_equal(source.read_frame(0, 0, t), frame)
    assert (metadata.file_type, metadata.base_name) == ("npy", "movie")
    assert metadata.channel_names == ("Channel 0",)
    with open_source(metadata) as again:
        np.testing.assert_array_equal(again.read_frame(0, 0, 3), MOVIE[3])


@pytest.mark.parametrize(
    ("code", "entry", "told"),
    [
        ("raise RuntimeError('no licence')", "broken_reader:reader", "no licence"),
        ("reader = 5", "broken_reader:reader", "expected a Reader, found 5"),
    ],
)
def test_a_broken_reader_of_another_package_is_warned_of_and_left_out(
    installed: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    code: str,
    entry: str,
    told: str,
) -> None:
    install(installed, "broken_reader", code, entry)
    (tmp_path / "a.xyz").write_bytes(b"what is this")
    with caplog.at_level(logging.WARNING, logger="pyama_core"), pytest.raises(InputError):
        load_microscopy_file(tmp_path / "a.xyz")
    assert told in caplog.text


def test_a_file_of_no_known_type_is_refused_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    (tmp_path / "a.xyz").write_bytes(b"what is this")
    with pytest.raises(InputError, match=r"unknown type.*OME-Zarr.*pyama-core\[bioio\]"):
        load_microscopy_file(tmp_path / "a.xyz")


def test_readers_of_this_package_come_before_others_for_their_own_signatures(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "from pyama_core.io.readers.registry import Reader\n"
        "def fail(path, options): raise AssertionError\n"
        "reader = Reader(name='other', signatures=(b'II*',), endings=('.tif',), open=fail)\n"
    )
    install(installed, "npy_reader", code, "npy_reader:reader")
    tifffile.imwrite(tmp_path / "a.tif", MOVIE[0])
    source, metadata = load_microscopy_file(tmp_path / "a.tif")
    source.close()
    assert metadata.reader == "tiff"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/a.zarr", "s3://bucket/a.zarr"),
        ("https://host/a/b.zarr", "https://host/a/b.zarr"),
        ("memory://a.zarr", "memory://a.zarr"),
        ("file:///data/a.zarr", "file:///data/a.zarr"),
        ("C:/data/a.zarr", None),
        ("/data/a.zarr", None),
        ("a.zarr", None),
    ],
)
def test_a_url_survives_being_a_path(text: str, url: str | None) -> None:
    assert is_url(text) == is_url(Path(text)) == (url is not None)
    if url is not None:
        assert url_of(Path(text)) == url_of(local_path(text)) == url
        assert text_of(Path(text)) == url
    else:
        assert text_of(Path(text)) == str(Path(text))


class Drive:
    """Fails a few times, then works."""

    def __init__(self, failures: int, number: int = errno.EIO) -> None:
        self.failures = failures
        self.number = number
        self.tries = 0

    def read(self) -> int:
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError(self.number, "the drive failed")
        return 7


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES_S", (0.0, 0.0, 0.0))


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_drive_that_fails_for_a_moment_is_tried_again(failures: int) -> None:
    drive = Drive(failures)
    assert patiently(drive.read) == 7
    assert drive.tries == failures + 1


@pytest.mark.usefixtures("no_pauses")
def test_a_drive_that_keeps_failing_is_given_up() -> None:
    drive = Drive(100)
    with pytest.raises(OSError, match="the drive failed"):
        patiently(drive.read)
    assert drive.tries == 4


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES])
def test_what_will_not_change_is_not_tried_again(number: int) -> None:
    drive = Drive(100, number)
    with pytest.raises(OSError, match="the drive failed"):
        patiently(drive.read)
    assert drive.tries == 1


class FailingFile:
    """Stands for an open file whose handle the network broke: only a new one works."""

    def seek(self, *where: int) -> int:
        raise OSError(errno.EIO, "the drive failed")

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.usefixtures("no_pauses")
def test_a_broken_handle_of_an_nd2_is_replaced(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", MOVIE[..., None], [time_loop(4)])
    source, _ = load_microscopy_file(tmp_path / "a.nd2")
    with source:
        chunks = source._chunks  # type: ignore[attr-defined]
        chunks._file.close()
        chunks._file = FailingFile()
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), MOVIE[2])


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_broken_handle_of_a_tiff_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / f"a.{kind}.tif"
    tifffile.imwrite(path, MOVIE, metadata={"axes": "TYX"}, **{kind: True})
    source, _ = load_microscopy_file(path)
    with source:
        source.read_frame(0, 0, 0)
        real, drive = tiff_pages.decode_page, Drive(2)

        def decode_page(*arguments: Any) -> Any:
            drive.read()
            return real(*arguments)

        for module in (tiff_pages, tiff_stack):
            monkeypatch.setattr(module, "decode_page", decode_page)
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), MOVIE[2])
        assert drive.tries == 3


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("failures", "works"), [(2, True), (9, False)])
def test_a_frame_on_a_failing_drive_is_read_in_the_end_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, works: bool
) -> None:
    for t, frame in enumerate(MOVIE):
        tifffile.imwrite(tmp_path / f"axy1t{t}.tif", frame)
    drive = Drive(failures)
    real = single_image.open_tiff_file

    def opens(path: Path) -> tifffile.TiffFile:
        drive.read()
        return real(path)

    source, _ = load_microscopy_file(tmp_path)
    monkeypatch.setattr(single_image, "open_tiff_file", opens)
    with source:
        if works:
            np.testing.assert_array_equal(source.read_frame(0, 0, 1), MOVIE[1])
        else:
            with pytest.raises(MissingFrameError, match="the drive failed"):
                source.read_frame(0, 0, 1)


class FailingCzi:
    """Stands for the library's open file, with a handle that the network broke."""

    def read(self, **place: Any) -> Any:
        raise RuntimeError("Error reading from file")


def write_czi(path: Path) -> Path:
    with czi_library().create_czi(str(path)) as czi:
        for t, frame in enumerate(MOVIE):
            czi.write(frame[..., None], plane={"T": t}, scene=0)
        czi.write_metadata()
    return path


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("failures", "works"), [(1, True), (2, True), (99, False)])
def test_a_broken_handle_of_a_czi_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, works: bool
) -> None:
    path, drive = write_czi(tmp_path / "a.czi"), Drive(failures)
    source, _ = load_microscopy_file(path)
    real = czi_source._open_library

    @contextlib.contextmanager
    def open_library(path: Path) -> Iterator[Any]:
        with real(path) as czi:
            yield czi if drive.tries >= failures else FailingCzi()

    def read_whole(self: Any, block: Any) -> bytes:
        drive.read()
        return b""

    monkeypatch.setattr(czi_source, "_open_library", open_library)
    monkeypatch.setattr(CziSegments, "read_whole", read_whole)
    with source:
        source._czi = FailingCzi()  # type: ignore[attr-defined]
        if works:
            np.testing.assert_array_equal(source.read_frame(0, 0, 2), MOVIE[2])
        else:
            with pytest.raises(MissingFrameError, match="the drive failed") as raised:
                source.read_frame(0, 0, 2)
            assert system_failure(raised.value) is not None


def test_a_czi_that_the_library_cannot_decode_is_damage_and_not_the_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = load_microscopy_file(write_czi(tmp_path / "a.czi"))
    monkeypatch.setattr(
        czi_source, "_open_library", lambda path: contextlib.nullcontext(FailingCzi())
    )
    with source:
        source._czi = FailingCzi()  # type: ignore[attr-defined]
        with pytest.raises(MissingFrameError, match="Error reading from file") as raised:
            source.read_frame(0, 0, 2)
    assert system_failure(raised.value) is None
