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

from benchmarks.timing import Times, timed

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
        "noise": _noise(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(absent)"


def _noise() -> str:
    """Say how much the time of equal work varies that needs a processor and nothing else."""
    counts = Times(tuple(timed(lambda: sum(range(2_000_000))) for _ in range(20)))
    share = (max(counts.seconds) - min(counts.seconds)) / counts.median
    return f"counting took {counts}, a spread of {100 * share:.0f} %"


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
    # The report of the run before is no change of what is measured.
    changes = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/PERFORMANCE.md"]
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git(*changes, ":!docs/performance.json", ":!docs/SPEED.md")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git)"
    return f"{commit} with uncommitted changes" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parents[1]), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return found.stdout.strip()
