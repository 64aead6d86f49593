"""Kernels of the outlines of cells: bright lines, and the crest of the halo.

What describes the surroundings of a pixel (the power of the detail there, the brightness that a
halo exceeds) comes from an image of half the size, pixel (y, x) from its pixel (y // 2, x // 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.connected import connect
from pyama_core.processing.runs.pixel_runs import Runs, stretches, with_room
from pyama_core.processing.segmentation.kernels.smoothing import (
    continue_row,
    smooth_row,
    weigh_rows,
)

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
Int32Array = NDArray[np.int32]
_TINY = np.float32(1e-20)
_CHUNK = 64


@compiled()
def halve(image: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return the mean, the mean of what is below 0, and the largest of each 2×2 pixels.

    Of an odd last row or column the pixels count twice.
    """
    height, width = image.shape
    shape = ((height + 1) // 2, (width + 1) // 2)
    mean, dark = np.empty(shape, np.float32), np.empty(shape, np.float32)
    brightest = np.empty(shape, np.float32)
    zero, quarter = np.float32(0), np.float32(0.25)
    for y in range(shape[0]):
        upper, lower = image[2 * y], image[min(2 * y + 1, height - 1)]
        for x in range(width // 2):
            a, b, c, d = upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]
            mean[y, x] = quarter * ((a + b) + (c + d))
            below = (min(a, zero) + min(b, zero)) + (min(c, zero) + min(d, zero))
            dark[y, x] = quarter * below
            brightest[y, x] = max(max(a, b), max(c, d))
        if width % 2 == 1:
            a, c = upper[width - 1], lower[width - 1]
            mean[y, -1] = np.float32(0.5) * (a + c)
            dark[y, -1] = np.float32(0.5) * (min(a, zero) + min(c, zero))
            brightest[y, -1] = max(a, c)
    return mean, dark, brightest


@compiled()
def some_of(image: Float32Array, runs: Runs, every: int, shrunk: int) -> Float32Array:
    """Return the values at every few pixels of runs, from an image shrunk by a factor."""
    n_pixels = 0
    for run in range(runs.start.size):
        n_pixels += runs.stop[run] - runs.start[run]
    out = np.empty(n_pixels // every + 1, np.float32)
    n, skip = 0, 0
    for y in range(runs.first.size - 1):
        row = image[y // shrunk]
        for run in range(runs.first[y], runs.first[y + 1]):
            x = runs.start[run] + skip
            while x < runs.stop[run]:
                out[n] = row[x // shrunk]
                n += 1
                x += every
            skip = x - runs.stop[run]
    return out[:n]


@compiled(error_model="numpy")
def line_row(
    above: Float32Array, here: Float32Array, below: Float32Array, scale: float,
    strength: Float32Array, cosine: Float32Array, sine: Float32Array,
) -> None:  # fmt: skip
    """Write how line-like and bright the pixels of a row are.

    From second derivatives by 3×3 Sobel filters, times `scale`; the rows around have a pixel more
    to either side. The strength is −a − |b| where that is positive, a ≤ b being the eigenvalues
    of the Hessian: large on bright lines, small on bright dots, which are curved in both
    directions, and 0 in dark places. Beside it strength · cos 2φ and strength · sin 2φ, φ the
    direction across.

    Lines as eigenvalues of the Hessian: A. F. Frangi et al., "Multiscale vessel enhancement
    filtering", MICCAI, 130-137 (1998), with another measure of strength.
    """
    factor, two, half_ = np.float32(scale), np.float32(2), np.float32(0.5)
    for x in range(strength.size):
        left = above[x] + two * here[x] + below[x]
        middle = above[x + 1] + two * here[x + 1] + below[x + 1]
        right = above[x + 2] + two * here[x + 2] + below[x + 2]
        xx = factor * (left - two * middle + right)
        top = above[x] + two * above[x + 1] + above[x + 2]
        centre = here[x] + two * here[x + 1] + here[x + 2]
        bottom = below[x] + two * below[x + 1] + below[x + 2]
        yy = factor * (top - two * centre + bottom)
        xy = factor * ((above[x] - above[x + 2]) - (below[x] - below[x + 2]))
        mean, half = half_ * (xx + yy), half_ * (xx - yy)
        spread = np.sqrt(half * half + xy * xy)
        line = max(spread - mean - abs(mean + spread), np.float32(0))
        part = line / (spread + _TINY)
        strength[x] = line
        cosine[x], sine[x] = half * part, xy * part


@compiled(error_model="numpy")
def coherent_row(
    own: tuple[Float32Array, Float32Array, Float32Array],
    around: tuple[Float32Array, Float32Array],
    power: Float32Array,
    least_power: float,
    out: Float32Array,
) -> None:
    """Write strength · (agreement)^¼ / √power.

    The agreement of a line with the lines around it is the strength of those, counted in its own
    direction (`own` has strength, and cos 2φ and sin 2φ times strength; `around` the latter two
    averaged), over its own strength: texture disagrees with itself. The power is at least
    `least_power`.

    Directions are averaged by their doubled angles, in which opposite ones are the same (Granlund);
    that the length of the average tells how much they agree is the coherence of Bigün and Granlund.
    The damping by its fourth root is own work.

    References
    ----------
    G. H. Granlund, "In search of a general picture processing operator", Computer Graphics and
    Image Processing 8, 155-173 (1978).

    J. Bigün, G. H. Granlund, "Optimal orientation detection of linear symmetry", Proc. First Int.
    Conf. on Computer Vision, 433-438 (1987).
    """
    strength, cosine, sine = own
    floor, zero = np.float32(least_power), np.float32(0)
    for x in range(out.size):
        along = cosine[x] * around[0][x] + sine[x] * around[1][x]
        # √(line · √(line · along / line)) = line^¾ (along / line)^¼
        damped = np.sqrt(np.sqrt(max(along, zero)) * strength[x])
        out[x] = damped / np.sqrt(max(power[x], floor) + _TINY)


@compiled()
def _in_chunks(runs: Runs, width: int) -> Runs:
    """Return runs of whole chunks that cover others.

    Long ones: a loop over few pixels takes most of its time to begin and to end.
    """
    first = np.empty(runs.first.size, np.int64)
    start, stop = np.empty(runs.start.size, np.int64), np.empty(runs.start.size, np.int64)
    n = 0
    for y in range(runs.first.size - 1):
        first[y] = n
        for run in range(runs.first[y], runs.first[y + 1]):
            begin = runs.start[run] // _CHUNK * _CHUNK
            end = min(-(-runs.stop[run] // _CHUNK) * _CHUNK, width)
            if n > first[y] and begin <= stop[n - 1]:
                stop[n - 1] = end
                continue
            start[n], stop[n] = begin, end
            n += 1
    first[runs.first.size - 1] = n
    return Runs(first, start[:n], stop[:n], np.arange(n))


@compiled()
def _line_spans(
    smooth: Float32Array, y: int, spans: Runs, scale: float, work: Float32Array,
    ring: tuple[Float32Array, Float32Array, Float32Array],
) -> None:  # fmt: skip
    """Write what `line_row` tells about the spans of a row, into the rows of rings for it.

    Pixel x is at x + margin; where the spans reach the edge the margin continues it.
    """
    strength, cosine, sine = ring
    height, width = smooth.shape
    margin = (strength.shape[1] - width) // 2
    at = y % strength.shape[0]
    for run in range(spans.first[y], spans.first[y + 1]):
        start, stop = spans.start[run], spans.stop[run]
        n = stop - start
        for i in range(3):
            row, copy = smooth[min(max(y + i - 1, 0), height - 1)], work[i]
            for x in range(n):  # not a copy of a slice: see `with_room`
                copy[x + 1] = row[start + x]
            copy[0], copy[n + 1] = row[max(start - 1, 0)], row[min(stop, width - 1)]
        part = slice(start + margin, stop + margin)
        rows = work[0][: n + 2], work[1][: n + 2], work[2][: n + 2]
        line_row(rows[0], rows[1], rows[2], scale, strength[at][part], cosine[at][part],
                 sine[at][part])  # fmt: skip
    continue_row(cosine[at], margin)
    continue_row(sine[at], margin)


@compiled()
def coherent_lines(
    smooth: Float32Array,
    spans: tuple[Runs, Runs],
    scale: float,
    weights: Float32Array,
    power: Float32Array,
    least_power: float,
    out: Float32Array,
) -> None:
    """Write the strength of bright lines, damped where lines around point elsewhere.

    See `line_row` and `coherent_row`. Lines around are averaged by `weights`.

    Parameters
    ----------
    smooth
        (Y, X) image.
    spans
        Runs of the pixels where lines are asked for, and of those around them that the average
        takes in. What is not asked for is not written, or without meaning.
    scale
        Of second derivatives.
    power
        Image of half the size.
    """
    height, width = smooth.shape
    inner, outer = _in_chunks(spans[0], width), _in_chunks(spans[1], width)
    margin, last = weights.size - 1, height - 1
    size = 2 * margin + 1
    strength = np.zeros((size, width + 2 * margin), np.float32)
    cosine, sine = np.zeros_like(strength), np.zeros_like(strength)
    around_cosine, around_sine = np.empty(width, np.float32), np.empty(width, np.float32)
    work = np.empty((3, width + 2), np.float32)
    sums, wide = np.empty(width + 2 * margin, np.float32), np.empty(width, np.float32)
    for ahead in range(height + margin):
        if ahead < height:
            _line_spans(smooth, ahead, outer, scale, work, (strength, cosine, sine))
        y = ahead - margin
        if y < 0:
            continue
        row, power_row = y % size, power[y // 2]
        for run in range(inner.first[y], inner.first[y + 1]):
            start, stop = inner.start[run], inner.stop[run]
            n = stop - start
            weigh_rows(cosine, y, last, weights, start, sums[: n + 2 * margin])
            smooth_row(sums[: n + 2 * margin], weights, around_cosine[:n])
            weigh_rows(sine, y, last, weights, start, sums[: n + 2 * margin])
            smooth_row(sums[: n + 2 * margin], weights, around_sine[:n])
            for x in range(n):
                wide[x] = power_row[(start + x) // 2]
            part = slice(start + margin, stop + margin)
            own = strength[row][part], cosine[row][part], sine[row][part]
            around = around_cosine[:n], around_sine[:n]
            coherent_row(own, around, wide[:n], least_power, out[y][start:stop])


@compiled()
def _runs_above(values: Float32Array, spans: Runs, weak: float) -> Runs:
    """Return the runs of spans that exceed a value, of label 0."""
    size = 2 * spans.start.size + values.shape[1]
    start, stop = np.empty(size, np.int64), np.empty(size, np.int64)
    first = np.empty(spans.first.size, np.int64)
    width = values.shape[1]
    is_above = np.empty(width, np.bool_)
    is_begin = np.zeros((width + 8) // 8 * 8, np.uint8)
    marked, begin = np.empty(is_begin.size // 8 + 1, np.int64), np.empty(width + 1, np.int64)
    limit = np.float32(weak)
    n = 0
    for y in range(spans.first.size - 1):
        first[y], row = n, values[y]
        is_above[:] = False
        for span in range(spans.first[y], spans.first[y + 1]):
            for x in range(spans.start[span], spans.stop[span]):
                is_above[x] = row[x] > limit
        start, stop = with_room(start, n + width), with_room(stop, n + width)
        for i in range(stretches(is_above, is_begin, marked, begin)):
            start[n], stop[n] = begin[i], begin[i + 1]
            n += is_above[begin[i]]
    first[spans.first.size - 1] = n
    return Runs(first, start[:n], stop[:n], np.zeros(n, np.int64))


@compiled()
def long_lines(
    strength: Float32Array, near: Runs, weak: float, strong: float, shortest: float, out: BoolArray
) -> None:
    """Write the 8-connected parts above `weak` that are long and somewhere above `strong`.

    Pixels outside of the runs `near` count as 0. A part is long if its bounding box is at least
    `shortest` pixels high or wide.
    """
    runs = _runs_above(strength, near, weak)
    part_of = connect(runs, np.int64(1), np.bool_(False))
    n = runs.start.size
    top, bottom = np.zeros(n, np.int64), np.zeros(n, np.int64)
    left, right = runs.start.copy(), runs.stop.copy()
    is_strong = np.zeros(n, np.bool_)
    limit = np.float32(strong)
    for y in range(runs.first.size - 1):
        row = strength[y]
        for run in range(runs.first[y], runs.first[y + 1]):
            part = part_of[run]
            if part == run:
                top[part] = y
            bottom[part] = y
            left[part], right[part] = min(left[part], left[run]), max(right[part], right[run])
            x = runs.start[run]
            while not is_strong[part] and x < runs.stop[run]:
                is_strong[part] = row[x] > limit
                x += 1
    for y in range(runs.first.size - 1):
        for run in range(runs.first[y], runs.first[y + 1]):
            part = part_of[run]
            length = max(bottom[part] - top[part] + 1, right[part] - left[part])
            if is_strong[part] and length >= shortest:
                out[y, runs.start[run] : runs.stop[run]] = True


@compiled()
def _border(mask: UInt8Array, runs: Runs) -> Int32Array:
    """Return row and column of the pixels of a mask, given its runs, beside the background.

    Beyond the edge of the image the mask goes on: there is no border.
    """
    height, width = mask.shape
    n = 1  # what is written for each pixel is kept if it belongs to the border
    for run in range(runs.start.size):
        n += runs.stop[run] - runs.start[run]
    found = np.empty((n, 2), np.int32)
    n = 0
    for y in range(height):
        above, here, below = mask[max(y - 1, 0)], mask[y], mask[min(y + 1, height - 1)]
        for run in range(runs.first[y], runs.first[y + 1]):
            for x in range(runs.start[run], runs.stop[run]):
                a, b = max(x - 1, 0), min(x + 1, width - 1)
                inner = (above[a] & above[x] & above[b]) & (below[a] & below[x] & below[b])
                found[n, 0], found[n, 1] = y, x
                n += (inner & here[a] & here[b]) == 0
    return found[:n]


@compiled()
def _climbs(y: int, x: int, mask: UInt8Array, image: Float32Array, least_rise: np.float32) -> bool:
    """Decide whether brightness rises at a border pixel from the outside to the inside."""
    height, width = mask.shape
    inside, total, zero = np.float32(0), np.float32(0), np.float32(0)
    n_inside, n = -1, -1
    if 0 < y < height - 1 and 0 < x < width - 1:  # turns whose number the compiler knows
        n = 8
        for v in range(y - 1, y + 2):
            for u in range(x - 1, x + 2):
                total += image[v, u]
                inside += image[v, u] if mask[v, u] > 0 else zero
                n_inside += mask[v, u] > 0
    else:
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                total += image[v, u]
                inside += image[v, u] if mask[v, u] > 0 else zero
                n_inside += mask[v, u] > 0
                n += 1
    own = image[y, x]
    inside, outside = inside - own, total - inside
    if n == n_inside:
        return False
    if n_inside == 0:
        return True
    mean = inside / np.float32(n_inside)
    return bool(mean > own and mean - outside / np.float32(n - n_inside) > least_rise)


@compiled()
def retreat_to_crest(
    mask: UInt8Array, runs: Runs, image: Float32Array, power: Float32Array, least_rise: float,
    steps: int,
) -> None:  # fmt: skip
    """Take from a mask of 0 and 1, in place, the pixels of its border where brightness rises.

    `runs` are those of the mask, `power` is of half its size. Up to `steps` times one layer of
    pixels goes, all judged before any is taken: those whose neighbours inside are brighter than
    they are, and brighter than those outside by more than `least_rise` times √power. What lies
    between the background and the crest of a cell's halo goes.

    That a mask recedes through the halo along the gradient is the idea of Jaccard et al. (see
    `contrast.foreground`); which pixels go is own work.
    """
    factor = np.float32(least_rise)
    todo = _border(mask, runs)
    for _ in range(steps):
        n = 0
        taken = np.empty(todo.shape, np.int32)
        for i in range(todo.shape[0]):
            y, x = todo[i, 0], todo[i, 1]
            taken[n, 0], taken[n, 1] = y, x
            n += _climbs(y, x, mask, image, factor * np.sqrt(power[y // 2, x // 2]))
        if n == 0:
            return
        for i in range(n):
            mask[taken[i, 0], taken[i, 1]] = 0
        todo = _still_inside(mask, taken[:n])


@compiled()
def _still_inside(mask: UInt8Array, taken: Int32Array) -> Int32Array:
    """Return the pixels of the mask beside those that were taken, each once."""
    height, width = mask.shape
    beside = np.empty((8 * taken.shape[0], 2), np.int32)
    n = 0
    for i in range(taken.shape[0]):
        y, x = taken[i, 0], taken[i, 1]
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                if mask[v, u] == 1:
                    mask[v, u] = 2  # is listed
                    beside[n, 0], beside[n, 1] = v, u
                    n += 1
    for i in range(n):
        mask[beside[i, 0], beside[i, 1]] = 1
    return beside[:n]


@compiled()
def peel(mask: UInt8Array, runs: Runs, image: Float32Array, limit: Float32Array) -> None:
    """Take from a mask, in place, what exceeds a limit and is 4-connected through that to outside.

    The mask lies within `runs`; `limit` is of half its size.
    """
    height, width = mask.shape
    todo = np.empty(1024, np.int64)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for run in range(runs.first[y], runs.first[y + 1]):
            for x in range(runs.start[run], runs.stop[run]):
                if mask[y, x] == 0 or image[y, x] <= limit[y // 2, x // 2]:
                    continue
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                if (mask[above, x] & mask[below, x] & mask[y, left] & mask[y, right]) == 1:
                    continue
                mask[y, x] = 0
                todo[0] = y * width + x
                n = 1
                while n > 0:
                    n -= 1
                    q, p = todo[n] // width, todo[n] % width
                    todo = with_room(todo, n + 4)
                    for v, u in ((q - 1, p), (q, p - 1), (q, p + 1), (q + 1, p)):
                        is_within = 0 <= v < height and 0 <= u < width
                        if is_within and mask[v, u] > 0 and image[v, u] > limit[v // 2, u // 2]:
                            mask[v, u] = 0
                            todo[n] = v * width + u
                            n += 1
