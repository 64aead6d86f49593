"""Some of many things, spread evenly and always the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def spread(n: int, at_most: int) -> npt.NDArray[np.int64]:
    """Choose some of `n` things evenly: the ends first, then ever finer between them.

    Examples
    --------
    >>> spread(9, 5).tolist(), spread(3, 5).tolist()
    ([0, 8, 6, 4, 2], [0, 2, 1])
    """
    chosen = np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))
    order = dict.fromkeys((0, len(chosen) - 1)) if len(chosen) else {}
    step = len(chosen)
    while step > 1:
        step = -(-step // 2)
        order.update(dict.fromkeys(range(0, len(chosen), step)))
    return chosen[list(order)]
