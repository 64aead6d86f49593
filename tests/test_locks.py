from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pyama_core.io import locks
from pyama_core.io.errors import FolderBusyError, StorageError
from pyama_core.io.host import ProcessIdentity
from pyama_core.io.locks import LOST_AFTER_S, FolderLock, find_holder

HOLD = """
import sys, time
from pathlib import Path
from pyama_core.io.locks import FolderLock
FolderLock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that holds the lock of tmp_path."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def edit_lock(tmp_path, **changes) -> None:
    path = tmp_path / locks.LOCK_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_released_lock_can_be_taken_again(tmp_path):
    FolderLock.acquire(tmp_path).release()
    lock = FolderLock.acquire(tmp_path)
    lock.ticket.require()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_living_process_is_refused_and_the_process_named(tmp_path, other_process):
    with pytest.raises(FolderBusyError, match=f"process {other_process.pid} on .* since "):
        FolderLock.acquire(tmp_path)
    holder = find_holder(tmp_path)
    assert holder is not None
    assert holder["pid"] == other_process.pid


def test_a_dead_process_does_not_hold_its_lock(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    assert find_holder(tmp_path) is None
    FolderLock.acquire(tmp_path).release()


@pytest.mark.parametrize("change", [{"boot": "another"}, {"started": 1.0}, {"pid": 2**22 + 1}])
def test_a_process_that_only_looks_like_the_holder_does_not_hold_the_lock(tmp_path, change):
    FolderLock.acquire(tmp_path)
    edit_lock(tmp_path, **change)
    FolderLock.acquire(tmp_path).release()


def test_on_another_host_a_fresh_heartbeat_holds_and_a_lost_one_does_not(tmp_path):
    lock = FolderLock.acquire(tmp_path)
    edit_lock(tmp_path, host="another")
    with pytest.raises(FolderBusyError, match="on another"):
        FolderLock.acquire(tmp_path)
    long_ago = time.time() - LOST_AFTER_S - 60
    os.utime(lock.ticket.path, (long_ago, long_ago))
    lock.beat()
    with pytest.raises(FolderBusyError):
        FolderLock.acquire(tmp_path)
    os.utime(lock.ticket.path, (long_ago, long_ago))
    FolderLock.acquire(tmp_path).release()


def test_a_lock_that_is_being_written_is_not_taken_for_lost(tmp_path):
    (tmp_path / locks.LOCK_NAME).touch()
    with pytest.raises(FolderBusyError, match="at this very moment"):
        FolderLock.acquire(tmp_path)
    long_ago = time.time() - LOST_AFTER_S
    os.utime(tmp_path / locks.LOCK_NAME, (long_ago, long_ago))
    FolderLock.acquire(tmp_path).release()


def test_where_there_are_no_links_a_lock_is_exclusive_all_the_same(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    lock = FolderLock.acquire(tmp_path)
    with pytest.raises(FolderBusyError, match="in use by process"):
        FolderLock.acquire(tmp_path)
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_the_former_holder_of_a_lost_lock_notices_and_does_not_release_the_new_one(tmp_path):
    former = FolderLock.acquire(tmp_path)
    edit_lock(tmp_path, boot="another")
    lock = FolderLock.acquire(tmp_path)
    with pytest.raises(FolderBusyError, match="lost"):
        former.ticket.require()
    former.release()
    lock.ticket.require()
    lock.release()


def test_of_many_contenders_for_a_lost_lock_one_wins(tmp_path):
    for _ in range(20):
        FolderLock.acquire(tmp_path)
        edit_lock(tmp_path, boot="another")
        won: list[FolderLock] = []
        start = threading.Barrier(8)

        def contend(won=won, start=start) -> None:
            start.wait()
            try:
                won.append(FolderLock.acquire(tmp_path))
            except FolderBusyError:
                return

        threads = [threading.Thread(target=contend) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        won[0].ticket.require()
        won[0].release()
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_names_the_file(tmp_path):
    with pytest.raises(StorageError, match="lock"):
        FolderLock.acquire(tmp_path / "absent")


def test_this_process_is_alive_and_here():
    identity = ProcessIdentity.of_this_process()
    assert identity.is_here()
    assert identity.is_alive()
