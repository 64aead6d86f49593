"""The diameter of the cells of a field of view, estimated from some of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.by_diameter import centre, diameters_between, summit
from pyama_core.processing.segmentation.scale import Scale

SMALLEST, LARGEST, STEP = 8.0, 400.0, 1.25
TOLERANCE = 0.3  # standard deviation of the logarithm of sizes that agree with a diameter
# Objects fit best when the diameter is somewhat above that of the cells: smaller ones still count,
# and the halos between cells are in neither.
FIT_TO_CELL = 0.82
MOST_DIAMETERS = 40  # that a frame is wide, of what is looked at of it
HIGH = 0.8  # of the highest agreement

Labeller = Callable[[NDArray[Any], Scale], NDArray[np.int32]]


def estimate_diameter(frames: Sequence[NDArray[Any]], label: Labeller) -> float | None:
    """Return the diameter at which the cells that are found agree best with it.

    The frames are segmented at one diameter after the other, by steps of a quarter. At each it is
    asked which part of the area of the objects fits the diameter, each object counting
    exp(−½ (ln(d / diameter) / 0.3)²), where d is the diameter of a disc of its area. That part,
    times n / (n + 4) for n objects, as the fit of a few means little, times the square root of the
    part of the frames in objects, as what agrees should also be much of what there is to find,
    has a maximum at the diameter sought. Cells in clumps make two, and parts of cells one too; of
    maxima almost as high as the highest, the one is taken at which the objects fit best, and its
    place refined by a parabola through it and its neighbours.

    Parameters
    ----------
    frames
        At least one (Y, X) image; of large ones the centre is used. Their objects count together.
    label
        Labels the cells in the working image of a frame, at a scale.

    Returns
    -------
    float or None
        Pixels; None if no cells are found at any diameter.
    """
    smallest_side = min(min(frame.shape) for frame in frames)
    diameters = diameters_between(SMALLEST, min(LARGEST, smallest_side / 3), STEP)
    fit, agreement = np.array([_agreement(frames, Scale(d), label) for d in diameters]).T
    if not agreement.any():
        return None
    best = _best_peak(fit, agreement)
    return float(FIT_TO_CELL * diameters[best] * STEP ** summit(agreement, best))


def _agreement(
    frames: Sequence[NDArray[Any]], scale: Scale, label: Labeller
) -> tuple[float, float]:
    """Return how well the objects of all frames fit a scale, and that weighted by their area."""
    found = [label(centre(frame, scale, MOST_DIAMETERS), scale) for frame in frames]
    area = np.concatenate([np.bincount(labels.ravel())[1:] for labels in found])
    area = area[area > 0]
    if area.size == 0:
        return 0.0, 0.0
    misfit = 0.5 * np.log(area / scale.working_area)
    weights = np.exp(-0.5 * (misfit / TOLERANCE) ** 2)
    fit = float(np.sum(area * weights) / area.sum()) * area.size / (area.size + 4)
    covered = float(area.sum() / sum(labels.size for labels in found))
    return fit, fit * float(np.sqrt(covered))


def _best_peak(fit: NDArray[np.float64], agreement: NDArray[np.float64]) -> int:
    """Return, of the local maxima of the agreement that are high, the one that fits best.

    Clumps cover more than the cells in them, and parts of cells are more than the cells; neither
    is as uniform in size. The largest diameter is no maximum: it may be the foot of one beyond.
    """
    padded = np.pad(agreement, 1)
    is_peak = (agreement >= padded[:-2]) & (agreement >= padded[2:])
    is_peak[-1] = False
    is_peak &= agreement >= HIGH * agreement.max()
    if not is_peak.any():
        return int(np.argmax(agreement))
    return int(np.argmax(np.where(is_peak, fit, 0)))
