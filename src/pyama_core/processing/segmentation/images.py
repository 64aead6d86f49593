"""What segmentations do with working images: smoothing, and what may be errors of rounding."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.pixel_runs import Runs, find_runs

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def blur(image: Float32Array, sigma: float) -> Float32Array:
    """Return an image smoothed by a Gaussian of `sigma` pixels, cut off at 2.5 sigma."""
    side = 2 * max(1, int(np.ceil(2.5 * sigma))) + 1
    return as_2d(cv2.GaussianBlur(image, (side, side), sigma), image)


def box_mean(image: Float32Array, sigma: float) -> Float32Array:
    """Return the mean in a square of about the width of a Gaussian of `sigma` pixels."""
    side = 2 * max(1, round(1.73 * sigma)) + 1
    return as_2d(cv2.blur(image, (side, side)), image)


def rounding(frame: NDArray[Any], image: Float32Array) -> float:
    """Return the variance of what may be errors of rounding in the working image of a frame."""
    return of_single_precision(image) + of_grey_values(frame, image)


def of_single_precision(image: Float32Array) -> float:
    """Return the variance of what computing with an image in single precision adds."""
    return (4 * float(np.spacing(max(image.max(), -image.min())))) ** 2


def of_grey_values(frame: NDArray[Any], image: Float32Array) -> float:
    """Return the variance of what whole grey values add to the working image of a frame.

    They are as wide as the smallest difference between two that occur; the mean of many pixels is
    finer.
    """
    steps = np.diff(np.unique(frame[::8, ::8]).astype(np.float64))
    step = float(steps.min()) if steps.size else 0.0
    return step**2 / 12 * image.size / frame.size


def runs_of(mask: NDArray[Any]) -> Runs:
    """Return the runs of a mask of bool or uint8."""
    return find_runs(read_only(mask.view(np.uint8)), 0)


def as_2d(image: NDArray[Any], like: Float32Array) -> Float32Array:
    """Undo that OpenCV drops an axis of length one."""
    return np.asarray(image, np.float32).reshape(like.shape)
