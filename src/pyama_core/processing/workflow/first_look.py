"""The look at the first positions of a run that are through, while stopping still saves the night.

It looks at records alone, so that it does not matter what was released, or whose worker made them.
"""

from __future__ import annotations

import logging
import threading

from pyama_core.io.storage.records import FovRecord
from pyama_core.processing.workflow.doubts import About, Doubt, compare_counts, find_doubts
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.stop_file import StopFile

logger = logging.getLogger(__name__)

_MOST_LOOKED_AT = 3


class FirstLook:
    """Tells what the first fields of view contradict of what was assumed, each kind once.

    What its cells are like is told of the first alone, for others may be controls without any;
    whether their numbers jump is seen from the second on.
    """

    def __init__(self) -> None:
        self._states: list[FovState] = []
        self._told: set[About] = set()

    @property
    def is_over(self) -> bool:
        """Whether enough was looked at."""
        return len(self._states) >= _MOST_LOOKED_AT

    def take(self, record: FovRecord) -> list[Doubt]:
        """Look at a field of view that is done; warn of what is new in it, and return that."""
        self._states.append(FovState(record))
        found = find_doubts(self._states[0]) if len(self._states) == 1 else []
        if (jump := compare_counts(self._states)) is not None:
            found.append(jump)
        new = [doubt for doubt in found if doubt.about not in self._told]
        self._told.update(doubt.about for doubt in new)
        for doubt in new:
            if doubt.about is not About.PICTURE:  # of which was warned before the run began
                logger.warning("FOV %d is through: %s", record.fov, doubt)
        return new


class Halt:
    """Whether a run is to stop: its caller or a stop file says so, or it does of its own accord.

    Parameters
    ----------
    cancel : threading.Event
        Set by the caller.
    stop_file : StopFile, optional
        Looked for meanwhile.

    Attributes
    ----------
    reason : str or None
        Why it stopped of its own accord.
    """

    def __init__(self, cancel: threading.Event, stop_file: StopFile | None = None) -> None:
        self._cancel = cancel
        self._stop_file = stop_file
        self.reason: str | None = None

    def is_set(self) -> bool:
        """Whether to stop."""
        if self.reason is not None or self._cancel.is_set():
            return True
        if self._stop_file is None or not self._stop_file.is_new():
            return False
        logger.warning("%s asks to stop: stopping", self._stop_file.path)
        self._cancel.set()
        return True
