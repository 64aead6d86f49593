"""Kernels of the outlines of cells: bright lines, and the crest of the halo."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
_TINY = np.float32(1e-20)


@njit(cache=True, nogil=True, error_model="numpy")
def bright_lines(
    xx: Float32Array, yy: Float32Array, xy: Float32Array
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return how line-like and bright each pixel is, from the second derivatives of an image.

    The strength is −a − |b| where that is positive, a ≤ b being the eigenvalues of the Hessian:
    large on bright lines, small on bright dots, which are curved in both directions, and 0 in
    dark places. Beside it strength · cos 2φ and strength · sin 2φ, φ the direction across.
    """
    strength = np.empty_like(xx)
    cosine, sine = np.empty_like(xx), np.empty_like(xx)
    for y in range(xx.shape[0]):
        for x in range(xx.shape[1]):
            mean = np.float32(0.5) * (xx[y, x] + yy[y, x])
            half = np.float32(0.5) * (xx[y, x] - yy[y, x])
            spread = np.sqrt(half * half + xy[y, x] * xy[y, x])
            line = max(spread - mean - abs(mean + spread), np.float32(0))
            scale = line / (spread + _TINY)
            strength[y, x] = line
            cosine[y, x], sine[y, x] = half * scale, xy[y, x] * scale
    return strength, cosine, sine


@njit(cache=True, nogil=True, error_model="numpy")
def coherent_lines(
    strength: Float32Array,
    own: tuple[Float32Array, Float32Array],
    around: tuple[Float32Array, Float32Array],
    power: Float32Array,
    least_power: float,
) -> Float32Array:
    """Return strength · (agreement)^¼ / √power.

    The agreement of a line with the lines around it is the strength of those, counted in its own
    direction (`own` and `around` are cos 2φ and sin 2φ times strength, the latter averaged),
    over its own strength: texture disagrees with itself. The power is at least `least_power`.
    """
    out = np.empty_like(strength)
    floor = np.float32(least_power)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            line = strength[y, x]
            along = own[0][y, x] * around[0][y, x] + own[1][y, x] * around[1][y, x]
            # √(line · √(line · along / line)) = line^¾ (along / line)^¼
            damped = np.sqrt(np.sqrt(max(along, np.float32(0))) * line)
            out[y, x] = damped / np.sqrt(max(power[y, x], floor) + _TINY)
    return out


@njit(cache=True, nogil=True)
def long_lines(
    strength: Float32Array, near: NDArray[np.uint8], weak: float, strong: float, shortest: float
) -> BoolArray:
    """Return the 8-connected parts above `weak` that are long and somewhere above `strong`.

    Pixels where `near` is 0 count as 0. A part is long if its bounding box is at least `shortest`
    pixels high or wide.
    """
    height, width = strength.shape
    is_line = np.zeros(strength.shape, np.bool_)
    is_seen = np.zeros(strength.shape, np.bool_)
    part = np.empty(strength.size, np.int32)
    for row in range(height):
        for column in range(width):
            if strength[row, column] <= strong or is_seen[row, column] or not near[row, column]:
                continue
            is_seen[row, column] = True
            part[0] = row * width + column
            n, done = 1, 0
            top, bottom, left, right = row, row, column, column
            while done < n:
                y, x = part[done] // width, part[done] % width
                done += 1
                top, bottom = min(top, y), max(bottom, y)
                left, right = min(left, x), max(right, x)
                for v in range(max(y - 1, 0), min(y + 2, height)):
                    for u in range(max(x - 1, 0), min(x + 2, width)):
                        if strength[v, u] > weak and not is_seen[v, u] and near[v, u]:
                            is_seen[v, u] = True
                            part[n] = v * width + u
                            n += 1
            if max(bottom - top, right - left) + 1 >= shortest:
                for i in range(n):
                    is_line[part[i] // width, part[i] % width] = True
    return is_line


@njit(cache=True, nogil=True)
def _climbs(x: int, y: int, mask: BoolArray, image: Float32Array, least_rise: np.float32) -> bool:
    """Decide whether brightness rises at a border pixel from the outside to the inside."""
    inside, outside = np.float32(0), np.float32(0)
    n_inside, n_outside = 0, 0
    for v in range(max(y - 1, 0), min(y + 2, mask.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, mask.shape[1])):
            if v == y and u == x:
                continue
            if mask[v, u]:
                inside += image[v, u]
                n_inside += 1
            else:
                outside += image[v, u]
                n_outside += 1
    if n_outside == 0:
        return False
    if n_inside == 0:
        return True
    mean = inside / np.float32(n_inside)
    return bool(mean > image[y, x] and mean - outside / np.float32(n_outside) > least_rise)


@njit(cache=True, nogil=True)
def retreat_to_crest(
    mask: BoolArray,
    border: NDArray[np.int64],
    image: Float32Array,
    power: Float32Array,
    least_rise: float,
    steps: int,
) -> None:
    """Take from a mask, in place, the pixels of its border where brightness rises inwards.

    `border` has the flat indices of the pixels of the mask beside the background. Up to `steps`
    times one layer of pixels goes, all judged before any is taken: those whose neighbours inside
    are brighter than they are, and brighter than those outside by more than `least_rise` times
    √power. What lies between the background and the crest of a cell's halo goes.
    """
    width = mask.shape[1]
    todo = border
    rise = np.float32(least_rise)
    is_listed = np.zeros(mask.shape, np.bool_)
    for _ in range(steps):
        n = 0
        taken = np.empty(todo.size, np.int64)
        for i in range(todo.size):
            y, x = todo[i] // width, todo[i] % width
            if _climbs(x, y, mask, image, rise * np.sqrt(power[y, x])):
                taken[n] = todo[i]
                n += 1
        if n == 0:
            return
        for i in range(n):
            mask[taken[i] // width, taken[i] % width] = False
        todo = _still_inside(mask, taken[:n], is_listed)


@njit(cache=True, nogil=True)
def _still_inside(mask: BoolArray, taken: NDArray[Any], is_listed: BoolArray) -> NDArray[Any]:
    """Return the pixels of the mask beside those that were taken, each once.

    `is_listed` is a mask to work in, False everywhere before and after.
    """
    width = mask.shape[1]
    beside = np.empty(8 * taken.size, np.int64)
    n = 0
    for i in range(taken.size):
        y, x = taken[i] // width, taken[i] % width
        for v in range(max(y - 1, 0), min(y + 2, mask.shape[0])):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if mask[v, u] and not is_listed[v, u]:
                    is_listed[v, u] = True
                    beside[n] = v * width + u
                    n += 1
    for i in range(n):
        is_listed[beside[i] // width, beside[i] % width] = False
    return beside[:n]


@njit(cache=True, nogil=True)
def peel(mask: BoolArray, border: NDArray[np.int64], is_peel: BoolArray) -> None:
    """Take from a mask, in place, the peel that is 4-connected through peel to its border.

    `border` has the flat indices of the pixels of the mask that are 4-neighbours of the background.
    """
    height, width = mask.shape
    todo = np.empty(mask.size, np.int64)
    n = 0
    for i in range(border.size):
        y, x = border[i] // width, border[i] % width
        if is_peel[y, x] and mask[y, x]:
            mask[y, x] = False
            todo[n] = border[i]
            n += 1
    while n > 0:
        n -= 1
        y, x = todo[n] // width, todo[n] % width
        for v, u in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
            if 0 <= v < height and 0 <= u < width and mask[v, u] and is_peel[v, u]:
                mask[v, u] = False
                todo[n] = v * width + u
                n += 1
