"""What a tracking must offer, and how it is found by its name.

A tracking that another package brings is an entry point of the group `pyama_core.trackers`, whose
name is the method's name and whose object is a `TrackingMethod`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel

from pyama_core.processing.plugins import find_method, known_methods
from pyama_core.processing.tracking.fates import Track

GROUP = "pyama_core.trackers"

_BUILT_IN = {
    "iou": "pyama_core.processing.tracking.iou.method:tracking_method",
    "lineage": "pyama_core.processing.tracking.lineage.method:tracking_method",
    "laptrack": "pyama_core.processing.tracking.laptrack.method:tracking_method",
    "trackastra": "pyama_core.processing.tracking.trackastra.method:tracking_method",
}

Image = Literal["phase"] | int | None
"""Images that a tracker sees beside masks: phase contrast, a corrected channel, or none."""


class TooManyCellsError(OverflowError):
    """A movie has more cells than the dtype of its label images can number."""


def require_room(n_cells: int, dtype: np.dtype[Any]) -> None:
    """Raise an error if so many cells cannot be numbered in a type of labels."""
    if n_cells > np.iinfo(dtype).max:
        raise TooManyCellsError(
            f"{n_cells} cells do not fit labels of dtype {dtype}; use a larger one."
        )


class Tracker(Protocol):
    """Gives the objects of frames the numbers of cells, front to back."""

    @property
    def n_cells(self) -> int:
        """Number of cells so far, which is the largest id."""

    def update(self, frame: NDArray[Any], image: NDArray[Any] | None = None, /) -> NDArray[Any]:
        """Return the (Y, X) label image of the next frame, a bool mask or label image.

        Raises
        ------
        TooManyCellsError
            If an id does not fit the dtype; the tracker is then as it was before.
        """

    def tracks(self) -> Sequence[Track]:
        """Return the cells of all frames so far, by id."""


@runtime_checkable
class LookAheadTracker(Tracker, Protocol):
    """A tracker that must have seen all frames before it names the cells of the first.

    Every frame is handed to `preview` first, front to back; then `update` is called for each.
    """

    def preview(self, frame: NDArray[Any], image: NDArray[Any] | None = None, /) -> None:
        """Take note of the next frame."""


@runtime_checkable
class FindsShifts(Protocol):
    """A tracker that finds out how the whole field of view moves."""

    @property
    def shifts(self) -> NDArray[np.float64]:
        """(T, 2): rows and columns that the field of view moved since the frame before."""


def _no_image(_parameters: Any) -> Image:
    return None


@dataclass(frozen=True)
class TrackingMethod:
    """A tracking as the pipeline knows it.

    Attributes
    ----------
    parameters
        Pydantic model whose field `method` has the name of the method.
    algorithm
        Name and version, which change whenever results do.
    create
        Makes the tracker of one field of view from its parameters and the type of its labels.
    image
        Tells, for parameters, which images the tracker is to be given.
    compiled
        Whether it has kernels that are better compiled before the work begins, by running it on
        a tiny movie.
    """

    parameters: type[BaseModel]
    algorithm: str
    create: Callable[[Any, DTypeLike], Tracker]
    image: Callable[[Any], Image] = _no_image
    compiled: bool = False


def known_trackings() -> list[str]:
    """Return the names of all trackings, those of installed packages last."""
    return known_methods(_BUILT_IN, GROUP)


def find_tracking(name: str) -> TrackingMethod:
    """Return the tracking of a name, built in or brought by an installed package.

    Parameters
    ----------
    name
        As in `tracking.method` of the configuration. Built-in methods come first.

    Raises
    ------
    InputError
        If there is none of this name, or what it needs is not installed.

    Examples
    --------
    >>> method = find_tracking("iou")
    >>> tracker = method.create(method.parameters(), "uint16")
    """
    return find_method("tracking", name, _BUILT_IN, GROUP, TrackingMethod)
