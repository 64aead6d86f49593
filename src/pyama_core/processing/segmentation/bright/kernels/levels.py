"""Kernels that cut objects off at a part of their own brightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.connected import connect
from pyama_core.processing.runs.pixel_runs import Runs

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int32Array = NDArray[np.int32]

FIRST_LEVEL, LEVEL_STEP, N_LEVELS = 0.15, 0.05, 11  # from 0.15 to 0.65 of the own contrast
FEWEST_EDGES = 8


@compiled()
def own_contrast(labels: Int32Array, image: Float32Array, n_labels: int) -> Float64Array:
    """Return Σ v² / Σ v over the positive values v of each label: the contrast that carries most.

    Unlike the mean, faint skirts hardly lower it; unlike a quantile, it takes one pass.
    """
    squares, total = np.zeros(n_labels + 1), np.zeros(n_labels + 1)
    for y in range(labels.shape[0]):
        row, values = labels[y], image[y]
        for x in range(row.size):
            if row[x] > 0 and values[x] > 0:
                v = np.float64(values[x])
                total[row[x]] += v
                squares[row[x]] += v * v
    for label in range(n_labels + 1):
        if total[label] > 0:
            squares[label] /= total[label]
    return squares


@compiled()
def steepest_levels(
    labels: Int32Array, image: Float32Array, contrast: Float64Array
) -> Float64Array:
    """Return the part of its contrast at which the outline of each label is steepest.

    For each of some levels, the mean difference of the neighbours between whose values it lies, the
    higher one in the label. Of equals the lowest level.
    """
    n_labels = contrast.size - 1
    drop = np.zeros((n_labels + 1, N_LEVELS + 1))
    count = np.zeros((n_labels + 1, N_LEVELS + 1), np.int64)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label == 0 or contrast[label] <= 0:
                continue
            value, scale = np.float64(image[y, x]), LEVEL_STEP * contrast[label]
            for side in range(4):
                v, u = y + (side == 2) - (side == 0), x + (side == 3) - (side == 1)
                if v < 0 or u < 0 or v >= height or u >= width:
                    continue
                lower = np.float64(image[v, u])
                if lower >= value:
                    continue
                shift = FIRST_LEVEL / LEVEL_STEP
                # The levels from `lower` to below `value`.
                begin = min(max(np.ceil(lower / scale - shift), 0.0), N_LEVELS)
                end = min(max(np.ceil(value / scale - shift), 0.0), N_LEVELS)
                if end > begin:
                    drop[label, int(begin)] += value - lower
                    drop[label, int(end)] -= value - lower
                    count[label, int(begin)] += 1
                    count[label, int(end)] -= 1
    out = np.full(n_labels + 1, FIRST_LEVEL)
    for label in range(1, n_labels + 1):
        total, n, steepest = 0.0, 0, 0.0
        for k in range(N_LEVELS):
            total += drop[label, k]
            n += count[label, k]
            if n >= FEWEST_EDGES and total / n > steepest * (1 + 1e-9):
                steepest = total / n
                out[label] = FIRST_LEVEL + k * LEVEL_STEP
    return out


@compiled()
def mark_below(labels: Int32Array, image: Float32Array, level: Float64Array) -> None:
    """Make the label of each pixel negative whose value is not above the level of the label."""
    for y in range(labels.shape[0]):
        row, values = labels[y], image[y]
        for x in range(row.size):
            if row[x] > 0 and values[x] <= level[row[x]]:
                row[x] = -row[x]


@compiled()
def _is_enclosed(labels: Int32Array, y: int, start: int, stop: int, label: int) -> bool:
    """Whether all neighbours of a run belong to its label, marked or not, and none is outside."""
    if y == 0 or y == labels.shape[0] - 1 or start == 0 or stop == labels.shape[1]:
        return False
    if abs(labels[y, start - 1]) != label or abs(labels[y, stop]) != label:
        return False
    for x in range(start, stop):
        if abs(labels[y - 1, x]) != label or abs(labels[y + 1, x]) != label:
            return False
    return True


@compiled()
def settle(runs: Runs, labels: Int32Array, n_labels: int) -> None:
    """Leave of each label its largest 4-connected part and the marked pixels that this encloses.

    `runs` are those of `labels`, in which marked pixels have the negative label. Of equal parts the
    first in raster order.
    """
    part = connect(runs, np.int64(0), np.bool_(True))
    area = np.zeros(part.size, np.int64)
    largest = np.full(n_labels + 1, -1)
    for run in range(part.size):
        area[part[run]] += runs.stop[run] - runs.start[run]
    for run in range(part.size):
        label = runs.label[run]
        if part[run] == run and label > 0:
            best = largest[label]
            if best < 0 or area[run] > area[best]:
                largest[label] = run
    enclosed = np.ones(part.size, np.bool_)
    for y in range(labels.shape[0]):
        for run in range(runs.first[y], runs.first[y + 1]):
            if runs.label[run] > 0 and part[run] != largest[runs.label[run]]:
                labels[y, runs.start[run] : runs.stop[run]] = 0
    for y in range(labels.shape[0]):
        for run in range(runs.first[y], runs.first[y + 1]):
            label = -runs.label[run]
            if label > 0 and not _is_enclosed(labels, y, runs.start[run], runs.stop[run], label):
                enclosed[part[run]] = False
    for y in range(labels.shape[0]):
        for run in range(runs.first[y], runs.first[y + 1]):
            if runs.label[run] < 0:
                value = -runs.label[run] if enclosed[part[run]] else 0
                labels[y, runs.start[run] : runs.stop[run]] = value
