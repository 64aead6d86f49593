"""Files of an output folder that all fields of view share: written one writer at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from pyama_core.errors import FolderBusyError, StorageError
from pyama_core.io.storage.atomic import is_temporary
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.naming import SHARED_NAMES

_PATIENCE_S = 10.0


@contextlib.contextmanager
def lock_shared_files(output_dir: Path) -> Iterator[None]:
    """Keep two processes from writing what all fields of view share at once, for milliseconds.

    Under the lock, what processes that died while they wrote such a file left behind is deleted.

    Raises
    ------
    StorageError
        The folder is gone, or cannot be written.
    FolderBusyError
        Another process has held the lock for ten seconds.
    """
    if not output_dir.is_dir():
        raise StorageError(f"the folder {output_dir} is not there; was it deleted or renamed?")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            lock = FolderLock.acquire(output_dir)
        except FolderBusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
        else:
            break
    try:
        for name in SHARED_NAMES:
            _sweep(output_dir, name)
        yield
    finally:
        lock.release()


def _sweep(output_dir: Path, name: str) -> None:
    for path in output_dir.glob(f".{name}.*"):
        if is_temporary(path):
            path.unlink(missing_ok=True)
