"""The objects of one frame, as trackers see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.measures import areas_and_boxes, runs_by_object, sum_objects
from pyama_core.processing.runs.objects import components, labelled_objects, number_objects
from pyama_core.processing.runs.pixel_runs import Runs, rows_of
from pyama_core.processing.tracking.kernels.redrawn import (
    Patches,
    redrawn,
    runs_in,
    window_of,
)

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]
UInt32Array = NDArray[np.uint32]


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


class Outlines(NamedTuple):
    """Runs of pixels object by object, each in raster order.

    Object i has the runs first[i] ≤ r < first[i + 1], which cover start[r] ≤ x < stop[r] of a row.
    """

    first: IntArray
    row: IntArray
    start: IntArray
    stop: IntArray


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
        return cls._measured(runs, labels.size, image), labels

    @classmethod
    def _measured(cls, runs: Runs, n_objects: int, image: NDArray[Any] | None) -> Self:
        area, row_sum, column_sum, box = areas_and_boxes(runs, n_objects)
        position = np.stack([row_sum, column_sum], axis=1) / area[:, np.newaxis]
        brightness = np.full(n_objects, np.nan)
        if image is not None:
            brightness = sum_objects(runs, image, n_objects)
        return cls(runs, area, position, box, brightness)

    def in_light_of(self, image: NDArray[Any]) -> Self:
        """Return the same objects, with their brightness in an image."""
        return replace(self, brightness=sum_objects(self.runs, image, self.area.size))

    def redrawn(
        self,
        value_of: IntArray,
        patches: Sequence[tuple[int, tuple[int, int], IntArray]],
        image: NDArray[Any] | None = None,
    ) -> tuple[Self, IntArray]:
        """Return the objects of the label image in which these are drawn anew, and their labels.

        Parameters
        ----------
        value_of
            (n,) int64: the label that each object gets; 0 for none.
        patches
            Objects that become several, each with the corner of its box, and the labels of the
            pixels in it; those outside of the object do not matter.
        image
            As in `of`.
        """
        of_object = np.full(self.area.size, -1)
        of_object[[index for index, _, _ in patches]] = np.arange(len(patches))
        values = [labels.ravel() for _, _, labels in patches]
        sizes = np.array([each.size for each in values], np.int64)
        runs = redrawn(
            self.runs,
            value_of,
            Patches(
                of_object,
                np.array([corner for _, corner, _ in patches], np.int64).reshape(-1, 2),
                np.array([labels.shape[1] for _, _, labels in patches], np.int64),
                np.cumsum(sizes) - sizes,
                np.concatenate([np.empty(0, np.int64), *values]),
            ),
        )
        labels = number_objects(runs)
        return self._measured(runs, labels.size, image), labels

    @cached_property
    def outlines(self) -> Outlines:
        """The runs of pixels object by object."""
        order, first = runs_by_object(self.runs, self.area.size)
        row = rows_of(self.runs)[order]
        return Outlines(first, row, self.runs.start[order], self.runs.stop[order])

    def box_around(self, which: Sequence[int]) -> IntArray:
        """Return the box that holds some objects."""
        box = self.box[list(which)]
        return np.concatenate([box[:, :2].min(axis=0), box[:, 2:].max(axis=0)])

    def seen_in(self, box: IntArray, which: Sequence[int]) -> UInt32Array:
        """Return a part of the frame, with 1, 2, … in some objects and 0 elsewhere."""
        return window_of(self.runs, self._numbered(which), box)

    def runs_in(self, box: IntArray, which: Sequence[int]) -> Runs:
        """Return some objects as runs of 1, 2, … in a part of the frame that holds them."""
        return runs_in(self.runs, self._numbered(which), box)

    def _numbered(self, which: Sequence[int]) -> IntArray:
        number = np.zeros(self.area.size, np.int64)
        number[list(which)] = np.arange(1, len(which) + 1)
        return number
