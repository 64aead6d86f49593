"""Within what a service works: locks, identity of the source, cancelling, reporting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.storage.locks import LockTicket
from pyama_core.io.storage.scratch import Scratch
from pyama_core.io.watched_files import WatchedFiles
from pyama_core.processing.workflow.services.events import ProgressEvent


def _never() -> bool:
    return False


def _to_nobody(_event: ProgressEvent) -> None:
    return None


@dataclass(frozen=True)
class Scope:
    """What a run lends to the services that work in it; of a service alone, all is at rest.

    Attributes
    ----------
    tickets : mapping of int to LockTicket, or None
        Proof of the lock that the run holds on each field of view; None outside of a run, where a
        service takes the lock of each field of view itself.
    identity : SourceIdentity or None
        Identity of the source file, where it is known already.
    cancelled : callable
        Asked before every frame whether to stop.
    report : callable
        Takes progress events.
    watched : WatchedFiles or None
        The source's files, as they were when the run began.
    scratch : Scratch or None
        Where stacks are that are not kept.
    """

    tickets: Mapping[int, LockTicket] | None = None
    identity: SourceIdentity | None = None
    cancelled: Callable[[], bool] = _never
    report: Callable[[ProgressEvent], None] = _to_nobody
    watched: WatchedFiles | None = None
    scratch: Scratch | None = None

    @property
    def in_a_run(self) -> bool:
        """Whether a run holds the locks, and says once what concerns all fields of view."""
        return self.tickets is not None


ALONE = Scope()
"""The scope of a service that somebody calls by hand."""
