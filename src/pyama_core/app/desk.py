"""What the server has open: results below the roots, and who listens for news."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pyama_core.app.events import Hub, RunMoved, Watcher, rest
from pyama_core.app.export_jobs import ExportJobs
from pyama_core.app.file_cards import FileCards
from pyama_core.app.file_state import FileState, state_of
from pyama_core.app.following import Followers
from pyama_core.app.kept import Kept
from pyama_core.app.readings import Readings
from pyama_core.app.roots import Roots
from pyama_core.app.run_jobs import RunJobs
from pyama_core.app.sources import OpenSources
from pyama_core.app.table_readings import TableReadings
from pyama_core.app.tuner import Tuner
from pyama_core.io.storage.naming import SOURCE_NAME
from pyama_core.results.fov_results import FovResults
from pyama_core.results.results import Results, open_results

_MOST_OPEN = 16
_IDLE_LOOK_S = 60.0
_MOST_THUMBNAIL_BYTES = 48 << 20


@dataclass(frozen=True)
class _Opened:
    results: Results
    seen: tuple[int, FileState]


class Desk:
    """The state of the server, which handlers share; safe to use from several threads.

    Parameters
    ----------
    roots : Roots
        Folders below which things may be opened.

    Attributes
    ----------
    hub : Hub
        Hands events to all pages.
    cards : FileCards
        What microscope files hold.
    exports : ExportJobs
        What is exported for the page.
    watcher : Watcher
        Finds out what changed in folders that are open.
    sources : OpenSources
        Microscope files that are set up.
    thumbnails : Kept
        Small pictures of their positions.
    tuner : Tuner
        Tries parameters.
    readings : Readings
        Pictures of what it found.
    tables : TableReadings
        Traces and cells of the fields of view that are looked at.
    jobs : RunJobs
        Runs that the page began, which go on when the server ends.
    followers : Followers
        Tell how runs are, whoever began them.
    """

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self.hub = Hub()
        self.cards = FileCards()
        self.exports = ExportJobs(self.hub)
        self.watcher = Watcher(self.hub, lambda: self.open_folders)
        self.sources = OpenSources(roots)
        self.thumbnails: Kept[NDArray[Any]] = Kept(_MOST_THUMBNAIL_BYTES, lambda each: each.nbytes)
        self.tuner = Tuner()
        self.readings = Readings()
        self.tables = TableReadings()
        self.jobs = RunJobs()
        self.followers = Followers(self.jobs)
        self._lock = threading.Lock()
        self._opened: OrderedDict[Path, _Opened] = OrderedDict()

    def results(self, place: str) -> Results:
        """Open an output folder, or return it as it was opened before, with what is new in it.

        Raises
        ------
        InputError
            It is not below the roots, or holds no results.
        """
        folder = self.roots.inside(place)
        self.roots.require_links_inside(folder)
        now = (_names_in(folder), state_of(folder / SOURCE_NAME))
        with self._lock:
            opened = self._opened.get(folder)
            if opened is None or opened.seen != now:
                opened = _Opened(open_results(folder), now)
                self._opened[folder] = opened
            self._opened.move_to_end(folder)
            while len(self._opened) > _MOST_OPEN:
                self._opened.popitem(last=False)
        return opened.results

    def fov(self, place: str, number: int) -> FovResults:
        """Open a field of view of an output folder; errors as `results`.

        Raises
        ------
        InputError
            There are no results of it.
        """
        return self._checked(self.results(place).fov(number))

    def fovs(self, place: str) -> list[FovResults]:
        """Open all fields of view that have results; errors as `results`."""
        return [self._checked(fov) for fov in self.results(place).chosen()]

    def _checked(self, fov: FovResults) -> FovResults:
        self.roots.require_links_inside(self.roots.inside(fov.folder))
        return fov

    @contextlib.contextmanager
    def changing(self, folder: Path) -> Iterator[None]:
        """Tell all pages at once of what is changed in a folder of results within the block."""
        self.watcher.look([folder])
        yield
        self.watcher.look([folder])

    async def watch_runs(self) -> None:
        """Tell all pages where runs went on, again and again, until cancelled."""
        while True:
            started = time.monotonic()
            if self.hub.is_heard:
                for folder in await asyncio.to_thread(self.followers.changed):
                    self.hub.publish(RunMoved(at=str(folder)))
            await rest(started)

    async def rest_when_idle(self) -> None:
        """Give back what trying parameters holds when nobody does, until cancelled."""
        while True:
            await asyncio.sleep(_IDLE_LOOK_S)
            await asyncio.to_thread(self.tuner.end_if_idle)

    @property
    def open_folders(self) -> list[Path]:
        """Output folders that are open."""
        with self._lock:
            return list(self._opened)

    def close(self) -> None:
        """Give back what is held: files, and processes that wait for work."""
        self.tuner.close()
        self.sources.close()


def _names_in(folder: Path) -> int:
    """Return a number that changes when a field of view comes or goes, and not with each lock."""
    try:
        with os.scandir(folder) as entries:
            return hash(frozenset(entry.name for entry in entries if entry.is_dir()))
    except OSError:
        return 0
