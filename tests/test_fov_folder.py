from __future__ import annotations

import json
import os

import numpy as np
import pytest

from pyama_core.errors import DamagedFileError, FolderBusyError, InputError
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.storage import as_written
from pyama_core.io.storage import fov_folder as fov_folder_module
from pyama_core.io.storage.atomic import temporary_path
from pyama_core.io.storage.fov_folder import FovFolder, open_recorded_folder
from pyama_core.io.storage.locks import FolderLock, LockTicket
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.records import Provenance, Settings
from pyama_core.outputs import PC, Output

SOURCE = SourceIdentity(size=1, mtime_ns=2, sample="xxh3-128:00")
FRAMES = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def planned(**parameters) -> PlannedOutput:
    provenance = Provenance(
        step="copying", algorithm="copy/1", parameters=parameters, inputs={"source": "a"}
    )
    return PlannedOutput(Output(PC, 0), provenance)


@pytest.fixture
def ticket(tmp_path):
    (tmp_path / "fov_000").mkdir()
    lock = FolderLock.acquire(tmp_path / "fov_000")
    yield lock.ticket
    lock.release()


def open_folder(tmp_path, ticket: LockTicket | None) -> FovFolder:
    return FovFolder(tmp_path, "experiment", 0, SOURCE, ticket)


def write(folder: FovFolder, output: PlannedOutput, frames=FRAMES) -> None:
    with folder.new_stack(output, FRAMES.shape, FRAMES.dtype) as stack:
        for frame in frames:
            stack.append(frame)


def test_a_written_output_is_proven_to_a_later_run(tmp_path, ticket):
    write(open_folder(tmp_path, ticket), planned(z=0))
    entry = open_folder(tmp_path, None).proves(planned(z=0))
    assert entry is not None
    assert (entry.shape, entry.dtype) == ((2, 3, 4), "uint16")


def test_existence_alone_proves_nothing(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    (folder.path / "experiment_fov_000_record.json").unlink()
    assert open_folder(tmp_path, ticket).proves(planned()) is None


def test_another_parameter_input_or_algorithm_is_not_proven(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned(z=0))
    assert folder.proves(planned(z=1)) is None
    for change in ({"algorithm": "copy/2"}, {"inputs": {"source": "b"}}, {"step": "x"}):
        other = planned(z=0).provenance.model_copy(update=change)
        assert folder.proves(PlannedOutput(Output(PC, 0), other)) is None


def test_a_block_that_raises_leaves_neither_file_nor_entry(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    with pytest.raises(ValueError, match="shape"):
        write(folder, planned(), [FRAMES[0], FRAMES[1, :1]])
    assert [path.name for path in folder.path.iterdir()] == [".pyama.lock"]
    assert folder.record.outputs == {}


def test_a_changed_size_is_noticed_without_reading(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    path = folder.path_of(planned().output)
    path.write_bytes(path.read_bytes()[:-1])
    assert folder.proves(planned()) is None


def test_a_touched_file_is_decided_by_its_checksum(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    path = folder.path_of(planned().output)
    os.utime(path, ns=(1, 1))
    assert open_folder(tmp_path, None).proves(planned(), hashing=False) is None
    assert open_folder(tmp_path, ticket).proves(planned()) is not None
    # The record has learnt the new time: no second look at the content is needed.
    assert open_folder(tmp_path, None).proves(planned(), hashing=False) is not None


def test_a_touched_file_with_other_content_is_made_again(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    path = folder.path_of(planned().output)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert folder.proves(planned()) is None


@pytest.mark.parametrize("place", ["boot_identity", "host_name"])
def test_after_a_reboot_or_elsewhere_only_content_or_durability_counts(
    tmp_path, ticket, monkeypatch, place
):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    monkeypatch.setattr(as_written, place, lambda: "another")
    path = folder.path_of(planned().output)
    status = path.stat()
    path.write_bytes(bytes(status.st_size))  # what a loss of power makes of unflushed pages
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_folder(tmp_path, ticket).proves(planned()) is None


def test_a_durable_output_is_proven_after_a_reboot_without_reading(tmp_path, ticket, monkeypatch):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    folder.make_durable()
    monkeypatch.setattr(as_written, "boot_identity", lambda: "another")
    assert open_folder(tmp_path, None).proves(planned(), hashing=False) is not None


def test_a_flipped_bit_that_keeps_size_and_time_is_found_by_checking(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    path = folder.path_of(planned().output)
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert folder.proves(planned()) is not None
    assert list(folder.find_damage()) == [path.name]


def test_between_rename_and_record_no_older_entry_describes_the_new_file(
    tmp_path, ticket, monkeypatch
):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned(z=0), FRAMES)
    path = folder.path_of(planned().output)
    status = path.stat()

    def rename_and_die(temporary, final):
        temporary.replace(final)
        # A file system with coarse times gives the new file the time of the old one.
        os.utime(final, ns=(status.st_atime_ns, status.st_mtime_ns))
        raise KeyboardInterrupt

    monkeypatch.setattr(fov_folder_module, "put_in_place", rename_and_die)
    with pytest.raises(KeyboardInterrupt):
        write(folder, planned(z=1), FRAMES + 1)
    later = open_folder(tmp_path, ticket)
    assert later.proves(planned(z=0)) is None
    assert later.proves(planned(z=1)) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"uint16"', '"uint16", "surprise": 1'),
        lambda text: text.replace("experiment_fov_000_pc_ch_0.npy", "../../escape.npy"),
        lambda text: "[" * 100_000,
        lambda text: "\x00\xff",
    ],
)
def test_a_damaged_record_proves_nothing_and_is_said(tmp_path, ticket, caplog, damage):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    record = folder.path / "experiment_fov_000_record.json"
    record.write_text(damage(record.read_text()), encoding="latin-1")
    assert open_folder(tmp_path, ticket).proves(planned()) is None
    assert "made again" in caplog.text
    with pytest.raises(DamagedFileError):
        open_recorded_folder(record)


def test_a_record_of_another_source_is_refused(tmp_path, ticket):
    write(open_folder(tmp_path, ticket), planned())
    other = SOURCE.model_copy(update={"size": 3})
    with pytest.raises(InputError, match="another source"):
        FovFolder(tmp_path, "experiment", 0, other, ticket)


def test_a_source_with_another_time_is_settled_once_its_pixels_were_compared(tmp_path, ticket):
    write(open_folder(tmp_path, ticket), planned())
    touched = SOURCE.model_copy(update={"mtime_ns": 3, "content": "xxh3-128:11"})
    folder = FovFolder(tmp_path, "experiment", 0, touched, ticket)
    assert not folder.is_source_decided
    folder.confirm_source()
    assert FovFolder(tmp_path, "experiment", 0, touched).is_source_decided
    assert open_folder(tmp_path, None).is_source_decided
    other = touched.model_copy(update={"mtime_ns": 4, "content": "xxh3-128:22"})
    with pytest.raises(InputError, match="another source"):
        FovFolder(tmp_path, "experiment", 0, other)


def test_a_record_of_nothing_but_a_failure_binds_no_source(tmp_path, ticket):
    open_folder(tmp_path, ticket).note_failure("copying", "it changed")
    other = SOURCE.model_copy(update={"size": 3})
    folder = FovFolder(tmp_path, "experiment", 0, other, ticket)
    write(folder, planned())
    assert FovFolder(tmp_path, "experiment", 0, other).is_source_decided


def test_a_released_output_stays_proven_and_lends_its_checksum(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    path = folder.path_of(planned().output)
    checksum = folder.checksum_of(path)
    record = folder.path / "experiment_fov_000_record.json"
    content = json.loads(record.read_text())
    content["outputs"][path.name]["released"] = True
    record.write_text(json.dumps(content))
    path.unlink()
    later = open_folder(tmp_path, ticket)
    assert later.proves(planned()) is not None
    assert later.checksum_of(path) == checksum
    assert later.find_damage() == {}


def test_beginning_sweeps_the_remains_of_dead_runs_and_nothing_else(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned())
    remains = temporary_path(folder.path_of(planned().output))
    remains.touch()
    note = folder.path / "my notes.txt"
    note.touch()
    folder.begin(Settings(channels={}, params={}, time_units="min", version="1"))
    assert not remains.exists()
    assert note.exists()
    assert folder.path_of(planned().output).exists()


def test_a_run_that_lost_its_lock_writes_nothing_more(tmp_path, ticket):
    folder = open_folder(tmp_path, ticket)
    write(folder, planned(z=0))
    before = folder.path_of(planned().output).read_bytes()
    ticket.path.write_text(ticket.path.read_text().replace(ticket.nonce, "0" * 16))
    with pytest.raises(FolderBusyError, match="lost"):
        write(folder, planned(z=1), FRAMES + 1)
    assert folder.path_of(planned().output).read_bytes() == before
    ticket.path.unlink()


def test_a_folder_opened_without_its_lock_cannot_be_written(tmp_path, ticket):
    with pytest.raises(RuntimeError, match="without its lock"):
        write(open_folder(tmp_path, None), planned())
