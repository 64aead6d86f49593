"""Trackings by their names, for those who let a configuration choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel

from pyama_core.io.errors import InputError


class FrameTracker(Protocol):
    """The part of a tracker that every one has."""

    @property
    def n_cells(self) -> int:
        """Number of cells so far, which is the largest id."""

    def update(self, frame: NDArray[Any], /) -> NDArray[Any]:
        """Return the (Y, X) label image of the next frame."""


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
    """

    parameters: type[BaseModel]
    algorithm: str
    create: Callable[[Any, DTypeLike], FrameTracker]


def _iou() -> TrackingMethod:
    from pyama_core.processing.tracking import iou

    return TrackingMethod(iou.IoUParameters, iou.ALGORITHM, iou.IoUTracker)


def _lineage() -> TrackingMethod:
    from pyama_core.processing.tracking import lineage

    return TrackingMethod(lineage.LineageParameters, lineage.ALGORITHM, lineage.LineageTracker)


_BUILT_IN: dict[str, Callable[[], TrackingMethod]] = {"iou": _iou, "lineage": _lineage}


def find_tracking(name: str) -> TrackingMethod:
    """Return the tracking of a name.

    Raises
    ------
    InputError
        There is none of this name.

    Examples
    --------
    >>> method = find_tracking("iou")
    >>> tracker = method.create(method.parameters(), "uint16")
    """
    if name not in _BUILT_IN:
        raise InputError(
            f"expected a tracking method out of {', '.join(sorted(_BUILT_IN))}, found {name!r}"
        )
    return _BUILT_IN[name]()
