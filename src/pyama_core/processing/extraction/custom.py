"""Features that users bring: a function of a cell's image and mask that returns a number.

A package offers one through the entry-point group ``pyama_core.features``; a configuration names
one as ``module:function``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.errors import InputError
from pyama_core.processing.frame import as_labels
from pyama_core.processing.objects import labelled_objects

GROUP = "pyama_core.features"

Feature = Callable[[NDArray[Any], NDArray[np.bool_]], float]


def load_feature(name: str) -> Feature:
    """Return the feature of a name: one that a package registered, or ``module:function``.

    Raises
    ------
    InputError
        If there is no such feature, or it cannot be imported or called.

    Examples
    --------
    >>> load_feature("math:hypot")(3, 4)
    5.0
    """
    registered = {point.name: point for point in entry_points(group=GROUP)}
    module, colon, function = name.partition(":")
    try:
        if name in registered:
            feature = registered[name].load()
        elif colon:
            feature = getattr(importlib.import_module(module), function)
        else:
            known = ", ".join(sorted(registered)) or "none"
            raise InputError(
                f"Expected a registered feature (here: {known}) or module:function, found {name!r}."
            )
    except (ImportError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The feature {name!r} cannot be imported: {error}. Is its package installed in this "
            "environment?"
        ) from error
    if not callable(feature):
        raise InputError(
            f"Expected the feature {name!r} to be a function, found {type(feature).__name__}."
        )
    return feature  # type: ignore[no-any-return]


def measure_custom(
    labels: NDArray[Any], image: NDArray[Any], features: Mapping[str, Feature]
) -> dict[str, NDArray[Any]]:
    """Compute features of all cells of a frame from crops around them.

    Parameters
    ----------
    labels
        (Y, X) label image.
    image
        (Y, X) image of the same frame; it is handed on as it is, but read-only.
    features
        By the names of their columns: functions of the image and the mask of one cell, both cut
        out to its bounding box.

    Returns
    -------
    dict of str to ndarray
        ``cell`` (int64, ascending) and a column of float64 per feature.

    Raises
    ------
    InputError
        If the shapes differ, or a feature does not return a number.

    Examples
    --------
    >>> import numpy as np
    >>> contrast = lambda image, mask: image[mask].max() - image[mask].min()
    >>> labels = np.array([[0, 7, 7], [5, 7, 0]])
    >>> image = np.arange(6.0).reshape(2, 3)
    >>> measure_custom(labels, image, {"contrast": contrast})
    {'cell': array([5, 7]), 'contrast': array([0., 3.])}
    """
    from pyama_core.processing.kernels.moved_runs import describe_objects

    labels, image = as_labels(labels), np.asarray(image).view()
    if labels.shape != image.shape:
        raise InputError(
            f"Expected a label image and an image of the same shape, found {labels.shape} and "
            f"{image.shape}."
        )
    image.flags.writeable = False
    runs, cells = labelled_objects(labels)
    box = describe_objects(runs, cells.size)[3]
    order = np.argsort(cells)
    found: dict[str, NDArray[Any]] = {"cell": cells[order]}
    found |= {name: np.empty(cells.size) for name in features}
    for row, i in enumerate(order):
        top, left, bottom, right = box[i].tolist()
        crop = image[top:bottom, left:right]
        mask = labels[top:bottom, left:right] == cells[i]
        for name, feature in features.items():
            found[name][row] = _number(feature(crop, mask), name, int(cells[i]))
    return found


def _number(value: object, name: str, cell: int) -> float:
    """Return what a feature gave as a float."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise InputError(
            f"Expected the feature {name!r} to return a number, found {value!r} for cell {cell}."
        )
    number = float(array.reshape(()))
    return number if math.isfinite(number) else math.nan
