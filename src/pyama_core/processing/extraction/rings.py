"""Rings around nuclei, within their cells: a sample of the cytoplasm beside the nucleus."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.kernels.rings import draw_rings
from pyama_core.processing.extraction.ring_size import RingSize

IntArray = NDArray[np.int64]


def find_rings(cells: FrameCells, nuclei: FrameCells, size: RingSize) -> NDArray[Any]:
    """Return the rings around the nuclei of a frame.

    The ring of a cell's nucleus has the pixels of the cell whose distance to the nucleus is more
    than the gap, and not more than gap and width together, and that lie farther than the gap from
    the nuclei of all other cells. Distances are those between the centres of pixels.

    Parameters
    ----------
    cells
        The cells.
    nuclei
        Their nuclei: the label of a nucleus is that of its cell.
    size
        Of the rings.

    Returns
    -------
    ndarray
        (Y, X) label image of the dtype of that of the cells. Where cells are crowded, some may
        have no ring.

    Examples
    --------
    >>> import numpy as np
    >>> cells = FrameCells.of(np.array([[3, 3, 3, 3, 3, 3, 3, 5, 5, 5]]))
    >>> nuclei = FrameCells.of(np.array([[0, 0, 3, 3, 0, 0, 0, 0, 5, 0]]))
    >>> find_rings(cells, nuclei, RingSize(width=2, gap=1))
    array([[3, 0, 0, 0, 0, 3, 3, 0, 0, 0]])
    """
    if cells.labels.shape != nuclei.labels.shape:
        raise InputError(
            f"Expected nuclei and cells of the same shape, found {nuclei.labels.shape} and "
            f"{cells.labels.shape}."
        )
    rings = np.zeros(cells.labels.shape, cells.labels.dtype)
    draw_rings(
        cells.labels,
        nuclei.runs,
        nuclei.grouped,
        nuclei.cell,
        nuclei.box,
        _disc(size.gap),
        _disc(size.gap + size.width),
        rings,
    )
    return rings


def _disc(radius: float) -> IntArray:
    """Return how far a disc reaches to either side of its centre, by the distance of rows."""
    square = radius * radius
    return np.array([math.isqrt(int(square - dy * dy)) for dy in range(int(radius) + 1)], np.int64)
