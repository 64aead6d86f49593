"""Parts of the segmentation into instances whose kernels can be compiled side by side.

Each is given the parameters, a small frame in the type of a data set's pixels, and the labels of
the cells in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.pixel_runs import find_runs
from pyama_core.processing.segmentation.instances import separation
from pyama_core.processing.segmentation.instances.bodies import outline_bodies
from pyama_core.processing.segmentation.instances.contrast import ContrastImages
from pyama_core.processing.segmentation.instances.segmenter import body_and_lines
from pyama_core.processing.segmentation.scale import Scale
from pyama_core.processing.segmentation.single_precision import in_single_precision

_SCALE = Scale(20.0)


def bodies(_parameters: object, frame: NDArray[Any], _labels: NDArray[np.uint16]) -> None:
    """Find what is cell at all, and the lines in it."""
    body_and_lines(in_single_precision(frame, "frame"), _SCALE, ContrastImages())


def basins(_parameters: object, _frame: NDArray[Any], labels: NDArray[np.uint16]) -> None:
    """Cut what is cell where it is narrow."""
    body = labels > 0
    separation.basins_of(body, np.zeros_like(body), _SCALE)


def cells(_parameters: object, frame: NDArray[Any], labels: NDArray[np.uint16]) -> None:
    """Make cells of what was cut."""
    pieces, image = find_runs(read_only(labels), 0), frame.astype(np.float32)
    found = separation.cells_of(pieces, int(labels.max()), image, _SCALE)
    separation.painted(found, np.zeros(labels.shape, np.int32))


def outlined(_parameters: object, frame: NDArray[Any], labels: NDArray[np.uint16]) -> None:
    """Outline cells that are evenly dark."""
    outline_bodies(labels.astype(np.int32), frame.astype(np.float32), _SCALE.diameter)


def enlarged(_parameters: object, _frame: NDArray[Any], labels: NDArray[np.uint16]) -> None:
    """Bring cells to the size of the frame."""
    height, width = labels.shape
    _SCALE.enlarge(labels.astype(np.int32), (height + 9, width + 9))
