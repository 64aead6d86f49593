"""Tracking by trackastra: a transformer that was trained to link objects.

Keeps all frames in memory, because the model asks for the whole movie.

References
----------
B. Gallusser, M. Weigert, "Trackastra: transformer-based cell tracking for live-cell microscopy",
ECCV (2024).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import InputError
from pyama_core.processing.runs.pixel_runs import paint
from pyama_core.processing.tracking.graph_tracker import GraphTracker, Node
from pyama_core.processing.tracking.objects import Objects
from pyama_core.processing.tracking.trackastra.method import TrackastraParameters, not_installed


class TrackastraLinker:
    """Links objects by their images.

    Parameters
    ----------
    model
        A `trackastra.model.Trackastra`, or what has its method `track(images, masks, mode=...)`
        that returns a graph whose nodes have the attributes ``time`` and ``label``, alone or
        first in a tuple.
    mode
        How the model's links are made a graph.
    """

    def __init__(self, model: Any, mode: str = "greedy") -> None:
        self._model, self._mode = model, mode
        self._images: list[NDArray[Any]] = []
        self._masks: list[NDArray[np.int32]] = []
        self._numbers: list[dict[int, int]] = []

    def see(
        self, objects: Objects, labels: NDArray[np.int64], frame: NDArray[Any], image: Any
    ) -> None:
        """Keep the next frame."""
        if image is None:
            raise InputError(
                f"Tracking with trackastra needs images beside masks, found none for frame "
                f"{len(self._images)}."
            )
        mask = np.zeros(frame.shape, np.int32)
        paint(objects.runs, labels.astype(np.int32), mask)
        self._images.append(np.asarray(image))
        self._masks.append(mask)
        self._numbers.append({label: i for i, label in enumerate(labels.tolist())})

    def edges(self) -> Iterable[tuple[Node, Node]]:
        """Return which object becomes which."""
        if not self._images:
            return []
        result = self._model.track(np.stack(self._images), np.stack(self._masks), mode=self._mode)
        graph = result[0] if isinstance(result, tuple) else result
        node = {
            name: (int(about["time"]), self._numbers[int(about["time"])][int(about["label"])])
            for name, about in graph.nodes(data=True)
        }
        return [(node[first], node[second]) for first, second in graph.edges]


def make(parameters: TrackastraParameters, dtype: DTypeLike = np.uint16) -> GraphTracker:
    """Make a tracker of one field of view.

    Raises
    ------
    InputError
        If trackastra is not installed, or there is no model in the folder.
    """
    if not (parameters.folder / "train_config.yaml").is_file():
        raise InputError(
            f"Expected a model of trackastra in {parameters.folder}, found no train_config.yaml "
            "there; download or train a model and name its folder."
        )
    try:
        trackastra = import_module("trackastra.model")
    except ImportError as error:
        raise not_installed() from error
    model = trackastra.Trackastra.from_folder(parameters.folder, device=parameters.device)
    return GraphTracker(TrackastraLinker(model, parameters.mode), dtype)
