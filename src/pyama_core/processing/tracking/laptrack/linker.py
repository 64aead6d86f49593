"""Tracking by laptrack: linear assignment of centroids over the whole movie.

References
----------
Y. T. Fukai, K. Kawaguchi, "LapTrack: linear assignment particle tracking with tunable metrics",
Bioinformatics 39(1), btac799 (2023).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.processing.tracking.graph_tracker import GraphTracker, Node
from pyama_core.processing.tracking.laptrack.method import LapTrackParameters, import_laptrack
from pyama_core.processing.tracking.objects import Objects


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


def make(parameters: LapTrackParameters, dtype: DTypeLike = np.uint16) -> GraphTracker:
    """Make a tracker of one field of view.

    Raises
    ------
    InputError
        If laptrack is not installed.
    """
    return GraphTracker(LapTrackLinker(import_laptrack().LapTrack(**parameters.options)), dtype)
