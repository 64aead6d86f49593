"""Exports that the page began: each in a thread of its own, told to all pages, stopped on request.

An export lands whole or not at all, also when the server ends meanwhile; what was begun and not
finished is deleted by the next one to the same place.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyama_core.app.events import ExportState, ExportTold, Hub
from pyama_core.errors import CancelledError, InputError, PyamaError, ShortageError, is_shortage
from pyama_core.exports.exporting import export
from pyama_core.exports.progress import ExportProgress
from pyama_core.results.selection import Selection

logger = logging.getLogger(__name__)

_BETWEEN_S = 0.1
"""Progress is told that often at most."""
_MOST_AT_ONCE = 4
_MOST_KEPT = 20


@dataclass(frozen=True)
class Wanted:
    """What is to be exported.

    Attributes
    ----------
    at : Path
        The output folder.
    form : str
        Name of the form.
    path : Path
        What to write.
    options : mapping
        Of the form.
    overwrite : bool
        Whether an earlier export may be replaced.
    select : callable
        Returns the part of the results.
    """

    at: Path
    form: str
    path: Path
    options: Mapping[str, Any]
    overwrite: bool
    select: Callable[[], Selection]


@dataclass
class _Job:
    wanted: Wanted
    cancel: threading.Event = field(default_factory=threading.Event)
    told_at: float = 0.0


class ExportJobs:
    """Exports that are under way, and how the last ones ended; safe to use from several threads.

    Parameters
    ----------
    hub : Hub
        Told how far they are.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._jobs: dict[int, _Job] = {}
        self._told: OrderedDict[int, ExportTold] = OrderedDict()

    def start(self, wanted: Wanted) -> ExportTold:
        """Begin an export.

        Raises
        ------
        InputError
            Another is at work at the same place, or too many are under way.
        """
        with self._lock:
            if any(job.wanted.path == wanted.path for job in self._jobs.values()):
                raise InputError(f"{wanted.path} is being written just now; wait, or stop that")
            if len(self._jobs) >= _MOST_AT_ONCE:
                raise InputError(f"{_MOST_AT_ONCE} exports are under way; wait until one is done")
            number = next(self._numbers)
            job = self._jobs[number] = _Job(wanted)
        told = self._tell(number, job, "running")
        threading.Thread(
            target=self._run, args=(number, job), name=f"export {number}", daemon=True
        ).start()
        return told

    def cancel(self, number: int) -> None:
        """Stop an export at its next step; one that has ended stays as it is."""
        with self._lock:
            job = self._jobs.get(number)
        if job is not None:
            job.cancel.set()

    def cancel_all(self) -> None:
        """Stop all, as the server ends."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel.set()

    def of(self, folder: Path) -> tuple[ExportTold, ...]:
        """Return how the exports of an output folder are, the last one last."""
        with self._lock:
            return tuple(told for told in self._told.values() if told.at == str(folder))

    def _run(self, number: int, job: _Job) -> None:
        state, words = self._export(number, job)
        # Whoever is told that it has ended may begin the next.
        with self._lock:
            del self._jobs[number]
        self._tell(number, job, state, words=words)

    def _export(self, number: int, job: _Job) -> tuple[ExportState, str]:
        """Do it; return how it ended, and in words why."""

        def on_progress(progress: ExportProgress) -> None:
            now = time.monotonic()
            if now - job.told_at >= _BETWEEN_S:
                job.told_at = now
                self._tell(number, job, "running", progress=progress)

        wanted = job.wanted
        try:
            with _warnings() as warned:
                export(
                    wanted.select(),
                    wanted.form,
                    wanted.path,
                    wanted.options,
                    overwrite=wanted.overwrite,
                    on_progress=on_progress,
                    cancelled=job.cancel.is_set,
                )
        except CancelledError as error:
            return "cancelled", str(error)
        except PyamaError as error:
            return "failed", str(error)
        except Exception as error:
            if is_shortage(error):
                return "failed", str(ShortageError.about(f"export {wanted.form}", error))
            logger.exception("exporting %s of %s", wanted.form, wanted.at)
            return "failed", (
                f"{type(error).__name__}: {error}. This is a fault of the program; nothing was "
                "written, and results are as they were. The terminal of pyama app tells more."
            )
        return "done", "; ".join(warned)

    def _tell(
        self,
        number: int,
        job: _Job,
        state: ExportState,
        *,
        progress: ExportProgress | None = None,
        words: str = "",
    ) -> ExportTold:
        told = ExportTold(
            number=number,
            at=str(job.wanted.at),
            form=job.wanted.form,
            path=str(job.wanted.path),
            state=state,
            done=progress.done if progress else 0,
            total=progress.total if progress else 0,
            words=progress.doing if progress else words,
        )
        with self._lock:
            self._told[number] = told
            while len(self._told) > _MOST_KEPT:
                self._told.popitem(last=False)
        self._hub.publish(told)
        return told


class _Listening(logging.Handler):
    """Keeps what this thread warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.words.append(record.getMessage())


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Yield what an export warns of, for who sees no terminal."""
    listening, package = _Listening(), logging.getLogger("pyama_core")
    package.addHandler(listening)
    try:
        yield listening.words
    finally:
        package.removeHandler(listening)
