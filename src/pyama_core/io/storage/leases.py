"""Which of several attempts on a field of view counts, where a scheduler may begin it anew.

A scheduler that hears nothing from a worker gives its work to another one; but the first may only
have been stopped, or cut off, and go on. So each attempt takes the lease of the field of view: a
small file beside the lock, of the lock's generation, that names the attempt. The last one that
took it has it, and `LockTicket.require` stops all earlier ones before they rename an output or
write a record.

The lease also counts the attempts that began and never came to an end: their workers died.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from typing import Any

from pyama_core.errors import DamagedFileError, StorageError
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.locks import LockTicket, lease_path


@dataclass(frozen=True)
class Lease:
    """What stands in the file.

    Attributes
    ----------
    attempt : str
        The attempt that has the lease; empty if none may go on.
    unended : int
        How many attempts, this one included, have begun and not ended.
    """

    attempt: str = ""
    unended: int = 0


def read_lease(ticket: LockTicket) -> Lease:
    """Read the lease of a field of view that is locked; an empty one if there is none.

    Raises
    ------
    StorageError
        It cannot be read.
    DamagedFileError
        It is not as it was written.
    """
    path = lease_path(ticket)
    try:
        content: dict[str, Any] = json.loads(read_regular(path))
        return Lease(str(content["attempt"]), int(content["unended"]))
    except FileNotFoundError:
        return Lease()
    except OSError as error:
        raise StorageError.about("read", path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); delete it") from error


def begin_attempt(ticket: LockTicket) -> tuple[LockTicket, int]:
    """Take the lease, from whoever has it.

    Returns
    -------
    LockTicket
        Proof of this attempt.
    int
        How many attempts before it began and did not end.

    Raises
    ------
    FolderBusyError
        The lock is lost.
    StorageError
        The folder is gone or cannot be written.
    """
    ticket.require()
    before = read_lease(ticket)
    attempt = secrets.token_hex(8)
    _write(ticket, Lease(attempt, before.unended + 1))
    return replace(ticket, attempt=attempt), before.unended


def end_attempt(ticket: LockTicket) -> None:
    """Note that an attempt came to its end, however it ended; nothing if it lost the lease."""
    lease = read_lease(ticket)
    if lease.attempt == ticket.attempt:
        _write(ticket, replace(lease, unended=max(0, lease.unended - 1)))


def take_back(ticket: LockTicket, *, forgive: bool = False) -> int:
    """Take the lease from whoever has it, and tell how many attempts have not ended.

    Parameters
    ----------
    ticket : LockTicket
        Proof of the lock alone.
    forgive : bool
        Whether to count anew: what ended them was not their work.
    """
    lease = read_lease(ticket)
    if lease != Lease():
        _write(ticket, Lease("", 0 if forgive else lease.unended))
    return lease.unended


def _write(ticket: LockTicket, lease: Lease) -> None:
    write_whole(lease_path(ticket), json.dumps(lease.__dict__))
