"""Squares around cells, cut out of frames: strips of cells through their lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.workflow.glimpses.glimpse import Strip
from pyama_core.processing.workflow.glimpses.grey import Limits, as_webp, in_grey

TILE = 56
"""Pixels of the side of a square of a strip."""


class Squares:
    """Cuts squares around cells out of frames.

    Parameters
    ----------
    side : int
        Pixels of the image that a square covers.
    shown : mapping of int to tuple of int
        By cell, the frames in which it is shown.
    centres : mapping of int to mapping
        By frame and cell, where it is: row and column.
    n_rows : int
        How many channels there are.
    """

    def __init__(
        self,
        side: int,
        shown: Mapping[int, tuple[int, ...]],
        centres: Mapping[int, Mapping[int, tuple[float, float]]],
        n_rows: int,
    ) -> None:
        self._side, self._shown, self._centres = side, shown, centres
        self._pixels = {
            cell: np.zeros((n_rows, len(frames), TILE, TILE), np.float32)
            for cell, frames in shown.items()
        }
        self._inside = {
            cell: np.zeros((len(frames), TILE, TILE), bool) for cell, frames in shown.items()
        }

    def add_labels(self, t: int, labels: NDArray[Any] | None) -> None:
        """Note which pixels of the squares of a frame are the cell's."""
        import cv2

        if labels is None:
            return
        for cell, place in self._in(t):
            square = self._cut(cell, t, labels) == cell
            self._inside[cell][place] = cv2.resize(
                square.astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_NEAREST
            )

    def add(self, row: int, t: int, image: NDArray[np.float32]) -> None:
        """Cut the squares of a frame of a channel."""
        import cv2

        way = cv2.INTER_AREA if self._side >= TILE else cv2.INTER_LINEAR
        for cell, place in self._in(t):
            square = self._cut(cell, t, image)
            self._pixels[cell][row, place] = cv2.resize(square, (TILE, TILE), interpolation=way)

    def _in(self, t: int) -> list[tuple[int, int]]:
        return [(cell, times.index(t)) for cell, times in self._shown.items() if t in times]

    def _cut(self, cell: int, t: int, image: NDArray[Any]) -> NDArray[Any]:
        """Return the square around a cell; beyond the edge of the image, it is 0."""
        y, x = self._centres[t][cell]
        top, left = round(y - self._side / 2), round(x - self._side / 2)
        square = np.zeros((self._side, self._side), image.dtype)
        height, width = image.shape
        rows = slice(max(top, 0), min(top + self._side, height))
        columns = slice(max(left, 0), min(left + self._side, width))
        square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = (
            image[rows, columns]
        )
        return square

    def strips(self, limits: Sequence[Limits]) -> Iterable[Strip]:
        """Put the squares of each cell side by side."""
        for cell, frames in self._shown.items():
            rows = [
                np.hstack([*in_grey(pixels, each)])
                for pixels, each in zip(self._pixels[cell], limits, strict=True)
            ]
            yield Strip(cell, frames, as_webp(np.vstack(rows)), self._inside[cell])
