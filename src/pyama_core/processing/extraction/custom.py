"""Features that users bring: a function of a cell's image and mask that returns a number.

A package offers one through the entry-point group ``pyama_core.features``; a configuration names
one as ``module:function``, where the module is installed or lies in the working directory.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.checksums import file_checksum
from pyama_core.io.errors import InputError
from pyama_core.processing.extraction.cells import Columns, FrameCells

GROUP = "pyama_core.features"

Feature = Callable[[NDArray[Any], NDArray[np.bool_]], float]


@dataclass(frozen=True)
class CustomFeature:
    """A feature of a user.

    Attributes
    ----------
    column
        What its column is called: the name of the entry point or of the function.
    function
        Takes the image and the mask of one cell, both cut out to its bounding box.
    identity
        Which function it is, of which version, in a file of which checksum: changes when what it
        returns may change.
    """

    column: str
    function: Feature
    identity: str


def registered_names() -> list[str]:
    """Return the names of the features that installed packages offer."""
    return sorted(point.name for point in entry_points(group=GROUP))


def is_registered(name: str) -> bool:
    """Return whether an installed package offers a feature of this name."""
    return name in registered_names()


def load_feature(name: str) -> CustomFeature:
    """Return the feature of a name: one that a package registered, or ``module:function``.

    Raises
    ------
    InputError
        If there is no such feature, or it cannot be imported or called.

    Examples
    --------
    >>> load_feature("math:hypot").function(3, 4)
    5.0
    """
    registered = {point.name: point for point in entry_points(group=GROUP)}
    module, colon, function_name = name.partition(":")
    if name not in registered and not colon:
        raise InputError(
            f"Expected a registered feature (here: {', '.join(sorted(registered)) or 'none'}) or "
            f"module:function, found {name!r}."
        )
    try:
        if name in registered:
            function = registered[name].load()
            column, package = name, _package_of(registered[name])
        else:
            function = getattr(_import(module), function_name)
            column, package = function_name, _version_of(module)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise InputError(
            f"The feature {name!r} cannot be imported: {error}. Is its package installed in this "
            "environment, or its file in the working directory?"
        ) from error
    if not callable(function):
        raise InputError(
            f"Expected the feature {name!r} to be a function, found {type(function).__name__}."
        )
    return CustomFeature(column, function, f"{name}, {package}, {_file_of(function)}")


def _import(name: str) -> ModuleType:
    """Import a module; one that is not installed is looked for in the working directory."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        spec = PathFinder.find_spec(name, [str(Path.cwd())]) if "." not in name else None
        if error.name != name or spec is None or spec.loader is None:
            raise
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module


def _package_of(point: EntryPoint) -> str:
    return "of no package" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _version_of(module: str) -> str:
    package = module.partition(".")[0]
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return "of no package"


def _file_of(function: object) -> str:
    """Return the checksum of the file that defines a function."""
    name = getattr(function, "__module__", None) or type(function).__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    return f"Python {sys.version_info[:2]}" if file is None else file_checksum(Path(file))


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
