"""A data set of many files that was mended in part is worked on in that part alone."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from zarr.core.sync import cleanup_resources

from accidents import happen
from encoded_data_sets import WRITERS, Written, write_data_set
from inline import run_inline
from movies import metadata_of
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.microscopy import FrameSource, load_microscopy_file, open_source
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.services import source_identity
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.source_identity import identify_own_files
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder
from runs import data_files, exact
from sources import image_path, write_image_folder, write_ome_tiff, write_zarr

OF_MANY_FILES = [
    "ome-tiff set",
    "micro-manager stacks",
    "ndtiff",
    "nis-elements folder",
    "micro-manager folder",
    "ome-zarr",
]


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind):
    yield
    cleanup_resources()


# What identifies the files of a position


def frames_of(source: FrameSource, fov: int) -> list[bytes | None]:
    """All that is read of a position, in its place; None for what is missing."""
    n_frames, about = source.metadata.fov_shapes[fov][0], source.metadata
    frames: list[bytes | None] = [repr((about.fov_shapes[fov], about.dtype)).encode()]
    for t, channel, z in np.ndindex(n_frames, about.n_channels, about.n_z):
        try:
            frames.append(source.read_frame(fov, channel, t, z).tobytes())
        except MissingFrameError:
            frames.append(None)
    return frames


def look_at(written: Written) -> list[tuple[SourceIdentity | None, list[bytes | None]]]:
    """What identifies each position, and all that is read of it; nothing of what is refused."""
    try:
        source, about = load_microscopy_file(written.path, z=0, **written.options)
    except InputError:
        return []
    with source:
        return [(own_files_of(source, f), frames_of(source, f)) for f in range(about.n_fovs)]


def own_files_of(source: FrameSource, fov: int) -> SourceIdentity | None:
    """What identifies a position; nothing where something that is no file is among its files."""
    try:
        return identify_own_files(source, fov)
    except InputError:
        return None


@pytest.mark.parametrize("kind", WRITERS)
def test_positions_whose_files_are_the_same_have_the_same_pixels_after_any_accident(kind, tmp_path):
    n_same = 0
    for seed in range(25):
        chance = random.Random(seed)
        _, written = write_data_set(kind, tmp_path / f"{seed}" / "data", chance)
        _, stranger = write_data_set(kind, tmp_path / f"{seed}" / "other", chance, data_set=1)
        before = look_at(written)
        assert [own for own, _ in look_at(written)] == [own for own, _ in before]
        after = look_at(happen(written, stranger, chance)[0])
        for (own, frames), (own_now, frames_now) in zip(before, after, strict=False):
            if own is not None and own_now is not None and own.is_same(own_now):
                assert frames == frames_now
                n_same += 1
    assert (n_same > 0) == (kind in OF_MANY_FILES)


@pytest.mark.parametrize("kind", OF_MANY_FILES)
def test_other_positions_are_the_same_when_the_files_of_one_are_replaced(kind, tmp_path):
    n_told_apart = 0
    for seed in range(20):
        _, written = write_data_set(kind, tmp_path / f"{seed}", random.Random(seed))
        source, about = load_microscopy_file(written.path, z=0, **written.options)
        with source:
            files = [
                set(found.files) if (found := source.own_files(fov)) else set()
                for fov in range(about.n_fovs)
            ]
            before = [identify_own_files(source, fov) for fov in range(about.n_fovs)]
        victims = files[-1].difference(*files[:-1])
        for victim in victims:
            content = victim.read_bytes()
            victim.unlink()
            victim.write_bytes(content)  # at another time
        if about.n_fovs < 2 or not victims:
            continue
        source, _ = load_microscopy_file(written.path, z=0, **written.options)
        with source:
            after = [identify_own_files(source, fov) for fov in range(about.n_fovs)]
        assert after[:-1] == before[:-1]
        assert after[-1] != before[-1]
        assert after[-1].may_be(before[-1])
        n_told_apart += 1
    assert n_told_apart > 0


# Runs


def request(out: Path) -> ProcessingContext:
    return ProcessingContext(output_dir=out, channels=Channels(pc=0, fl=[1]), params=exact())


def statuses(outcome) -> list[str]:
    return [str(outcome.fovs[fov].status) for fov in sorted(outcome.fovs)]


def standings(out: Path) -> list[str]:
    return [each["status"] for each in describe_folder(out)["fovs"].values()]


def files_of(source: Path, fov: int) -> list[Path]:
    """The files of pixels of a position, of either kind of data set."""
    folder = source / (f"Pos{fov}" if source.suffix == "" else f"{fov}.zarr/0")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def damage(source: Path, fov: int) -> dict[Path, bytes]:
    """Cut the files of a position off; return what they were."""
    whole = {path: path.read_bytes() for path in files_of(source, fov)}
    for path, content in whole.items():
        path.write_bytes(content[: len(content) // 3])
    return whole


def change(source: Path, fov: int) -> None:
    """Replace the files of a position by those of another movie of the same size."""
    for path in files_of(source, fov):
        content = bytearray(path.read_bytes())
        content[-3000:-2000] = content[-2000:-1000]
        path.unlink()
        path.write_bytes(content)


@pytest.fixture
def reads(monkeypatch) -> list[tuple[int, int]]:
    """Positions of which whole movies are read, not only a frame or two to look at them."""
    read, seen = FrameSource.read_frame, []

    def read_frame(self, fov, channel, t, z=None):
        seen.append((fov, t))
        return read(self, fov, channel, t, z)

    monkeypatch.setattr(FrameSource, "read_frame", read_frame)
    return seen


def read_whole(reads: list[tuple[int, int]]) -> set[int]:
    return {fov for fov, t in reads if t == 1}


@pytest.mark.parametrize("write", [write_image_folder, write_zarr])
def test_a_position_that_was_copied_again_is_worked_on_alone(tmp_path, write, reads):
    source, out, fresh = write(tmp_path), tmp_path / "out", tmp_path / "fresh"
    assert run_inline(metadata_of(source), request(fresh)).ok
    whole = damage(source, 1)
    assert statuses(run_inline(metadata_of(source), request(out))) == ["done", "failed"]
    assert standings(out) == ["done", "failed"]
    for path, content in whole.items():
        path.write_bytes(content)
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "done"]
    assert read_whole(reads) == {1}
    assert standings(out) == ["done", "done"]
    assert data_files(out) == data_files(fresh)
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "skipped"]


@pytest.mark.parametrize("write", [write_image_folder, write_zarr])
def test_a_position_that_is_another_by_now_is_made_anew_and_named(tmp_path, write, reads, caplog):
    source, out, fresh = write(tmp_path), tmp_path / "out", tmp_path / "fresh"
    assert run_inline(metadata_of(source), request(out)).ok
    before = data_files(out)
    change(source, 1)
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "done"]
    assert read_whole(reads) == {1}
    assert "FOV 1: its files of movie" in caplog.text
    assert "are others than were copied; it is made anew" in caplog.text
    after = data_files(out)
    assert before != after
    assert run_inline(metadata_of(source), request(fresh)).ok
    assert after == data_files(fresh)


def test_all_files_may_have_other_times_when_one_was_mended(tmp_path, reads):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    whole = damage(source, 1)
    assert statuses(run_inline(metadata_of(source), request(out))) == ["done", "failed"]
    before = data_files(out)
    for path in [*files_of(source, 0), *whole]:
        content = whole.get(path, path.read_bytes())
        path.unlink()
        path.write_bytes(content)
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "done"]
    assert read_whole(reads) == {0, 1}  # the pixels decide
    assert all(data_files(out)[name] == content for name, content in before.items())
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "skipped"]
    assert read_whole(reads) == set()


def test_a_frame_that_was_missing_and_comes_makes_its_position_anew(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    late = image_path(source, 0, 3, "GFP")
    content = late.read_bytes()
    late.unlink()
    assert run_inline(metadata_of(source), request(out)).ok
    late.write_bytes(content)
    assert statuses(run_inline(metadata_of(source), request(out))) == ["done", "skipped"]
    record = load_record(next((out / "fov_000").glob("*_record.json")))
    assert record is not None
    assert not any(entry.missing for entry in record.outputs.values())


def write_with_times_of_before(path: Path, content: bytes) -> None:
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("n_sampled", [1, 512])
def test_a_frame_that_was_damaged_is_looked_at_again_whatever_its_size_and_time(
    tmp_path, monkeypatch, n_sampled
):
    monkeypatch.setattr(source_identity, "_SAMPLED_OWN_FILES", n_sampled)
    source, out, fresh = write_image_folder(tmp_path), tmp_path / "out", tmp_path / "fresh"
    assert run_inline(metadata_of(source), request(fresh)).ok
    damaged = image_path(source, 1, 2, "GFP")
    content = damaged.read_bytes()
    write_with_times_of_before(damaged, bytes(len(content)))
    assert run_inline(metadata_of(source), request(out)).ok
    assert data_files(out) != data_files(fresh)
    write_with_times_of_before(damaged, content)
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "done"]
    assert data_files(out) == data_files(fresh)


def test_each_of_a_hundred_files_decides_whatever_its_size_and_time(tmp_path):
    source = write_image_folder(tmp_path)
    for t in range(1, 100):
        for channel in ("phase", "GFP"):
            shutil.copy2(image_path(source, 1, 0, channel), image_path(source, 1, t, channel))
    metadata = metadata_of(source)

    def identities() -> list[SourceIdentity | None]:
        with open_source(metadata) as opened:
            return [identify_own_files(opened, fov) for fov in range(2)]

    before, changed = identities(), image_path(source, 1, 37, "GFP")
    content = bytearray(changed.read_bytes())
    content[-10] ^= 1
    write_with_times_of_before(changed, bytes(content))
    first, second = identities()
    assert first == before[0]
    assert second is not None
    assert before[1] is not None
    assert not second.is_same(before[1])


def test_positions_that_come_after_the_others_are_added(tmp_path, reads):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    shutil.copytree(source / "Pos0", source / "Pos2")
    reads.clear()
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "skipped", "done"]
    assert read_whole(reads) == {2}


def test_positions_that_get_the_numbers_of_others_are_refused(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    shutil.copytree(source / "Pos1", source / "Pos2")
    assert run_inline(metadata_of(source), request(out)).ok
    before = data_files(out)
    shutil.rmtree(source / "Pos1")
    refusal = run_inline(metadata_of(source), request(out)).refusal
    assert refusal is not None
    assert "FOV 2 is the position 'Pos2', which is FOV 1 now" in refusal
    assert "choose another output folder" in refusal
    assert data_files(out) == before


def test_a_position_that_is_gone_is_named(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    shutil.copytree(source / "Pos1", source / "Pos2")
    assert run_inline(metadata_of(source), request(out)).ok
    shutil.rmtree(source / "Pos2")
    refusal = run_inline(metadata_of(source), request(out)).refusal
    assert refusal is not None
    assert "FOV 2 is the position 'Pos2', which is no longer there" in refusal


def test_a_position_that_moved_behind_another_is_named_with_its_new_number(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    for old, new in (("Pos1", "Pos2"), ("Pos0", "Pos1")):
        shutil.move(source / old, source / new)
    assert run_inline(metadata_of(source), request(out)).ok
    before = data_files(out)
    shutil.copytree(source / "Pos1", source / "Pos0")
    refusal = run_inline(metadata_of(source), request(out)).refusal
    assert refusal is not None
    assert "FOV 1 is the position 'Pos2', which is FOV 2 now" in refusal
    assert data_files(out) == before


@pytest.mark.parametrize("case", ["all changed", "older record", "one file", "of an older version"])
def test_what_cannot_be_told_apart_is_refused_and_stays(tmp_path, case):
    write = write_ome_tiff if case == "one file" else write_image_folder
    source, out = write(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    before = data_files(out)
    for path in out.rglob("*_record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert (record["own"] is None) == (case == "one file")
        if case == "older record":
            del record["own"]
        if case == "of an older version":  # which copied another state, and left what it knew not
            record["source"]["sample"] = "xxh3-128:0"
        path.write_text(json.dumps(record), encoding="utf-8")
    if case == "one file":
        content = bytearray(source.read_bytes())
        content[-9000:-8000] = bytes(1000)
        source.write_bytes(content)
    else:
        for fov in range(2 if case == "all changed" else 1):
            change(source, fov)
    refusal = run_inline(metadata_of(source), request(out)).refusal
    assert refusal is not None
    assert "earlier state" in refusal
    assert data_files(out) == before


def test_older_records_learn_which_files_are_theirs_while_nothing_changed(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    for path in out.rglob("*_record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["own"]
        path.write_text(json.dumps(record), encoding="utf-8")
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "skipped"]
    change(source, 1)
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "done"]


def test_a_step_alone_takes_a_position_whose_files_are_as_they_were(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    context = request(out)
    assert run_inline(metadata_of(source), context).ok
    before = data_files(out)
    change(source, 1)
    for service in (SegmentationService(), CopyingService()):
        service.process_fov(metadata_of(source), context, out, 0)
        with pytest.raises(InputError, match="results of other files"):
            service.process_fov(metadata_of(source), context, out, 1)
    assert data_files(out) == before


def test_parts_of_a_run_agree_on_what_was_replaced(tmp_path):
    source, out = write_image_folder(tmp_path), tmp_path / "out"
    assert run_inline(metadata_of(source), request(out)).ok
    change(source, 1)
    first = run_inline(metadata_of(source), request(out), shard="2/2")
    assert statuses(first) == ["done"]
    other = run_inline(metadata_of(source), request(out), shard="1/2")
    assert statuses(other) == ["skipped"]
    assert statuses(run_inline(metadata_of(source), request(out))) == ["skipped", "skipped"]
