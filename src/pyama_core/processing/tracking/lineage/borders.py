"""The borders along which objects touch, and how bright a line runs there in an image."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.runs.measures import sum_objects
from pyama_core.processing.tracking.lineage.kernels.borders import border_pixels
from pyama_core.processing.tracking.objects import Objects

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SMOOTH, _REACH = 3, 2  # pixels: values are means of so many across, a line is looked for so near
_LEAST = 8  # pixels of a border that tells anything
_QUARTER = 4  # of the pixels of a border, those that are least bright, may lack the line
MANY = 10
"""Borders that tell what is usual."""

_STRONG, _SURE = 1.5, 2.0  # times the usual line: it parts two cells, likely and surely


class Borders(NamedTuple):
    """Pairs of objects of a frame that touch.

    Attributes
    ----------
    first, second
        (n,) int64: indices of the objects, the lower one first.
    line
        (n,) float64: how bright the border is at least along three quarters of its length, less
        the mean of both objects.
    beyond_both
        (n,) float64: the same, less the mean of the brighter one. Where it is not positive, what
        looks like a line may be an object that is brighter than its neighbour.
    strong, sure
        (n,) bool: whether the line is so much stronger than most of the frame that objects are not
        put together across it, and that each is believed to be a cell. None is if there are few, or
        if outlines are not bright, as those of cells that shine.
    """

    first: IntArray
    second: IntArray
    line: Float64Array
    beyond_both: Float64Array
    strong: BoolArray
    sure: BoolArray

    @classmethod
    def none(cls) -> Self:
        """Return those of a frame of which no image is known."""
        index, value, is_so = np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
        return cls(index, index, value, value, is_so, is_so)

    def between(self, index: IntArray) -> Self:
        """Return those between the objects that go on, by their new indices; -1 for the others."""
        first, second = np.sort(index[np.stack([self.first, self.second])], axis=0)
        kept = first >= 0
        return type(self)(
            first[kept],
            second[kept],
            self.line[kept],
            self.beyond_both[kept],
            self.strong[kept],
            self.sure[kept],
        )

    @classmethod
    def of(cls, objects: Objects, image: NDArray[Any]) -> Self:
        """Measure the borders between objects in an image."""
        n = objects.area.size
        image = image.astype(np.float32)  # one type, for which kernels are compiled
        smooth = np.asarray(cv2.blur(image, (_SMOOTH, _SMOOTH)), np.float32)
        pairs, values = border_pixels(objects.runs, n, smooth, _REACH)
        order = np.lexsort((values, pairs))
        found, first, length = np.unique(pairs[order], return_index=True, return_counts=True)
        long = length >= _LEAST
        found, first, length = found[long], first[long], length[long]
        low = values[order[first + (length - 1) // _QUARTER]].astype(np.float64)
        a, b = found // max(n, 1), found % max(n, 1)
        light = sum_objects(objects.runs, image, n)
        mean = (light[a] + light[b]) / (objects.area[a] + objects.area[b])
        brighter = np.maximum(light[a] / objects.area[a], light[b] / objects.area[b])
        line, beyond = low - mean, low - brighter
        tells = line.size >= MANY and np.median(beyond) > 0
        usual = np.median(line) if tells else np.inf
        return cls(a, b, line, beyond, line > _STRONG * usual, line > _SURE * usual)
