"""Which cells can be trusted, and if not, why: a verdict per cell, and nothing dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pyama_core.processing.extraction.features import resolve_min_frames
from pyama_core.processing.tracking.fates import Track

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

Reason = Literal[
    "", "too short", "merged", "at the border", "unusual size", "area jump", "intensity jump"
]
REASONS: tuple[Reason, ...] = (
    "too short",
    "merged",
    "at the border",
    "unusual size",
    "area jump",
    "intensity jump",
)
_OUT_OF_LINE = 5.0


class QualityParameters(BaseModel):
    """Limits of what counts as a good cell; an empty limit is not asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    border: int = Field(
        10, ge=0, description="pixels from the edge of the frame within which cells may be cut off"
    )
    max_border_part: float = Field(
        0.1,
        ge=0,
        le=1,
        description="part of its frames in which a good cell may be within the border",
    )
    min_frames: int | None = Field(
        None,
        ge=1,
        description="a good cell is seen in at least so many frames; by default 30, or half the "
        "frames (rounded up) in movies shorter than 60",
    )
    max_merged_part: float = Field(
        0.0,
        ge=0,
        le=1,
        description="part of its frames in which a good cell may share an object with others",
    )
    min_relative_area: float | None = Field(
        0.25,
        gt=0,
        allow_inf_nan=False,
        description="smallest area of a good cell, as a part of the median of all cells",
    )
    max_relative_area: float | None = Field(
        4.0,
        gt=0,
        allow_inf_nan=False,
        description="largest area of a good cell, as a multiple of the median of all cells",
    )
    max_area_jump: float | None = Field(
        0.5,
        gt=0,
        allow_inf_nan=False,
        description="largest change of a good cell's area from one frame to the next, as a part "
        "of its median",
    )
    max_intensity_jump: float | None = Field(
        0.5,
        gt=0,
        allow_inf_nan=False,
        description="the same for its total intensity",
    )

    @model_validator(mode="after")
    def _areas_in_order(self) -> QualityParameters:
        smallest, largest = self.min_relative_area, self.max_relative_area
        if smallest is not None and largest is not None and smallest > largest:
            raise ValueError(
                f"min_relative_area must not exceed max_relative_area; found {smallest} and "
                f"{largest}"
            )
        return self


@dataclass(frozen=True)
class Verdicts:
    """What was found about the cells of a field of view.

    Attributes
    ----------
    cell
        (n,) int64, ascending: all that were measured.
    reason
        Why each is not good, the first that applies of `REASONS`; empty for good cells.
    """

    cell: IntArray
    reason: list[Reason]

    @property
    def good(self) -> NDArray[np.bool_]:
        """(n,) bool: whether nothing speaks against a cell."""
        return np.array([reason == "" for reason in self.reason], np.bool_)

    @property
    def summary(self) -> dict[str, int]:
        """Number of cells, of good cells, and of those that are not for each reason."""
        counts = Counter(self.reason)
        return {
            "cells": len(self.reason),
            "good": counts[""],
            **{reason: counts[reason] for reason in REASONS},
        }


def judge_tracks(
    measurements: Sequence[Mapping[str, NDArray[Any]]],
    tracks: Iterable[Track],
    shape: tuple[int, int],
    parameters: QualityParameters | None = None,
) -> Verdicts:
    """Judge every cell of a field of view.

    A cell is too short if it is seen in few frames; merged if it shared its object with others,
    or ended in one; at the border if its bounding box came within `border` pixels of the edge in
    too many of its frames; of unusual size if its median area is far from the median of all
    cells'; and it jumps if its area or total intensity changes, between two frames in which it is
    seen, by more than the allowed part of its median, and by five times more than it usually does
    (which lets dim cells, whose trace is all noise, pass).

    Parameters
    ----------
    measurements
        Per frame: columns ``cell``, ``area``, ``box_top``, ``box_left``, ``box_bottom``,
        ``box_right`` as `measure_shapes` gives them, and ``intensity_total`` if there is one.
    tracks
        What the tracker says about the cells; cells that it does not know are not merged.
    shape
        Height and width of the frames.
    parameters
        The defaults if None.

    Examples
    --------
    >>> import numpy as np
    >>> from pyama_core.processing.extraction.shape_features import measure_shapes
    >>> labels = np.zeros((60, 60), np.uint16)
    >>> labels[20:30, 20:30] = 1
    >>> labels[0:10, 40:50] = 2
    >>> verdicts = judge_tracks([measure_shapes(labels)] * 3, [], labels.shape)
    >>> verdicts.reason
    ['', 'at the border']
    """
    parameters = QualityParameters() if parameters is None else parameters
    cells, rows_of, columns = _by_cell(measurements)
    if cells.size == 0:
        return Verdicts(cells, [])
    area = columns["area"]
    median_area = np.array([np.median(area[rows]) for rows in rows_of])
    n_frames = np.array([rows.size for rows in rows_of])
    near = _near_border(columns, shape, parameters.border)
    near_part = np.array([near[rows].mean() for rows in rows_of])
    intensity = columns.get("intensity_total", np.zeros(area.size))
    broken = {
        "too short": n_frames < resolve_min_frames(parameters.min_frames, len(measurements)),
        "merged": _merged(cells, tracks, parameters.max_merged_part),
        "at the border": near_part > parameters.max_border_part,
        "unusual size": _unusual(median_area, parameters),
        "area jump": _jumps(area, rows_of, parameters.max_area_jump),
        "intensity jump": _jumps(intensity, rows_of, parameters.max_intensity_jump),
    }
    return Verdicts(
        cells,
        [next((why for why in REASONS if broken[why][i]), "") for i in range(cells.size)],
    )


def _by_cell(
    measurements: Sequence[Mapping[str, NDArray[Any]]],
) -> tuple[IntArray, list[IntArray], dict[str, Float64Array]]:
    """Return the cells, the rows of each in order of frames, and the columns of all rows."""
    if not measurements:
        return np.empty(0, np.int64), [], {}
    columns = {
        name: np.concatenate([frame[name] for frame in measurements]) for name in measurements[0]
    }
    cells, index = np.unique(columns["cell"], return_inverse=True)
    order = np.argsort(index, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(index, minlength=cells.size))[:-1])
    return cells, rows, columns


def _near_border(
    columns: Mapping[str, Float64Array], shape: tuple[int, int], border: int
) -> NDArray[np.bool_]:
    """Return in which rows the bounding box has a pixel less than `border` from the edge."""
    return np.asarray(
        (columns["box_top"] < border)
        | (columns["box_left"] < border)
        | (columns["box_bottom"] > shape[0] - border)
        | (columns["box_right"] > shape[1] - border)
    )


def _merged(cells: IntArray, tracks: Iterable[Track], max_part: float) -> NDArray[np.bool_]:
    merged = [
        track.cell
        for track in tracks
        if track.fate == "merged" or track.n_merged > max_part * track.n_frames
    ]
    return np.isin(cells, merged)


def _unusual(median_area: Float64Array, parameters: QualityParameters) -> NDArray[np.bool_]:
    relative = median_area / np.median(median_area)
    smallest, largest = parameters.min_relative_area, parameters.max_relative_area
    too_small = relative < (0 if smallest is None else smallest)
    too_large = relative > (np.inf if largest is None else largest)
    return np.asarray(too_small | too_large)


def _jumps(
    values: Float64Array, rows_of: list[IntArray], largest: float | None
) -> NDArray[np.bool_]:
    """Return for each cell whether a step is too large, and out of line with its others."""
    jumps = np.zeros(len(rows_of), np.bool_)
    if largest is None:
        return jumps
    for i, rows in enumerate(rows_of):
        trace = values[rows].astype(np.float64)
        steps = np.abs(np.diff(trace))
        if steps.size:
            limit = max(largest * np.median(np.abs(trace)), _OUT_OF_LINE * np.median(steps))
            jumps[i] = steps.max() > limit
    return jumps
