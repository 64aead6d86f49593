"""The cells of one frame, found once and measured as often as there are features and channels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.extraction.kernels.intensities import RunsByObject, group_runs
from pyama_core.processing.frame import as_frame, as_labels
from pyama_core.processing.runs.measures import areas_and_boxes
from pyama_core.processing.runs.objects import objects_by_label
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FrameCells:
    """The cells of a label image, in order of their labels.

    Attributes
    ----------
    labels
        (Y, X) label image.
    runs
        Their pixels.
    cell
        (n,) int64: the label of each.
    area, row_sum, column_sum
        (n,) int64: number of pixels, and the sums of their rows and columns.
    box
        (n, 4) int64: first row, first column, last row + 1, last column + 1.
    """

    labels: NDArray[Any]
    runs: Runs
    cell: IntArray
    area: IntArray
    row_sum: IntArray
    column_sum: IntArray
    box: IntArray

    @classmethod
    def of(cls, labels: NDArray[Any]) -> Self:
        """Find the cells of a (Y, X) label image of any integer dtype.

        Raises
        ------
        InputError
            If this is not a label image.
        """
        labels = as_labels(labels)
        runs, cell = objects_by_label(labels)
        return cls(labels, runs, cell, *areas_and_boxes(runs, cell.size))

    @cached_property
    def grouped(self) -> RunsByObject:
        """The runs by cell."""
        return group_runs(self.runs, self.cell.size)

    def checked(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return a (Y, X) image of the same frame as float32, if it is that, or float64.

        Raises
        ------
        InputError
            If it differs in shape or has pixels that cannot be measured.
        """
        image = as_frame(image, "image")
        if image.shape != self.labels.shape:
            raise InputError(
                f"Expected a label image and an image of the same shape, found "
                f"{self.labels.shape} and {image.shape}."
            )
        return image if image.dtype == np.float32 else as_frame(image.astype(np.float64))
