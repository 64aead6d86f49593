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
MOST_DIAMETERS = 40  # that a frame is wide, of what is looked at of it
LIKELY = 0.75  # of the best agreement in one frame: a diameter is asked for in the others too
AS_GOOD = 0.9  # of the best agreement: clumps of cells agree as well as cells, which are smaller

Labeller = Callable[[NDArray[Any], Scale], NDArray[np.int32]]


def estimate_diameter(frames: Sequence[NDArray[Any]], label: Labeller) -> float | None:
    """Return the diameter at which the cells that are found agree best with it.

    A frame is segmented at one diameter after the other, by steps of a quarter. At each it is
    asked which part of the area of the objects agrees with the diameter, each object counting
    exp(−½ (ln(d / diameter) / 0.3)²), where d is the diameter of a disc of its area. That
    part, times the square root of the part of the frame in objects, as what agrees should
    also be much of what there is to find, times n / (n + 4) for n objects, as the agreement of a
    few means little, is largest at the diameter sought. Where it reaches three quarters of its
    maximum in the middle one of the frames, it is averaged over all of them. Of its maxima, one
    beside others if cells lie in clumps, the first that has nine tenths of the largest is
    taken, its place refined by a parabola through it and its neighbours.

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
    known: dict[tuple[int, int], float] = {}

    def agreement(frame: int, i: int) -> float:
        if not 0 <= i < len(diameters):
            return 0.0
        if (frame, i) not in known:
            known[frame, i] = _agreement(frames[frame], Scale(diameters[i]), label)
        return known[frame, i]

    def mean(i: int) -> float:
        return float(np.mean([agreement(frame, i) for frame in range(len(frames))]))

    middle = [agreement(len(frames) // 2, i) for i in range(len(diameters))]
    likely = [i for i, value in enumerate(middle) if value >= LIKELY * max(middle)]
    means = {i: mean(i) for i in likely}
    largest = max(means.values())
    if largest == 0:
        return None
    best = min(
        i
        for i, value in means.items()
        if value >= AS_GOOD * largest and value >= max(means.get(i - 1, 0.0), means.get(i + 1, 0.0))
    )
    summit = _summit(mean(best - 1), mean(best), mean(best + 1))
    return float(FIT_TO_CELL * diameters[best] * STEP**summit)


def _agreement(frame: NDArray[Any], scale: Scale, label: Labeller) -> float:
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
    """Return the centre of a frame, if its working image is larger than many cells need."""
    working_pixels = frame.size / scale.factor**2
    most = min(MOST_PIXELS, (MOST_DIAMETERS * scale.working_diameter) ** 2)
    shorten = min(1.0, float(np.sqrt(most / working_pixels)))
    height, width = (max(1, int(n * shorten)) for n in frame.shape)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return np.ascontiguousarray(frame[top : top + height, left : left + width])


def _summit(before: float, at: float, after: float) -> float:
    """Return where between its neighbours the parabola through a maximum has its summit."""
    curvature = before - 2 * at + after
    return float(0.5 * (before - after) / curvature) if curvature < 0 else 0.0
