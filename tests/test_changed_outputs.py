"""What a person made of an output is never destroyed: it is kept aside, and named."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from inline import run_inline
from pyama_core.cli.app import app
from pyama_core.demo import write_demo
from pyama_core.errors import StorageError
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.storage import artifacts, as_written
from pyama_core.io.storage import fov_folder as fov_folder_module
from pyama_core.io.storage.artifacts import find_kept_aside
from pyama_core.io.storage.atomic import temporary_path
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.records import FovRecord, Provenance
from pyama_core.outputs import FL_CORRECTED, TRACES_CSV, Form, Output
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import data_files, describe, made_files, new_context

TABLE = "fov_000/demo_fov_000_traces_ch_1.csv"
TRACKS = "fov_000/demo_fov_000_tracks.csv"
STACK = "fov_000/demo_fov_000_fl_corrected_ch_1.npy"
SEG = "fov_000/demo_fov_000_seg_ch_0.npy"
KEPT = "fov_000/demo_fov_000_traces_ch_1.changed.csv"


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("movie"), fovs=1, frames=6, size=96, seed=2)


@pytest.fixture(scope="module")
def whole(movie, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_inline(describe(movie), new_context(out)).ok
    return out


@pytest.fixture
def out(whole, tmp_path):
    """A finished output folder with the times that its files had."""
    return shutil.copytree(whole, tmp_path / "out")


def rerun(movie, out, *, check=False, **params) -> None:
    assert run_inline(describe(movie), new_context(out, **params), check=check).ok


def edit(out, name, *, keep_time=False) -> bytes:
    """Change a byte, as somebody would who knows why; the size stays."""
    path = out / name
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    later = status.st_mtime_ns + (0 if keep_time else 10**9)
    os.utime(path, ns=(status.st_atime_ns, later))
    return bytes(content)


def kept(out) -> dict[str, bytes]:
    return {name: data for name, data in data_files(out).items() if ".changed" in name}


@pytest.mark.parametrize("name", [TABLE, TRACKS, STACK, SEG])
def test_a_changed_output_is_kept_under_a_name_that_says_so(movie, whole, out, caplog, name):
    content = edit(out, name)
    rerun(movie, out)
    place = name.replace(".csv", ".changed.csv").replace(".npy", ".changed.npy")
    assert kept(out) == {place: content}
    assert made_files(out) == data_files(whole)
    assert f"kept as {place.removeprefix('fov_000/')}" in caplog.text
    assert describe_folder(out)["fovs"]["0"]["kept_aside"] == [place.removeprefix("fov_000/")]
    assert verify_folder(out) == {}


def test_a_table_that_is_longer_by_a_line_is_kept(movie, whole, out):
    with (out / TABLE).open("a") as file:
        file.write("a note\n")
    content = (out / TABLE).read_bytes()
    rerun(movie, out)
    assert kept(out) == {KEPT: content}
    assert made_files(out) == data_files(whole)


def test_each_change_is_kept_under_a_name_of_its_own(movie, out):
    first = edit(out, TABLE)
    rerun(movie, out)
    (out / TABLE).write_text("another")
    rerun(movie, out)
    assert list(kept(out).values()) == [b"another", first]
    assert len(describe_folder(out)["fovs"]["0"]["kept_aside"]) == 2


def test_a_change_is_kept_where_other_parameters_ask_for_a_new_table(movie, out, caplog):
    content = edit(out, TABLE)
    rerun(movie, out, extraction={"min_frames": 2})
    assert kept(out) == {KEPT: content}
    caplog.clear()
    rerun(movie, out, extraction={"min_frames": 3})
    assert kept(out) == {KEPT: content}
    assert "changed" not in caplog.text


def test_a_table_whose_change_shows_in_its_content_alone_is_kept(movie, out):
    """As where times are coarse, or were set back."""
    content = edit(out, TABLE, keep_time=True)
    rerun(movie, out, extraction={"min_frames": 2})
    assert kept(out) == {KEPT: content}


@pytest.mark.parametrize("name", [TABLE, STACK])
def test_checking_keeps_what_it_finds_changed(movie, whole, out, name):
    content = edit(out, name, keep_time=True)
    rerun(movie, out, check=True)
    assert list(kept(out).values()) == [content]
    assert made_files(out) == data_files(whole)


def test_what_checking_found_is_kept_by_a_later_run_if_it_was_stopped(movie, out, monkeypatch):
    content = edit(out, TABLE, keep_time=True)
    with monkeypatch.context() as patch:
        patch.setattr(FovFolder, "write_table", failing)
        assert not run_inline(describe(movie), new_context(out), check=True).ok
    rerun(movie, out)
    assert kept(out) == {KEPT: content}


def failing(*_args):
    raise StorageError("the disk is full")


def test_a_changed_stack_is_not_released_but_kept(out, caplog):
    content = edit(out, STACK)
    released = release_stacks(out, ["fl_corrected"])
    assert released.n_files == 1  # that of the other channel
    assert list(kept(out).values()) == [content]
    assert "kept as" in caplog.text
    assert not (out / STACK).exists()


def test_what_is_put_in_the_place_of_a_released_stack_is_kept(movie, out):
    release_stacks(out, ["fl_corrected"])
    np.save(out / STACK, np.zeros((6, 96, 96), np.float32))
    content = (out / STACK).read_bytes()
    assert release_stacks(out, ["fl_corrected"]).n_files == 0
    assert list(kept(out).values()) == [content]
    rerun(movie, out, extraction={"min_frames": 2})
    assert list(kept(out).values()) == [content]


def test_a_table_that_no_record_speaks_of_is_kept_unless_it_comes_out_the_same(movie, whole, out):
    content = edit(out, TABLE)
    (out / "fov_000" / "demo_fov_000_record.json").unlink()
    rerun(movie, out)
    assert kept(out) == {KEPT: content}
    assert made_files(out) == data_files(whole)


def test_a_table_that_was_changed_after_a_new_start_of_the_computer_is_kept(
    movie, out, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(FovFolder, "make_durable", lambda *_: None)
        rerun(movie, out, extraction={"min_frames": 2})
    monkeypatch.setattr(as_written, "boot_identity", lambda: "the boot after")
    content = edit(out, TABLE)
    rerun(movie, out)
    assert kept(out) == {KEPT: content}


def test_what_is_only_touched_is_nobodys_work(movie, out, caplog):
    for path in (out / "fov_000").iterdir():
        os.utime(path, (1e9, 1e9))
    rerun(movie, out, segmentation={"n_sigma": 2.0})
    assert kept(out) == {}
    assert "changed since" not in caplog.text


def test_status_and_verify_say_in_words_what_became_of_a_change(movie, out, caplog):
    edit(out, TABLE)
    found = CliRunner().invoke(app, ["verify", str(out)])
    assert found.exit_code == 1
    assert "1 damaged or changed; pyama run --check makes them anew, and keeps" in found.stderr
    rerun(movie, out)
    shown = CliRunner().invoke(app, ["status", str(out)]).stdout
    assert "kept beside its outputs, for somebody changed it: demo_fov_000_traces" in shown
    (out / KEPT).unlink()
    assert "changed it" not in CliRunner().invoke(app, ["status", str(out)]).stdout


# One folder of a field of view

SOURCE = SourceIdentity(size=1, mtime_ns=2, sample="xxh3-128:00")
OUTPUT = Output(TRACES_CSV, 1)
STORE = Output(replace(FL_CORRECTED, name="store", form=Form.FOLDER, suffix=".zarr"), 1)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fov_000").mkdir()
    lock = FolderLock.acquire(tmp_path / "fov_000")
    yield FovFolder(tmp_path, "demo", 0, SOURCE, lock.ticket)
    lock.release()


def planned(output=OUTPUT, **parameters) -> PlannedOutput:
    return PlannedOutput(
        output, Provenance(step="extraction", algorithm="a/1", parameters=parameters, inputs={})
    )


def reopened(folder) -> FovFolder:
    return FovFolder(folder.path.parent, "demo", 0, SOURCE, folder._ticket)


@pytest.mark.parametrize("before", [True, False], ids=["over an older one", "the first"])
@pytest.mark.parametrize("when", ["before the rename", "after the rename"])
def test_what_a_killed_process_leaves_is_nobodys_work(folder, monkeypatch, before, when):
    if before:
        folder.write_table(planned(), ["old"], {})

    def die(temporary, final):
        if when == "after the rename":
            temporary.replace(final)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fov_folder_module, "put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            folder.write_table(planned(min_frames=1), ["new"], {})
    later = reopened(folder)
    later.write_table(planned(min_frames=2), ["newest"], {})
    assert later.path_of(OUTPUT).read_text() == "newest"
    assert find_kept_aside(folder.path, "demo") == []
    assert later.record.replaceable == {}


def test_a_file_of_a_forgotten_entry_is_nobodys_work(folder):
    folder.write_table(planned(), ["old"], {})
    folder.forget(folder.path_of(OUTPUT).name)
    reopened(folder).write_table(planned(min_frames=1), ["new"], {})
    assert find_kept_aside(folder.path, "demo") == []


def test_an_older_record_knows_of_nothing_replaceable_and_stays_valid(folder):
    folder.write_table(planned(), ["old"], {})
    content = json.loads(folder.record.to_json())
    del content["replaceable"]
    assert FovRecord.from_json(json.dumps(content)) == folder.record


def test_what_the_data_cannot_give_takes_the_place_of_nobodys_work_only(folder, caplog):
    output = Output(FL_CORRECTED, 1)
    folder.path_of(output).write_bytes(b"mine")
    folder.note_not_made(planned(output), (1, 2, 2), np.float32, [], "too crowded")
    assert not folder.path_of(output).exists()
    (name,) = find_kept_aside(folder.path, "demo")
    assert (folder.path / name).read_bytes() == b"mine"
    assert name in caplog.text


def fill(folder, content: str, **parameters) -> None:
    with folder.new_folder(planned(STORE, **parameters)) as path:
        (path / "0").mkdir()
        (path / "0" / "chunk").write_text(content)


def test_a_folder_in_which_one_file_was_changed_is_kept_as_a_whole(folder):
    fill(folder, "old")
    fill(folder, "new", z=1)
    assert find_kept_aside(folder.path, "demo") == []
    (folder.path_of(STORE) / "note.txt").write_text("mine")
    fill(folder, "newest", z=2)
    assert find_kept_aside(folder.path, "demo") == ["demo_fov_000_fl_corrected_ch_1.changed.zarr"]
    aside = folder.path / "demo_fov_000_fl_corrected_ch_1.changed.zarr"
    assert (aside / "note.txt").read_text() == "mine"
    assert (aside / "0" / "chunk").read_text() == "new"
    assert (folder.path_of(STORE) / "0" / "chunk").read_text() == "newest"
    assert not (folder.path_of(STORE) / "note.txt").exists()


def test_a_link_that_a_user_made_is_kept_and_what_it_leads_to_is_not_touched(folder, tmp_path):
    if os.name == "nt":
        pytest.skip("links need a privilege here")
    elsewhere = tmp_path / "elsewhere.csv"
    folder.path_of(OUTPUT).symlink_to(elsewhere)  # not there now: a disk that is not plugged in
    folder.write_table(planned(), ["new"], {})
    assert not elsewhere.exists()
    assert folder.path_of(OUTPUT).read_text() == "new"
    (name,) = find_kept_aside(folder.path, "demo")
    assert (folder.path / name).readlink() == elsewhere


def test_what_cannot_be_renamed_stays_and_the_error_names_it(folder, monkeypatch):
    folder.write_table(planned(), ["old"], {})
    folder.path_of(OUTPUT).write_text("mine")

    def refuse(_temporary, final, about=None):
        raise StorageError(f"cannot replace {about or final}")

    monkeypatch.setattr(artifacts, "move_into_place", refuse)
    with pytest.raises(StorageError, match=r"traces_ch_1\.csv$"):
        folder.write_table(planned(min_frames=1), ["new"], {})
    assert folder.path_of(OUTPUT).read_text() == "mine"


def test_names_of_other_files_are_not_taken_for_kept_ones(folder):
    for name in ("demo_fov_000_a.unchanged.csv", "demo_fov_000.changed.by.me", "x.changed.csv"):
        (folder.path / name).touch()
    remains = temporary_path(folder.path / "demo_fov_000_a.changed.csv")
    remains.touch()
    assert find_kept_aside(folder.path, "demo") == []
    remains.unlink()


def test_words_of_what_is_kept_are_a_warning(folder, caplog):
    folder.path_of(OUTPUT).write_text("mine")
    folder.write_table(planned(), ["new"], {})
    (found,) = [each for each in caplog.records if "kept as" in each.message]
    assert found.levelno == logging.WARNING
