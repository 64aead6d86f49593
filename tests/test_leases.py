"""Leases: of several attempts on a field of view the last one counts, and deaths are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyama_core.errors import CancelledError, DamagedFileError, FolderBusyError
from pyama_core.io.storage.leases import begin_attempt, end_attempt, read_lease, take_back
from pyama_core.io.storage.locks import FolderLock, lease_path


def test_the_last_attempt_has_the_lease_and_earlier_ones_stop(tmp_path: Path) -> None:
    lock = FolderLock.acquire(tmp_path)
    first, died_before = begin_attempt(lock.ticket)
    assert died_before == 0
    first.require()
    second, died_before = begin_attempt(lock.ticket)
    assert died_before == 1
    second.require()
    with pytest.raises(CancelledError, match="given to another worker"):
        first.require()
    lock.ticket.require()  # the main process needs no lease
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_attempts_that_came_to_an_end_are_no_deaths(tmp_path: Path) -> None:
    lock = FolderLock.acquire(tmp_path)
    first, _ = begin_attempt(lock.ticket)
    end_attempt(first)
    assert read_lease(lock.ticket).unended == 0
    second, died_before = begin_attempt(lock.ticket)
    assert died_before == 0
    end_attempt(first)  # a late one says nothing about its successor
    assert read_lease(lock.ticket).unended == 1
    assert take_back(lock.ticket) == 1
    with pytest.raises(CancelledError):
        second.require()
    assert begin_attempt(lock.ticket)[1] == 1
    take_back(lock.ticket, forgive=True)
    assert begin_attempt(lock.ticket)[1] == 0
    lock.release()


def test_without_its_lock_no_attempt_begins_or_goes_on(tmp_path: Path) -> None:
    lock = FolderLock.acquire(tmp_path)
    attempt, _ = begin_attempt(lock.ticket)
    lock.release()
    other = FolderLock.acquire(tmp_path)
    with pytest.raises(FolderBusyError):
        attempt.require()
    with pytest.raises(FolderBusyError):
        begin_attempt(lock.ticket)
    other.release()


def test_who_takes_a_lost_lock_sweeps_its_lease(tmp_path: Path) -> None:
    lost = FolderLock.acquire(tmp_path)
    begin_attempt(lost.ticket)
    lost.ticket.path.unlink()
    lock = FolderLock.acquire(tmp_path)
    assert not lease_path(lost.ticket).exists()
    lock.release()


def test_a_damaged_lease_is_told(tmp_path: Path) -> None:
    lock = FolderLock.acquire(tmp_path)
    lease_path(lock.ticket).write_text("{")
    with pytest.raises(DamagedFileError, match="is damaged"):
        begin_attempt(lock.ticket)
    lock.release()
