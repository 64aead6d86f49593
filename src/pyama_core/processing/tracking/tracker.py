"""The door for other trackers: what a tracker must do, and where installed ones are found.

A package offers a tracker through the entry-point group ``pyama_core.trackers``: a callable that
takes its parameters (a mapping) and the dtype of the label images, and returns a `Tracker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.io.errors import InputError
from pyama_core.processing.tracking.fates import Track

GROUP = "pyama_core.trackers"


class Tracker(Protocol):
    """Gives the objects of frames the numbers of cells, front to back."""

    @property
    def n_cells(self) -> int:
        """Number of cells so far, which is the largest id."""
        ...

    def update(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the (Y, X) label image of the next frame, a bool mask or label image."""
        ...

    def tracks(self) -> Sequence[Track]:
        """Return the cells of all frames so far."""
        ...


@runtime_checkable
class LookAheadTracker(Tracker, Protocol):
    """A tracker that must have seen all frames before it names the cells of the first.

    Every frame is handed to `preview` first, front to back; then `update` is called for each.
    """

    def preview(self, frame: NDArray[Any], image: NDArray[Any] | None = None) -> None:
        """Take note of the next frame."""
        ...


def make_tracker(
    name: str, parameters: Mapping[str, Any] | None = None, dtype: DTypeLike = np.uint16
) -> Tracker:
    """Make a tracker that a package has registered.

    Parameters
    ----------
    name
        The name of its entry point.
    parameters
        Handed on to it.
    dtype
        Of the label images to return.

    Raises
    ------
    InputError
        If there is no tracker of this name, or it cannot be imported.
    """
    registered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in registered:
        known = ", ".join(sorted(registered)) or "none"
        raise InputError(f"Expected an installed tracker (here: {known}), found {name!r}.")
    try:
        factory = registered[name].load()
    except ImportError as error:
        raise InputError(
            f"The tracker {name!r} cannot be imported: {error}. Install what it needs, or choose "
            "another one."
        ) from error
    tracker: Tracker = factory(parameters or {}, dtype)
    return tracker
