"""One run per field of view: a lock file that a dead process does not hold.

A lock is a small file in the folder of its FOV, created exclusively, that names its holder
(host, boot, process and when that started) and carries a nonce. On the holder's own host the
process table tells whether it lives. Elsewhere only its heartbeat does: the holder renews the
file's modification time, and a lock not renewed for `LOST_AFTER_S` is lost. Ages are measured
by the clock of the file system, for the clocks of two hosts differ.

Removing a lost lock is where contenders could harm each other: what one of them judged lost may
have become the fresh lock of another by the time that it is deleted. Hence claims. Every lock is
of a generation, its nonce, which never comes again. Only who exclusively creates the claim of a
generation, `.pyama.lock.GENERATION`, may delete a lock of that generation, and looks at the lock
again after creating the claim. From then on nobody else can delete it, so a lock that still is of
this generation stays so until the claimant deletes it; and a claim on a generation that has
passed finds that out and does nothing, whenever it was made. A claim is itself a lock: one whose
maker died is removed in the same way, under a claim on the claim.

Who has a lock sweeps what dead contenders left beside it. That cannot hurt living ones: their
claims are on generations that have passed, and who misses a temporary file begins again.

The former holder of a lost lock, should it still live (a computer that slept), notices by the
nonce before it renames an output or writes a record (`LockTicket.require`), so that the worst
that a lost race between two hosts can do is to write the same bytes twice.
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

from pyama_core.errors import CancelledError, FolderBusyError, StorageError
from pyama_core.io.regular_files import read_regular, require_regular
from pyama_core.io.storage.atomic import temporary_path
from pyama_core.io.storage.host import ProcessIdentity

LOCK_NAME = ".pyama.lock"
HEARTBEAT_S = 30.0
LOST_AFTER_S = 600.0
_UNREADABLE_AFTER_S = 60.0
"""A lock without content is one that is being written, or was when its maker died."""
_NS_PER_S = 1e9
_ATTEMPTS = 100
_PAUSE_S = 0.02
_PATIENCE_S = 2.0 if os.name == "nt" else 0.0
"""Windows deletes no file that another process happens to be reading."""


class _Holder(BaseModel):
    """Content of a lock file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    namespace: str
    boot: str | None
    pid: int
    started: float
    since: str
    nonce: str

    def identity(self) -> ProcessIdentity:
        return ProcessIdentity(self.host, self.namespace, self.boot, self.pid, self.started)


@dataclass(frozen=True)
class LockTicket:
    """Proof, to be shown in any process, that a run holds a field of view.

    Attributes
    ----------
    path : Path
        The lock.
    nonce : str
        What stands in it.
    attempt : str
        Where a scheduler may begin the work anew, the attempt that this is (see `leases`).
    """

    path: Path
    nonce: str
    attempt: str = ""

    def require(self) -> None:
        """Make sure that the folder is still there, and its lock still that of this run.

        Raises
        ------
        FolderBusyError
            The lock was taken over, or deleted; nothing more may be written to the folder.
        StorageError
            The folder was deleted, or its lock cannot be read.
        CancelledError
            The work was given to another worker meanwhile.
        """
        self._require_lock()
        if self.attempt and not self._has_lease():
            raise CancelledError(
                f"{self.path.parent} was given to another worker meanwhile; this one stops"
            )

    def _has_lease(self) -> bool:
        path = lease_path(self)
        try:
            return f'"{self.attempt}"'.encode() in read_regular(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError.about("read", path, error) from error

    def _require_lock(self) -> None:
        folder = self.path.parent
        try:
            content = read_regular(self.path)
        except FileNotFoundError as error:
            if _is_gone(folder):
                raise StorageError(
                    f"{folder} was deleted, emptied or renamed while this run worked in it; "
                    "run again to make what is missing"
                ) from error
            raise FolderBusyError(
                f"{folder}: the lock of this run was lost to another run (did this computer "
                "sleep?), or somebody deletes what is there; nothing more is written here"
            ) from error
        except OSError as error:
            raise StorageError.about("read", self.path, error) from error
        holder = _parse(content)
        if holder is None or holder.nonce != self.nonce:
            raise FolderBusyError(
                f"{folder}: the lock of this run was lost to another run "
                "(did this computer sleep?); nothing more is written here"
            )


def lease_path(ticket: LockTicket) -> Path:
    """Path of the lease that belongs to a generation of a lock; swept with what it leaves."""
    return ticket.path.with_name(f"{ticket.path.name}.{ticket.nonce}.lease")


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
            The folder cannot be written, or what has the name of the lock is no file.
        """
        path = folder / LOCK_NAME
        nonce = secrets.token_hex(8)
        for _ in range(_ATTEMPTS):
            if _create(path, nonce):
                _sweep(path, nonce)
                return cls(LockTicket(path, nonce))
            if not _remove_lost(path):
                raise FolderBusyError(_describe(path))
        raise FolderBusyError(_describe(path))

    def beat(self) -> None:
        """Show that the holder lives, if the lock is still this run's."""
        if _has_nonce(self.ticket.path, self.ticket.nonce):
            with contextlib.suppress(OSError):
                os.utime(self.ticket.path)

    def release(self) -> None:
        """Give the lock back, if it is still this run's."""
        with contextlib.suppress(OSError):
            lease_path(self.ticket).unlink(missing_ok=True)
        _delete_own(self.ticket.path, self.ticket.nonce)


def _create(path: Path, nonce: str) -> bool:
    """Create a lock, unless there is one; say whether it is there with this nonce."""
    holder = _Holder(
        **asdict(ProcessIdentity.of_this_process()),
        since=datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds"),
        nonce=nonce,
    )
    content = holder.model_dump_json().encode()
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content)
        _create_with_content(path, temporary, content)
    except FileExistsError:
        # A file server that missed its own answer says so of the link that it made itself.
        return _has_nonce(path, nonce)
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _create_with_content(path: Path, temporary: Path, content: bytes) -> None:
    """Create a file exclusively; with its content at once where the file system has links."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # No links here, or the holder of the lock swept the temporary file: then this raises too.
        _write_exclusively(path, content)


def _write_exclusively(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _read(path: Path) -> _Holder | None:
    """Read who holds a lock; None if nobody does or its content is not (yet) whole."""
    try:
        return _parse(read_regular(path))
    except OSError:
        return None


def _is_gone(folder: Path) -> bool:
    """Whether a folder is not there, or has nothing in it."""
    try:
        return not any(folder.iterdir())
    except OSError:
        return True


def _parse(content: bytes) -> _Holder | None:
    try:
        return _Holder.model_validate_json(content)
    except ValidationError:
        return None


def _refuse_irregular(path: Path) -> None:
    """Raise StorageError if what has the name of a lock is a pipe or the like, never a lock."""
    try:
        require_regular(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError(f"{path} is no lock ({error.strerror}); delete it") from error


def _has_nonce(path: Path, nonce: str) -> bool:
    holder = _read(path)
    return holder is not None and holder.nonce == nonce


def _lost_generation(path: Path) -> str | None:
    """Tell which lock there is that nobody holds any more; None if it is held, or gone."""
    holder = _read(path)
    if holder is not None and holder.identity().is_here():
        return None if holder.identity().is_alive() else holder.nonce
    if holder is None:
        _refuse_irregular(path)
    times = _heartbeat_and_now(path)
    if times is None:
        return None
    beat, now = times
    if holder is not None:
        return holder.nonce if now - beat > LOST_AFTER_S * _NS_PER_S else None
    return f"unreadable-{beat}" if now - beat > _UNREADABLE_AFTER_S * _NS_PER_S else None


def _remove_lost(path: Path) -> bool:
    """Remove a lock that is lost; False if somebody holds it, so that trying again is futile."""
    generation = _lost_generation(path)
    if generation is None:
        return not path.exists()
    claim = path.with_name(f"{path.name}.{generation}")
    nonce = secrets.token_hex(8)
    if _create(claim, nonce):
        try:
            if _lost_generation(path) == generation:
                _delete(path)
        finally:
            _delete_own(claim, nonce)
        return True
    _remove_lost(claim)
    time.sleep(_PAUSE_S)
    return True


def _sweep(path: Path, nonce: str) -> None:
    """Delete claims on former locks, and temporary files; only the holder of the lock may."""
    for other in [*path.parent.glob(f"{path.name}.*"), *path.parent.glob(f".{path.name}.*")]:
        if not other.name.startswith(f"{path.name}.{nonce}"):
            with contextlib.suppress(OSError):
                other.unlink(missing_ok=True)


def _delete_own(path: Path, nonce: str) -> None:
    """Delete a lock if it still is that of the caller, who lives and thus holds it."""
    if _has_nonce(path, nonce):
        with contextlib.suppress(StorageError):
            _delete(path)


def _delete(path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if not isinstance(error, PermissionError) or time.monotonic() > deadline:
                raise StorageError.about("delete", path, error) from error
            time.sleep(_PAUSE_S)
        else:
            return


def _describe(path: Path) -> str:
    holder = _read(path)
    if holder is None:
        return f"{path.parent} is being taken by another run at this very moment"
    return (
        f"{path.parent} is in use by process {holder.pid} on {holder.host} since {holder.since}; "
        "wait for that run, or stop it"
    )


def _heartbeat_and_now(path: Path) -> tuple[int, int] | None:
    """Nanoseconds of the last heartbeat and of now, by the clock of the file system.

    None if the lock is gone.
    """
    probe = temporary_path(path)
    try:
        with probe.open("xb") as file:
            now = os.fstat(file.fileno()).st_mtime_ns
    except OSError as error:
        raise StorageError.about("write", probe, error) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    try:
        return path.stat().st_mtime_ns, now
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError.about("read", path, error) from error


def find_holder(folder: Path) -> dict[str, str | int] | None:
    """Tell who works on a folder now (host, pid, since), or None."""
    holder = _read(folder / LOCK_NAME)
    if holder is None or (holder.identity().is_here() and not holder.identity().is_alive()):
        return None
    return {"host": holder.host, "pid": holder.pid, "since": holder.since}
