"""Measurements of frames, arranged as traces: rows by cell, then by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


def rows_by_cell(cells: Mapping[int, NDArray[np.int64]]) -> tuple[Columns, NDArray[np.intp]]:
    """Return the cell and the frame of each row, and where it is among all measurements.

    Parameters
    ----------
    cells
        By frame: the cells that were measured.

    Returns
    -------
    columns : dict
        ``cell`` and ``frame``, int64, sorted by cell, then by frame.
    order : ndarray
        Indices of the rows among the measurements, put one frame after the other.

    Examples
    --------
    >>> import numpy as np
    >>> rows_by_cell({0: np.array([3, 5]), 2: np.array([3])})
    ({'cell': array([3, 3, 5]), 'frame': array([0, 2, 0])}, array([0, 2, 1]))
    """
    frames = np.array(list(cells), np.int64)
    frame = np.repeat(frames, [part.size for part in cells.values()])
    cell = np.concatenate([np.empty(0, np.int64), *cells.values()])
    order = np.argsort(cell, kind="stable")
    return {"cell": cell[order], "frame": frame[order]}, order


def joined(frames: Sequence[Columns], order: NDArray[np.intp]) -> Columns:
    """Return the columns of all frames as one, with the rows in an order."""
    names = list(frames[0]) if frames else []
    return {name: np.concatenate([frame[name] for frame in frames])[order] for name in names}
