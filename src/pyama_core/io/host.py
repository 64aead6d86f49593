"""Which machine, which boot, which process: who may be trusted to have written what."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TOLERANCE_S = 2.0
"""Start times are computed from the clock, which may be corrected while a process lives."""


def host_name() -> str:
    """Name of this machine on its network."""
    return platform.node() or "unknown host"


def boot_identity() -> str:
    """Identify the time since the machine was last switched on.

    What a file system was told to write is safe within one boot, because the page cache holds
    it. Linux names each boot; elsewhere the time of the boot, to the minute, must do. Where it
    is not exact, a boot counts as changed once too often, which costs a checksum and no data.
    """
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return f"{round(psutil.boot_time() / 60)}"


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number."""

    host: str
    boot: str
    pid: int
    started: float
    """Seconds since the epoch."""

    @classmethod
    def of_this_process(cls) -> ProcessIdentity:
        """Identify the running process."""
        return _identity_of(os.getpid())

    def is_here(self) -> bool:
        """Whether the process ran on this machine."""
        return self.host == host_name()

    def is_alive(self) -> bool:
        """Whether the process still runs; meaningful only where `is_here` holds."""
        if self.boot != boot_identity():
            return False
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True
        return abs(started - self.started) < _START_TOLERANCE_S


@functools.lru_cache(maxsize=1)
def _identity_of(pid: int) -> ProcessIdentity:
    return ProcessIdentity(
        host=host_name(),
        boot=boot_identity(),
        pid=pid,
        started=psutil.Process(pid).create_time(),
    )
