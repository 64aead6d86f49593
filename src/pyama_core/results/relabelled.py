"""Label images under corrections: the same numbers of cells as in tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def relabelled(labels: NDArray[Any], numbers: Mapping[int, int]) -> NDArray[Any]:
    """Return a label image with the numbers of cells under corrections.

    Parameters
    ----------
    labels : (Y, X) integer array
        Label image of a frame as the run wrote it.
    numbers : mapping of int to int
        Cells by label, 0 for none, as `EditedCells.numbers_in` gives them for the frame; other
        labels stay.

    Examples
    --------
    >>> relabelled(np.array([[0, 1, 2]], np.uint8), {1: 50_001, 2: 0})
    array([[    0, 50001,     0]], dtype=uint16)
    """
    if not numbers:
        return labels
    largest = max(int(labels.max(initial=0)), *numbers)
    dtype = np.result_type(labels.dtype, np.min_scalar_type(max(numbers.values())))
    table = np.arange(largest + 1).astype(dtype)
    table[list(numbers)] = list(numbers.values())
    return np.asarray(table[labels])
