"""Features of the shapes of cells, as columns of one value per cell.

Where scikit-image's `regionprops` has a feature, it is defined here as there.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.feature_names import SHAPE_FEATURES
from pyama_core.processing.extraction.kernels import shapes
from pyama_core.processing.extraction.tables import Columns

Float64Array = NDArray[np.float64]


def measure_shapes(cells: FrameCells, wanted: Collection[str] = SHAPE_FEATURES) -> Columns:
    """Measure the shapes of all cells of a frame.

    Parameters
    ----------
    cells
        The cells.
    wanted
        Names out of `SHAPE_FEATURES`: what is not asked for is not computed.

    Returns
    -------
    dict of str to ndarray
        ``cell`` (int64, ascending), ``area`` (int64), ``position_x`` and ``position_y`` (centroid)
        and, in pixels where not said otherwise, of those wanted:
        ``perimeter``, estimated from the patterns of outline pixels; ``box_top``, ``box_left``,
        ``box_bottom``, ``box_right`` (int64, the latter two one beyond the last row and column);
        ``eccentricity`` of the ellipse with the same second moments, 0 to 1; ``solidity``, the
        part of the convex hull that is cell, 0 to 1; ``orientation`` of the ellipse's long axis
        against the rows' axis, −π/2 to π/2.

    References
    ----------
    K. Benkrid, D. Crookes, "Design and FPGA implementation of a perimeter estimator", Proc. Irish
    Machine Vision and Image Processing Conference, 51-57 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> cells = FrameCells.of(np.array([[0, 7, 7, 7], [0, 7, 0, 0], [0, 7, 0, 0]]))
    >>> columns = measure_shapes(cells)
    >>> columns["cell"], columns["area"], columns["solidity"].round(3)
    (array([7]), array([5]), array([0.833]))
    """
    runs, area = cells.runs, cells.area
    found: Columns = {
        "cell": cells.cell,
        "area": area,
        "position_x": cells.column_sum / area,
        "position_y": cells.row_sum / area,
        "box_top": cells.box[:, 0],
        "box_left": cells.box[:, 1],
        "box_bottom": cells.box[:, 2],
        "box_right": cells.box[:, 3],
    }
    if "perimeter" in wanted:
        outline = shapes.outline_pixels(cells.labels, runs)
        found["perimeter"] = shapes.perimeters(
            cells.labels, runs, outline, _pattern_lengths(), area.size
        )
    if "eccentricity" in wanted or "orientation" in wanted:
        moments = shapes.second_moments(runs, area, cells.row_sum, cells.column_sum)
        found["eccentricity"], found["orientation"] = _ellipse(*moments.T)
    if "solidity" in wanted:
        found["solidity"] = area / shapes.hull_areas(runs, cells.box)
    always = ("cell", "area", "position_x", "position_y")
    return {name: found[name] for name in [*always, *wanted]}


def _pattern_lengths() -> Float64Array:
    """Return the length of outline that a pixel stands for, by the pattern of its neighbours."""
    lengths = np.zeros(50)
    lengths[[5, 7, 15, 17, 25, 27]] = 1
    lengths[[21, 33]] = np.sqrt(2)
    lengths[[13, 23]] = (1 + np.sqrt(2)) / 2
    return lengths


def _ellipse(
    rows: Float64Array, columns: Float64Array, both: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return eccentricity and orientation from the variances and the covariance."""
    middle, half = (rows + columns) / 2, np.hypot((rows - columns) / 2, both)
    long, short = middle + half, np.maximum(middle - half, 0)
    ratio = np.divide(short, long, out=np.ones_like(long), where=long > 0)
    angle = 0.5 * np.arctan2(2 * both, rows - columns)
    square = np.where(both > 0, np.pi / 4, -np.pi / 4)
    return np.sqrt(1 - ratio), np.where(rows == columns, square, angle)
