"""How much of the frames shows background: counted for the record while they are corrected."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.background.corrector import BackgroundCorrector, TellsFreePart
from pyama_core.processing.workflow.services.steps.found_objects import frames_looked_at

FREE = "background_per_mille"
"""Name in the summary of a corrected stack: how much of a frame is left beside the cells."""


class FreeParts:
    """The part of the frame outside of cells, in some frames from all over a movie.

    Parameters
    ----------
    corrector
        What takes the background from there; nothing is counted where it does not say from where.
    there
        Numbers of the frames that are corrected.
    """

    def __init__(self, corrector: BackgroundCorrector, there: Sequence[int]) -> None:
        self._corrector = corrector
        self._frames = frames_looked_at(there)
        self._parts: list[float] = []

    def add(self, t: int, mask: NDArray[np.generic]) -> None:
        """Look at the mask of a frame, if it is one of those that are looked at."""
        if t in self._frames and isinstance(self._corrector, TellsFreePart):
            self._parts.append(self._corrector.free_part(mask))

    def summary(self) -> dict[str, int]:
        """Return what is usual, for the record; nothing where nothing was counted."""
        return {FREE: round(1000 * statistics.median(self._parts))} if self._parts else {}
