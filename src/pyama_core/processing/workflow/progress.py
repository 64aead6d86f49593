"""Progress events, and the thread that drains them in the main process."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from pyama_core.processing.workflow.services.events import ProgressEvent, is_event
from pyama_core.processing.workflow.threads import start_thread

__all__ = ["EventSource", "ProgressCallback", "ProgressDrainer", "ProgressEvent", "is_event"]

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_MAX_UNREADABLE = 10
"""Messages in a row that cannot be read; a source that gives nothing else will never end."""


ProgressCallback = Callable[[ProgressEvent], None]


class EventSource(Protocol):
    """Where the main process gets the messages of workers from; a `queue.Queue` is one."""

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Return the next message; `queue.Empty` if none comes in time."""


class ProgressDrainer:
    """Turns the messages of workers into log records and calls of `on_progress`.

    A daemon thread, so that a slow callback or a screen that redraws never holds up the work,
    and that must not end before the last message that was sent: hence leaving the context waits
    until the source is empty.

    Parameters
    ----------
    source : EventSource
        Gives progress events and `logging.LogRecord`; anything else is logged and dropped.
    on_progress : callable, optional
        Called in this thread with each event. If it raises, that is logged and the next event
        is given to it all the same.
    """

    def __init__(self, source: EventSource, on_progress: ProgressCallback | None) -> None:
        self._source = source
        self._on_progress = on_progress
        self._inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._n_unreadable = 0
        self._thread = threading.Thread(target=self._drain, name="pyama progress", daemon=True)

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
        self._thread.join()

    def put(self, message: object) -> None:
        """Take a message of this process."""
        self._inbox.put(message)

    def _drain(self) -> None:
        alive = True
        while True:
            ending = self._ending.is_set()
            while not self._inbox.empty():
                self._handle_safely(self._inbox.get())
            received = self._receive() if alive else None
            if received is None:
                alive = False
                self._ending.wait(_POLL_S)
            if ending and not received and self._inbox.empty():
                return

    def _receive(self) -> bool | None:
        """Deal with the next message of a worker; False if there was none, None if never more."""
        try:
            message = self._source.get(timeout=_POLL_S)
        except queue.Empty:
            self._n_unreadable = 0
            return False
        except (EOFError, OSError) as error:
            logger.warning("progress is no longer reported, the queue is gone: %r", error)
            return None
        except Exception as error:
            logger.exception("a progress message could not be read")
            self._n_unreadable += 1
            if self._n_unreadable == _MAX_UNREADABLE:
                logger.warning("progress is no longer reported, the queue is broken: %r", error)
                return None
        else:
            self._n_unreadable = 0
            self._handle_safely(message)
        return True

    def _handle_safely(self, message: object) -> None:
        try:
            self.handle(message)
        except Exception as error:
            logger.debug("a message was lost", exc_info=error)

    def handle(self, message: object) -> None:
        """Deal with one message, whatever it is."""
        if isinstance(message, logging.LogRecord):
            _relog(message)
        elif is_event(message):
            logger.info("FOV %d: %s", message["fov"], message["message"])
            self._tell(message)
        else:
            logger.warning("ignored a malformed progress event: %r", message)

    def _tell(self, event: ProgressEvent) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(event)
        except Exception:
            logger.exception("the progress callback failed at %r", event)


def _relog(record: logging.LogRecord) -> None:
    """Give a worker's log record to the handlers of this process."""
    target = logging.getLogger(record.name)
    if target.isEnabledFor(record.levelno):
        target.handle(record)
