"""The features of users, which are computed of a crop around each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.custom import CustomFeature
from pyama_core.processing.extraction.tables import Columns


def measure_custom(
    cells: FrameCells, image: NDArray[Any], features: Sequence[CustomFeature]
) -> Columns:
    """Compute features of all cells of a frame from crops around them.

    Parameters
    ----------
    cells
        The cells.
    image
        (Y, X) image of the same frame; it is handed on as it is, but read-only.
    features
        The features, whose functions are called for each cell.

    Returns
    -------
    dict of str to ndarray
        ``cell`` (int64, ascending) and a column of float64 per feature.

    Raises
    ------
    InputError
        If the shapes differ, or a feature raises or does not return a number.

    Examples
    --------
    >>> import numpy as np
    >>> contrast = lambda image, mask: image[mask].max() - image[mask].min()
    >>> cells = FrameCells.of(np.array([[0, 7, 7], [5, 7, 0]]))
    >>> image = np.arange(6.0).reshape(2, 3)
    >>> measure_custom(cells, image, [CustomFeature("contrast", contrast, "")])
    {'cell': array([5, 7]), 'contrast': array([0., 3.])}
    """
    image = np.asarray(image).view()
    if cells.labels.shape != image.shape:
        raise InputError(
            f"Expected a label image and an image of the same shape, found {cells.labels.shape} "
            f"and {image.shape}."
        )
    image.flags.writeable = False
    found: Columns = {"cell": cells.cell}
    found |= {feature.column: np.empty(cells.cell.size) for feature in features}
    for i in range(cells.cell.size):
        top, left, bottom, right = cells.box[i].tolist()
        crop = image[top:bottom, left:right]
        mask = cells.labels[top:bottom, left:right] == cells.cell[i]
        for feature in features:
            found[feature.column][i] = _value(feature, crop, mask, int(cells.cell[i]))
    return found


def _value(feature: CustomFeature, crop: NDArray[Any], mask: NDArray[np.bool_], cell: int) -> float:
    """Return what a feature gives for a cell, NaN where that is not finite."""
    try:
        value = feature.function(crop, mask)
    except Exception as error:
        raise InputError(
            f"The feature {feature.column!r} failed for cell {cell}: "
            f"{type(error).__name__}: {error}"
        ) from error
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise InputError(
            f"Expected the feature {feature.column!r} to return a number, found {value!r} for "
            f"cell {cell}."
        )
    number = float(array.reshape(()))
    return number if math.isfinite(number) else math.nan
