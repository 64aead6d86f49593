"""Cutting fields of view into batches, and batches into the ranges of workers."""

from __future__ import annotations

from collections.abc import Sequence


def compute_batches(fovs: Sequence[int], batch_size: int) -> list[list[int]]:
    """Cut fields of view into contiguous batches.

    Parameters
    ----------
    fovs : sequence of int
        Fields of view, in order.
    batch_size : int
        Size of all batches but the last, which may be smaller.

    Returns
    -------
    list of list of int

    Raises
    ------
    ValueError
        The batch size is less than 1.

    Examples
    --------
    >>> compute_batches([0, 1, 2, 3, 4], 2)
    [[0, 1], [2, 3], [4]]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 or more, found {batch_size}")
    return [list(fovs[i : i + batch_size]) for i in range(0, len(fovs), batch_size)]


def split_worker_ranges(fovs: Sequence[int], n_workers: int) -> list[list[int]]:
    """Cut fields of view into contiguous, even ranges, at most one per worker.

    Parameters
    ----------
    fovs : sequence of int
        Fields of view, in order.
    n_workers : int
        Upper limit of the number of ranges.

    Returns
    -------
    list of list of int
        No empty ranges; the first ones are longer by one where the numbers do not divide.

    Raises
    ------
    ValueError
        There is less than one worker.

    Examples
    --------
    >>> split_worker_ranges([0, 1, 2, 3, 4], 2)
    [[0, 1, 2], [3, 4]]
    """
    if n_workers < 1:
        raise ValueError(f"n_workers: expected 1 or more, found {n_workers}")
    n_ranges = min(n_workers, len(fovs))
    ranges, start = [], 0
    for index in range(n_ranges):
        size = len(fovs) // n_ranges + (index < len(fovs) % n_ranges)
        ranges.append(list(fovs[start : start + size]))
        start += size
    return ranges
