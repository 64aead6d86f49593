"""The command `pyama`, with a bomb in it; run by `chaos.py`, never by users.

Worker processes are spawned, so each of them imports this file, too, and gets its own share of
the bomb. CHAOS_LOG names a file to which every boundary that is passed is appended; CHAOS_AT
names the boundary at which to die, CHAOS_VICTIM who: `group` (all processes), `main`, or `self`.
CHAOS_FAIL and CHAOS_ERRNO make the n-th write of outputs fail instead.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

from pyama_core.io.storage import artifacts, atomic, fov_folder, locks, records, stacks

_LOG = os.environ.get("CHAOS_LOG")
_AT = os.environ.get("CHAOS_AT")
_VICTIM = os.environ.get("CHAOS_VICTIM", "group")
_FAIL_AT = int(os.environ.get("CHAOS_FAIL", "0"))
_ERRNO = os.environ.get("CHAOS_ERRNO", "ENOSPC")

_counts: dict[str, int] = {}
_saving = threading.local()


def boundary(kind: str, name: str) -> None:
    """Pass a boundary: note it, and die if it is the one."""
    place = f"{kind} {name}"
    _counts[place] = _counts.get(place, 0) + 1
    role = "main" if multiprocessing.parent_process() is None else "worker"
    place = f"{place} {_counts[place]} {role}"
    if _LOG is not None:
        with Path(_LOG).open("a", encoding="utf-8") as log:
            log.write(place + "\n")
    if place == _AT:
        _die()


def _die() -> None:
    if _VICTIM == "group":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    parent = multiprocessing.parent_process()
    is_it = parent is None or _VICTIM == "self"
    os.kill(os.getpid() if is_it else parent.pid, signal.SIGKILL)
    time.sleep(0.05)  # an orphan goes on for as long as it takes it to notice


def _arm() -> None:
    """Put a boundary around every write, rename and record of the package."""
    write, move, save = stacks.FileWriter.write, atomic.move_into_place, records.save_record

    def counted_write(self, data):
        _fail_on_purpose(self.final)
        write(self, data)
        boundary("write", self.final.name)

    def counted_move(temporary, final, about=None):
        name = getattr(_saving, "name", None) or final.name
        boundary("before-rename", name)
        move(temporary, final, about)
        boundary("after-rename", name)

    def counted_save(path, record):
        # How many records were saved before depends on what was there already; what it says not.
        counts = [len(record.outputs)]
        counts.append(sum(entry.durable for entry in record.outputs.values()))
        counts.append(sum(entry.released for entry in record.outputs.values()))
        _saving.name = ":".join([path.name, *map(str, counts)])
        boundary("before-record", _saving.name)
        save(path, record)
        boundary("after-record", _saving.name)
        _saving.name = None

    stacks.FileWriter.write = counted_write
    atomic.move_into_place = artifacts.move_into_place = counted_move
    fov_folder.save_record = counted_save
    _arm_releases()
    _arm_locks()


def _arm_releases() -> None:
    """Put a boundary around every deleting of an output."""
    delete = fov_folder.delete

    def counted_delete(path):
        if atomic.is_temporary(path):  # swept: its name is another each time
            delete(path)
            return
        boundary("before-delete", path.name)
        delete(path)
        boundary("after-delete", path.name)

    fov_folder.delete = counted_delete


def _arm_locks() -> None:
    """Put a boundary around every making and every deleting of a lock, or of a claim on one."""
    create, delete = locks._create, locks._delete

    def counted_create(path, nonce):
        boundary("before-lock", _lock_of(path))
        created = create(path, nonce)
        boundary("after-lock", _lock_of(path))
        return created

    def counted_delete(path):
        boundary("before-unlock", _lock_of(path))
        delete(path)
        boundary("after-unlock", _lock_of(path))

    locks._create, locks._delete = counted_create, counted_delete


def _lock_of(path: Path) -> str:
    """Name a lock, or the claim on one, without folder of the run and nonce."""
    folder = path.parent.name if path.parent.name.startswith("fov_") else "run"
    return folder if path.name == locks.LOCK_NAME else f"{folder}/claim"


def _fail_on_purpose(final: Path) -> None:
    _counts["all writes"] = _counts.get("all writes", 0) + 1
    if _FAIL_AT and _counts["all writes"] >= _FAIL_AT:
        from pyama_core.errors import StorageError

        number = getattr(errno, _ERRNO)
        raise StorageError.about("write", final, OSError(number, os.strerror(number)))


_arm()

if __name__ == "__main__":
    from pyama_core.cli.app import main

    main()
