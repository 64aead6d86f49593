"""The objects of a frame, from a mask or a label image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.frame import as_labels
from pyama_core.processing.runs.connected import label_connected
from pyama_core.processing.runs.pixel_runs import Runs, find_runs

_LARGEST_IN_TABLE = 2**20


def components(mask: NDArray[np.bool_]) -> tuple[Runs, int]:
    """Return the runs of the 4-connected components of a (Y, X) mask, and how many there are.

    The runs carry the number of their component: 0, 1, … in raster order of the first pixels.
    """
    runs = find_runs(as_labels(mask, "mask"), 0)
    return runs, int(label_connected(runs))


def labelled_objects(image: NDArray[Any]) -> tuple[Runs, NDArray[np.int64]]:
    """Return the runs of the objects of a (Y, X) label image, and the label of each object.

    The runs carry the number of their object: 0, 1, … in raster order of the first pixels. All
    pixels with the same label are one object, whether connected or not.
    """
    runs = find_runs(as_labels(image), 0)
    return runs, number_objects(runs)


def number_objects(runs: Runs) -> NDArray[np.int64]:
    """Return the label of each object of runs, and number them as `labelled_objects` does."""
    largest = int(runs.label.max(initial=0))
    if largest <= _LARGEST_IN_TABLE:
        return _number_labels(runs.label, largest)
    labels, ranks = np.unique(runs.label, return_inverse=True)
    runs.label[:] = ranks
    return labels[_number_labels(runs.label, labels.size)]


def objects_by_label(image: NDArray[Any]) -> tuple[Runs, NDArray[np.int64]]:
    """Return the same as `labelled_objects`, with the objects numbered in order of their labels."""
    runs = find_runs(as_labels(image), 0)
    largest = int(runs.label.max(initial=0))
    if largest <= _LARGEST_IN_TABLE:
        return runs, _rank_labels(runs.label, largest)
    labels, runs.label[:] = np.unique(runs.label, return_inverse=True)
    return runs, labels


@compiled()
def _number_labels(label: NDArray[np.int64], largest: int) -> NDArray[np.int64]:
    """Replace labels up to `largest` by 0, 1, … in order of appearance; return the labels."""
    numbers = np.full(largest + 1, -1)
    n_labels = 0
    for run in range(label.size):
        if numbers[label[run]] < 0:
            numbers[label[run]] = n_labels
            n_labels += 1
        label[run] = numbers[label[run]]
    labels = np.empty(n_labels, np.int64)
    for value in range(largest + 1):
        if numbers[value] >= 0:
            labels[numbers[value]] = value
    return labels


@compiled()
def _rank_labels(label: NDArray[np.int64], largest: int) -> NDArray[np.int64]:
    """Replace labels up to `largest` by 0, 1, … in order of size; return the labels."""
    ranks = np.zeros(largest + 1, np.int64)
    for run in range(label.size):
        ranks[label[run]] = 1
    labels = np.flatnonzero(ranks)
    for rank in range(labels.size):
        ranks[labels[rank]] = rank
    for run in range(label.size):
        label[run] = ranks[label[run]]
    return labels
