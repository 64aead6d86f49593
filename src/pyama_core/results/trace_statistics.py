"""Median and quantiles of traces over cells, frame by frame, for millions of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """How a value changes in a sample.

    Attributes
    ----------
    x : (n,) float array
        Time of each frame: the median over fields of view.
    median, low, high : (n,) float array
        Over the cells in that frame.
    lines : list of (x, y)
        Some of the cells.
    n_cells, n_fovs : int
        How many there are.
    """

    x: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    lines: Sequence[tuple[FloatArray, FloatArray]]
    n_cells: int
    n_fovs: int


class CourseBuilder:
    """Collects traces, one field of view after the other.

    Parameters
    ----------
    time, value : str
        Names of the columns.
    n_lines : int
        How many cells to show one by one, at most.
    """

    def __init__(self, time: str, value: str, n_lines: int) -> None:
        self._time, self._value, self._n_lines = time, value, n_lines
        self._values: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
        self._times: dict[int, list[float]] = defaultdict(list)
        self._lines: list[list[tuple[FloatArray, FloatArray]]] = []
        self._n_cells = 0

    def add(self, traces: pd.DataFrame) -> None:
        """Add the traces of a field of view, sorted by cell and frame."""
        cells = traces["cell"].unique()
        if cells.size == 0:
            return
        self._n_cells += cells.size
        by_frame = traces.sort_values("frame", kind="stable")
        frames = by_frame["frame"].to_numpy()
        values = by_frame[self._value].to_numpy(np.float32)
        times = by_frame[self._time].to_numpy(np.float64)
        starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - 1))
        for frame, part, time in zip(
            frames[starts].tolist(), np.split(values, starts[1:]), times[starts], strict=True
        ):
            self._values[frame].append(part[np.isfinite(part)])
            self._times[frame].append(float(time))
        self._keep_lines(traces, cells)

    def _keep_lines(self, traces: pd.DataFrame, cells: NDArray[np.int32]) -> None:
        """Keep some cells that are spread over all, as many as could be shown in the end."""
        places = np.linspace(0, cells.size - 1, min(cells.size, self._n_lines)).round().astype(int)
        chosen = traces[traces["cell"].isin(cells[places])]
        begin = np.flatnonzero(np.diff(chosen["cell"].to_numpy(), prepend=-1))[1:]
        x, y = (chosen[name].to_numpy(np.float64) for name in (self._time, self._value))
        self._lines.append(list(zip(np.split(x, begin), np.split(y, begin), strict=True)))
        if sum(map(len, self._lines)) > 2 * self._n_lines + len(self._lines):
            self._lines = [lines[: self._needed_of_each()] for lines in self._lines]

    def _needed_of_each(self) -> int:
        """Return how many lines of a field of view can be shown at most; less if more are added."""
        most, n_lines = 0, 0
        while n_lines < self._n_lines:
            n_more = sum(len(lines) > most for lines in self._lines)
            if n_more == 0:
                break
            most, n_lines = most + 1, n_lines + n_more
        return most

    def build(self, band: tuple[float, float]) -> Course:
        """Return the course of all that was added."""
        frames = sorted(frame for frame, parts in self._values.items() if any(map(len, parts)))
        quantiles = np.empty((3, len(frames)))
        for i, frame in enumerate(frames):
            # Popped, so that the memory is given back as it goes.
            values = np.concatenate(self._values.pop(frame))
            quantiles[:, i] = np.quantile(values, (0.5, *band))
        return Course(
            x=np.array([np.median(self._times[frame]) for frame in frames], np.float64),
            median=quantiles[0],
            low=quantiles[1],
            high=quantiles[2],
            lines=self._spread_lines(),
            n_cells=self._n_cells,
            n_fovs=len(self._lines),
        )

    def _spread_lines(self) -> list[tuple[FloatArray, FloatArray]]:
        """Take a line of each field of view in turn, until there are enough."""
        longest = max(map(len, self._lines), default=0)
        turns = [fov[i] for i in range(longest) for fov in self._lines if i < len(fov)]
        return turns[: self._n_lines]
