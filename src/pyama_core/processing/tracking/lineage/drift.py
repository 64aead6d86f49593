"""Movement of the whole field of view between two frames: drift and jumps of the stage."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import read_only
from pyama_core.processing.tracking.lineage.kernels.correlation import reduced, weighted_phases

Float64Array = NDArray[np.float64]

_LARGEST_SIDE = 256
_FEW = 5
_CLEARLY = 1.5
LEAST_OVERLAP = 0.3
_NORMAL_SIGMA = 1.4826  # standard deviation of normal values per median absolute deviation
_MEDIAN_ERROR = 1.2533  # standard error of a median of normal values, times √n per σ


def phase_shift(previous: NDArray[np.bool_], current: NDArray[np.bool_]) -> Float64Array:
    """Return how far a mask has moved, by phase correlation of both at low resolution.

    The masks are averaged to at most 256 pixels a side, surrounded by as much background, so that
    shifts of up to the whole frame are told apart, and smoothed a little, because the phases of
    high frequencies are those of the pixels at outlines.

    Parameters
    ----------
    previous, current
        (Y, X) bool.

    Returns
    -------
    ndarray
        (2,) float64: rows and columns; a multiple of the reduction. Zeros where a mask is empty.

    References
    ----------
    C. D. Kuglin, D. C. Hines, "The phase correlation image alignment method", IEEE Int. Conf. on
    Cybernetics and Society, 163-165 (1975).

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.zeros((64, 64), np.bool_)
    >>> mask[20:30, 5:25] = mask[40:44, 30:34] = True
    >>> phase_shift(mask, np.roll(mask, (7, -3), (0, 1)))
    array([ 7., -3.])
    """
    factor = -(-max(previous.shape) // _LARGEST_SIDE)
    small = [reduced(read_only(mask), factor) for mask in (previous, current)]
    if not (small[0].any() and small[1].any()):
        return np.zeros(2)
    rows, columns = (2 * side for side in small[0].shape)
    spectra = [np.fft.rfft2(image, (rows, columns)) for image in small]
    phases = weighted_phases(spectra[0], spectra[1], _smoothing(rows, columns))
    correlation = np.fft.irfft2(phases, (rows, columns))
    peak = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    shift = [p - n if p >= n // 2 else p for p, n in zip(peak, correlation.shape, strict=True)]
    return np.array([factor * side for side in shift], np.float64)


@functools.lru_cache(maxsize=2)
def _smoothing(rows: int, columns: int) -> Float64Array:
    """Return what a Gaussian of 1.5 pixels leaves of each frequency of an image of that shape."""
    down, across = np.fft.fftfreq(rows)[:, np.newaxis], np.fft.rfftfreq(columns)
    return np.asarray(np.exp(-2 * (np.pi * 1.5) ** 2 * (down**2 + across**2)))


def common_displacement(displacements: Float64Array) -> Float64Array:
    """Return the median of the displacements of cells, 0 where chance alone may have made it.

    Each of the two components counts if it is beyond three standard errors of the median, which
    follow from the median absolute deviation, and if there are at least 5 cells.

    Examples
    --------
    >>> import numpy as np
    >>> apart = np.array([[3.1, -9.0], [2.9, 8.0], [3.0, 0.5], [3.0, -7.0], [3.1, 9.0]])
    >>> common_displacement(apart)
    array([3., 0.])
    """
    if len(displacements) < _FEW:
        return np.zeros(2)
    median = np.median(displacements, axis=0)
    deviation = _NORMAL_SIGMA * np.median(np.abs(displacements - median), axis=0)
    error = _MEDIAN_ERROR * deviation / np.sqrt(len(displacements))
    return np.where(np.abs(median) > 3 * error, median, 0.0)


def best_shift(
    candidate: Float64Array,
    total_overlap: Callable[[Float64Array], tuple[float, Float64Array]],
    least: float = LEAST_OVERLAP,
) -> Float64Array:
    """Return a candidate, made finer, if it raises the total overlap by half at least; else none.

    Less may come from a few cells that happen to move alike while others stay. And the overlap
    must be that of cells found again: in a frame out of focus, of whose objects none is a cell,
    some shift always brings a few of them where cells were.

    Parameters
    ----------
    candidate
        (2,) float64: rows and columns.
    total_overlap
        Returns, for a shift, the mean overlap of cells from 0 to 1 and the median of what is
        still between cells and the objects that they overlap most.
    least
        The mean overlap that must be reached.
    """
    unmoved, _ = total_overlap(np.zeros(2))
    coarse, rest = total_overlap(candidate)
    fine, _ = total_overlap(candidate + rest)
    shift, overlap = (candidate + rest, fine) if fine > coarse else (candidate, coarse)
    is_jump = overlap > max(_CLEARLY * unmoved, least)
    return shift if is_jump else np.zeros(2)
