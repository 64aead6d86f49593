"""Kernel that cuts a height map into basins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.connected import root
from pyama_core.processing.runs.pixel_runs import Runs, with_room

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
UInt16Array = NDArray[np.uint16]

HIGHEST = 4095
"""The largest height: with four bits for a direction it fits 16."""


@compiled()
def _climb(above: UInt16Array, here: UInt16Array, below: UInt16Array, highest: UInt16Array) -> None:
    """Write the height of the highest pixel of each 3×3 window, times 16, and which it is.

    8 for the first of the nine in raster order, 0 for the last: of equals the first is largest.
    The rows around are one pixel longer to either side.
    """
    four = np.uint16(4)
    for x in range(highest.size):
        a, b = np.uint16((above[x] << four) | 8), np.uint16((above[x + 1] << four) | 7)
        c, d = np.uint16((above[x + 2] << four) | 6), np.uint16((here[x] << four) | 5)
        e, f = np.uint16((here[x + 1] << four) | 4), np.uint16((here[x + 2] << four) | 3)
        g, h = np.uint16((below[x] << four) | 2), np.uint16((below[x + 1] << four) | 1)
        i = np.uint16(below[x + 2] << four)
        highest[x] = max(max(max(a, b), max(c, d)), max(max(e, f), max(max(g, h), i)))


@compiled()
def _summits(height: UInt16Array, runs: Runs, labels: Int32Array, n_basins: int) -> Int64Array:
    """Label each pixel by the summit that it climbs to; return the height of each summit.

    Pixels that have labels, from 1 to `n_basins`, are summits already, of height `HIGHEST`.
    """
    peak = np.full(max(1024, n_basins + 1), HIGHEST)
    width = height.shape[1]
    offsets = np.array([width + 1, width, width - 1, 1, 0, -1, 1 - width, -width, -width - 1])
    toward = np.empty(height.shape, np.uint16)
    for y in range(1, height.shape[0] - 1):
        first, last = runs.first[y - 1], runs.first[y]
        if last > first:
            wide = slice(runs.start[first], runs.stop[last - 1] + 2)
            inner = toward[y][runs.start[first] + 1 : runs.stop[last - 1] + 1]
            _climb(height[y - 1][wide], height[y][wide], height[y + 1][wide], inner)
    to, label_at, height_at = toward.ravel(), labels.ravel(), height.ravel()
    for y in range(1, height.shape[0] - 1):
        for run in range(runs.first[y - 1], runs.first[y]):
            for at in range(y * width + runs.start[run] + 1, y * width + runs.stop[run] + 1):
                if label_at[at] != 0:
                    continue
                top = at
                while label_at[top] == 0 and to[top] & 15 != 4:
                    top += offsets[to[top] & 15]
                if label_at[top] == 0:
                    n_basins += 1
                    peak = with_room(peak, n_basins + 1)
                    peak[n_basins] = height_at[top]
                    label_at[top] = n_basins
                basin = label_at[top]
                while label_at[at] == 0:
                    label_at[at] = basin
                    at += offsets[to[at] & 15]
    return peak[: n_basins + 1]


@compiled()
def passes(
    height: UInt16Array, runs: Runs, labels: Int32Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return the two labels and the height of each pass, from the highest down."""
    one, two, level = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    n = 0
    for y in range(1, height.shape[0] - 1):
        here, below = labels[y], labels[y + 1]
        top, bottom = height[y], height[y + 1]
        for run in range(runs.first[y - 1], runs.first[y]):
            room = n + 4 * (runs.stop[run] - runs.start[run])
            one, two = with_room(one, room), with_room(two, room)
            level = with_room(level, room)
            for x in range(runs.start[run], runs.stop[run]):
                label, own = here[x + 1], top[x + 1]
                if top[x + 2] > 0 and here[x + 2] != label:
                    one[n], two[n], level[n] = label, here[x + 2], min(own, top[x + 2])
                    n += 1
                for u in range(x, x + 3):
                    if bottom[u] > 0 and below[u] != label:
                        one[n], two[n], level[n] = label, below[u], min(own, bottom[u])
                        n += 1
    begin = np.zeros(HIGHEST + 2, np.int64)
    for i in range(n):
        begin[HIGHEST - level[i] + 1] += 1
    for i in range(HIGHEST + 1):
        begin[i + 1] += begin[i]
    sorted_one, sorted_two = np.empty(n, np.int64), np.empty(n, np.int64)
    sorted_level = np.empty(n, np.int64)
    for i in range(n):
        to = begin[HIGHEST - level[i]]
        begin[HIGHEST - level[i]] += 1
        sorted_one[to], sorted_two[to], sorted_level[to] = one[i], two[i], level[i]
    return sorted_one, sorted_two, sorted_level


@compiled()
def _by_height(
    height: UInt16Array, runs: Runs, labels: Int32Array
) -> tuple[Int32Array, Int64Array]:
    """Return the labels of all pixels of runs, the highest first, and where each height begins.

    The pixels of height h are those from begin[HIGHEST − h] to before begin[HIGHEST − h + 1].
    """
    begin = np.zeros(HIGHEST + 2, np.int64)
    for y in range(1, height.shape[0] - 1):
        row = height[y]
        for run in range(runs.first[y - 1], runs.first[y]):
            for x in range(runs.start[run] + 1, runs.stop[run] + 1):
                begin[HIGHEST - row[x] + 1] += 1
    for i in range(HIGHEST + 1):
        begin[i + 1] += begin[i]
    following = begin.copy()
    out = np.empty(begin[HIGHEST + 1], np.int32)
    for y in range(1, height.shape[0] - 1):
        row, label = height[y], labels[y]
        for run in range(runs.first[y - 1], runs.first[y]):
            for x in range(runs.start[run] + 1, runs.stop[run] + 1):
                level = HIGHEST - row[x]
                out[following[level]] = label[x]
                following[level] += 1
    return out, begin


@compiled()
def _join(
    height: UInt16Array, labels: Int32Array, runs: Runs, peak: Int64Array, seed: Int32Array,
    neck: float, least_area: float,
) -> Int32Array:  # fmt: skip
    """Return a parent for each basin: those with one root are one."""
    parent = np.arange(peak.size).astype(np.int32)
    area = np.zeros(peak.size, np.int64)
    one, two, levels = passes(height, runs, labels)
    pixel, begin = _by_height(height, runs, labels)
    n_visited = 0
    for i in range(one.size):
        level = levels[i]
        while n_visited < begin[HIGHEST - level + 1]:
            area[root(parent, pixel[n_visited])] += 1
            n_visited += 1
        a, b = root(parent, one[i]), root(parent, two[i])
        if a == b or (seed[a] > 0 and seed[b] > 0):
            continue
        if peak[b] > peak[a] or (peak[b] == peak[a] and b < a):
            a, b = b, a
        is_small = min(area[a], area[b]) < least_area
        if is_small or level > neck * peak[b]:
            parent[b] = a
            area[a] += area[b]
            seed[a] = max(seed[a], seed[b])
    return parent


@compiled()
def _numbers(
    parent: Int32Array, peak: Int64Array, seed: Int32Array, seeded: bool
) -> tuple[Int32Array, Int64Array]:
    """Return the label that each basin gets in the end, and the highest summit by label."""
    labels, highest = np.zeros(parent.size, np.int32), np.zeros(parent.size, np.int64)
    n_labels = 0
    for basin in range(1, parent.size):
        top = root(parent, basin)
        if labels[top] == 0:
            n_labels += 1
            labels[top] = seed[top] if seeded else n_labels
            if labels[top] > 0:
                highest[labels[top]] = peak[top]
        labels[basin] = labels[top]
    return labels, highest


@compiled()
def _split(runs: Runs, labels: Int32Array, final: Int32Array) -> Runs:
    """Return runs cut where the label changes; `labels` is framed, `final` what they become."""
    size = 2 * runs.start.size + 1024
    start, stop = np.empty(size, np.int64), np.empty(size, np.int64)
    label = np.empty(size, np.int64)
    first = np.empty(runs.first.size, np.int64)
    n = 0
    for y in range(runs.first.size - 1):
        first[y], row = n, labels[y + 1]
        for run in range(runs.first[y], runs.first[y + 1]):
            begin, value = runs.start[run], final[row[runs.start[run] + 1]]
            for x in range(begin + 1, runs.stop[run] + 1):
                following = final[row[x + 1]] if x < runs.stop[run] else -1
                if following == value:
                    continue
                start, stop = with_room(start, n + 1), with_room(stop, n + 1)
                label = with_room(label, n + 1)
                start[n], stop[n], label[n] = begin, x, value
                n += 1
                begin, value = x, following
    first[runs.first.size - 1] = n
    return Runs(first, start[:n], stop[:n], label[:n])


@compiled()
def _sow(seeds: Int32Array, body: Runs, labels: Int32Array) -> int:
    """Write the seeds into the pixels of runs, framed by one pixel; return the largest."""
    n_seeds = 0
    for y in range(labels.shape[0] - 2):
        row = labels[y + 1]
        for run in range(body.first[y], body.first[y + 1]):
            row[body.start[run] + 1 : body.stop[run] + 1] = 0
            if seeds.size > 0:
                for x in range(body.start[run], body.stop[run]):
                    row[x + 1] = seeds[y, x]
                    n_seeds = max(n_seeds, seeds[y, x])
    return n_seeds


@compiled()
def flood(
    height: UInt16Array, body: Runs, seeds: Int32Array, neck: float, least_area: float
) -> tuple[Runs, Int64Array]:
    """Cut a body into basins of its height, joining basins where they meet high up.

    Each pixel climbs to the highest of its eight neighbours, of equals to the first, until none is
    higher: the pixels of one summit are a basin. A pass is a pair of neighbours of two basins,
    its height that of the lower one. From the highest pass down, in raster order among equals, the
    basins at its sides become one if it is higher than `neck` times the lower of their summits, or
    if one of them has fewer than `least_area` pixels that are at least as high as the pass.

    A watershed by steepest ascent (Meyer), whose basins are joined from the highest pass down, as
    their dynamics (Grimaud) or persistence (Chazal et al.) would be; but by the ratio of pass and
    summit, which for depths is that of a neck's width to the narrower side's, not by their
    difference, and by area. The latter two are own work.

    Parameters
    ----------
    height
        (Y + 2, X + 2), from 1 to `HIGHEST` in the body, 0 outside and in a frame of one pixel.
    body
        The runs of the body.
    seeds
        (Y, X) labels within the body, or (0, 0) for none. The pixels of a seed are one summit, of
        height `HIGHEST`, and basins with different seeds never become one.

    Returns
    -------
    Runs
        Those of the body, cut between basins, with labels from 1; with seeds, the label is that of
        the seed, 0 in basins without.
    ndarray
        The height of the highest summit of each label.

    References
    ----------
    F. Meyer, "Topographic distance and watershed lines", Signal Processing 38, 113-125 (1994).

    M. Grimaud, "A new measure of contrast: the dynamics", Proc. SPIE 1769, 292-305 (1992).

    F. Chazal, L. J. Guibas, S. Y. Oudot, P. Skraba, "Persistence-based clustering in Riemannian
    manifolds", Journal of the ACM 60(6), 41 (2013).
    """
    labels = np.empty(height.shape, np.int32)
    n_seeds = _sow(seeds, body, labels)
    peak = _summits(height, body, labels, n_seeds)
    n_basins = peak.size - 1
    seed = np.zeros(n_basins + 1, np.int32)
    for label in range(n_seeds + 1):
        seed[label] = label
    parent = _join(height, labels, body, peak, seed, neck, least_area)
    final, highest = _numbers(parent, peak, seed, seeds.size > 0)
    return _split(body, labels, final), highest
