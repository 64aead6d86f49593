"""The locks of all fields of view of a run, and the heartbeat that keeps them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from pyama_core.errors import CancelledError, FolderBusyError
from pyama_core.io.storage.locks import HEARTBEAT_S, FolderLock, LockTicket
from pyama_core.io.storage.naming import fov_folder_name
from pyama_core.processing.workflow.services.base import make_fov_folder
from pyama_core.processing.workflow.threads import start_thread

logger = logging.getLogger(__name__)

_POLL_S = 2.0

_held: weakref.WeakSet[FovLocks] = weakref.WeakSet()


def release_all_held() -> None:
    """Give back all locks of this process, which ends without coming to the end of its runs."""
    for held in list(_held):
        held.release()


class FovLocks:
    """Holds the lock of each field of view from entry to exit.

    Parameters
    ----------
    output_dir : Path
        Folder of the run.
    fovs : iterable of int
        Fields of view; all are locked, or none.
    patience_s : float
        How long to wait for those that another run holds.
    cancel : threading.Event, optional
        Set to stop waiting.

    Raises
    ------
    FolderBusyError
        On entry: another run works on one of them.
    CancelledError
        On entry: told to stop waiting.
    StorageError
        On entry: the output folder cannot be written.
    ShortageError
        On entry: no thread can be started.
    """

    def __init__(
        self,
        output_dir: Path,
        fovs: Iterable[int],
        patience_s: float = 0.0,
        cancel: threading.Event | None = None,
    ) -> None:
        self._output_dir = output_dir
        self._fovs = list(fovs)
        self._deadline = time.monotonic() + patience_s
        self._cancel = cancel or threading.Event()
        self._locks: dict[int, FolderLock] = {}
        self._ending = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="pyama heartbeat", daemon=True)

    @property
    def tickets(self) -> dict[int, LockTicket]:
        """Proof of each lock."""
        return {fov: lock.ticket for fov, lock in self._locks.items()}

    def __enter__(self) -> Self:
        existed = self._output_dir.exists()
        _held.add(self)
        try:
            start_thread(self._heart)
            for fov in self._fovs:
                self._locks[fov] = self._acquire(fov)
        except BaseException:
            self._stop()
            self._remove_empty_folders(and_output_dir=not existed)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _acquire(self, fov: int) -> FolderLock:
        folder, told = make_fov_folder(self._output_dir, fov), False
        while True:
            try:
                return FolderLock.acquire(folder)
            except FolderBusyError as error:
                if time.monotonic() >= self._deadline:
                    raise
                if not told:
                    logger.warning("%s; waiting until it has ended", error)
                    told = True
            if self._cancel.wait(_POLL_S):
                raise CancelledError(f"cancelled while waiting for {folder}")

    def _stop(self) -> None:
        self._ending.set()
        if self._heart.is_alive():
            self._heart.join()
        self.release()

    def _beat(self) -> None:
        while not self._ending.wait(HEARTBEAT_S):
            for lock in list(self._locks.values()):
                try:
                    lock.beat()
                except Exception as error:
                    logger.debug("a lock could not be renewed", exc_info=error)

    def release(self) -> None:
        """Give all locks back."""
        for lock in list(self._locks.values()):
            lock.release()

    def _remove_empty_folders(self, *, and_output_dir: bool) -> None:
        folders = [self._output_dir / fov_folder_name(fov) for fov in self._fovs]
        for folder in [*folders, *([self._output_dir] if and_output_dir else [])]:
            with contextlib.suppress(OSError):
                folder.rmdir()
