"""Kernels of the log-STD segmentation for frames whose local variance is a small integer.

With n pixels in the window, variance = V / n² where V = n Σx² − (Σx)² is an integer. Unequal V
have logarithms that are far more apart than they are inexact, so what is asked of logarithms (in
which bin, above which threshold) can be asked of V, in 4 bytes per pixel and without a logarithm
for each. V = 0 counts as n², whose logarithm of the standard deviation is 0 too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.segmentation.log_std.kernels.logarithms import half_log, mirrored

Scaled = NDArray[np.uint32]

LARGEST = 2**32 - 2
"""The largest V for which these kernels may be called; 2³² − 1 stands for more than any."""


@compiled()
def _slide(entering: NDArray[Any], leaving: NDArray[Any], sums: Scaled, squares: Scaled) -> None:
    """Move the sums over columns, and those of squares, by one row; modulo 2³², as all sums here.

    V is exact all the same, because it is less than 2³².
    """
    for x in range(entering.size):
        new, old = np.int32(entering[x]), np.int32(leaving[x])
        sums[x] += new - old
        squares[x] += new * new - old * old


@compiled()
def _add_window(columns: Scaled, radius: int, out: Scaled) -> None:
    """Write the sum of each window of 2·radius + 1 columns; fills the margins by mirroring."""
    n = out.size
    for i in range(radius):
        columns[i] = columns[radius + mirrored(i - radius, n)]
        columns[radius + n + i] = columns[radius + mirrored(n + i, n)]
    left, centre, right = columns[:n], columns[1 : n + 1], columns[2 : n + 2]
    for x in range(n):
        out[x] = left[x] + centre[x] + right[x]
    for k in range(3, 2 * radius + 1, 2):
        left, right = columns[k : k + n], columns[k + 1 : k + 1 + n]
        for x in range(n):
            out[x] += left[x] + right[x]


@compiled()
def scaled_variance(frame: NDArray[Any], radius: int, out: Scaled) -> tuple[int, int]:
    """Write V of an integer frame of up to 16 bits, return the smallest and the largest."""
    height, width = frame.shape
    n = (2 * radius + 1) ** 2
    square = n * n
    sum_columns = np.zeros(width + 2 * radius, np.uint32)
    square_columns = np.zeros(width + 2 * radius, np.uint32)
    sum_inner = sum_columns[radius : radius + width]
    square_inner = square_columns[radius : radius + width]
    sums, squares = np.empty(width, np.uint32), np.empty(width, np.uint32)
    smallest, largest = np.full(width, np.uint32(2**32 - 1)), np.zeros(width, np.uint32)
    nothing = np.zeros_like(frame[0])
    for i in range(-radius - 1, radius):
        _slide(frame[mirrored(i, height)], nothing, sum_inner, square_inner)
    for y in range(height):
        entering, leaving = mirrored(y + radius, height), mirrored(y - radius - 1, height)
        _slide(frame[entering], frame[leaving], sum_inner, square_inner)
        _add_window(sum_columns, radius, sums)
        _add_window(square_columns, radius, squares)
        row = out[y]
        for x in range(width):
            row[x] = n * squares[x] - sums[x] * sums[x]
        for x in range(width):
            row[x] = row[x] if row[x] != 0 else square
        for x in range(width):
            smallest[x] = min(smallest[x], row[x])
            largest[x] = max(largest[x], row[x])
    return smallest.min(), largest.max()


@compiled(error_model="numpy")
def log_std_of(scaled: NDArray[np.int64], n: float) -> NDArray[np.float64]:
    """Return the log-STD for some V > 0, with the rounding of a whole image of them."""
    variances = scaled / (n * n)
    out = np.empty(scaled.size)
    half_log(variances, np.empty(scaled.size), out)
    return out


@compiled()
def _estimate_bins(
    row: Scaled, offset: np.float32, per_octave: np.float32, work: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write (log₂ V − offset) · per_octave, where log₂ V is at most 2e-4 wrong.

    A quartic through the logarithm of the mantissa, exact at both ends.
    """
    bits = work.view(np.int32)
    for x in range(row.size):
        work[x] = np.float32(row[x])
    for x in range(row.size):
        out[x] = np.float32((bits[x] >> 23) - 127)
        bits[x] = (bits[x] & 0x7FFFFF) | 0x3F800000
    for x in range(row.size):
        f = work[x] - np.float32(1)
        cubic = np.float32(-0.67778) + f * (np.float32(0.32188) + f * np.float32(-0.08278))
        log2 = f * (np.float32(1.43868) + f * cubic)
        out[x] = (out[x] + log2 - offset) * per_octave


@compiled()
def count_bins(
    scaled: Scaled, first: Scaled, offset: float, per_octave: float
) -> NDArray[np.int64]:
    """Count the pixels of each bin of log-STD.

    Bin i has the V from first[i] to before first[i + 1]; `first` begins with 0 and ends with
    2³² − 1. Bins are evenly spaced in log-STD: log₂ V = offset + i / per_octave at the lower edge
    of bin i. So an estimate finds the edge nearest to a pixel, and a comparison its side. Four
    partial counts take turns: a processor stalls on counts that it has only just written.
    """
    height, width = scaled.shape
    counts = np.zeros((4, first.size + 1), np.int64)
    work, estimates = np.empty(width, np.float32), np.empty(width, np.float32)
    nearest = np.empty(width, np.int32)
    whole = width // 4 * 4
    for y in range(height):
        row = scaled[y]
        _estimate_bins(row, np.float32(offset), np.float32(per_octave), work, estimates)
        for x in range(width):
            nearest[x] = np.int32(estimates[x] + np.float32(0.5))
        for x in range(0, whole, 4):
            a, b = np.uint32(nearest[x]), np.uint32(nearest[x + 1])
            c, d = np.uint32(nearest[x + 2]), np.uint32(nearest[x + 3])
            counts[0, a + (row[x] >= first[a])] += 1
            counts[1, b + (row[x + 1] >= first[b])] += 1
            counts[2, c + (row[x + 2] >= first[c])] += 1
            counts[3, d + (row[x + 3] >= first[d])] += 1
        for x in range(whole, width):
            a = np.uint32(nearest[x])
            counts[0, a + (row[x] >= first[a])] += 1
    total: NDArray[np.int64] = counts[0] + counts[1] + counts[2] + counts[3]
    return total[1 : first.size]


@compiled(error_model="numpy")
def spread_up_to(scaled: Scaled, highest: int, n: float, low: float) -> float:
    """Return the population standard deviation of the log-STD of the pixels with V ≤ `highest`.

    0 if there are none. Summed as differences from `low`, the smallest value, in eight sums per
    row, so that the order of summation does not depend on the vector length.
    """
    width = scaled.shape[1]
    limit = np.uint32(highest)
    chosen = np.empty(width, np.uint32)
    variances, power, logs = np.empty(width), np.empty(width), np.empty(width)
    sums, squares = np.zeros(8), np.zeros(8)
    count = 0
    for y in range(scaled.shape[0]):
        row = scaled[y]
        m = 0
        for x in range(width):
            chosen[m] = row[x]
            m += row[x] <= limit
        for x in range(m):
            variances[x] = float(chosen[x]) / (n * n)
        half_log(variances[:m], power[:m], logs[:m])
        for x in range(0, m - 7, 8):
            for k in range(8):
                difference = logs[x + k] - low
                sums[k] += difference
                squares[k] += difference * difference
        for x in range(m // 8 * 8, m):
            difference = logs[x] - low
            sums[0] += difference
            squares[0] += difference * difference
        count += m
    if count == 0:
        return 0.0
    mean = sums.sum() / count
    return float(np.sqrt(max(squares.sum() / count - mean * mean, 0.0)))
