"""Runs that the page began: processes of their own, which go on when page and server end.

Such a run is `pyama run` with the `run.yaml` of its folder, and is followed by what it writes, as
any other (`following`). Only until it holds its first lock, and if it never does, is this the
place that knows of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyama_core.app.drafts import config_path
from pyama_core.errors import InputError, StorageError
from pyama_core.io.regular_files import read_regular

SAID_NAME = "pyama.said.txt"
"""What the command said last on what would be its terminal."""
_LONGEST_SAID = 4000


@dataclass
class _Started:
    process: subprocess.Popen[bytes]
    was_seen: bool = field(default=False)
    """Whether it had a lock already."""


@dataclass(frozen=True)
class Standing:
    """How a process that the page began is.

    Attributes
    ----------
    pid : int
        Its number.
    exit_code : int or None
        None as long as it lives.
    was_seen : bool
        Whether it worked on a field of view already.
    """

    pid: int
    exit_code: int | None
    was_seen: bool


class RunJobs:
    """The processes, by their folders of outputs; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: dict[Path, _Started] = {}

    def start(self, out: Path, fovs: Iterable[int] | None = None) -> int:
        """Begin a run of what the configuration in a folder says; return its process number.

        Parameters
        ----------
        out : Path
            Folder of outputs, with a configuration.
        fovs : iterable of int, optional
            Only these.

        Raises
        ------
        InputError
            One that was begun here has not ended.
        StorageError
            The folder cannot be written, or no process can be started.
        """
        with self._lock:
            known = self._started.get(out)
            if known is not None and known.process.poll() is None:
                raise InputError(
                    f"a run into {out} goes on already (process {known.process.pid}); wait for "
                    "it, or stop it"
                )
            process = _spawn(out, command_of(out, fovs))
            self._started[out] = _Started(process)
        return process.pid

    def standing(self, out: Path) -> Standing | None:
        """Tell how the last process that was begun in a folder is; None if none was."""
        with self._lock:
            known = self._started.get(out)
            if known is None:
                return None
            return Standing(known.process.pid, known.process.poll(), known.was_seen)

    def note_seen(self, out: Path) -> None:
        """Note that a run in a folder works on fields of view."""
        with self._lock:
            if (known := self._started.get(out)) is not None:
                known.was_seen = True

    def end_before_it_works(self, out: Path) -> bool:
        """End a process that was begun and works on nothing yet; whether there was one."""
        with self._lock:
            known = self._started.get(out)
            if known is None or known.process.poll() is not None or known.was_seen:
                return False
            known.process.terminate()  # the command hears it as Ctrl-C
        return True


def command_of(out: Path, fovs: Iterable[int] | None = None) -> list[str]:
    """Return the command of a run, made of the folder alone and numbers of fields of view."""
    # -P: nothing that lies in the folder where the page was started takes the place of a module.
    command = [sys.executable, "-P", "-m", "pyama_core", "run"]
    command += ["--config", str(config_path(out)), "--output", str(out)]
    if fovs is not None:
        command += ["--fovs", ",".join(f"index:{fov}" for fov in sorted(fovs))]
    return command


def _spawn(out: Path, command: list[str]) -> subprocess.Popen[bytes]:
    path = out / SAID_NAME
    try:
        with path.open("wb") as said:
            return subprocess.Popen(  # noqa: S603  of paths below the roots, and numbers
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1"},
                **_detached(),
            )
    except OSError as error:
        raise StorageError.about("start a run that writes", path, error) from error


def _detached() -> dict[str, Any]:
    """Return what keeps a process alive when its server, or the terminal of that, ends."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def said_in(out: Path) -> str:
    """Return what the command said last in a folder."""
    try:
        content = read_regular(out / SAID_NAME)
    except OSError:
        return ""
    return content[-_LONGEST_SAID:].decode(errors="replace").strip()
