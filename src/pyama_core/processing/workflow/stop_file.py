"""`stop` in an output folder: a file, empty perhaps, that asks the runs that go on there to stop.

It does what Ctrl-C does once: what is finished stays, and the same command goes on from there. It
reaches runs that no signal does: on another computer, without a terminal, under Windows. A file
that was there before a run began means none to come, and is deleted at its end.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from pyama_core.errors import StorageError
from pyama_core.io.storage.naming import STOP_NAME

_PERIOD_S = 0.5


class StopFile:
    """Looks for the file now and then; made when a run begins.

    Parameters
    ----------
    output_dir : Path
        Folder of the run.
    """

    def __init__(self, output_dir: Path) -> None:
        self.path = output_dir / STOP_NAME
        self._before = _state_of(self.path)
        self._looked = time.monotonic()

    def is_new(self) -> bool:
        """Whether somebody made or touched the file since the run began."""
        now = time.monotonic()
        if now - self._looked < _PERIOD_S:
            return False
        self._looked = now
        state = _state_of(self.path)
        return state is not None and state != self._before

    def remove(self) -> None:
        """Delete the file, so that nobody takes it for a request to a later run."""
        with contextlib.suppress(OSError):
            if self.path.is_file():
                self.path.unlink()


def ask_to_stop(output_dir: Path) -> Path:
    """Ask the runs that go on in an output folder to stop, and return the file that does.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    path = output_dir / STOP_NAME
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    return path


def _state_of(path: Path) -> tuple[int, int] | None:
    """Return what changes whenever the file is made; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
