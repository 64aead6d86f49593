"""The log-STD of a frame, and what the threshold asks of it: bins, spread, what lies above.

Two forms give the same answers. Integer frames whose intensities span less than 2¹⁴ or so (every
camera of 8, 12 or 14 bits) keep the variance as an integer per pixel; others a logarithm.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.log_std.kernels import integer_variance, logarithms

Float64Array = NDArray[np.float64]

_NARROWEST_BIN = 1e-3
"""Log-STD per bin, 19 times the error of the estimate in `count_bins`; twice it would do."""


class LogStdImage(Protocol):
    """Answers about the log-STD of the pixels of one frame."""

    low: float
    high: float

    def count_bins(self, n_bins: int) -> NDArray[np.int64]:
        """Count the pixels in bins of equal width from the lowest to the highest value."""
        ...

    def spread_up_to(self, level: float) -> float:
        """Return the population standard deviation of the values ≤ `level`."""
        ...

    def write_above(self, level: float, out: NDArray[np.uint8]) -> None:
        """Write 1 where the value exceeds `level`, else 0."""
        ...


class LogStdImages:
    """Makes images in the same memory, one after the other; one is valid until the next.

    Parameters
    ----------
    window_radius
        The variance is that of a window of (2·radius + 1)² pixels.
    """

    def __init__(self, window_radius: int) -> None:
        self._radius = window_radius
        self._floats = np.empty((0, 0))
        self._integers = np.empty((0, 0), np.uint32)

    def of(self, frame: NDArray[Any], n_bins: int) -> LogStdImage:
        """Return the log-STD of a checked frame that is to be counted in `n_bins`."""
        if _is_small(frame, self._radius):
            if self._integers.shape != frame.shape:
                self._integers = np.empty(frame.shape, np.uint32)
            image = IntegerImage(frame, self._radius, self._integers)
            # Bins too narrow for the estimate that finds them: only where all pixels are alike.
            if image.low == image.high or image.high - image.low >= n_bins * _NARROWEST_BIN:
                return image
        if self._floats.shape != frame.shape:
            self._floats = np.empty(frame.shape)
        return FloatImage(frame, self._radius, self._floats)


def _is_small(frame: NDArray[Any], radius: int) -> bool:
    """Whether n²·variance fits the integer kernels, whatever the arrangement of the pixels."""
    if frame.dtype.kind not in "iu" or frame.dtype.itemsize > 2:
        return False
    n = (2 * radius + 1) ** 2
    span = int(frame.max()) - int(frame.min())
    # Largest where half of the window is at either end; n² stands for 0.
    return max((n * span) ** 2 // 4, n * n) <= integer_variance.LARGEST


class IntegerImage:
    """V = n²·variance for each pixel."""

    def __init__(self, frame: NDArray[Any], radius: int, scaled: NDArray[np.uint32]) -> None:
        self._n = float((2 * radius + 1) ** 2)
        self._scaled = scaled
        self._range = integer_variance.scaled_variance(frame, radius, scaled)
        self.low, self.high = map(float, self._log_std(np.array(self._range, np.int64)))

    def count_bins(self, n_bins: int) -> NDArray[np.int64]:
        """Count the pixels in bins of equal width from the lowest to the highest value."""
        step = (self.high - self.low) / n_bins
        first = np.empty(n_bins + 1, np.uint32)
        first[0], first[n_bins] = 0, 2**32 - 1
        edges = np.arange(1, n_bins, dtype=np.float64) * step + self.low
        first[1:n_bins] = self._first_reaching(edges)
        # ½ ln (V / n²) in octaves of V
        offset = np.log2(self._n**2) + 2 * self.low / np.log(2)
        counts: NDArray[np.int64] = integer_variance.count_bins(
            self._scaled, first, float(offset), float(np.log(2) / 2 / step)
        )
        return counts

    def spread_up_to(self, level: float) -> float:
        """Return the population standard deviation of the values ≤ `level`."""
        highest = int(self._first_above(level)) - 1
        return float(integer_variance.spread_up_to(self._scaled, highest, self._n, self.low))

    def write_above(self, level: float, out: NDArray[np.uint8]) -> None:
        """Write 1 where the value exceeds `level`, else 0."""
        logarithms.above(self._scaled, np.uint32(self._first_above(level) - 1), out)

    def _log_std(self, scaled: NDArray[np.int64]) -> Float64Array:
        values: Float64Array = integer_variance.log_std_of(scaled, self._n)
        return values

    def _first_above(self, level: float) -> np.int64:
        above = np.nextafter(level, np.inf)
        first: np.int64 = self._first_reaching(np.array([above]))[0]
        return first

    def _first_reaching(self, levels: Float64Array) -> NDArray[np.int64]:
        """Return the smallest V of log-STD ≥ each level; beyond the range, what is just beyond."""
        smallest, largest = int(self._range[0]), int(self._range[1])
        guess = np.exp(2 * np.minimum(levels, self.high + 1)) * self._n**2
        first: NDArray[np.int64] = np.clip(np.ceil(guess), smallest, largest + 1).astype(np.int64)
        # The exponential is a little inexact; the logarithm decides, as it does for an image.
        while (low := (first <= largest) & (self._log_std(first) < levels)).any():
            first[low] += 1
        while (high := (first > smallest) & (self._log_std(first - 1) >= levels)).any():
            first[high] -= 1
        return first


class FloatImage:
    """The log-STD for each pixel."""

    def __init__(self, frame: NDArray[Any], radius: int, values: Float64Array) -> None:
        self._values = values
        self.low, self.high = write_log_std(frame, radius, values)

    def count_bins(self, n_bins: int) -> NDArray[np.int64]:
        """Count the pixels in bins of equal width from the lowest to the highest value."""
        counts: NDArray[np.int64] = logarithms.histogram(self._values, self.low, self.high, n_bins)
        return counts

    def spread_up_to(self, level: float) -> float:
        """Return the population standard deviation of the values ≤ `level`."""
        return float(logarithms.spread_below(self._values, level, self.low))

    def write_above(self, level: float, out: NDArray[np.uint8]) -> None:
        """Write 1 where the value exceeds `level`, else 0."""
        logarithms.above(self._values, level, out)


def write_log_std(frame: NDArray[Any], radius: int, out: Float64Array) -> tuple[float, float]:
    """Write the log-STD of a checked frame, return its smallest and largest value."""
    if frame.dtype.kind in "iu" and frame.dtype.itemsize <= 2:
        return logarithms.log_std_integer(frame, radius, out)
    if frame.dtype != np.float32:
        frame = as_frame(frame.astype(np.float64))
    return logarithms.log_std_float(frame, radius, out)
