"""Features of the brightness of cells in one channel, as columns of one value per cell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.feature_names import INTENSITY_FEATURES
from pyama_core.processing.extraction.kernels.intensities import describe_pixels, medians_around
from pyama_core.processing.extraction.tables import Columns
from pyama_core.processing.runs.measures import sum_objects

_OF_PIXELS = (
    "intensity_std",
    "intensity_min",
    "intensity_max",
    "intensity_p5",
    "intensity_median",
    "intensity_p95",
)


def measure_intensities(
    cells: FrameCells,
    image: NDArray[Any],
    wanted: Collection[str] = INTENSITY_FEATURES,
    ring: int = 10,
) -> Columns:
    """Measure the brightness of all cells of a frame in one channel.

    Parameters
    ----------
    cells
        The cells.
    image
        (Y, X) image of the same frame.
    wanted
        Names out of `INTENSITY_FEATURES`: what is not asked for is not computed.
    ring
        The local background of a cell is the median of the pixels without any cell that are at
        most so many rows and columns away from it.

    Returns
    -------
    dict of str to ndarray
        ``cell`` (int64, ascending) and, as float64 in the image's unit, ``intensity_total`` and of
        those wanted: ``intensity_mean``, ``intensity_median``, ``intensity_std`` (of the cell's
        pixels as a population), ``intensity_min``, ``intensity_max``, the percentiles
        ``intensity_p5`` and ``intensity_p95`` (interpolated linearly), and ``background_local``,
        NaN where a cell has no such pixels around it.

    Raises
    ------
    InputError
        If the image differs in shape or cannot be measured.

    Examples
    --------
    >>> import numpy as np
    >>> cells = FrameCells.of(np.array([[0, 7, 7, 7]]))
    >>> columns = measure_intensities(cells, np.array([[1.0, 3.0, 4.0, 8.0]]))
    >>> columns["intensity_median"], columns["background_local"]
    (array([4.]), array([1.]))
    """
    image = cells.checked(image)
    total = sum_objects(cells.runs, image, cells.cell.size)
    found: Columns = {
        "cell": cells.cell,
        "intensity_total": total,
        "intensity_mean": total / cells.area,
    }
    if not set(wanted).isdisjoint(_OF_PIXELS):
        described = describe_pixels(
            cells.runs, cells.grouped, image, cells.area, total, np.array([0.05, 0.5, 0.95])
        )
        found |= dict(zip(_OF_PIXELS, described.T, strict=True))
    if "background_local" in wanted:
        found["background_local"] = medians_around(
            image, cells.runs, cells.grouped, cells.box, ring
        )
    return {name: found[name] for name in ["cell", "intensity_total", *wanted]}


def measure_saturation(
    cells: FrameCells, image: NDArray[Any], saturated_from: float
) -> NDArray[np.float64]:
    """Return which part of the pixels of each cell is at the camera's ceiling.

    Parameters
    ----------
    cells
        The cells.
    image
        (Y, X) image of the same frame.
    saturated_from
        How bright such pixels are at least. The camera's ceiling is the same everywhere, and the
        background that was taken away is not, so that a pixel somewhat below it counts too.

    Raises
    ------
    InputError
        As `measure_intensities`.

    Examples
    --------
    >>> cells = FrameCells.of(np.array([[0, 7, 7, 8]]))
    >>> measure_saturation(cells, np.array([[9.0, 3.0, 9.0, 2.0]]), 9)
    array([0.5, 0. ])
    """
    image = cells.checked(image)
    if not (at_ceiling := image >= saturated_from).any():
        return np.zeros(cells.cell.size)
    # In the type of corrected images, for which the sum is compiled already.
    return sum_objects(cells.runs, at_ceiling.astype(np.float32), cells.cell.size) / cells.area
