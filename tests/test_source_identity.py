"""A data set is the same one wherever it lies and whenever it was touched: its pixels decide."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core.io.checksums import identify_source
from pyama_core.io.readers.frame_source import FrameSource
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import data_files, exact
from sources import write_image_folder, write_ome_tiff, write_zarr

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")
WRITERS = [write_ome_tiff, write_image_folder, write_zarr]


def request(out: Path) -> ProcessingContext:
    return ProcessingContext(output_dir=out, channels=Channels(pc=0, fl=[1]), params=exact())


def statuses(outcome) -> set[str]:
    return {str(found.status) for found in outcome.fovs.values()}


def touch_all(path: Path) -> None:
    for index, file in enumerate([path, *path.rglob("*")]):
        os.utime(file, (1_000_000_000 + index, 1_000_000_000 + index))


def as_before(out: Path) -> None:
    """Make records as they were when no content was noted without times, nor files of a FOV."""
    for path in out.rglob("*_record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record.pop("seen_source")
        record.pop("own")
        record["source"].pop("content")
        for entry in record["outputs"].values():
            entry.pop("not_made")
        path.write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """Positions that planes are read of."""
    read, seen = FrameSource.read_frame, []

    def read_frame(self, fov, *where):
        seen.append(fov)
        return read(self, fov, *where)

    monkeypatch.setattr(FrameSource, "read_frame", read_frame)
    return seen


@pytest.mark.parametrize("is_older", [False, True], ids=["record", "older record"])
@pytest.mark.parametrize("write", WRITERS)
def test_a_touched_source_keeps_its_results(tmp_path, write, is_older, reads):
    source, out = write(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    before = data_files(out)
    if is_older:
        as_before(out)
    touch_all(source)
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == {"skipped"}
    assert {0, 1} <= set(reads)
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == {"skipped"}
    assert len(reads) <= 12  # a look for dark channels
    assert data_files(out) == before


@pytest.mark.parametrize("write", WRITERS)
def test_a_copy_on_another_disk_keeps_its_results(tmp_path, write):
    source, out = write(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    other = tmp_path / "other disk" / source.name
    other.parent.mkdir()
    if source.is_dir():
        shutil.copytree(source, other, copy_function=shutil.copyfile)  # times are not kept
    else:
        shutil.copyfile(source, other)
    shutil.rmtree(source) if source.is_dir() else source.unlink()
    assert statuses(run_inline(metadata_of(other), request(out))) == {"skipped"}


@pytest.mark.parametrize("is_older", [False, True], ids=["record", "older record"])
@pytest.mark.parametrize("write", WRITERS)
def test_another_data_set_of_the_same_name_and_size_is_refused(tmp_path, write, is_older):
    source, out = write(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    before = data_files(out)
    if is_older:
        as_before(out)
    files = [path for path in [source, *source.rglob("*")] if path.is_file()]
    for file in files:
        content = file.read_bytes()
        if len(content) > 5000:
            middle = len(content) // 2
            file.write_bytes(content[:middle] + bytes(5) + content[middle + 5 :])
    outcome = run_inline(metadata_of(source), request(out))
    assert not outcome.ok
    told = outcome.refusal or str(outcome.fovs[0].error)
    assert "earlier state" in told
    assert data_files(out) == before


def change_beyond_the_samples(path: Path) -> None:
    """Change one pixel that the sampled checksum does not see, and the time of the file."""
    known, content = identify_source([path]), bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content), 7001):
        content[at] ^= 255
        path.write_bytes(content)
        if identify_source([path]).content == known.content:
            return
        content[at] ^= 255
    raise AssertionError("every byte is sampled")


def test_a_pixel_that_no_sample_sees_is_found_and_its_position_made_anew(tmp_path, caplog):
    positions = [rough_squares(4, 600, ((100, 100), (300, 300)), seed=fov) for fov in range(2)]
    movie, out = tmp_path / "movie.ome.tif", tmp_path / "out"
    write_movie(movie, positions, ["phase", "GFP"], 2.0)
    assert run_inline(metadata_of(movie), request(out)).ok
    change_beyond_the_samples(movie)
    outcome = run_inline(metadata_of(movie), request(out))
    assert [outcome.fovs[fov].status for fov in (0, 1)] == ["skipped", "done"]
    assert "FOV 1: movie.ome.tif has other pixels than were copied" in caplog.text
    fresh = tmp_path / "fresh"
    assert run_inline(metadata_of(movie), request(fresh)).ok
    assert data_files(out) == data_files(fresh)


def test_copies_that_were_released_are_compared_all_the_same(tmp_path):
    movie, out = write_ome_tiff(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(movie), request(out)).ok
    release_stacks(out, ["pc", "fl"])
    before = data_files(out)
    touch_all(movie)
    assert statuses(run_inline(metadata_of(movie), request(out))) == {"skipped"}
    assert data_files(out) == before


def test_channels_that_were_not_asked_for_again_are_compared_too(tmp_path, reads):
    pixels = [np.concatenate([rough_squares(5, 64, ((6, 6),))] * 2, axis=1)] * 2
    movie, out = tmp_path / "movie.ome.tif", tmp_path / "out"
    write_movie(movie, pixels, ["phase", "GFP", "phase 2", "RFP"], 2.0)
    both = ProcessingContext(output_dir=out, channels=Channels(0, [1, 3]), params=exact())
    assert run_inline(metadata_of(movie), both).ok
    before = data_files(out)
    touch_all(movie)
    assert statuses(run_inline(metadata_of(movie), request(out))) == {"skipped"}
    again = ProcessingContext(output_dir=out, channels=Channels(0, [1, 3]), params=exact())
    assert statuses(run_inline(metadata_of(movie), again)) == {"skipped"}
    assert data_files(out) == before


def test_a_later_step_alone_takes_a_touched_source(tmp_path):
    movie, out = write_ome_tiff(tmp_path), tmp_path / "out"
    context = request(out)
    assert run_inline(metadata_of(movie), context).ok
    before = data_files(out)
    touch_all(movie)
    SegmentationService().process_fov(metadata_of(movie), context, out, 0)
    assert data_files(out) == before


def test_a_run_that_is_stopped_while_it_compares_keeps_everything(tmp_path, monkeypatch):
    movie, out = write_ome_tiff(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(movie), request(out)).ok
    before = data_files(out)
    touch_all(movie)
    read, cancel = FrameSource.read_frame, threading.Event()

    def read_frame(self, fov, channel, t, z=None):
        if (fov, t, z) == (1, 2, 0):
            cancel.set()
        return read(self, fov, channel, t, z)

    monkeypatch.setattr(FrameSource, "read_frame", read_frame)
    outcome = run_inline(metadata_of(movie), request(out), cancel=cancel)
    assert outcome.exit_code == 130
    monkeypatch.undo()
    assert data_files(out) == before
    assert statuses(run_inline(metadata_of(movie), request(out))) == {"skipped"}
