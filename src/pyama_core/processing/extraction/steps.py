"""Steps of cells from one frame to the next: how large they are, and what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

OUT_OF_LINE = 5.0
"""A step is out of line if it is so many times larger than a cell's usual one."""
STEADY = 0.1
"""Of its median is the usual step of a total intensity that can tell whether a cell is the same."""
KEPT_OF_AREA, KEPT = 0.4, 0.4
"""Of a step in area, and of its median, is the largest step of a total that goes on as before. A
piece lost, or a neighbour taken in, changes both by about the same part."""
IN_PLACE = 0.75
"""Of its own diameter is the farthest that a cell goes which is where it was."""
UNSURE = 0.92
"""A link that is less sure may lead to another cell: below, about one in seven is wrong."""


@dataclass(frozen=True)
class Traces:
    """Which rows belong to which cell: equal numbers, one after the other.

    Attributes
    ----------
    cell
        (n_rows,) int64: 0, 1, …
    begin, size
        (n_cells,) int64: the first row of each cell, and how many it has.
    """

    cell: IntArray
    begin: IntArray
    size: IntArray

    def medians(self, values: NDArray[Any]) -> Float64Array:
        """Return the median of each cell's values."""
        ordered = values[np.lexsort((values, self.cell))].astype(np.float64)
        below, above = self.begin + (self.size - 1) // 2, self.begin + self.size // 2
        return np.asarray((ordered[below] + ordered[above]) / 2)

    def without_first(self) -> Traces:
        """Return the rows of cells from their second row on, of cells that have one."""
        kept = self.size > 1
        size = self.size[kept] - 1
        begin = np.cumsum(size) - size
        return Traces(np.repeat(np.arange(size.size), size), begin, size)


class Steps:
    """The steps of all cells of a field of view, one after the other, cell by cell.

    Parameters
    ----------
    traces
        Which rows are which cell's.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._moving = np.asarray(traces.size > 1, np.bool_)
        self._between = traces.without_first()
        self._same = np.asarray(np.diff(traces.cell) == 0, np.bool_)

    def of(self, values: NDArray[Any]) -> Float64Array:
        """Return the amount of each step of a value."""
        return np.asarray(np.abs(np.diff(values.astype(np.float64)))[self._same])

    def median(self, values: NDArray[Any]) -> Float64Array:
        """Return, for each step, the median of the amount of its cell's values."""
        medians = self._traces.medians(np.abs(values.astype(np.float64)))
        return np.asarray(medians[self._moving][self._between.cell])

    def usual(self, steps: Float64Array) -> Float64Array:
        """Return, for each step, the median of its cell's steps."""
        return np.asarray(self._between.medians(steps)[self._between.cell])

    def cells_with_any(self, steps: BoolArray) -> BoolArray:
        """Return for each cell whether any of its steps is marked."""
        marked = np.zeros(self._moving.size, np.bool_)
        if steps.size:
            marked[self._moving] = np.logical_or.reduceat(steps, self._between.begin)
        return marked

    def jumps(self, values: NDArray[Any], largest: float) -> BoolArray:
        """Return which steps exceed a part of the cell's median, and are out of line with others.

        The second lets pass what is all noise, such as the light of a dim cell.
        """
        steps = self.of(values)
        limit = np.maximum(largest * self.median(values), OUT_OF_LINE * self.usual(steps))
        return np.asarray(steps > limit)

    def lengths(self, rows: Mapping[str, NDArray[Any]]) -> Float64Array:
        """Return how far the middle of the bounding box goes, in diameters of the cell."""
        middles = (
            (rows[f"box_{low}"] + rows[f"box_{high}"]) / 2
            for low, high in (("top", "bottom"), ("left", "right"))
        )
        distance = np.hypot(*(self.of(middle) for middle in middles))
        return np.asarray(distance / np.sqrt(self.median(rows["area"]) * 4 / np.pi))

    def keep_the_light(self, area: NDArray[Any], light: NDArray[Any]) -> BoolArray:
        """Return over which steps the total light goes on as before although the area changes.

        So it does in a cell that rounds up and in a nucleus that condenses, and not where an
        outline loses a piece or takes in a neighbour. Only light that is steady can tell.
        """
        usual, typical = self.median(light), self.median(area)
        steps = self.of(light)
        part = np.minimum(KEPT, KEPT_OF_AREA * self.of(area) / np.maximum(typical, 1))
        steady = (usual > 0) & (self.usual(steps) <= STEADY * usual)
        return np.asarray(steady & (steps <= part * usual))

    def unsure(
        self, frame: NDArray[Any], confidence: Float64Array, link_frame: Float64Array
    ) -> BoolArray:
        """Return which steps are over the least sure link of their cell, where that is unsure.

        Parameters
        ----------
        frame
            Of each row.
        confidence, link_frame
            Of each cell, how sure that link is and the frame that it leads to; NaN if not known.
        """
        cell = self._traces.cell[1:][self._same]
        leads_here = frame[1:][self._same] == link_frame[cell]
        return np.asarray(leads_here & (confidence[cell] < UNSURE))
