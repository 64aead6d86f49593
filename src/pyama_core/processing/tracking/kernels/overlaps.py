"""Kernel that finds which objects of two frames overlap, and by how much.

Counts per pair of objects are kept in a hash table with linear probing, so that the time is
near-linear in the number of runs, whichever way objects overlap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled
from pyama_core.processing.runs.pixel_runs import Runs

IntArray = NDArray[np.int64]

_FREE = -1
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / φ spreads consecutive keys evenly


@compiled()
def _add(keys: IntArray, counts: IntArray, key: int, amount: int) -> bool:
    """Add to the count of `key` in a table of 2ᵏ slots; return whether the key is new."""
    hashed = (np.uint64(key) * _GOLDEN_RATIO) >> np.uint64(32)
    slot = np.int64(hashed & np.uint64(keys.size - 1))
    while keys[slot] != _FREE and keys[slot] != key:
        slot = (slot + 1) & (keys.size - 1)
    is_new = keys[slot] == _FREE
    keys[slot] = key
    counts[slot] += amount
    return bool(is_new)


@compiled()
def _add_row(
    previous: Runs, current: Runs, y: int, n_previous: int, keys: IntArray, counts: IntArray
) -> int:
    """Add the overlaps of the runs of row `y`; return the number of new pairs."""
    n_new = 0
    other = previous.first[y]
    end = previous.first[y + 1]
    for run in range(current.first[y], current.first[y + 1]):
        start, stop = current.start[run], current.stop[run]
        while other < end and previous.stop[other] <= start:
            other += 1
        i = other
        while i < end and previous.start[i] < stop:
            key = current.label[run] * n_previous + previous.label[i]
            common = min(previous.stop[i], stop) - max(previous.start[i], start)
            n_new += _add(keys, counts, key, common)
            i += 1
    return n_new


@compiled()
def common_pixels(
    previous: Runs, current: Runs, n_previous: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Return the overlapping pairs (current object, previous object, common pixels), unordered."""
    keys, counts = np.full(1024, _FREE), np.zeros(1024, np.int64)
    n_pairs = 0
    for y in range(current.first.size - 1):
        # Runs of a row overlap in at most as many places as there are runs.
        room = n_pairs + current.first[y + 1] - current.first[y]
        room += previous.first[y + 1] - previous.first[y]
        while keys.size < 2 * room:
            old_keys, old_counts = keys, counts
            keys, counts = np.full(2 * keys.size, _FREE), np.zeros(2 * keys.size, np.int64)
            for slot in range(old_keys.size):
                if old_keys[slot] != _FREE:
                    _add(keys, counts, old_keys[slot], old_counts[slot])
        n_pairs += _add_row(previous, current, y, n_previous, keys, counts)
    used = np.flatnonzero(keys != _FREE)
    return keys[used] // max(n_previous, 1), keys[used] % max(n_previous, 1), counts[used]
