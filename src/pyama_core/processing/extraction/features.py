"""The basic features of cells: size, position and brightness per cell and frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.runs.measures import sum_objects


@dataclass(frozen=True)
class FrameMeasurements:
    """What was measured in one frame: arrays of the same length, sorted by cell.

    Attributes
    ----------
    cell
        int64: the cell's label.
    area
        int64: its number of pixels.
    position_x, position_y
        float64: centroid in pixels, column and row; the centre of the first pixel is 0.
    intensity_total
        float64: sum of the image over the cell, in the image's unit.
    """

    cell: NDArray[np.int64]
    area: NDArray[np.int64]
    position_x: NDArray[np.float64]
    position_y: NDArray[np.float64]
    intensity_total: NDArray[np.float64]


def measure_frame(labels: NDArray[Any], image: NDArray[Any]) -> FrameMeasurements:
    """Measure all cells of a frame in one pass over its pixels.

    Parameters
    ----------
    labels
        (Y, X) label image: any integer dtype, 0 is background, labels in any order with gaps.
    image
        (Y, X) image of the same frame, usually background-corrected.

    Returns
    -------
    FrameMeasurements
        One entry per label that occurs, sorted by label.

    Raises
    ------
    InputError
        If the two differ in shape, are not two-dimensional, have a dtype or pixels that cannot be
        measured (negative labels, values that are not finite).

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 7, 7], [0, 7, 7]])
    >>> measured = measure_frame(labels, np.full((2, 3), 2.5))
    >>> measured.cell, measured.area, measured.intensity_total
    (array([7]), array([4]), array([10.]))
    >>> measured.position_x, measured.position_y
    (array([1.5]), array([0.5]))
    """
    cells = FrameCells.of(labels)
    intensity = sum_objects(cells.runs, cells.checked(image), cells.cell.size)
    return FrameMeasurements(
        cell=cells.cell,
        area=cells.area,
        position_x=cells.column_sum / cells.area,
        position_y=cells.row_sum / cells.area,
        intensity_total=intensity,
    )
