"""How far an export is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyama_core.errors import CancelledError


@dataclass(frozen=True)
class ExportProgress:
    """How far an export is.

    Attributes
    ----------
    done, total : int
        Steps that are done, and all; what a step is differs from form to form.
    doing : str
        What was done last, for people.
    """

    done: int
    total: int
    doing: str


OnProgress = Callable[[ExportProgress], None]


class Steps:
    """Counts the steps of an export, reports them, and stops where that is asked for.

    Parameters
    ----------
    total : int
        How many there will be.
    on_progress : callable, optional
        Is given an `ExportProgress` after each.
    cancelled : callable, optional
        Whether the caller wants to stop.
    """

    def __init__(
        self,
        total: int,
        on_progress: OnProgress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._total = total
        self._done = 0
        self._on_progress = on_progress
        self._cancelled = cancelled

    def expect(self, more: int) -> None:
        """Take in that there will be more steps."""
        self._total += more

    def done(self, doing: str) -> None:
        """Take in that a step is done.

        Raises
        ------
        CancelledError
            The caller asked to stop.
        """
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(ExportProgress(self._done, self._total, doing))
        self.look()

    def look(self) -> None:
        """Stop if that is asked for; errors as `done`."""
        if self._cancelled():
            raise CancelledError("the export was cancelled; nothing was written")
