"""What a background correction must offer, and how it is found by its name.

A correction that another package brings is an entry point of the group `pyama_core.corrections`,
whose name is the method's name and whose object is a `CorrectionMethod`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.processing.plugins import find_method, known_methods

GROUP = "pyama_core.corrections"

_BUILT_IN = {
    "tiled-interpolation": (
        "pyama_core.processing.background.tiled_interpolation.method:correction_method"
    ),
}


class BackgroundCorrector(Protocol):
    """Takes the background from the fluorescence frames of one field of view."""

    def estimate(self, frame: NDArray[Any], mask: NDArray[Any], /) -> Any | None:
        """Return what a (Y, X) frame tells about its background; None where it shows none.

        `mask` is a (Y, X) bool mask or label image; cells are where it is > 0. What is returned is
        handed to `correct` as it is: for this frame, and for those around it that show none.
        """

    def correct(self, frame: NDArray[Any], estimate: Any, /) -> NDArray[np.float32]:
        """Return the (Y, X) frame without the background of an estimate."""


@runtime_checkable
class TellsFreePart(Protocol):
    """A corrector that says how much of a frame it takes the background from."""

    def free_part(self, mask: NDArray[Any], /) -> float:
        """Return which part of the frame that is, beside the cells of a (Y, X) mask."""
        ...


def _as_they_are(parameters: Any, _cell_diameter: float | None) -> Any:
    return parameters


@dataclass(frozen=True)
class CorrectionMethod:
    """A background correction as the pipeline knows it.

    Attributes
    ----------
    parameters
        Pydantic model whose field `method` has the name of the method.
    algorithm
        Name and version, which change whenever results do.
    create
        Makes the corrector of one field of view from its parameters, resolved, and the (Y, X) shape
        of its frames.
    resolve
        Replaces what parameters leave to the diameter of the cells, in pixels, or None where the
        segmentation does not know it.
    resolved
        Names of the parameters that `resolve` may replace, of which results have a record.
    compiled
        Whether it has kernels that are better compiled before the work begins, by running it on
        a tiny frame.
    """

    parameters: type[BaseModel]
    algorithm: str
    create: Callable[[Any, tuple[int, int]], BackgroundCorrector]
    resolve: Callable[[Any, float | None], Any] = _as_they_are
    resolved: tuple[str, ...] = ()
    compiled: bool = False


def known_corrections() -> list[str]:
    """Return the names of all background corrections, those of installed packages last."""
    return known_methods(_BUILT_IN, GROUP)


def find_correction(name: str) -> CorrectionMethod:
    """Return the background correction of a name, built in or brought by an installed package.

    Parameters
    ----------
    name
        As in `correction.method` of the configuration. Built-in methods come first.

    Raises
    ------
    InputError
        If there is none of this name, or the package's cannot be loaded.

    Examples
    --------
    >>> method = find_correction("tiled-interpolation")
    >>> corrector = method.create(method.resolve(method.parameters(), None), (300, 300))
    """
    return find_method("correction", name, _BUILT_IN, GROUP, CorrectionMethod)
