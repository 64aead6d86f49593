"""The diameter of the cells of a field of view, estimated from some of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.scale import Scale

SMALLEST, LARGEST, STEP = 8.0, 400.0, 1.25
TOLERANCE = 0.3  # standard deviation of the logarithm of sizes that agree with a diameter
# Objects fit best when the diameter is somewhat above that of the cells: smaller ones still count,
# and the halos between cells are in neither.
FIT_TO_CELL = 0.82
MOST_PIXELS = 640**2  # of a working image

Labeller = Callable[[NDArray[Any], Scale], NDArray[np.int32]]


def estimate_diameter(frames: Sequence[NDArray[Any]], label: Labeller) -> float | None:
    """Return the diameter at which the cells that are found agree best with it.

    The frames are segmented at one diameter after the other, by steps of a quarter. At each it is
    asked which part of the area of the objects agrees with the diameter, each object counting
    exp(−½ (ln(d / diameter) / 0.3)²), where d is the diameter of a disc of its area. That
    part, times the square root of the part of the frame in objects, as what agrees should
    also be much of what there is to find, times n / (n + 4) for n objects, as the agreement of a
    few means little, is largest at the diameter sought. It is averaged over the frames, and the
    place of its maximum refined by a parabola through it and its neighbours.

    Parameters
    ----------
    frames
        At least one (Y, X) image; of large ones the centre is used.
    label
        Labels the cells in the working image of a frame, at a scale.

    Returns
    -------
    float or None
        Pixels; None if no cells are found at any diameter.
    """
    smallest_side = min(min(frame.shape) for frame in frames)
    diameters = [SMALLEST]
    while diameters[-1] * STEP <= min(LARGEST, smallest_side / 3):
        diameters.append(diameters[-1] * STEP)
    agreement = np.array(
        [np.mean([_agreement(frame, Scale(d), label) for frame in frames]) for d in diameters]
    )
    best = int(np.argmax(agreement))
    if agreement[best] == 0:
        return None
    return float(FIT_TO_CELL * diameters[best] * STEP ** _summit(agreement, best))


def _agreement(frame: NDArray[Any], scale: Scale, label: Labeller) -> float | None:
    """Return how well the objects of a frame agree with the diameter of a scale."""
    labels = label(_centre(frame, scale), scale)
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0]
    if area.size == 0:
        return 0.0
    misfit = 0.5 * np.log(area / scale.working_area)
    weights = np.exp(-0.5 * (misfit / TOLERANCE) ** 2)
    fitting = float(np.sum(area * weights) / area.sum())
    covered = float(area.sum() / labels.size)
    return float(fitting * np.sqrt(covered) * area.size / (area.size + 4))


def _centre(frame: NDArray[Any], scale: Scale) -> NDArray[Any]:
    """Return the centre of a frame, so large that its working image is not."""
    working_pixels = frame.size / scale.factor**2
    shorten = min(1.0, float(np.sqrt(MOST_PIXELS / working_pixels)))
    height, width = (max(1, int(n * shorten)) for n in frame.shape)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return np.ascontiguousarray(frame[top : top + height, left : left + width])


def _summit(values: NDArray[np.float64], best: int) -> float:
    """Return where between its neighbours the parabola through a maximum has its summit."""
    padded = [0.0, *values.tolist(), 0.0]
    before, at, after = padded[best : best + 3]
    curvature = before - 2 * at + after
    return float(0.5 * (before - after) / curvature) if curvature < 0 else 0.0
