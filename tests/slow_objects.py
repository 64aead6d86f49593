"""What the kernels of the segmentation of bright objects do, slow and obvious."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pyama_core.processing.segmentation.bright.kernels.ellipses import SIZE_PENALTY
from pyama_core.processing.segmentation.bright.kernels.levels import (
    FEWEST_EDGES,
    FIRST_LEVEL,
    LEVEL_STEP,
    N_LEVELS,
)

Image = NDArray[Any]
SIDES = ((-1, 0), (0, -1), (1, 0), (0, 1))


def busy_tiles(image: Image, limit: float, height: int, width: int) -> Image:
    busy = np.zeros((height, width), np.uint8)
    for (y, x), value in np.ndenumerate(image):
        if value > np.float32(limit):
            busy[y * height // image.shape[0], x * width // image.shape[1]] = 1
    return busy


def values_in(image: Image, free: Image, step: int) -> list[float]:
    rows = np.arange(image.shape[0]) * free.shape[0] // image.shape[0]
    columns = np.arange(image.shape[1]) * free.shape[1] // image.shape[1]
    is_free = free[rows][:, columns] > 0
    values: list[float] = image[::step, ::step][is_free[::step, ::step]].tolist()
    return values


def likeness(inside: Image) -> float:
    """Area over that of the ellipse with the second moments of the pixels, as unit squares."""
    y, x = np.nonzero(inside)
    covariance = np.cov(np.stack([y, x]), bias=True) + np.eye(2) / 12
    return float(min(1.0, y.size / (4 * np.pi * np.sqrt(np.linalg.det(covariance)))))


def score(inside: Image, least: float, largest: float) -> float:
    n = np.count_nonzero(inside)
    too_large = max(0.0, np.log(n / largest))
    return float(likeness(inside) * min(1.0, n / least) - SIZE_PENALTY * too_large)


def choose_ellipses(
    basins: Image, pairs: list[tuple[int, int]], least: float, largest: float, margin: float
) -> set[frozenset[int]]:
    """The groups of basins that are one object each; pairs are joined in their order."""
    groups = {label: frozenset([label]) for label in np.unique(basins[basins > 0]).tolist()}
    best = {}
    for group in groups.values():
        best[group] = (score(np.isin(basins, list(group)), least, largest), {group})
    for one, two in pairs:
        left, right = groups[one], groups[two]
        if left == right:
            continue
        union = left | right
        n_left, n_right = (np.isin(basins, list(group)).sum() for group in (left, right))
        whole = score(np.isin(basins, list(union)), least, largest)
        apart = (n_left * best[left][0] + n_right * best[right][0]) / (n_left + n_right)
        if whole + margin >= apart:
            best[union] = (whole, {union})
        else:
            best[union] = (apart, best[left][1] | best[right][1])
        groups.update(dict.fromkeys(union, union))
    return {group for top in set(groups.values()) for group in best[top][1]}


def own_contrast(labels: Image, image: Image, n_labels: int) -> list[float]:
    found = [0.0]
    for label in range(1, n_labels + 1):
        values = image[(labels == label) & (image > 0)].astype(np.float64)
        found.append(float(np.sum(values**2) / np.sum(values)) if values.size else 0.0)
    return found


def steepest_levels(labels: Image, image: Image, contrast: list[float]) -> list[float]:
    fractions = [FIRST_LEVEL + k * LEVEL_STEP for k in range(N_LEVELS)]
    found = [FIRST_LEVEL]
    for label in range(1, len(contrast)):
        means = []
        for fraction in fractions:
            drops = [
                float(image[y, x]) - float(image[y + dy, x + dx])
                for y, x in np.argwhere(labels == label).tolist()
                for dy, dx in SIDES
                if 0 <= y + dy < labels.shape[0]
                and 0 <= x + dx < labels.shape[1]
                and image[y + dy, x + dx] <= fraction * contrast[label] < image[y, x]
            ]
            means.append(np.mean(drops) if len(drops) >= FEWEST_EDGES else 0.0)
        found.append(fractions[int(np.argmax(means))])
    return found


def cut_at(labels: Image, image: Image, level: list[float]) -> Image:
    """Of each label the largest part above its level, and what of the label that encloses."""
    out = np.zeros_like(labels)
    for label in range(1, len(level)):
        mine = labels == label
        parts, n = ndimage.label(mine & (image > level[label]))
        if n == 0:
            continue
        kept = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        out[kept] = label
        outside = np.pad(~mine | ((parts > 0) & ~kept), 1, constant_values=True)
        below, n_below = ndimage.label(np.pad(mine & (parts == 0), 1))
        for part in range(1, n_below + 1):
            around = ndimage.binary_dilation(below == part)
            if not (around & outside).any():
                out[(below == part)[1:-1, 1:-1]] = label
    return out


def grow(labels: Image, mask: Image, steps: int) -> Image:
    """Label by label of a queue: each pixel gives its label to its free neighbours."""
    return grow_where(labels, lambda _label, v, u: mask[v, u], steps)


def reclaim(
    labels: Image, image: Image, near: Image, between: Any, least_near: Any, steps: int
) -> Image:
    """The same, to where values are those of the label and a brighter object is near."""
    lowest, highest = between

    def fits(label: int, v: int, u: int) -> bool:
        is_its_own = lowest[label] < image[v, u] <= highest[label]
        return bool(is_its_own and near[v, u] > least_near[label])

    return grow_where(labels, fits, steps)


def grow_where(labels: Image, fits: Callable[[int, int, int], bool], steps: int) -> Image:
    """Give each free pixel that fits the label of its first neighbour in a queue."""
    out = labels.copy()
    queue = [tuple(at) for at in np.argwhere(labels > 0).tolist()]
    for _ in range(steps):
        following = []
        for y, x in queue:
            for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                v, u = y + dy, x + dx
                inside = 0 <= v < out.shape[0] and 0 <= u < out.shape[1]
                if inside and out[v, u] == 0 and fits(out[y, x], v, u):
                    out[v, u] = out[y, x]
                    following.append((v, u))
        queue = following
    return out
