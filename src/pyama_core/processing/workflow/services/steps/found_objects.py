"""What a segmentation finds, held against what it took cells for: counted while it works."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.picture.kind import PictureKind

OBJECTS, FOUND = "objects", "found_diameter"
"""Names in the summary of an output: objects in a frame, and their diameter in pixels."""
ASSUMED, SHOWN_DIAMETER = "cell_diameter", "shown_diameter"
"""The same of the diameter that is assumed, and of what a frame says where that was given."""
SHOWN = {
    PictureKind.ADHERENT: "frames_of_adherent_cells",
    PictureKind.BRIGHT: "frames_of_bright_objects",
    PictureKind.DARK: "frames_of_dark_objects",
}
"""The same of the frames that were looked at, where they are sure of what they show."""

_MOST_FRAMES = 9
_MOST_COUNTED = 1 << 20
"""Largest label of which a table of all is no burden."""


def frames_looked_at(there: Sequence[int]) -> set[int]:
    """Return up to nine frames of those that are there, from the first to the last.

    Examples
    --------
    >>> sorted(frames_looked_at(range(100)))
    [0, 12, 24, 37, 49, 61, 74, 86, 99]
    """
    steps = min(len(there), _MOST_FRAMES) - 1
    return {there[(len(there) - 1) * i // max(1, steps)] for i in range(steps + 1)}


class FoundObjects:
    """Number and size of the objects in some frames from all over a movie.

    They are looked at as they are found, before they grow, for it is their own size that was
    assumed. Of masks only those are counted that methods number.

    Parameters
    ----------
    there
        Numbers of the frames that are segmented.
    """

    def __init__(self, there: Sequence[int]) -> None:
        self._frames = frames_looked_at(there)
        self._areas: list[NDArray[np.int64]] = []

    def add(self, t: int, found: NDArray[Any]) -> None:
        """Count the objects of a frame, if it is one of those that are looked at."""
        if t in self._frames and found.dtype != np.bool_:
            self._areas.append(_areas(found))

    @property
    def areas(self) -> NDArray[np.int64]:
        """Areas in pixels of all that were counted."""
        return np.concatenate([np.zeros(0, np.int64), *self._areas])

    def summary(self) -> dict[str, int]:
        """Return what was found, for the record; nothing where nothing was counted."""
        if not self._areas:
            return {}
        counts = [len(areas) for areas in self._areas]
        told = {OBJECTS: round(statistics.median(counts))}
        if any(counts):
            area = float(np.median(np.concatenate(self._areas)))
            told[FOUND] = round((4 / np.pi * area) ** 0.5)
        return told


def _areas(labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.max() <= _MOST_COUNTED:
        areas = np.bincount(labels.ravel())[1:]
        return areas[areas > 0]
    values, counts = np.unique(labels, return_counts=True)
    return counts[values > 0]
