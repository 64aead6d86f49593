"""The diameter of the objects of a field of view, estimated from some of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.bright.contrast import Contrast, Float32Array
from pyama_core.processing.segmentation.by_diameter import diameters_between, summit

SMALLEST, LARGEST, STEP = 6.0, 400.0, 1.3
LARGEST_PART = 0.4  # of the shorter side of the frame is the largest diameter
TOLERANCE = 0.3  # standard deviation of the logarithm of sizes that agree with a diameter
ENOUGH_OBJECTS = 4
MOST_DIAMETERS = 100  # that a frame is wide, of what is looked at of it


class Found(NamedTuple):
    """What was found of a frame: labels in the working image, and the contrast of that.

    `factor` is how many pixels of the frame a pixel of the working image is wide.
    """

    labels: NDArray[np.int32]
    contrast: Contrast
    factor: float


Finder = Callable[[NDArray[Any], float], Found]


def estimate_diameter(frames: Sequence[NDArray[Any]], find: Finder) -> float | None:
    """Return the diameter of the objects that carry the contrast of some frames.

    The frames are segmented at one diameter after the other, by steps of 1.3. What stands out of
    the mean of its surroundings, which are as wide as the diameter, is summed over the objects
    found, each counting exp(−½ (ln(d / diameter) / 0.3)²), where d is the diameter of a disc of its
    area. It is most at the scale of the objects: at smaller ones only parts of them stand out, at
    larger ones those that fit are few. For objects of n it counts n / (n + 4), as the fit of a few
    means little. Objects that the edge of the frame cuts have no size, and do not count.

    At the scale where that is highest (a parabola through it and its neighbours tells) the frames
    are segmented once more, and the diameter is that of the objects that carry half of the
    contrast, the smallest first.

    Parameters
    ----------
    frames
        At least one (Y, X) image; of large ones the centre is used. Their objects count together.
    find
        Finds the objects of a frame, given their diameter in pixels of the frame.

    Returns
    -------
    float or None
        Pixels; None if no objects are found at any diameter.
    """
    smallest_side = min(min(frame.shape) for frame in frames)
    diameters = diameters_between(SMALLEST, min(LARGEST, LARGEST_PART * smallest_side), STEP)
    carried = np.array([_contrast_that_fits(frames, d, find) for d in diameters])
    best = int(np.argmax(carried))
    if carried[best] <= 0:
        return None
    at = diameters[best] * STEP ** summit(carried, best)
    return _typical_diameter(frames, at, find)


def _contrast_that_fits(frames: Sequence[NDArray[Any]], diameter: float, find: Finder) -> float:
    """Return, of the contrast of all frames, the part in objects whose sizes fit a diameter."""
    carried, n_objects = 0.0, 0
    for frame in frames:
        found = find(frame, diameter)
        sizes, contrast = _whole_objects(found, found.contrast.band)
        fit = np.exp(-0.5 * (np.log(sizes / diameter) / TOLERANCE) ** 2)
        carried += float(np.sum(contrast * fit)) / found.labels.size
        n_objects += sizes.size
    return carried * n_objects / (n_objects + ENOUGH_OBJECTS * len(frames))


def _typical_diameter(frames: Sequence[NDArray[Any]], diameter: float, find: Finder) -> float:
    """Return the size that objects have with half of the contrast, at the scale of a diameter."""
    found = [find(frame, diameter) for frame in frames]
    both = [_whole_objects(f, f.contrast.clear) for f in found]
    sizes, contrast = (np.concatenate(values) for values in zip(*both, strict=True))
    if not contrast.any():
        return diameter
    order = np.argsort(sizes, kind="stable")
    total = np.cumsum(contrast[order])
    return float(sizes[order][np.searchsorted(total, total[-1] / 2)])


def _whole_objects(
    found: Found, image: Float32Array
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the size, in pixels of the frame, and the contrast of objects not cut by the edge."""
    labels = found.labels
    area = np.bincount(labels.ravel())
    contrast = np.maximum(np.bincount(labels.ravel(), image.ravel()), 0)
    whole = area > 0
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        whole[edge] = False
    whole[0] = False
    return found.factor * np.sqrt(area[whole] * 4 / np.pi), contrast[whole]
