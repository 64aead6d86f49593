"""What happens to a source while it is copied is noticed, and what was read then does not count."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import fsspec
import fsspec.asyn
import pytest

from inline import run_inline
from movies import metadata_of
from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import FrameSource
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import exact
from sources import (
    chunk_path,
    image_path,
    write_image_folder,
    write_ome_tiff,
    write_zarr,
)

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")


def request(out: Path) -> ProcessingContext:
    return ProcessingContext(output_dir=out, channels=Channels(pc=0, fl=[1]), params=exact())


@pytest.fixture
def meanwhile(monkeypatch) -> Callable[[int, Callable[[], object]], None]:
    """Let something happen when the last frame of a position is read for the first time."""

    def arrange(fov: int, action: Callable[[], object]) -> None:
        read, left = FrameSource.read_frame, [action]

        def read_frame(self, f, channel, t, z=None):
            if (f, t) == (fov, self.metadata.shape_of(f)[0] - 1) and left:
                left.pop()()
            return read(self, f, channel, t, z)

        monkeypatch.setattr(FrameSource, "read_frame", read_frame)

    return arrange


@pytest.fixture(autouse=True, scope="module")
def _event_loop_of_fsspec() -> None:
    """Start what lives as long as the process."""
    fsspec.asyn.get_loop()


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def replace(path: Path) -> None:
    shutil.copyfile(path, path.with_suffix(".other"))
    path.with_suffix(".other").replace(path)


def statuses(outcome) -> list[str]:
    return [found.status for _, found in sorted(outcome.fovs.items())]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (touch, "movie.ome.tif was written to or replaced"),
        (replace, "movie.ome.tif was written to or replaced"),
        (grow, r"movie.ome.tif had \d+ bytes and has \d+"),
    ],
)
def test_positions_copied_while_their_file_changes_fail_and_earlier_ones_stay(
    tmp_path, meanwhile, change, words
):
    movie, out = write_ome_tiff(tmp_path), tmp_path / "out"
    meanwhile(1, lambda: change(movie))
    outcome = run_inline(metadata_of(movie), request(out), batch_size=1)
    assert (outcome.exit_code, statuses(outcome)) == (1, ["done", "failed"])
    assert outcome.fovs[1].step == "copying"
    with pytest.raises(
        AssertionError, match=f"FOV 1, copying: .*changed while it was read: {words}"
    ):
        raise AssertionError(outcome.fovs[1].error)
    assert not list((out / "fov_001").glob("*.npy"))


def test_a_run_all_of_which_failed_for_that_takes_the_source_as_it_is_then(tmp_path, meanwhile):
    movie, out = write_ome_tiff(tmp_path), tmp_path / "out"
    meanwhile(0, lambda: grow(movie))
    assert statuses(run_inline(metadata_of(movie), request(out))) == ["failed", "failed"]
    assert statuses(run_inline(metadata_of(movie), request(out))) == ["done", "done"]


@pytest.mark.parametrize("change", [touch, grow, Path.unlink])
def test_of_many_files_those_of_the_position_count(tmp_path, meanwhile, change):
    folder, out = write_image_folder(tmp_path), tmp_path / "out"
    changed = image_path(folder, 1, 0, "GFP")
    meanwhile(1, lambda: change(changed))
    outcome = run_inline(metadata_of(folder), request(out), batch_size=1)
    assert statuses(outcome) == ["done", "failed"]
    assert changed.name in (outcome.fovs[1].error or "")


def test_images_of_another_position_do_not_matter_to_this_one(tmp_path, meanwhile):
    folder, out = write_image_folder(tmp_path), tmp_path / "out"
    meanwhile(0, lambda: touch(image_path(folder, 1, 0, "GFP")))
    outcome = run_inline(metadata_of(folder), request(out), batch_size=1)
    assert statuses(outcome) == ["done", "failed"]


@pytest.mark.parametrize("place", ["Pos0", "Pos2", "."])
def test_a_folder_that_gains_images_is_not_complete(tmp_path, meanwhile, place):
    folder, out = write_image_folder(tmp_path), tmp_path / "out"

    def gain() -> None:
        (folder / place).mkdir(exist_ok=True)
        new = folder / place / "img_000000005_GFP_000.tif"
        shutil.copyfile(image_path(folder, 0, 0, "GFP"), new)

    meanwhile(0, gain)
    outcome = run_inline(metadata_of(folder), request(out), fovs=[0])
    assert statuses(outcome) == ["failed"]
    assert "img_000000005_GFP_000.tif is new" in (outcome.fovs[0].error or "")


def test_other_files_that_come_into_the_folder_do_not_matter(tmp_path, meanwhile):
    folder, out = write_image_folder(tmp_path), tmp_path / "movie" / "results"

    def gain() -> None:
        (folder / "Pos0" / "notes.txt").write_text("nothing", encoding="utf-8")
        (folder / "Pos0" / "._img_000000005_GFP_000.tif").write_text("macOS", encoding="utf-8")

    metadata = metadata_of(folder)
    meanwhile(0, gain)
    assert statuses(run_inline(metadata, request(out))) == ["done", "done"]


@pytest.mark.parametrize("what", ["rewritten", "new", "document"])
def test_chunks_of_a_zarr_are_files_of_the_position(tmp_path, meanwhile, what):
    store, out = write_zarr(tmp_path), tmp_path / "out"
    chunk = chunk_path(store, 1, 2, 1)

    def change() -> None:
        if what == "rewritten":
            chunk.write_bytes(bytes(chunk.stat().st_size))
        elif what == "document":
            touch(chunk.parent / ".zarray")
        else:
            shutil.copyfile(chunk, chunk.with_name("5.1.0.0"))

    metadata = metadata_of(store)
    meanwhile(1, change)
    outcome = run_inline(metadata, request(out), batch_size=1)
    assert statuses(outcome) == ["done", "failed"]
    name = {"rewritten": "2.1.0.0", "new": "5.1.0.0 is new", "document": ".zarray"}[what]
    assert name in (outcome.fovs[1].error or "")


def test_an_array_behind_a_url_that_is_described_anew_is_noticed(tmp_path, meanwhile):
    store, out = write_zarr(tmp_path), tmp_path / "out"
    document = chunk_path(store, 1, 0, 0).parent / ".zarray"
    memory = fsspec.filesystem("memory")
    memory.put(str(store), "/pyama/movie.zarr", recursive=True)

    def grow() -> None:
        text = document.read_text(encoding="utf-8").replace("[5,", "[6,")
        memory.pipe("/pyama/movie.zarr/1.zarr/0/.zarray", text.encode())

    try:
        metadata = metadata_of("memory://pyama/movie.zarr")
        meanwhile(1, grow)
        outcome = run_inline(metadata, request(out), batch_size=1)
    finally:
        memory.rm("/pyama", recursive=True)
    assert statuses(outcome) == ["done", "failed"]
    assert "1.zarr/0/.zarray is another" in (outcome.fovs[1].error or "")


def test_once_it_changed_no_more_is_read(tmp_path, monkeypatch):
    movie, out, read = write_ome_tiff(tmp_path), tmp_path / "out", []
    metadata = metadata_of(movie)
    really = FrameSource.read_frame

    def read_frame(self, fov, *where):
        if not read and where[1] == 0 and len(where) > 2:
            touch(movie)
        read.append(fov)
        return really(self, fov, *where)

    monkeypatch.setattr(FrameSource, "read_frame", read_frame)
    outcome = run_inline(metadata, request(out), batch_size=1)
    assert statuses(outcome) == ["failed", "failed"]
    assert len(read) < 10 + 12  # position 0, and a look for dark channels


def test_copying_alone_notices_too(tmp_path, meanwhile):
    movie, out = write_ome_tiff(tmp_path), tmp_path / "out"
    metadata, context = metadata_of(movie), request(out)
    meanwhile(0, lambda: touch(movie))
    with pytest.raises(InputError, match="changed while it was read"):
        CopyingService().process_fov(metadata, context, out, 0)
    assert not list(out.rglob("*.npy"))
