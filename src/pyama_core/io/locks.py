"""One run per field of view: a lock file that a dead process does not hold.

A lock is a small file in the folder of its FOV, created exclusively, that names its holder
(host, boot, process and when that started) and carries a nonce. On the holder's own host the
process table tells whether it lives. Elsewhere only its heartbeat does: the holder renews the
file's modification time, and a lock not renewed for `LOST_AFTER_S` is lost. Ages are measured
by the clock of the file system, for the clocks of two hosts differ.

A lost lock is removed under a second lock, of milliseconds, and only after it was judged once
more; so of several contenders none can remove the lock that another has just made. Its former
holder, should it still live, notices by the nonce before it renames an output or writes a
record (`LockTicket.require`), so that the worst that a lost race can do is to write the same
bytes twice.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pyama_core.io.atomic import temporary_path
from pyama_core.io.errors import FolderBusyError, StorageError
from pyama_core.io.host import ProcessIdentity

LOCK_NAME = ".pyama.lock"
_TAKEOVER_NAME = ".pyama.takeover"
HEARTBEAT_S = 30.0
LOST_AFTER_S = 600.0
_UNREADABLE_AFTER_S = 60.0
"""A lock without content is one that is being written, or was when its maker died."""
_ATTEMPTS = 100
_PAUSE_S = 0.02


class _Holder(BaseModel):
    """Content of a lock file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    boot: str
    pid: int
    started: float
    since: str
    nonce: str

    def identity(self) -> ProcessIdentity:
        return ProcessIdentity(self.host, self.boot, self.pid, self.started)


@dataclass(frozen=True)
class LockTicket:
    """Proof, to be shown in any process, that a run holds a field of view."""

    path: Path
    nonce: str

    def require(self) -> None:
        """Make sure that the lock was not taken over.

        Raises
        ------
        FolderBusyError
            It was; nothing more may be written to the folder.
        """
        holder = _read(self.path)
        if holder is None or holder.nonce != self.nonce:
            raise FolderBusyError(
                f"{self.path.parent}: the lock of this run was lost to another run "
                "(did this computer sleep?); nothing more is written here"
            )


class FolderLock:
    """A held lock on a folder, usually that of a field of view; make one with `acquire`."""

    def __init__(self, ticket: LockTicket) -> None:
        self.ticket = ticket

    @classmethod
    def acquire(cls, folder: Path) -> FolderLock:
        """Take the lock of a folder, which must exist.

        Raises
        ------
        FolderBusyError
            A living run holds it; the message names the run.
        StorageError
            The folder cannot be written.
        """
        path = folder / LOCK_NAME
        nonce = secrets.token_hex(8)
        for _ in range(_ATTEMPTS):
            if _create(path, nonce):
                return cls(LockTicket(path, nonce))
            if not _is_lost(path):
                raise FolderBusyError(_describe(path))
            _remove_lost(path, nonce)
        raise FolderBusyError(_describe(path))

    def beat(self) -> None:
        """Show that the holder lives."""
        with contextlib.suppress(OSError):
            os.utime(self.ticket.path)

    def release(self) -> None:
        """Give the lock back, if it is still this run's."""
        holder = _read(self.ticket.path)
        if holder is not None and holder.nonce == self.ticket.nonce:
            with contextlib.suppress(OSError):
                self.ticket.path.unlink()


def _create(path: Path, nonce: str) -> bool:
    holder = _Holder(
        **asdict(ProcessIdentity.of_this_process()),
        since=datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds"),
        nonce=nonce,
    )
    temporary = temporary_path(path)
    try:
        temporary.write_text(holder.model_dump_json(), encoding="utf-8")
        _create_with_content(path, temporary)
    except FileExistsError:
        return False
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _create_with_content(path: Path, temporary: Path) -> None:
    """Create a file exclusively; with its content at once where the file system has links."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        with path.open("x", encoding="utf-8") as file:
            file.write(temporary.read_text(encoding="utf-8"))


def _read(path: Path) -> _Holder | None:
    """Read who holds a lock; None if nobody does or its content is not (yet) whole."""
    try:
        return _Holder.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _is_lost(path: Path) -> bool:
    """Whether nobody holds a lock file any more, or it is gone."""
    holder = _read(path)
    if holder is not None and holder.identity().is_here():
        return not holder.identity().is_alive()
    age = _age_s(path)
    limit = LOST_AFTER_S if holder is not None else _UNREADABLE_AFTER_S
    return age is None or age > limit


def _remove_lost(path: Path, nonce: str) -> None:
    """Remove a lock that is lost, unless another contender is about to; then wait a little."""
    takeover = path.with_name(_TAKEOVER_NAME)
    if _create(takeover, nonce):
        try:
            if _is_lost(path):
                path.unlink(missing_ok=True)
        finally:
            takeover.unlink(missing_ok=True)
        return
    if _is_lost(takeover):
        # Its maker died within the milliseconds in which it exists.
        takeover.unlink(missing_ok=True)
    time.sleep(_PAUSE_S)


def _describe(path: Path) -> str:
    holder = _read(path)
    if holder is None:
        return f"{path.parent} is being taken by another run at this very moment"
    return (
        f"{path.parent} is in use by process {holder.pid} on {holder.host} since {holder.since}; "
        "wait for that run, or stop it"
    )


def _age_s(path: Path) -> float | None:
    """Seconds since the last heartbeat, by the clock of the file system; None if it is gone."""
    probe = temporary_path(path)
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError.about("write", probe, error) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def find_holder(folder: Path) -> dict[str, str | int] | None:
    """Tell who works on a folder now (host, pid, since), or None."""
    holder = _read(folder / LOCK_NAME)
    if holder is None or (holder.identity().is_here() and not holder.identity().is_alive()):
        return None
    return {"host": holder.host, "pid": holder.pid, "since": holder.since}
