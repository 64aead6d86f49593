"""The objects of one frame, as trackers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.measures import areas_and_boxes, sum_objects
from pyama_core.processing.runs.objects import components, labelled_objects
from pyama_core.processing.runs.pixel_runs import Runs

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


def equivalent_diameter(area: NDArray[Any]) -> Float64Array:
    """Return the diameter of the disc of an area, in pixels."""
    return np.asarray(2 * np.sqrt(area / np.pi), np.float64)


def at_edge(box: IntArray, shape: tuple[int, int], border: int = 0) -> BoolArray:
    """Return which boxes touch the edge of the frame, or come within `border` pixels of it."""
    height, width = shape
    return np.asarray(
        (box[:, 0] <= border)
        | (box[:, 1] <= border)
        | (box[:, 2] >= height - border)
        | (box[:, 3] >= width - border)
    )


def runs_of_each(runs: Runs, n_labels: int) -> list[IntArray]:
    """Return the indices of the runs of each label from 0, in raster order."""
    order = np.argsort(runs.label, kind="stable")
    ends = np.cumsum(np.bincount(runs.label, minlength=n_labels))
    return np.split(order, ends[:-1])


@dataclass(frozen=True)
class Objects:
    """The objects of one frame, in raster order of their first pixels.

    Attributes
    ----------
    runs
        Their pixels.
    area
        (n,) int64.
    position
        (n, 2) float64: row and column of the centroid.
    box
        (n, 4) int64: first row, first column, last row + 1, last column + 1.
    brightness
        (n,) float64: sum of the image over the object; NaN without an image.
    """

    runs: Runs
    area: IntArray
    position: Float64Array
    box: IntArray
    brightness: Float64Array

    @classmethod
    def of(cls, frame: NDArray[Any], image: NDArray[Any] | None = None) -> tuple[Self, IntArray]:
        """Describe the objects of a mask or label image; return them and their labels."""
        if frame.dtype == np.bool_:
            runs, n_objects = components(frame)
            labels = np.arange(1, n_objects + 1)
        else:
            runs, labels = labelled_objects(frame)
        area, row_sum, column_sum, box = areas_and_boxes(runs, labels.size)
        position = np.stack([row_sum, column_sum], axis=1) / area[:, np.newaxis]
        brightness = np.full(labels.size, np.nan)
        if image is not None:
            brightness = sum_objects(runs, image, labels.size)
        return cls(runs, area, position, box, brightness), labels
