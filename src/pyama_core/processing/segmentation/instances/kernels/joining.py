"""Kernel that joins the parts of a label image that together are a round cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.connected import root
from pyama_core.processing.runs.pixel_runs import Runs

Int64Array = NDArray[np.int64]
Float64Array = NDArray[np.float64]


@compiled()
def _moments(runs: Runs, n_labels: int, width: int) -> Float64Array:
    """Return number, sums of rows and columns, sum of their squares, pixels at each edge.

    Shape (n_labels + 1, 8); the edges are the top, the left, the bottom and the right one.
    """
    height = runs.first.size - 1
    sums = np.zeros((n_labels + 1, 8))
    for y in range(height):
        for run in range(runs.first[y], runs.first[y + 1]):
            start, last = runs.start[run], runs.stop[run] - 1
            n = last + 1 - start
            # Sums of whole numbers and of squares up to a limit.
            squares = last * (last + 1) * (2 * last + 1) - (start - 1) * start * (2 * start - 1)
            label = runs.label[run]
            sums[label, 0] += n
            sums[label, 1] += n * y
            sums[label, 2] += (start + last) * n // 2
            sums[label, 3] += n * y * y + squares // 6
            sums[label, 4] += n * (y == 0)
            sums[label, 5] += start == 0
            sums[label, 6] += n * (y == height - 1)
            sums[label, 7] += last == width - 1
    return sums


@compiled()
def _contacts(runs: Runs, n_labels: int) -> Int64Array:
    """Return smaller label · (n_labels + 1) + larger label wherever labels are 4-neighbours."""
    keys = np.empty(3 * runs.start.size + 1, np.int64)
    n = 0
    for y in range(runs.first.size - 1):
        above = runs.first[y - 1] if y > 0 else 0
        for run in range(runs.first[y], runs.first[y + 1]):
            start, stop, a = runs.start[run], runs.stop[run], runs.label[run]
            if run > runs.first[y] and runs.stop[run - 1] == start:
                b = runs.label[run - 1]
                keys[n] = min(a, b) * (n_labels + 1) + max(a, b)
                n += a != b
            while y > 0 and above < runs.first[y] and runs.stop[above] <= start:
                above += 1
            other = above
            while y > 0 and other < runs.first[y] and runs.start[other] < stop:
                b = runs.label[other]
                keys[n] = min(a, b) * (n_labels + 1) + max(a, b)
                n += a != b
                other += 1
    return keys[:n]


@compiled()
def _roundness(sums: Float64Array) -> float:
    """Return area² / 2π over the polar moment of inertia of pixels: 1 for a disc, else less."""
    n, rows, columns, squares = sums[:4]
    # Each pixel is a unit square, whose own moment is 1/6.
    moment = squares - (rows * rows + columns * columns) / n + n / 6
    return float(n * n / (2 * np.pi * moment))


@compiled()
def _roundness_if_whole(sums: Float64Array, shape: tuple[int, int]) -> float:
    """Return the roundness of what the edge of an image may have cut off.

    It is that of what is seen or, if larger, of that together with its mirror image beyond an edge.
    """
    n, roundest = sums[0], _roundness(sums)
    for edge in range(4):
        if sums[4 + edge] > 0:
            along, across = sums[2 - edge % 2], sums[1 + edge % 2]
            mirror = -0.5 if edge < 2 else shape[edge % 2] - 0.5
            moment = sums[3] - along * along / n - 2 * mirror * across + n * mirror**2 + n / 6
            roundest = max(roundest, n * n / (np.pi * moment))
    return float(roundest)


@compiled()
def _round_groups(
    sums: Float64Array,
    shape: tuple[int, int],
    pairs: Int64Array,
    largest_area: float,
    least_roundness: float,
) -> Int64Array:
    """Join all labels that hang together, where they are round; their sums go to the first."""
    n_labels = sums.shape[0] - 1
    group = np.arange(n_labels + 1)
    for i in range(pairs.shape[0]):
        a, b = pairs[i]
        if a == 0 or b == 0:
            continue
        a, b = root(group, a), root(group, b)
        group[max(a, b)] = min(a, b)
    total = np.zeros_like(sums)
    for label in range(1, n_labels + 1):
        group[label] = group[group[label]]
        for k in range(sums.shape[1]):  # not whole rows: see `runs.with_room`
            total[group[label], k] += sums[label, k]
    becomes = np.arange(n_labels + 1)
    for label in range(1, n_labels + 1):
        first = group[label]
        if (
            0 < total[first, 0] <= largest_area
            and _roundness_if_whole(total[first], shape) >= least_roundness
        ):
            becomes[label] = first
            for k in range(sums.shape[1]):
                sums[first, k] = total[first, k]
    return becomes


@compiled()
def _gain(a: int, b: int, sums: Float64Array, largest_area: float, least_roundness: float) -> float:
    """Return the roundness of the union of two labels, 0 if they are not to be joined."""
    if a == b or a == 0 or sums[a, 0] + sums[b, 0] > largest_area:
        return 0.0
    roundness = _roundness(sums[a] + sums[b])
    parts = sums[a, 0] * _roundness(sums[a]) + sums[b, 0] * _roundness(sums[b])
    is_rounder = roundness * (sums[a, 0] + sums[b, 0]) > parts
    return roundness if is_rounder and roundness >= least_roundness else 0.0


_NONE = np.empty(0, np.int64)


def join_round(
    runs: Runs,
    shape: tuple[int, int],
    n_labels: int,
    largest_area: float,
    least_roundness: float,
    apart: Int64Array = _NONE,
) -> Int64Array:
    """Decide which labels together are one round object; runs without an object have label 0.

    First all labels that hang together, where their union has at most `largest_area` pixels and
    at least `least_roundness`, an edge of the image being taken for a cut: lines inside a cell may
    part it in any way. Then, of all neighbours whose union has at most `largest_area` pixels and
    at least `least_roundness`, and is rounder than they are on the average of their pixels, those
    with the roundest union are joined, again and again. Roundness is area² / 2π over the polar
    moment of inertia: 1 for a disc, 0.95 for a square, 0.8 for an ellipse twice as long as wide.

    Returns the label that each label becomes, the smaller one of those that are joined.

    The measure of roundness is that of Žunić et al.; to join by it, and to take the edge of the
    image for a mirror, is own work.

    Neighbours that are `apart`, as keys smaller label · (n_labels + 1) + larger label, are none.

    References
    ----------
    J. Žunić, K. Hirota, P. L. Rosin, "A Hu moment invariant as a shape circularity measure",
    Pattern Recognition 43, 47-57 (2010).
    """
    # Each pair of neighbours once, sorted; the compiler takes more than a second for that.
    keys = np.setdiff1d(_contacts(runs, n_labels), apart)
    pairs = np.stack([keys // (n_labels + 1), keys % (n_labels + 1)], axis=1)
    sums = _moments(runs, n_labels, shape[1])
    return _joined(sums, pairs, shape, largest_area, least_roundness)


@compiled()
def _joined(
    sums: Float64Array,
    pairs: Int64Array,
    shape: tuple[int, int],
    largest_area: float,
    least_roundness: float,
) -> Int64Array:
    """Do what `join_round` does, given the sums of each label and the pairs of neighbours."""
    n_labels = sums.shape[0] - 1
    becomes = _round_groups(sums, shape, pairs, largest_area, least_roundness)
    gain = np.zeros(pairs.shape[0])
    changed = -1  # the label whose pairs are judged anew, at first those of all
    while True:
        for i in range(pairs.shape[0]):
            a, b = becomes[pairs[i, 0]], becomes[pairs[i, 1]]
            if changed < 0 or a == changed or b == changed:
                gain[i] = _gain(a, b, sums, largest_area, least_roundness)
        at = int(np.argmax(gain)) if gain.size > 0 else -1  # of equals the first
        if at < 0 or gain[at] == 0:
            return becomes
        a, b = becomes[pairs[at, 0]], becomes[pairs[at, 1]]
        changed, gone = min(a, b), max(a, b)
        for k in range(sums.shape[1]):
            sums[changed, k] += sums[gone, k]
        for label in range(n_labels + 1):
            if becomes[label] == gone:
                becomes[label] = changed
