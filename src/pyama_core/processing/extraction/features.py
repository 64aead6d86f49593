"""Features of cells: size, position and brightness per cell and frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pyama_core.io.errors import InputError
from pyama_core.processing.frame import as_frame
from pyama_core.processing.objects import objects_by_label

ALGORITHM = "features/1"

_USUAL_MIN_FRAMES = 30


class ExtractionParameters(BaseModel):
    """Parameters of the extraction of traces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_frames: int | None = Field(
        None,
        ge=1,
        description="cells seen in fewer frames are dropped; by default 30, or half the frames "
        "(rounded up) in movies shorter than 60",
    )
    interval_minutes: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="minutes between frames, for files that do not tell the times",
    )


def resolve_min_frames(min_frames: int | None, n_frames: int) -> int:
    """Return in how many frames a cell must be seen, for a movie of `n_frames`.

    Examples
    --------
    >>> resolve_min_frames(None, 200), resolve_min_frames(None, 11), resolve_min_frames(5, 11)
    (30, 6, 5)
    """
    if min_frames is not None:
        return min_frames
    return min(_USUAL_MIN_FRAMES, (n_frames + 1) // 2)


@dataclass(frozen=True)
class FrameMeasurements:
    """What was measured in one frame: arrays of the same length, sorted by cell.

    Attributes
    ----------
    cell
        int64: the cell's label.
    area
        int64: its number of pixels.
    position_x, position_y
        float64: centroid in pixels, column and row; the centre of the first pixel is 0.
    intensity_total
        float64: sum of the image over the cell, in the image's unit.
    """

    cell: NDArray[np.int64]
    area: NDArray[np.int64]
    position_x: NDArray[np.float64]
    position_y: NDArray[np.float64]
    intensity_total: NDArray[np.float64]


def measure_frame(labels: NDArray[Any], image: NDArray[Any]) -> FrameMeasurements:
    """Measure all cells of a frame in one pass over its pixels.

    Parameters
    ----------
    labels
        (Y, X) label image: any integer dtype, 0 is background, labels in any order with gaps.
    image
        (Y, X) image of the same frame, usually background-corrected.

    Returns
    -------
    FrameMeasurements
        One entry per label that occurs, sorted by label.

    Raises
    ------
    InputError
        If the two differ in shape, are not two-dimensional, have a dtype or pixels that cannot be
        measured (negative labels, values that are not finite).

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 7, 7], [0, 7, 7]])
    >>> measured = measure_frame(labels, np.full((2, 3), 2.5))
    >>> measured.cell, measured.area, measured.intensity_total
    (array([7]), array([4]), array([10.]))
    >>> measured.position_x, measured.position_y
    (array([1.5]), array([0.5]))
    """
    from pyama_core.processing.kernels.measure import sum_objects

    labels, image = np.asarray(labels), as_frame(image, "image")
    if labels.shape != image.shape:
        raise InputError(
            f"Expected a label image and an image of the same shape, found {labels.shape} and "
            f"{image.shape}."
        )
    if image.dtype != np.float32:
        image = as_frame(image.astype(np.float64))
    runs, cells = objects_by_label(labels)
    area, row_sum, column_sum, intensity = sum_objects(runs, image, cells.size)
    return FrameMeasurements(
        cell=cells,
        area=area,
        position_x=column_sum / area,
        position_y=row_sum / area,
        intensity_total=intensity,
    )
