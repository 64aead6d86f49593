"""Kernels of the log-STD segmentation: local variance, logarithm, histogram, threshold.

All arithmetic is plain IEEE 754 in a fixed order (no fused multiply-add, no reordered sums), so
that every machine finds the same mask. Loops run over rows that stay in the first-level cache and
have no branches, so that the compiler turns them into vector instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float64Array = NDArray[np.float64]

_SMALLEST_NORMAL = 2.2250738585072014e-308
_TWO_52 = 2.0**52
_TWO_52_BITS = 0x4330000000000000
_MANTISSA_BITS = 0x000FFFFFFFFFFFFF
_ONE_BITS = 0x3FF0000000000000
_SQRT_HALF_BITS = 0x3FE6A09E00000000
_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # 32 bits of ln 2: times an exponent is exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # the rest of ln 2


@compiled()
def mirrored(i: int, n: int) -> int:
    """Index of pixel `i` of an axis of `n` pixels that is continued as `c b a | a b c`."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@compiled(error_model="numpy")
def half_log(values: Float64Array, power: Float64Array, out: Float64Array) -> None:
    """Write ½ ln v for each of `values`, which are positive and not denormal; they are destroyed.

    With v = 2ᵏ m and √½ ≤ m < √2, ln v = k ln 2 + ln m, where ln m = 2 artanh(s) with
    f = m − 1 and s = f / (2 + f), summed as f − s (f − R), R = Σ 2 s²ⁱ / (2i + 1) over i = 1…10.
    The error is below one unit in the last place. `power` is a row to work in.
    """
    bits = values.view(np.int64)
    power_bits = power.view(np.int64)
    for x in range(values.size):
        shifted = bits[x] + (_ONE_BITS - _SQRT_HALF_BITS)
        # The bits of 2⁵² + k: a conversion from integer that every vector unit can do.
        power_bits[x] = (shifted >> 52) | _TWO_52_BITS
        bits[x] = (shifted & _MANTISSA_BITS) + _SQRT_HALF_BITS
    for x in range(values.size):
        k = power[x] - (_TWO_52 + 1023.0)
        f = values[x] - 1.0
        s = f / (2.0 + f)
        z = s * s
        w = z * z
        odd = 2 / 3 + w * (2 / 7 + w * (2 / 11 + w * (2 / 15 + w * (2 / 19))))
        even = 2 / 5 + w * (2 / 9 + w * (2 / 13 + w * (2 / 17 + w * (2 / 21))))
        series = z * (odd + z * even)
        out[x] = 0.5 * (k * _LN2_HIGH + (f - (s * (f - series) - k * _LN2_LOW)))


@compiled(error_model="numpy")
def _finish_row(
    sums: Float64Array, squares: Float64Array, n: float, out: Float64Array, range_: Float64Array
) -> None:
    """Write the log-STD of a row from the sums of its windows of `n` pixels, and widen `range_`.

    Works in place of the sums. `range_` has the smallest and the largest value of each column.
    """
    for x in range(out.size):
        variance = (n * squares[x] - sums[x] * sums[x]) / (n * n)
        squares[x] = variance if variance >= _SMALLEST_NORMAL else 1.0  # ln 1 = 0
    half_log(squares, sums, out)
    smallest, largest = range_[0], range_[1]
    for x in range(out.size):
        smallest[x] = out[x] if out[x] < smallest[x] else smallest[x]
        largest[x] = out[x] if out[x] > largest[x] else largest[x]


@compiled()
def _fill_margins(row: Float64Array, radius: int) -> None:
    """Continue a row by mirroring, `radius` pixels to either side."""
    n = row.size - 2 * radius
    for i in range(radius):
        row[i] = row[radius + mirrored(i - radius, n)]
        row[radius + n + i] = row[radius + mirrored(n + i, n)]


@compiled()
def _slide(
    entering: NDArray[Any], leaving: NDArray[Any], sums: Float64Array, squares: Float64Array
) -> None:
    """Move the sums over columns, and those of squares, by one row."""
    for x in range(entering.size):
        new, old = float(entering[x]), float(leaving[x])
        sums[x] += new - old
        squares[x] += new * new - old * old


@compiled()
def _add_window(columns: Float64Array, radius: int, out: Float64Array) -> None:
    """Write the sum of each window of 2·radius + 1 columns."""
    n = out.size
    _fill_margins(columns, radius)
    left, centre, right = columns[:n], columns[1 : n + 1], columns[2 : n + 2]
    for x in range(n):
        out[x] = left[x] + centre[x] + right[x]
    for k in range(3, 2 * radius + 1, 2):
        left, right = columns[k : k + n], columns[k + 1 : k + 1 + n]
        for x in range(n):
            out[x] += left[x] + right[x]


@compiled(error_model="numpy")
def log_std_integer(frame: NDArray[Any], radius: int, out: Float64Array) -> tuple[float, float]:
    """Write the log-STD of an integer frame of up to 16 bits.

    With n pixels in the window, variance = V / n² where V = n Σx² − (Σx)². Sums and V are integers
    below 2⁵³ for radii up to 18, so that float64 holds each of them exactly.
    """
    height, width = frame.shape
    n = float((2 * radius + 1) ** 2)
    sum_columns = np.zeros(width + 2 * radius)
    square_columns = np.zeros(width + 2 * radius)
    sum_inner = sum_columns[radius : radius + width]
    square_inner = square_columns[radius : radius + width]
    sums, squares = np.empty(width), np.empty(width)
    range_ = np.empty((2, width))
    range_[0], range_[1] = np.inf, -np.inf
    nothing = np.zeros_like(frame[0])
    for i in range(-radius - 1, radius):
        _slide(frame[mirrored(i, height)], nothing, sum_inner, square_inner)
    for y in range(height):
        entering, leaving = mirrored(y + radius, height), mirrored(y - radius - 1, height)
        _slide(frame[entering], frame[leaving], sum_inner, square_inner)
        _add_window(sum_columns, radius, sums)
        _add_window(square_columns, radius, squares)
        _finish_row(sums, squares, n, out[y], range_)
    return range_[0].min(), range_[1].max()


@compiled(error_model="numpy")
def log_std_float(frame: NDArray[Any], radius: int, out: Float64Array) -> tuple[float, float]:
    """Write the log-STD of a frame whose sums of squares do not fit 53 bits.

    The variance does not change when the window's centre pixel is subtracted first; a constant
    window has then a variance of exactly 0, and a bright smooth one loses no digits.
    """
    height, width = frame.shape
    n = float((2 * radius + 1) ** 2)
    padded = np.empty(width + 2 * radius)
    sums, squares = np.empty(width), np.empty(width)
    range_ = np.empty((2, width))
    range_[0], range_[1] = np.inf, -np.inf
    for y in range(height):
        centre = frame[y]
        sums[:] = 0.0
        squares[:] = 0.0
        for dy in range(-radius, radius + 1):
            padded[radius : radius + width] = frame[mirrored(y + dy, height)]
            _fill_margins(padded, radius)
            for k in range(2 * radius + 1):
                shifted = padded[k : k + width]
                for x in range(width):
                    difference = shifted[x] - float(centre[x])
                    sums[x] += difference
                    squares[x] += difference * difference
        _finish_row(sums, squares, n, out[y], range_)
    return range_[0].min(), range_[1].max()


@compiled(error_model="numpy")
def histogram(values: Float64Array, low: float, high: float, n_bins: int) -> NDArray[np.int64]:
    """Count values per bin of equal width from `low` to `high`, as `numpy.histogram` does.

    A value belongs to the bin with edge[i] ≤ value < edge[i + 1], the last one closed. The
    quotient finds the bin to within one; the comparisons with the edges correct it. Four partial
    histograms take turns: a processor stalls on counts that it has only just written.
    """
    step = (high - low) / n_bins
    per_value = n_bins / (high - low)
    counts = np.zeros((4, n_bins + 2), np.int64)
    width = values.shape[1]
    bins = np.empty(width + 4, np.int32)
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(width):
            i = min(np.int32((row[x] - low) * per_value), np.int32(n_bins - 1))
            below = row[x] < i * step + low
            above = (row[x] >= (i + 1) * step + low) & (i < n_bins - 1)
            bins[x] = i + np.int32(above) - np.int32(below)
        bins[width : width + 4] = n_bins
        for x in range(0, width, 4):
            counts[0, bins[x]] += 1
            counts[1, bins[x + 1]] += 1
            counts[2, bins[x + 2]] += 1
            counts[3, bins[x + 3]] += 1
    total: NDArray[np.int64] = counts[0] + counts[1] + counts[2] + counts[3]
    return total[:n_bins]


@compiled()
def spread_below(values: Float64Array, mode: float, low: float) -> float:
    """Return the population standard deviation of the values ≤ `mode`, 0 if there are none.

    Summed as differences from `low`, the smallest value: equal values have exactly no spread.
    One sum per column, so that the order of summation does not depend on the vector length.
    """
    width = values.shape[1]
    count = 0
    sums, squares = np.zeros(width), np.zeros(width)
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(width):
            inside = row[x] <= mode
            difference = row[x] - low if inside else 0.0
            count += inside
            sums[x] += difference
            squares[x] += difference * difference
    if count == 0:
        return 0.0
    mean = sums.sum() / count
    return float(np.sqrt(max(squares.sum() / count - mean * mean, 0.0)))


@compiled()
def above(values: NDArray[Any], threshold: Any, out: NDArray[np.uint8]) -> None:
    """Write 1 where a value exceeds the threshold, else 0."""
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            out[y, x] = values[y, x] > threshold
