"""Kernel that subtracts a tensor-product cubic spline from a frame, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled()
def subtract(
    frame: NDArray[Any],
    row_first: IntArray,
    row_weights: Float64Array,
    column_first: IntArray,
    column_weights: Float64Array,
    column_pieces: IntArray,
    coefficients: Float64Array,
    out: NDArray[np.float32],
) -> None:
    """Write the frame minus the spline: difference in float64, rounded once to float32.

    Pixel (y, x) takes four basis splines per axis, those from row_first[y] and column_first[x] on,
    with the weights row_weights[:, y] and column_weights[:, x]. `column_pieces` are the columns
    where column_first changes, between which the coefficients stay in registers.
    """
    for y in range(frame.shape[0]):
        i = row_first[y]
        along = row_weights[0, y] * coefficients[i]
        for k in range(1, 4):
            along += row_weights[k, y] * coefficients[i + k]
        for piece in range(column_pieces.size - 1):
            begin, end = column_pieces[piece], column_pieces[piece + 1]
            j = column_first[begin]
            c0, c1, c2, c3 = along[j], along[j + 1], along[j + 2], along[j + 3]
            w0, w1 = column_weights[0, begin:end], column_weights[1, begin:end]
            w2, w3 = column_weights[2, begin:end], column_weights[3, begin:end]
            row, target = frame[y, begin:end], out[y, begin:end]
            for x in range(end - begin):
                background = (w0[x] * c0 + w1[x] * c1) + (w2[x] * c2 + w3[x] * c3)
                target[x] = np.float32(np.float64(row[x]) - background)
