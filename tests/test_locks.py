from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from pyama_core.errors import FolderBusyError, StorageError
from pyama_core.io.storage import host, locks
from pyama_core.io.storage.host import ProcessIdentity
from pyama_core.io.storage.locks import LOST_AFTER_S, FolderLock, LockTicket, find_holder

HOLD = """
import sys, time
from pathlib import Path
from pyama_core.io.storage.locks import FolderLock
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


@pytest.mark.parametrize("where", ["host", "namespace"])
def test_elsewhere_a_fresh_heartbeat_holds_and_a_lost_one_does_not(tmp_path, where):
    lock = FolderLock.acquire(tmp_path)
    edit_lock(tmp_path, **{where: "another"})
    with pytest.raises(FolderBusyError, match="in use by process"):
        FolderLock.acquire(tmp_path)
    long_ago = int(time.time() - LOST_AFTER_S - 60)
    os.utime(lock.ticket.path, (long_ago, long_ago))
    FolderLock(LockTicket(lock.ticket.path, "another")).beat()
    assert lock.ticket.path.stat().st_mtime == long_ago
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


def contend(tmp_path, contenders: int) -> list[FolderLock]:
    """Take the lock of a folder from many threads at once; the locks of those who got it."""
    won: list[FolderLock] = []
    start = threading.Barrier(contenders)

    def try_once() -> None:
        start.wait()
        with contextlib.suppress(FolderBusyError):
            won.append(FolderLock.acquire(tmp_path))

    threads = [threading.Thread(target=try_once) for _ in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


@pytest.mark.parametrize(
    "remains", ["a lock", "a lock and a claim", "half a lock", "a lost heartbeat"]
)
def test_of_many_contenders_for_a_lost_lock_one_wins(tmp_path, remains):
    for _ in range(20):
        leave_behind(tmp_path, remains)
        won = contend(tmp_path, 8)
        assert len(won) == 1
        won[0].ticket.require()
        won[0].release()
        assert list(tmp_path.iterdir()) == []


def leave_behind(tmp_path, remains: str) -> None:
    """Leave what a process leaves that died while it held, or took, the lock."""
    path = tmp_path / locks.LOCK_NAME
    if remains == "half a lock":
        path.write_bytes(b'{"host": "her')
        long_ago = time.time() - LOST_AFTER_S
        os.utime(path, (long_ago, long_ago))
        return
    former = FolderLock.acquire(tmp_path)
    edit_lock(tmp_path, boot="another")
    if remains == "a lost heartbeat":
        edit_lock(tmp_path, host="elsewhere")
        long_ago = time.time() - LOST_AFTER_S - 60
        os.utime(path, (long_ago, long_ago))
    if remains == "a lock and a claim":
        claim = path.with_name(f"{path.name}.{former.ticket.nonce}")
        claim.write_bytes(path.read_bytes().replace(b'"nonce": "', b'"nonce": "c'))


def test_what_dead_contenders_left_is_swept_by_the_next_holder(tmp_path):
    path = tmp_path / locks.LOCK_NAME
    for name in (f"{path.name}.0123", f"{path.name}.0123.4567", f".{path.name}.89ab.tmp"):
        (tmp_path / name).touch()
    lock = FolderLock.acquire(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    lock.release()


def test_a_lock_that_another_program_is_reading_is_released_a_moment_later(tmp_path, monkeypatch):
    refusals = [PermissionError("in use")] * 3
    unlink = Path.unlink

    def refuse(self, missing_ok=False) -> None:
        if self.name == locks.LOCK_NAME and refusals:
            raise refusals.pop()
        unlink(self, missing_ok)

    lock = FolderLock.acquire(tmp_path)
    monkeypatch.setattr(locks, "_PATIENCE_S", 10.0)
    monkeypatch.setattr(Path, "unlink", refuse)
    lock.release()
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """What happens to a contender that is killed: it does nothing more."""


@dataclass
class Contenders:
    """Contenders for one lock of which one moves at a time, from file access to file access.

    Each is a thread that passes for a process of its own. `choose` picks from the names of those
    who can move; a name in `killed` never moves again, and counts as dead.
    """

    choose: Callable[[Sequence[int]], int]
    kill_at: tuple[int, int] | None = None
    """A contender and the number of its file access at which it dies."""
    killed: set[int] = field(default_factory=set)
    _turns: dict[int, threading.Semaphore] = field(default_factory=dict)
    _moved: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _me: threading.local = field(default_factory=threading.local)

    def step(self) -> None:
        """Wait for one's turn before a file access; other threads just go on."""
        name = getattr(self._me, "name", None)
        if name is None:
            return
        if name not in self.killed:
            self._moved.release()
            self._turns[name].acquire()
            self._me.steps += 1
            if (name, self._me.steps) == self.kill_at:
                self.killed.add(name)
        if name in self.killed:
            raise Killed

    def identity(self) -> ProcessIdentity:
        return ProcessIdentity("here", "", "now", getattr(self._me, "name", -1), 0.0)

    def run(self, work: Callable[[int], None], contenders: int) -> None:
        """Let all contenders do their work, interleaved as `choose` says."""

        def live(name: int) -> None:
            self._me.name, self._me.steps = name, 0
            try:
                self.step()
                work(name)
            except Killed:
                pass
            finally:
                running.discard(name)
                self._moved.release()

        running = set(range(contenders))
        self._turns = {name: threading.Semaphore(0) for name in running}
        threads = [threading.Thread(target=live, args=[name]) for name in running]
        for thread in threads:
            thread.start()
            self._moved.acquire()
        while running:
            self._turns[self.choose(sorted(running))].release()
            self._moved.acquire()
        for thread in threads:
            thread.join()


@pytest.fixture
def interleave(monkeypatch) -> Callable[[Contenders], None]:
    """Make every file access of the module a step of the contenders at play."""
    playing: list[Contenders] = []

    def stepping(method):
        def call(*arguments, **options):
            playing[-1].step()
            return method(*arguments, **options)

        return call

    accesses = ("unlink", "hardlink_to", "write_bytes", "read_bytes", "open", "stat", "glob")
    for access in accesses:
        monkeypatch.setattr(Path, access, stepping(getattr(Path, access)))
    monkeypatch.setattr(locks, "_PAUSE_S", 0.0)
    monkeypatch.setattr(locks, "_ATTEMPTS", 5)
    monkeypatch.setattr(ProcessIdentity, "is_here", lambda self: self.host != "elsewhere")
    monkeypatch.setattr(
        ProcessIdentity,
        "is_alive",
        lambda self: self.pid >= 0 and self.pid not in playing[-1].killed,
    )
    monkeypatch.setattr(ProcessIdentity, "of_this_process", lambda: playing[-1].identity())
    return playing.append


def preempting(switches: Sequence[tuple[int, int]]) -> Callable[[Sequence[int]], int]:
    """Let one contender move until it ends, but switch to another at the steps named."""
    chosen = dict(switches)
    current, steps = 0, itertools.count()

    def choose(names: Sequence[int]) -> int:
        nonlocal current
        current = chosen.get(next(steps), current)
        return current if current in names else names[current % len(names)]

    return choose


def play(tmp_path, interleave, contenders: Contenders, number: int, remains: str) -> int:
    """Let contenders take a lock and keep it until all are dead; tell how many had it."""
    interleave(contenders)
    leave_behind(tmp_path, remains)
    tickets = {}

    def work(name: int) -> None:
        with contextlib.suppress(FolderBusyError):
            tickets[name] = FolderLock.acquire(tmp_path).ticket

    contenders.run(work, number)
    for name in contenders.killed:
        tickets.pop(name, None)
    for ticket in tickets.values():
        # Nobody ever deletes the lock of a living holder.
        ticket.require()
    contenders.killed.update(range(number))
    FolderLock.acquire(tmp_path).release()
    assert list(tmp_path.iterdir()) == []
    return len(tickets)


REMAINS = ("nothing", "a lock", "a lock and a claim", "half a lock", "a lost heartbeat")


@pytest.mark.parametrize("remains", REMAINS)
def test_wherever_contenders_overtake_each_other_one_of_them_wins(tmp_path, interleave, remains):
    # Every schedule in which one contender stops for another once, at any of its file accesses,
    # and a sample of those in which that happens twice or thrice.
    chance = random.Random(1)
    schedules = [[(step, to)] for step in range(50) for to in (1, 2)]
    for times in (2, 3):
        for _ in range(30):
            steps = sorted(chance.sample(range(60), times))
            schedules.append([(step, chance.randrange(3)) for step in steps])
    for schedule in schedules:
        contenders = Contenders(preempting(schedule))
        assert play(tmp_path, interleave, contenders, 3, remains) == 1, schedule


@pytest.mark.parametrize("remains", REMAINS)
def test_in_any_order_of_file_accesses_one_contender_wins(tmp_path, interleave, remains):
    for seed in range(30):
        contenders = Contenders(random.Random(seed).choice)
        assert play(tmp_path, interleave, contenders, 4, remains) == 1, seed


@pytest.mark.parametrize("remains", REMAINS)
def test_wherever_a_contender_is_killed_the_lock_can_be_taken_by_one(tmp_path, interleave, remains):
    for seed in range(40):
        chance = random.Random(seed)
        contenders = Contenders(chance.choice, kill_at=(0, chance.randrange(1, 30)))
        assert play(tmp_path, interleave, contenders, 3, remains) <= 1, seed


def test_a_folder_that_cannot_be_written_names_the_file(tmp_path):
    with pytest.raises(StorageError, match="lock"):
        FolderLock.acquire(tmp_path / "absent")


def test_this_process_is_alive_and_here():
    identity = ProcessIdentity.of_this_process()
    assert identity.is_here()
    assert identity.is_alive()


def test_a_process_stays_itself_when_the_clock_is_corrected(monkeypatch):
    identity = ProcessIdentity.of_this_process()
    boot_time, create_time = psutil.boot_time(), psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create_time(self) + 3600)
    assert identity.is_alive() == (identity.boot is not None)


def test_where_boots_have_no_name_the_start_of_a_process_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "_BOOT_ID", tmp_path / "absent")
    host._identity_of.cache_clear()
    identity = ProcessIdentity.of_this_process()
    assert identity.is_alive()
    # The time of the boot is a guess there, and must not decide whether a process lives.
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    assert identity.is_alive()
    assert not replace(identity, started=identity.started - 60).is_alive()
    host._identity_of.cache_clear()


@pytest.mark.skipif(os.name == "nt", reason="there are no zombies")
def test_a_dead_process_that_nobody_asked_about_holds_nothing(tmp_path, other_process):
    other_process.kill()
    deadline = time.monotonic() + 10
    while psutil.Process(other_process.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    FolderLock.acquire(tmp_path).release()


def test_an_unknown_boot_is_a_changed_boot(monkeypatch, tmp_path):
    def unknown():
        raise RuntimeError("no such thing here")

    monkeypatch.setattr(host, "_BOOT_ID", tmp_path / "absent")
    monkeypatch.setattr(psutil, "boot_time", unknown)
    assert host.boot_identity() != host.boot_identity()
