"""What happens while a page is open, told to all pages as one stream.

A page opens one stream for all of its tabs. Whoever has news, publishes it in the `Hub`; what
other programs do to folders that are open (a run, `pyama curate`, another page) is found out by
looking at their files every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyama_core.app.file_state import FileState, state_of
from pyama_core.app.messages import Message
from pyama_core.errors import StorageError
from pyama_core.io.storage.locks import LOCK_NAME
from pyama_core.io.storage.naming import EDITS_NAME, SAMPLES_NAME, records_by_fov
from pyama_core.processing.workflow.edits.log import EditLog

_PERIOD_S = 1.0
_LARGEST_SHARE = 0.05
"""Of the time that may be spent on looking."""
_QUIET_S = 15.0
_LONGEST_QUEUE = 1000


class ResultsChanged(Message):
    """Something in an output folder is not as it was."""

    kind: Literal["results"] = "results"
    at: str
    """The folder."""
    fovs: tuple[int, ...]
    """Fields of view whose records changed, or that are worked on now, or not any more."""
    corrections: bool
    """Whether cells were corrected."""
    corrected: tuple[int, ...]
    """Fields of view of which."""
    samples: bool
    """Whether fields of view belong to other samples."""


class Missed(Message):
    """So much happened that some of it was not told: look at everything anew."""

    kind: Literal["missed"] = "missed"


ExportState = Literal["running", "done", "failed", "cancelled"]


class ExportTold(Message):
    """How far an export is, or how it ended."""

    kind: Literal["export"] = "export"
    number: int
    at: str
    """The output folder."""
    form: str
    path: str
    """What it writes."""
    state: ExportState
    done: int
    total: int
    """Steps that are done, and all; 0 as long as that is not known."""
    words: str
    """What was done last, why it failed, or what is not in it."""


class RunMoved(Message):
    """A run into an output folder went on, began or ended: ask how it is."""

    kind: Literal["run"] = "run"
    at: str
    """The folder."""


Event = ResultsChanged | ExportTold | RunMoved | Missed
"""What the stream tells; a new kind of news is one more class here."""


class Hub:
    """Hands news to everybody who listens, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[asyncio.Queue[Event], asyncio.AbstractEventLoop] = {}

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def publish(self, event: Event) -> None:
        """Tell everybody who listens now."""
        with self._lock:
            listeners = list(self._listeners.items())
        for queue, loop in listeners:
            loop.call_soon_threadsafe(_put, queue, event)

    async def listen(self) -> AsyncGenerator[Event | None, None]:
        """Yield what happens from now on; None after a while in which nothing did."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_LONGEST_QUEUE)
        with self._lock:
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield None
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), _QUIET_S)
                except TimeoutError:
                    yield None
        finally:
            with self._lock:
                del self._listeners[queue]


def _put(queue: asyncio.Queue[Event], event: Event) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        event = Missed()
    queue.put_nowait(event)


@dataclass(frozen=True)
class _Look:
    """What was there when a folder was looked at.

    Attributes
    ----------
    records : dict
        Record and lock, by field of view.
    corrections, samples : FileState
        The log of corrections, and the table of samples.
    edits : dict
        Lines of that log, by field of view.
    """

    records: dict[int, tuple[FileState, FileState]]
    corrections: FileState
    edits: dict[int, int]
    samples: FileState


async def rest(since: float) -> None:
    """Wait until it is time to look again, after a look that began at a time."""
    taken = time.monotonic() - since
    await asyncio.sleep(max(_PERIOD_S, taken / _LARGEST_SHARE))


class Watcher:
    """Looks at the folders that are open, as long as somebody listens.

    Parameters
    ----------
    hub : Hub
        Told of what changed.
    folders : callable
        Returns the folders that are open.
    """

    def __init__(self, hub: Hub, folders: Callable[[], Iterable[Path]]) -> None:
        self._hub, self._folders = hub, folders
        self._seen: dict[Path, _Look] = {}
        self._logs: dict[Path, EditLog] = {}
        self._lock = threading.Lock()

    async def watch(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            started = time.monotonic()
            if self._hub.is_heard:
                await asyncio.to_thread(self.look)
            await rest(started)

    def look(self, at: Iterable[Path] | None = None) -> None:
        """Look once at each folder, and tell what changed since the last time.

        Parameters
        ----------
        at : iterable of Path, optional
            Only at these.
        """
        with self._lock:
            folders = list(self._folders() if at is None else at)
            for folder in folders:
                before, now = self._seen.get(folder), self._look_at(folder)
                self._seen[folder] = now
                if before is not None and before != now:
                    self._hub.publish(_difference(folder, before, now))
            if at is None:
                self._seen = {folder: self._seen[folder] for folder in folders}
                self._logs = {folder: self._logs[folder] for folder in folders}

    def _look_at(self, folder: Path) -> _Look:
        log = self._logs.setdefault(folder, EditLog(folder))
        corrections, edits = state_of(folder / EDITS_NAME), {}
        with contextlib.suppress(StorageError):  # who reads results is told
            content = log.read()
            edits = {fov: len(content.of_fov(fov)) for fov in content.fovs}
        return _Look(
            records={
                fov: (state_of(path), state_of(path.parent / LOCK_NAME))
                for fov, path in records_by_fov(folder).items()
            },
            corrections=corrections,
            edits=edits,
            samples=state_of(folder / SAMPLES_NAME),
        )


def _difference(folder: Path, before: _Look, now: _Look) -> ResultsChanged:
    corrections = before.corrections != now.corrections
    known = before.edits.keys() | now.edits.keys()
    corrected = _changed(before.edits, now.edits)
    return ResultsChanged(
        at=str(folder),
        fovs=_changed(before.records, now.records),
        corrections=corrections or bool(corrected),
        # A log that was not only added to may say something else anywhere.
        corrected=corrected or (tuple(sorted(known)) if corrections else ()),
        samples=before.samples != now.samples,
    )


def _changed(before: Mapping[int, object], now: Mapping[int, object]) -> tuple[int, ...]:
    return tuple(
        fov for fov in sorted(before.keys() | now.keys()) if before.get(fov) != now.get(fov)
    )
