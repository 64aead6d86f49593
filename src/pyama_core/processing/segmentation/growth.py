"""Objects that are grown: cells of which only the nuclei are seen."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_labels
from pyama_core.processing.lengths import length_in_pixels, parse_length
from pyama_core.processing.parameters import MethodParameters

LARGEST_GROWTH = 1000.0


def _parse_growth(value: Any) -> float | str | None:
    return None if value is None else parse_length(value)


Growth = Annotated[float | str | None, BeforeValidator(_parse_growth)]
"""Pixels as a number, or a length such as ``5 um``; None for not at all."""


class GrowthParameters(MethodParameters):
    """Parameters of a method that finds objects which may be grown."""

    grow_by: Growth = Field(
        None,
        description="how far objects are grown, and not into each other, in pixels, as 12, or with "
        "a unit, as 5 um: makes cells of nuclei; empty: not at all",
    )


def growth_in_pixels(parameters: MethodParameters, pixel_size_um: float | None) -> float:
    """Return how far the objects of a segmentation are grown; 0 for not at all.

    Raises
    ------
    InputError
        It is a length and the pixel size is unknown, or too long.
    """
    if not isinstance(parameters, GrowthParameters) or parameters.grow_by is None:
        return 0.0
    growth = length_in_pixels(parameters.grow_by, pixel_size_um, "grow_by")
    if growth > LARGEST_GROWTH:
        raise InputError(f"grow_by: expected at most {LARGEST_GROWTH:g} pixels, found {growth:.4g}")
    return growth


def grow_objects(found: NDArray[Any], distance: float) -> NDArray[Any]:
    """Grow the objects of a frame, each up to half of the way to its neighbours.

    Every pixel that is no farther than a distance from an object belongs to the nearest. What is
    equally near to several belongs to one of them, always the same.

    Parameters
    ----------
    found
        (Y, X) labels; or a bool mask, of which each 4-connected part is an object.
    distance
        In pixels, between their centres.

    Returns
    -------
    ndarray
        (Y, X) labels, of the dtype of those that were given; int64 for a mask.

    Examples
    --------
    >>> import numpy as np
    >>> grow_objects(np.array([[0, 0, 0, 4, 0, 0, 0, 9, 0]]), 2)
    array([[0, 4, 4, 4, 4, 4, 9, 9, 9]])
    """
    from pyama_core.processing.runs.objects import components  # loads the compiler
    from pyama_core.processing.runs.pixel_runs import paint
    from pyama_core.processing.segmentation.kernels.nearest import label_nearest

    labels = found
    if found.dtype == np.bool_:
        runs, n = components(found)
        labels = np.zeros(found.shape, np.int64)
        paint(runs, np.arange(1, n + 1), labels)
    grown = np.array(labels)
    label_nearest(as_labels(labels), int(distance * distance), int(distance), grown)
    return grown
