"""A pipe, socket, device or folder in the place of a file is named at once, never waited for."""

from __future__ import annotations

import ast
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import pyama_core
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles
from pyama_core.errors import InputError, MissingFrameError, StorageError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.regular_files import (
    open_regular,
    open_unbuffered,
    read_regular,
    require_regular,
)
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.locks import LOCK_NAME, FolderLock
from pyama_core.io.storage.naming import LOG_NAME, find_records
from pyama_core.io.storage.records import load_record
from pyama_core.io.storage.stacks import StackReader
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.segmentation.from_files.segmenter import MaskFileSegmenter
from pyama_core.processing.workflow.run_log import run_log
from runs import data_files, run

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among the files of this system"),
    pytest.mark.timeout(60),
]

FRAME = np.arange(12, dtype=np.uint16).reshape(3, 4)


def make_socket(path: Path) -> None:
    # The names of sockets are short; a working directory may be long.
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def make_device(path: Path) -> None:
    """Link to a device that has no end."""
    path.symlink_to("/dev/zero")


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "a named pipe"),
    "socket": (make_socket, "a socket"),
    "device": (make_device, "a device"),
    "folder": (Path.mkdir, "a folder"),
}
WAYS = [open_regular, open_unbuffered, read_regular, require_regular]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Return what makes something that is no regular file and says what it is called."""
    make_one, words = KINDS[request.param]

    def replace(path: Path) -> str:
        path.unlink(missing_ok=True)
        make_one(path)
        return f"not a regular file but {words}"

    return replace


@pytest.fixture(params=["pipe", "socket", "device"])
def make_no_folder(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Return the same without the folder, where that is another kind of input."""
    make_one, words = KINDS[request.param]

    def replace(path: Path) -> str:
        path.unlink(missing_ok=True)
        make_one(path)
        return f"not a regular file but {words}"

    return replace


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_regular_file_is_refused_in_words(
    make: Callable[[Path], str], way: Callable[[Path], object], tmp_path: Path
) -> None:
    words = make(tmp_path / "a")
    with pytest.raises(OSError, match="not a regular file") as caught:
        way(tmp_path / "a")
    assert words in str(caught.value.strerror)
    assert caught.value.filename == str(tmp_path / "a")


def test_a_regular_file_is_read_as_ever_and_what_is_absent_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "ä b"
    path.write_bytes(b"12345")
    require_regular(path)
    assert read_regular(path) == b"12345"
    with open_regular(path) as file, open_unbuffered(path) as raw:
        assert (file.read(2), raw.read(2), file.name) == (b"12", b"12", path)
        assert os.get_blocking(file.fileno())
    for way in WAYS:
        with pytest.raises(FileNotFoundError):
            way(tmp_path / "absent")


def test_a_file_that_another_program_has_a_lease_on_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opens = tmp_path / "a", os.open
    path.write_bytes(b"1")

    def leased(name: str, flags: int) -> int:
        if flags & os.O_NONBLOCK:
            raise BlockingIOError(11, "Resource temporarily unavailable", name)
        return opens(name, flags)

    monkeypatch.setattr(os, "open", leased)
    assert read_regular(path) == b"1"


@pytest.mark.parametrize(
    "name", ["a.nd2", "a.czi", "a.tif", "a.ome.tif", "a.companion.ome", "a.png", "a.lif", "a"]
)
def test_a_microscope_file_that_is_none_is_refused(
    make_no_folder: Callable[[Path], str], name: str, tmp_path: Path
) -> None:
    words = make_no_folder(tmp_path / name)
    with pytest.raises(InputError) as caught:
        load_microscopy_file(tmp_path / name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_an_image_in_a_folder_that_is_none_is_named_when_it_is_read(
    make_no_folder: Callable[[Path], str], ending: str, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for t in range(3):
        write_image(folder / f"xy1t{t}.{ending}")
    source, _ = load_microscopy_file(folder)
    words = make_no_folder(folder / f"xy1t1.{ending}")
    with source, pytest.raises(MissingFrameError) as caught:
        source.read_frame(0, 0, 1)
    assert words in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)  # not a frame that was never taken


def write_image(path: Path) -> None:
    if path.suffix == ".tif":
        tifffile.imwrite(path, FRAME)
    else:
        import cv2

        assert cv2.imwrite(str(path), FRAME)


def test_notes_of_micro_manager_that_are_no_file_are_left_out_with_a_warning(
    make_no_folder: Callable[[Path], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "Pos0"
    folder.mkdir()
    write_image(folder / "img_000000000_GFP_000.tif")
    words = make_no_folder(folder / "metadata.txt")
    source, _ = load_microscopy_file(tmp_path)
    source.close()
    assert words in caplog.text


def test_a_file_of_an_ome_tiff_that_is_none_is_named_as_what_it_is(
    make_no_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    text = tifffile.OmeXml()
    text.addimage("uint16", (3, 4), (1, 1, 1, 3, 4, 1), axes="YX")
    named = text.tostring().replace(
        '<TiffData IFD="0" PlaneCount="1"/>',
        '<TiffData IFD="0" PlaneCount="1"><UUID FileName="b.ome.tif">urn:uuid:1</UUID></TiffData>',
    )
    (tmp_path / "a.companion.ome").write_text(named, "utf-8")
    words = make_no_folder(tmp_path / "b.ome.tif")
    with pytest.raises(InputError) as caught:
        load_microscopy_file(tmp_path / "a.companion.ome")
    assert f"b.ome.tif is {words}" in str(caught.value)


def test_a_document_of_an_ome_zarr_that_is_no_file_is_refused(
    make_no_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    words = make_no_folder(folder / ".zattrs")
    with pytest.raises(InputError) as caught:
        load_microscopy_file(folder)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["masks.png", "masks.tif", "masks.npy"])
def test_masks_that_are_no_file_are_refused(
    make_no_folder: Callable[[Path], str], name: str, tmp_path: Path
) -> None:
    words = make_no_folder(tmp_path / name)
    segmenter = MaskFileSegmenter(MaskFileParameters(path=str(tmp_path / name)))
    with pytest.raises(InputError) as caught:
        segmenter.segment(FRAME)
    assert words in str(caught.value)


@pytest.fixture(scope="module")
def finished(demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "out"
    assert run(demo, folder, fovs=[0]).exit_code == 0
    return folder


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(finished, tmp_path / "out")
    yield tmp_path / "out"
    shutil.rmtree(tmp_path / "out")


def test_a_record_that_is_no_file_counts_as_absent(
    make: Callable[[Path], str], results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = find_records(results)
    words = make(record)
    assert load_record(record) is None
    assert words in caplog.text


def test_a_lock_that_is_no_file_is_named_and_never_deleted(
    make: Callable[[Path], str], tmp_path: Path
) -> None:
    words = make(tmp_path / LOCK_NAME)
    os.utime(tmp_path / LOCK_NAME, (0, 0), follow_symlinks=False)
    with pytest.raises(StorageError) as caught:
        FolderLock.acquire(tmp_path)
    assert words in str(caught.value)
    assert os.path.lexists(tmp_path / LOCK_NAME)


def test_a_log_that_is_no_file_is_refused(
    make_no_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    words = make_no_folder(tmp_path / LOG_NAME)
    with pytest.raises(StorageError) as caught, run_log(tmp_path):
        pass
    assert words in str(caught.value)


def test_outputs_that_are_no_files_are_made_again(
    demo: DemoFiles, results: Path, make_no_folder: Callable[[Path], str]
) -> None:
    before = data_files(results)
    for path in [*results.rglob("*_seg_ch_0.npy"), *results.rglob("*_tracks.csv")]:
        words = make_no_folder(path)
    assert run(demo, results, fovs=[0]).exit_code == 0
    assert data_files(results) == before
    (copy,) = results.rglob("*_pc_ch_0.npy")
    make_no_folder(copy)
    with pytest.raises(InputError, match="not a regular file") as caught:
        StackReader(copy)
    assert words in str(caught.value)
    (record,) = find_records(results)
    known = load_record(record)
    assert known is not None
    damage = FovFolder(results, known.base_name, 0, known.source).find_damage()
    assert list(damage) == [copy.name]


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "PATH"],
        ["run", "PATH", "-o", "out", "--pc", "0", "--fl", "0"],
        ["run", "--config", "PATH"],
    ],
)
def test_the_command_says_so_in_one_line(
    make_no_folder: Callable[[Path], str], command: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.yaml"
    words = make_no_folder(path)
    told = CliRunner().invoke(app, [word.replace("PATH", str(path)) for word in command])
    assert told.exit_code == 2
    assert told.output.splitlines() == [told.output.rstrip("\n")]
    assert words in told.output
    assert list(tmp_path.iterdir()) == [path]


_READING = ("read_bytes", "read_text", "fromfile", "open_memmap")


def test_files_are_opened_for_reading_in_one_place_only() -> None:
    """What libraries open by name (`TiffFile`, `np.load`) stands behind `require_regular`."""
    root = Path(pyama_core.__file__).parent
    allowed = {
        "cli/streams.py": 1,  # the null device
        "io/storage/host.py": 1,  # the kernel's name for this boot
        "report/page.py": 1,  # a part of the package
        "io/storage/atomic.py": 1,  # Windows flushes through a handle that may write
    }
    found: dict[str, int] = {}
    for path in root.rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        count = sum(map(_reads, calls))
        if count and path.name != "regular_files.py":
            found[path.relative_to(root).as_posix()] = count
    assert found == allowed


def _reads(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name != "open":
        return name in _READING
    of = ast.unparse(call.func)
    if of in ("os.open", "open"):
        return of == "open" or not any("O_WRONLY" in ast.unparse(a) for a in call.args[1:])
    # A path is opened in a mode; what else has a method `open` takes none.
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    told = {"encoding", "newline", "buffering", "mode"} & {word.arg for word in call.keywords}
    return (bool(modes) and modes[0][0] not in "xwa" and set(modes[0]) <= set("rb+t")) or (
        bool(told) and not modes
    )
