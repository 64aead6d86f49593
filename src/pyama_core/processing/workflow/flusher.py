"""Flushing finished fields of view to disk, in the background.

Waiting for the disk before each record would make the disk the clock of the run. So records
are written at once, valid within this boot of this machine, and marked durable later by this
thread, which is never waited for longer than the file that it is on: what a run leaves unmarked
costs a checksum after a reboot, nothing else.
"""

from __future__ import annotations

import logging
import queue
import threading
from types import TracebackType
from typing import Self

from pyama_core.errors import CancelledError
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.processing.workflow.threads import start_thread

logger = logging.getLogger(__name__)


class Flusher:
    """A thread that makes folders durable in the order in which they are finished."""

    def __init__(self) -> None:
        self._finished: queue.SimpleQueue[FovFolder | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._flush, name="pyama flusher", daemon=True)

    def __enter__(self) -> Self:
        start_thread(self._thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._finished.put(None)
        self._thread.join()

    def add(self, folder: FovFolder) -> None:
        """Hand over a finished folder; nobody else writes its record from now on."""
        self._finished.put(folder)

    def _flush(self) -> None:
        while (folder := self._finished.get()) is not None:
            try:
                folder.make_durable(self._ending.is_set)
            except CancelledError:
                pass  # it was given to another worker, who sees to it
            except Exception as error:  # noqa: BLE001 - no memory, no file handle: no harm is done
                logger.warning("FOV %d: not flushed to disk: %s", folder.fov, error)
