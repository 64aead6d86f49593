"""Tracking by laptrack: linear assignment of centroids over the whole movie.

References
----------
Y. T. Fukai, K. Kawaguchi, "LapTrack: linear assignment particle tracking with tunable metrics",
Bioinformatics 39(1), btac799 (2023).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from pyama_core.io.errors import InputError
from pyama_core.processing.tracking.graph_tracker import GraphTracker, Node
from pyama_core.processing.tracking.lineage.track_state import Objects


class LapTrackLinker:
    """Links centroids.

    Parameters
    ----------
    model
        A `laptrack.LapTrack`, or what has its method `predict(coords)` that returns a directed
        graph of nodes (frame, index).
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._positions: list[NDArray[np.float64]] = []

    def see(
        self, objects: Objects, labels: NDArray[np.int64], frame: NDArray[Any], image: Any
    ) -> None:
        """Take note of the centroids of the next frame."""
        self._positions.append(objects.position)

    def edges(self) -> Iterable[tuple[Node, Node]]:
        """Return which object becomes which."""
        graph = self._model.predict(self._positions)
        return [
            ((int(first[0]), int(first[1])), (int(second[0]), int(second[1])))
            for first, second in graph.edges
        ]


class LapTrackParameters(BaseModel):
    """Parameters of the tracking by laptrack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["laptrack"] = Field("laptrack", description="name of the tracking")
    options: dict[str, JsonValue] = Field(
        {},
        description="parameters of laptrack.LapTrack, such as {cutoff: 900}, the square of the "
        "largest step in pixels",
    )

    @field_validator("options")
    @classmethod
    def _known_to_laptrack(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        known = _laptrack().LapTrack.model_fields
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(
                f"expected parameters of laptrack.LapTrack ({', '.join(known)}); unknown: "
                f"{', '.join(unknown)}"
            )
        return options


def algorithm() -> str:
    """Return name and version, which is that of the package.

    Raises
    ------
    InputError
        If laptrack is not installed.
    """
    try:
        return f"laptrack/{version('laptrack')}"
    except PackageNotFoundError as error:
        raise _not_installed() from error


def make(parameters: LapTrackParameters, dtype: DTypeLike = np.uint16) -> GraphTracker:
    """Make a tracker of one field of view.

    Raises
    ------
    InputError
        If laptrack is not installed.
    """
    return GraphTracker(LapTrackLinker(_laptrack().LapTrack(**parameters.options)), dtype)


def _laptrack() -> Any:
    try:
        return import_module("laptrack")
    except ImportError as error:
        raise _not_installed() from error


def _not_installed() -> InputError:
    return InputError(
        "Tracking with laptrack needs the package laptrack, which is not installed: "
        'pip install "pyama-core[laptrack]"'
    )
