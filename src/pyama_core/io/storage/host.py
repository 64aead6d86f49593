"""Which machine, which boot, which process: who may be trusted to have written what."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import secrets
from dataclasses import dataclass
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESS_NAMES = Path("/proc/self/ns/pid")
_START_TOLERANCE_S = 2.0
"""Start times are computed from a clock, which may be corrected while a process lives."""


def host_name() -> str:
    """Name of this machine on its network."""
    return platform.node() or "unknown host"


def boot_identity() -> str:
    """Identify the time since the machine was last switched on.

    What a file system was told to write is safe within one boot, because the page cache holds
    it. Linux names each boot; elsewhere the time of the boot, to the minute, must do. Where it
    is not exact, a boot counts as changed once too often, which costs a checksum and no data.
    Where nothing can be known, every answer differs, so that no boot equals any other.
    """
    exact = _exact_boot_identity()
    if exact is not None:
        return exact
    try:
        return f"{round(psutil.boot_time() / 60)}"
    except (OSError, RuntimeError, psutil.Error):
        return f"unknown {secrets.token_hex(8)}"


def _exact_boot_identity() -> str | None:
    with contextlib.suppress(OSError, UnicodeError):
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    return None


def _process_namespace() -> str:
    """Name whose process numbers these are: containers on one host may each have their own."""
    with contextlib.suppress(OSError):
        return str(_PROCESS_NAMES.readlink())
    return ""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number."""

    host: str
    namespace: str
    """Within which the number means this process."""
    boot: str | None
    """None where boots have no exact name; then `started` tells them apart."""
    pid: int
    started: float
    """Seconds since that boot, which no correction of the clock changes, or since the epoch."""

    @classmethod
    def of_this_process(cls) -> ProcessIdentity:
        """Identify the running process."""
        return _identity_of(os.getpid())

    def is_here(self) -> bool:
        """Whether the process ran where its number can be looked up."""
        return (self.host, self.namespace) == (host_name(), _process_namespace())

    def is_alive(self) -> bool:
        """Whether the process still runs; meaningful only where `is_here` holds."""
        boot = _exact_boot_identity()
        if self.boot != boot:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                # It has ended, but nobody has asked how.
                return False
            return abs(_start_of(process, boot) - self.started) < _START_TOLERANCE_S
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def _start_of(process: psutil.Process, boot: str | None) -> float:
    # The time of the boot first: versions of the library keep it, and compute the other from it.
    since = 0.0 if boot is None else psutil.boot_time()
    return process.create_time() - since


@functools.lru_cache(maxsize=1)
def _identity_of(pid: int) -> ProcessIdentity:
    boot = _exact_boot_identity()
    return ProcessIdentity(
        host=host_name(),
        namespace=_process_namespace(),
        boot=boot,
        pid=pid,
        started=_start_of(psutil.Process(pid), boot),
    )
