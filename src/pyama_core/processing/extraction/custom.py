"""Features that users bring: a function of a cell's image and mask that returns a number.

A package offers one through the entry-point group ``pyama_core.features``; a configuration names
one as ``module:function``, where the module is installed or lies in the working directory.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.extraction.user_code import UserCode, module_of

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
        Which function it is, of which version, in files of which checksum: changes when what it
        returns may change.
    code
        The files that it is in.
    """

    column: str
    function: Feature
    identity: str
    code: UserCode | None = None

    def is_outdated(self) -> bool:
        """Whether its code was changed since it was loaded."""
        return self.code is not None and self.code.is_outdated()


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
    code = UserCode.of_module(module_of(function))
    return CustomFeature(column, function, f"{name}, {package}, {code.identity()}", code)


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
