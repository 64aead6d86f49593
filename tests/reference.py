"""The algorithms once more: slow, obvious, with numpy and scipy alone.

They say what the fast ones must compute, and take the whole frame at every step. Parameters are
plain numbers with the defaults of the pipeline.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline
from scipy.optimize import linear_sum_assignment


def log_std_plain(frame: NDArray[Any], radius: int = 1) -> NDArray[np.float64]:
    """½ ln of the variance of every window, 0 where it is 0."""
    size = 2 * radius + 1
    padded = np.pad(frame, radius, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    if frame.dtype.kind == "f" or frame.dtype.itemsize > 2:
        windows = windows.astype(np.float64) - frame.astype(np.float64)[:, :, None, None]
    else:
        windows = windows.astype(np.int64) - frame.astype(np.int64)[:, :, None, None]
    n = size * size
    variance = (n * (windows**2).sum((2, 3)) - windows.sum((2, 3)) ** 2) / n**2
    out = np.zeros(frame.shape)
    out[variance > 0] = 0.5 * np.log(variance[variance > 0])
    return out


def log_std_filtered(frame: NDArray[Any], radius: int = 1) -> NDArray[np.float64]:
    """The same by two uniform filters, as one would write it first: fast, but not exact."""
    pixels = frame.astype(np.float64)
    mean = ndimage.uniform_filter(pixels, 2 * radius + 1, mode="reflect")
    variance = ndimage.uniform_filter(pixels**2, 2 * radius + 1, mode="reflect") - mean**2
    out = np.zeros(frame.shape)
    out[variance > 0] = 0.5 * np.log(variance[variance > 0])
    return out


def threshold_plain(log_std: NDArray[np.float64], n_bins: int = 200, n_sigma: float = 3) -> float:
    """Mode of the histogram plus `n_sigma` standard deviations of what lies up to the mode."""
    counts, edges = np.histogram(log_std, n_bins)
    fullest = np.argmax(counts)
    mode = (edges[fullest] + edges[fullest + 1]) / 2
    background = log_std[log_std <= mode]
    return float(mode + n_sigma * (background.std() if background.size else 0.0))


def clean_plain(
    foreground: NDArray[np.bool_], square_size: int = 7, iterations: int = 3
) -> NDArray[np.bool_]:
    """Fill holes, open, close."""
    square = np.ones((square_size, square_size), np.bool_)
    filled = ndimage.binary_fill_holes(foreground)
    opened = ndimage.binary_opening(filled, square, iterations)
    return np.asarray(ndimage.binary_closing(opened, square, iterations), np.bool_)


def segment_plain(
    frame: NDArray[Any],
    radius: int = 1,
    n_bins: int = 200,
    n_sigma: float = 3,
    square_size: int = 7,
    iterations: int = 3,
    log_std: Any = log_std_plain,
) -> NDArray[np.bool_]:
    """The mask of the cells."""
    values = log_std(frame, radius)
    if values.min() == values.max():
        return np.zeros(frame.shape, np.bool_)
    foreground = values > threshold_plain(values, n_bins, n_sigma)
    return clean_plain(foreground, square_size, iterations)


def hidden_tiles_plain(
    values: NDArray[np.float64],
    shows: NDArray[np.bool_],
    centres: tuple[NDArray[np.float64], NDArray[np.float64]],
    tension: float,
) -> NDArray[np.float64]:
    """Hidden tiles by least squares: each difference of the grid is an equation that is to be 0."""
    weights = []
    for axis, along in enumerate(centres):
        steps = np.diff(along) / (np.median(np.diff(along)) if along.size > 1 else 1)
        first = np.diff(np.eye(along.size), axis=0) / steps[:, None]
        second = np.diff(first, axis=0) / ((steps[1:] + steps[:-1]) / 2)[:, None]
        weights.append((first, second, np.eye(values.shape[axis])))
    (slope_y, bend_y, level_y), (slope_x, bend_x, level_x) = weights
    equations = np.concatenate(
        [
            np.kron(bend_y, level_x),
            np.kron(level_y, bend_x),
            np.sqrt(2) * np.kron(slope_y, slope_x),
            tension * np.kron(slope_y, level_x),
            tension * np.kron(level_y, slope_x),
        ]
    )
    given = shows.ravel()
    wanted = -equations[:, given] @ values.ravel()[given]
    filled = values.ravel().copy()
    filled[~given] = np.linalg.lstsq(equations[:, ~given], wanted, rcond=None)[0]
    return filled.reshape(values.shape)


def tile_edges_plain(n: int, tile_size: int = 256) -> NDArray[np.int64]:
    """Where tiles begin and end: tile i spans edge i to edge i + 2."""
    n_edges = 2 * max(int(np.ceil(n / tile_size)) + 1, 2) - 1
    return np.rint(np.linspace(0, n, n_edges)).astype(np.int64)


def tile_medians_plain(
    frame: NDArray[Any], mask: NDArray[Any], dilation_size: int = 21, tile_size: int = 256
) -> NDArray[np.float64] | None:
    """The median of each tile outside of the enlarged cells."""
    square = np.ones((dilation_size, dilation_size), np.bool_)
    free = ~ndimage.binary_dilation(mask > 0, square)
    pixels = frame.astype(np.float64)
    if not free.any():
        return None
    rows, columns = (tile_edges_plain(n, tile_size) for n in frame.shape)
    medians = np.full((len(rows) - 2, len(columns) - 2), np.median(pixels[free]))
    for i in range(len(rows) - 2):
        for j in range(len(columns) - 2):
            tile = np.s_[rows[i] : rows[i + 2], columns[j] : columns[j + 2]]
            if free[tile].any():
                medians[i, j] = np.median(pixels[tile][free[tile]])
    return medians


def background_plain(
    medians: NDArray[np.float64], shape: tuple[int, int], tile_size: int = 256
) -> NDArray[np.float64]:
    """The spline through the medians, by FITPACK; an axis with one tile is constant along it."""
    centres, pixels = [], []
    for axis, n in enumerate(shape):
        edges = tile_edges_plain(n, tile_size)
        centre = (edges[:-2] + edges[2:]) / 2
        pixels.append(np.clip(np.arange(n, dtype=np.float64), centre[0], centre[-1]))
        if len(centre) == 1:
            medians = np.repeat(medians, 2, axis)
            centre = np.array([centre[0], centre[0] + 1])
        centres.append(centre)
    degrees = [min(3, len(centre) - 1) for centre in centres]
    spline = RectBivariateSpline(*centres, medians, kx=degrees[0], ky=degrees[1], s=0)
    return np.asarray(spline(*pixels), np.float64)


def twice_plain(
    frame: NDArray[Any], mask: NDArray[Any], dilation_size: int = 21, tile_size: int = 256
) -> NDArray[np.float64] | None:
    """The medians, and those of what they leave of the frame, where a tile shows any of it."""
    medians = tile_medians_plain(frame, mask, dilation_size, tile_size)
    if medians is None:
        return None
    shape = (frame.shape[0], frame.shape[1])
    left = frame.astype(np.float64) - background_plain(medians, shape, tile_size)
    square = np.ones((dilation_size, dilation_size), np.bool_)
    free = ~ndimage.binary_dilation(mask > 0, square)
    rows, columns = (tile_edges_plain(n, tile_size) for n in shape)
    for i in range(len(rows) - 2):
        for j in range(len(columns) - 2):
            tile = np.s_[rows[i] : rows[i + 2], columns[j] : columns[j + 2]]
            if free[tile].any():
                medians[i, j] += np.median(left[tile][free[tile]])
    return medians


def correct_plain(
    frame: NDArray[Any], mask: NDArray[Any], dilation_size: int = 21, tile_size: int = 256
) -> NDArray[np.float32] | None:
    """The frame minus its background."""
    medians = tile_medians_plain(frame, mask, dilation_size, tile_size)
    if medians is None:
        return None
    background = background_plain(medians, (frame.shape[0], frame.shape[1]), tile_size)
    return (frame.astype(np.float64) - background).astype(np.float32)


def objects_plain(frame: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """One full mask per object, in the order of their first pixels."""
    labels = ndimage.label(frame)[0] if frame.dtype == np.bool_ else frame
    values, first = np.unique(labels.ravel(), return_index=True)
    return [labels == values[i] for i in np.argsort(first) if values[i] != 0]


def iou_plain(
    current: list[NDArray[np.bool_]], previous: list[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """Intersection over union of all pairs."""
    iou = np.zeros((len(current), len(previous)))
    for i, a in enumerate(current):
        for j, b in enumerate(previous):
            iou[i, j] = (a & b).sum() / (a | b).sum()
    return iou


def track_plain(frames: list[NDArray[Any]], min_iou: float = 0.1) -> list[NDArray[np.int64]]:
    """Label images with the ids of cells."""
    labels, n_cells = [], 0
    previous: list[NDArray[np.bool_]] = []
    previous_ids: list[int] = []
    for frame in frames:
        current = objects_plain(frame)
        iou = iou_plain(current, previous)
        iou[iou < min_iou] = 0
        ids = [0] * len(current)
        for i, j in zip(*linear_sum_assignment(iou, maximize=True), strict=True):
            if iou[i, j] > 0:
                ids[i] = previous_ids[j]
        for i in range(len(ids)):
            if ids[i] == 0:
                n_cells += 1
                ids[i] = n_cells
        label = np.zeros(frame.shape, np.int64)
        for mask, cell in zip(current, ids, strict=True):
            label[mask] = cell
        labels.append(label)
        previous, previous_ids = current, ids
    return labels


def measure_plain(labels: NDArray[Any], image: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """One full mask per cell."""
    cells = [int(label) for label in np.unique(labels) if label != 0]
    masks = [labels == cell for cell in cells]
    pixels = image.astype(np.float64)
    return {
        "cell": np.array(cells, np.int64),
        "area": np.array([mask.sum() for mask in masks], np.int64),
        "position_x": np.array([np.nonzero(mask)[1].mean() for mask in masks], np.float64),
        "position_y": np.array([np.nonzero(mask)[0].mean() for mask in masks], np.float64),
        # Not `sum`, which rounds less than one addition after the other does.
        "intensity_total": np.array(
            [reduce(add, pixels[mask].tolist(), 0.0) for mask in masks], np.float64
        ),
    }
