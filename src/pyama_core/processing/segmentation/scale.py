"""The scale of a field of view: how large cells are, and the resolution that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.segmentation.kernels.resample import (
    enlarge_labels,
    shrink_frame,
)
from pyama_core.processing.segmentation.kernels.smoothing import gaussian

WORKING_DIAMETER = 18.0
"""Cells are looked at with so many pixels per diameter; finer detail says little about borders."""

SMOOTH_OUTLINE = 0.7
"""Standard deviation, in pixels of the working image, of what rounds the steps of outlines."""


@dataclass(frozen=True)
class Scale:
    """A cell diameter, and the working image in which it spans at most some pixels.

    Parameters
    ----------
    diameter
        Diameter of a disc with the area of a typical cell, pixels of the frame.
    most
        How many pixels of the working image it spans at most; 18 if None.
    """

    diameter: float
    most: float | None = None

    @property
    def factor(self) -> float:
        """Pixels of the frame per pixel of the working image, at least 1."""
        return max(1.0, self.diameter / (self.most or WORKING_DIAMETER))

    @property
    def working_diameter(self) -> float:
        """Diameter in pixels of the working image."""
        return self.diameter / self.factor

    @property
    def working_area(self) -> float:
        """Area of a disc of that diameter, pixels of the working image."""
        return float(np.pi / 4 * self.working_diameter**2)

    def shrink(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Return the working image of a frame, float32, each pixel the mean of what it covers."""
        height, width = self._working_shape(frame.shape)
        if (height, width) == frame.shape:
            return frame.astype(np.float32)
        if frame.dtype.itemsize > 2:
            frame = read_only(frame.astype(np.float32))
        return shrink_frame(frame, height, width)

    def shrink_labels(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Return labels at the size of the working image: each pixel the label at its centre."""
        rows, columns = (
            ((np.arange(small) + 0.5) * n / small).astype(np.intp)
            for n, small in zip(labels.shape, self._working_shape(labels.shape), strict=True)
        )
        return labels[np.ix_(rows, columns)].astype(np.int32)

    def enlarge(
        self, labels: NDArray[np.int32], shape: tuple[int, int]
    ) -> NDArray[np.integer[Any]]:
        """Return the labels of a working image at the size of the frame, with smooth outlines.

        They are uint16, or int32 where there might be more than fit.
        """
        weights = np.ones(1, np.float32) if labels.shape == shape else gaussian(SMOOTH_OUTLINE)
        # The largest label is a bound on the number of labels.
        dtype = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.int32
        enlarged = np.empty(shape, dtype)
        enlarge_labels(labels, weights, enlarged)
        return enlarged

    def _working_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(1, round(n / self.factor)) for n in shape)
