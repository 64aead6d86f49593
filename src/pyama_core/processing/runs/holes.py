"""Holes of masks: parts of the background that do not reach the edge of the frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.connected import label_connected
from pyama_core.processing.runs.pixel_runs import Runs, find_runs

BoolArray = NDArray[np.bool_]


def fill_holes(mask: BoolArray, largest: float = np.inf) -> None:
    """Set the holes of a (Y, X) mask of fewer than `largest` pixels, in place.

    A hole is a 4-connected part of the background that does not reach the edge of the frame.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0]], np.bool_)
    >>> fill_holes(mask)
    >>> mask.sum(axis=1)
    array([3, 3, 3, 1])
    """
    background = find_runs(read_only(mask.view(np.uint8)), 1)
    _fill_small(background, label_connected(background), mask.shape[1], largest, mask)


@compiled()
def _fill_small(background: Runs, n_parts: int, width: int, largest: float, out: BoolArray) -> None:
    """Set the parts of the background of fewer than `largest` pixels that do not reach the edge."""
    last = background.first.size - 2
    area = np.zeros(n_parts, np.float64)
    for y in range(last + 1):
        for run in range(background.first[y], background.first[y + 1]):
            start, stop = background.start[run], background.stop[run]
            part = background.label[run]
            area[part] += stop - start
            if y == 0 or y == last or start == 0 or stop == width:
                area[part] = np.inf
    for y in range(last + 1):
        for run in range(background.first[y], background.first[y + 1]):
            if area[background.label[run]] < largest:
                out[y, background.start[run] : background.stop[run]] = True
