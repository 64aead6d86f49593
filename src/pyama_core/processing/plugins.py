"""How a method is found by its name: built in, or brought by an installed package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from pyama_core.errors import InputError

MethodT = TypeVar("MethodT")


@dataclass(frozen=True)
class Imported:
    """A function or class that is imported when it is called.

    With it a module says which algorithm it describes without importing what the algorithm needs:
    compilers and image libraries, which take longer to import than parameters to be checked.

    Attributes
    ----------
    name
        ``module:attribute``.

    Examples
    --------
    >>> Imported("math:hypot")(3, 4)
    5.0
    """

    name: str

    def __call__(self, *arguments: Any) -> Any:
        """Import it, call it and return what it returns."""
        module, _, attribute = self.name.partition(":")
        return getattr(importlib.import_module(module), attribute)(*arguments)


def known_methods(built_in: Mapping[str, str], group: str) -> list[str]:
    """Return the names of the methods that there are, built in or brought by packages.

    Parameters
    ----------
    built_in
        The package's own, by name.
    group
        Entry-point group of the others.
    """
    brought = {entry.name for entry in entry_points(group=group)}
    return [*built_in, *sorted(brought - built_in.keys())]


def find_method(
    kind: str, name: str, built_in: Mapping[str, str], group: str, expected: type[MethodT]
) -> MethodT:
    """Return the method of a name; built-in ones come first.

    Parameters
    ----------
    kind
        What it is a method of, for messages: ``segmentation``, ``correction`` or ``tracking``.
    name
        As in the configuration.
    built_in
        The package's own methods: for each name the function that describes it, as
        ``module:function``, imported when it is asked for.
    group
        Entry-point group of those that other packages bring.
    expected
        Type of what an entry point must name.

    Raises
    ------
    InputError
        If there is none of this name, or the package's cannot be loaded.
    """
    if name in built_in:  # without a look at all installed packages, which takes milliseconds
        method = Imported(built_in[name])()
        assert isinstance(method, expected)
        return method
    entries = {entry.name: entry for entry in entry_points(group=group)}
    if name not in entries:
        known = ", ".join(sorted({*built_in, *entries}))
        raise InputError(
            f"Expected a {kind} method out of {known}, found {name!r}; "
            f"others come with packages that have entry points of the group {group}."
        )
    return _load(kind, entries[name], expected)


def _load(kind: str, entry: EntryPoint, expected: type[MethodT]) -> MethodT:
    """Import what an entry point names."""
    try:
        method = entry.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"Expected the {kind} {entry.name} in {entry.value}, found that it cannot be "
            f"imported ({error}); repair or remove the package that brings it."
        ) from error
    if not isinstance(method, expected):
        raise InputError(
            f"Expected a {expected.__name__} as the {kind} {entry.name}, found {entry.value} "
            f"of type {type(method).__name__}; repair or remove the package that brings it."
        )
    return method
