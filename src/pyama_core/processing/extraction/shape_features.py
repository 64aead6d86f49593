"""Features of cells: shape, and brightness in one channel, as columns of one value per cell.

Where scikit-image's `regionprops` has a feature, it is defined here as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.errors import InputError
from pyama_core.processing.frame import as_frame, as_labels
from pyama_core.processing.objects import labelled_objects

ALGORITHM = "cell features/1"

Columns = dict[str, NDArray[Any]]
Float64Array = NDArray[np.float64]

SHAPE_FEATURES = (
    "area",
    "perimeter",
    "position_x",
    "position_y",
    "box_top",
    "box_left",
    "box_bottom",
    "box_right",
    "eccentricity",
    "solidity",
    "orientation",
)
INTENSITY_FEATURES = (
    "intensity_total",
    "intensity_mean",
    "intensity_median",
    "intensity_std",
    "intensity_min",
    "intensity_max",
    "intensity_p5",
    "intensity_p95",
    "background_local",
)


def measure_shapes(labels: NDArray[Any]) -> Columns:
    """Measure the shapes of all cells of a frame.

    Parameters
    ----------
    labels
        (Y, X) label image: any integer dtype, 0 is background, labels in any order with gaps.

    Returns
    -------
    dict of str to ndarray
        ``cell`` (int64, ascending) and, in pixels where not said otherwise, ``area`` (int64);
        ``perimeter``, estimated from the patterns of outline pixels; ``position_x`` and
        ``position_y`` (centroid); ``box_top``, ``box_left``, ``box_bottom``, ``box_right`` (int64,
        the latter two one beyond the last row and column); ``eccentricity`` of the ellipse with
        the same second moments, 0 to 1; ``solidity``, the part of the convex hull that is cell, 0
        to 1; ``orientation`` of the ellipse's long axis against the rows' axis, −π/2 to π/2.

    Raises
    ------
    InputError
        If this is not a label image.

    References
    ----------
    K. Benkrid, D. Crookes, "Design and FPGA implementation of a perimeter estimator", Proc. Irish
    Machine Vision and Image Processing Conference, 51-57 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> columns = measure_shapes(np.array([[0, 7, 7, 7], [0, 7, 0, 0], [0, 7, 0, 0]]))
    >>> columns["cell"], columns["area"], columns["solidity"].round(3)
    (array([7]), array([5]), array([0.833]))
    """
    from pyama_core.processing.kernels import shapes
    from pyama_core.processing.kernels.moved_runs import describe_objects
    from pyama_core.processing.kernels.runs import paint

    labels = as_labels(labels)
    runs, cells = labelled_objects(labels)
    area, row_sum, column_sum, box = describe_objects(runs, cells.size)
    numbers = np.zeros(labels.shape, np.int64)
    paint(runs, np.arange(1, cells.size + 1), numbers)
    outline = shapes.outline_pixels(numbers)
    rows, columns, both = shapes.second_moments(runs, area, row_sum, column_sum).T
    eccentricity, orientation = _ellipse(rows, columns, both)
    found: Columns = {
        "cell": cells,
        "area": area,
        "perimeter": shapes.perimeters(numbers, outline, _pattern_lengths(), cells.size),
        "position_x": column_sum / area,
        "position_y": row_sum / area,
        "box_top": box[:, 0],
        "box_left": box[:, 1],
        "box_bottom": box[:, 2],
        "box_right": box[:, 3],
        "eccentricity": eccentricity,
        "solidity": area / shapes.hull_areas(runs, box),
        "orientation": orientation,
    }
    order = np.argsort(cells)
    return {name: column[order] for name, column in found.items()}


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


def measure_intensities(labels: NDArray[Any], image: NDArray[Any], ring: int = 10) -> Columns:
    """Measure the brightness of all cells of a frame in one channel.

    Parameters
    ----------
    labels
        (Y, X) label image as for `measure_shapes`.
    image
        (Y, X) image of the same frame.
    ring
        The local background of a cell is the median of the pixels without any cell that are at
        most so many rows and columns away from it.

    Returns
    -------
    dict of str to ndarray
        ``cell`` (int64, ascending) and, as float64 in the image's unit, ``intensity_total``,
        ``intensity_mean``, ``intensity_median``, ``intensity_std`` (of the cell's pixels as a
        population), ``intensity_min``, ``intensity_max``, the percentiles ``intensity_p5`` and
        ``intensity_p95`` (interpolated linearly), and ``background_local``, NaN where a cell has
        no such pixels around it.

    Raises
    ------
    InputError
        If the two differ in shape or cannot be measured.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 7, 7, 7]])
    >>> columns = measure_intensities(labels, np.array([[1.0, 3.0, 4.0, 8.0]]))
    >>> columns["intensity_median"], columns["background_local"]
    (array([4.]), array([1.]))
    """
    from pyama_core.processing.kernels.moved_runs import describe_objects
    from pyama_core.processing.kernels.shapes import gather_sorted

    labels, image = as_labels(labels), as_frame(image, "image")
    if labels.shape != image.shape:
        raise InputError(
            f"Expected a label image and an image of the same shape, found {labels.shape} and "
            f"{image.shape}."
        )
    runs, cells = labelled_objects(labels)
    area, _, _, box = describe_objects(runs, cells.size)
    begin, values = gather_sorted(runs, image, area)
    pixels = np.split(values, begin[1:-1]) if cells.size else []
    total = np.array([part.sum() for part in pixels], np.float64)
    found: Columns = {
        "cell": cells,
        "intensity_total": total,
        "intensity_mean": total / area,
        "intensity_median": _percentile(begin, values, 0.5),
        "intensity_std": np.array([part.std() for part in pixels], np.float64),
        "intensity_min": values[begin[:-1]],
        "intensity_max": values[begin[1:] - 1],
        "intensity_p5": _percentile(begin, values, 0.05),
        "intensity_p95": _percentile(begin, values, 0.95),
        "background_local": _local_background(labels, image, cells, box, ring),
    }
    order = np.argsort(cells)
    return {name: column[order] for name, column in found.items()}


def _percentile(begin: NDArray[np.int64], values: Float64Array, part: float) -> Float64Array:
    """Return a percentile of each stretch of sorted values."""
    place = begin[:-1] + part * (np.diff(begin) - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, begin[1:] - 1)
    return np.asarray(values[below] + (place - below) * (values[above] - values[below]))


def _local_background(
    labels: NDArray[Any],
    image: NDArray[Any],
    cells: NDArray[np.int64],
    box: NDArray[np.int64],
    ring: int,
) -> Float64Array:
    """Return the median of the free pixels around each cell."""
    import cv2

    square = np.ones((2 * ring + 1, 2 * ring + 1), np.uint8)
    medians = np.full(cells.size, np.nan)
    for i, (top, left, bottom, right) in enumerate(box.tolist()):
        window = np.s_[max(top - ring, 0) : bottom + ring, max(left - ring, 0) : right + ring]
        around = cv2.dilate((labels[window] == cells[i]).view(np.uint8), square) > 0
        free = image[window][around & (labels[window] == 0)]
        if free.size:
            medians[i] = np.median(free)
    return medians
