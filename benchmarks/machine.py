"""On what and of what the measurements were made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = ("numpy", "numba", "opencv-python-headless", "scipy", "nd2", "tifffile", "xxhash")
_GIB = 2**30


def describe_machine(*, quick: bool) -> dict[str, str]:
    """Return the header of the report: nothing that names the machine or its owner."""
    memory = psutil.virtual_memory().total / _GIB
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "commit": _commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "run": "quick" if quick else "full",
        "load at the start": _load(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(absent)"


def _load() -> str:
    """Say what else the processors had to do."""
    return f"{psutil.cpu_percent(interval=1.0):.0f} % of the processors"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git)"
    return found.stdout.strip().replace("-dirty", " with uncommitted changes")
