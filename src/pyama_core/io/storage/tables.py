r"""Traces as CSV: one row per cell and frame, UTF-8 and ``\n`` on every system.

Written by hand rather than with pandas, whose import costs a worker more than all its rows.
Numbers are written with the fewest digits that read back as the same float64, so that the text
is as exact as the arrays and the same on every run; float32 with the seven digits that they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_A_TIME = 8192


def trace_blocks(
    fov: int, columns: Mapping[str, NDArray[np.generic] | Sequence[object]]
) -> Iterator[str]:
    r"""Yield rows of traces as the text of a CSV file, in blocks: as text they take much room.

    Parameters
    ----------
    fov : int
        Field of view, the first column.
    columns : mapping
        Names and equally long columns: integers, floats (NaN and None become empty fields),
        booleans or text.

    Yields
    ------
    str
        The header, then some thousand rows at a time.

    Examples
    --------
    >>> list(trace_blocks(0, {"cell": np.array([1, 1]), "time": [0.0, None]}))
    ['fov,cell,time\n', '0,1,0.0\n0,1,\n']
    """
    yield ",".join(["fov", *columns]) + "\n"
    n_rows = max(map(len, columns.values()), default=0)
    for start in range(0, n_rows, _ROWS_AT_A_TIME):
        block = slice(start, start + _ROWS_AT_A_TIME)
        fields = [_as_text(column[block]) for column in columns.values()]
        yield "".join(",".join((str(fov), *row)) + "\n" for row in zip(*fields, strict=True))


def _as_text(column: NDArray[np.generic] | Sequence[object]) -> list[str]:
    if isinstance(column, np.ndarray) and column.dtype == np.float32:
        return ["" if value != value else f"{value:.7}" for value in column.tolist()]
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return ["" if value is None or value != value else str(value) for value in values]
