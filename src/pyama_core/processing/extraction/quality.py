"""Which cells can be trusted, and if not, why: a verdict per cell, and nothing dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pyama_core.processing.extraction.steps import IN_PLACE, Steps, Traces
from pyama_core.processing.tracking.fates import Track

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

Reason = Literal[
    "",
    "too short",
    "merged",
    "at the border",
    "unusual size",
    "area jump",
    "intensity jump",
    "unsure link",
    "saturated",
    "no light",
    "no nucleus",
    "several nuclei",
    "not corrected",
]
LIMITS: Mapping[Reason, tuple[str, ...]] = {
    "too short": ("min_frames",),
    "merged": ("max_merged_part",),
    "at the border": ("max_border_part", "border"),
    "unusual size": ("min_relative_area", "max_relative_area", "max_size_spread"),
    "area jump": ("max_area_jump",),
    "intensity jump": ("max_intensity_jump",),
    "unsure link": ("max_unsure_step",),
}
"""What speaks against a cell, and the parameters that decide about it."""
FURTHER_LIMITS: Mapping[Reason, tuple[str, ...]] = {
    "saturated": ("max_saturated_part",),
    "no light": (),
    "no nucleus": ("max_odd_nuclei_part",),
    "several nuclei": ("max_odd_nuclei_part",),
}
"""The same, where a channel is cut off at the camera's ceiling, where cells were found by the light
that is measured, and where nuclei are known."""
REASONS: tuple[Reason, ...] = tuple(LIMITS)
NOT_CORRECTED: Reason = "not corrected"
CUT_OFF = "cut off"
"""Those that are too short for the movie begins or ends within their life, which is no fault of how
cells are found."""
WITHOUT_LIGHT = "without light"
"""Those that are no brighter than the background in some frame, though they were found by their
light."""
_ALL_REASONS = {*REASONS, *FURTHER_LIMITS, NOT_CORRECTED}
_USUAL_MIN_FRAMES = 30
_BORDER = 3
"""Pixels from the edge; no outline that stays farther away is cut by it."""
_LEAST_OF_A_LIFE = 4
"""Frames without which no step is out of line with others, so that no jump would be found."""
_ENOUGH_CELLS = 20
"""That are seen long enough tell how widely the sizes of cells are spread."""
_NEVER_UNUSUAL = 2.5
"""Times larger or smaller than the typical cell, a cell is of usual size: twice lies between those
that have just divided and those that are about to, and some more in how they are outlined."""
_SPREAD_OF_MEDIAN = 1.4826
_FAR = 4.0
"""Times the usual step of all cells is a long one."""


class QualityParameters(BaseModel):
    """Limits of what counts as a good cell; an empty limit is not asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    border: int | None = Field(
        None,
        ge=0,
        description="pixels from the edge of the frame within which cells may be cut off; by "
        "default 3, or one more than the segmentation leaves empty along the edge, as log-std does "
        "(10 by its defaults)",
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
        "frames (rounded up) in movies shorter than 60, and in 4 if it is seen from one sure "
        "division to the next",
    )
    max_merged_part: float = Field(
        0.1,
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
    max_size_spread: float | None = Field(
        4.0,
        gt=0,
        allow_inf_nan=False,
        description="how far the area of a good cell may be from the usual one, in units of the "
        "spread of the areas (of their logarithms) in its FOV; asked for within the two limits "
        "above, of FOVs with 20 cells and more",
    )
    max_area_jump: float | None = Field(
        0.5,
        gt=0,
        allow_inf_nan=False,
        description="largest change of a good cell's area from one frame to the next, as a part "
        "of its median, unless the cell stays where it is and keeps its light, as cells do that "
        "round up to divide",
    )
    max_intensity_jump: float | None = Field(
        0.5,
        gt=0,
        allow_inf_nan=False,
        description="largest change of its total intensity, as a part of its median",
    )
    max_unsure_step: float | None = Field(
        2.0,
        gt=0,
        allow_inf_nan=False,
        description="how far a good cell may go, in diameters of it, from one frame to the next "
        "where another cell was nearly as likely to be it; where all cells go far, four times the "
        "usual step",
    )
    max_saturated_part: float | None = Field(
        0.01,
        ge=0,
        le=1,
        description="part of its pixels that may be at the camera's ceiling in a good cell, in any "
        "frame: what they lack of light nobody knows",
    )
    max_odd_nuclei_part: float = Field(
        0.1,
        ge=0,
        le=1,
        description="part of its frames in which a good cell may have no nucleus, and in which it "
        "may have several; where nuclei are measured",
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

    def beyond(self, margin: int) -> Self:
        """Return these parameters where a segmentation leaves a margin of the frame empty.

        A cell that the edge cuts ends where the margin does. What somebody said of the border is
        left as it is.
        """
        if self.border is not None or margin < _BORDER:
            return self
        return self.model_copy(update={"border": margin + 1})


def resolve_min_frames(min_frames: int | None, n_frames: int) -> int:
    """Return in how many frames a cell must be seen, for a movie of `n_frames`.

    Examples
    --------
    >>> resolve_min_frames(None, 200), resolve_min_frames(None, 11), resolve_min_frames(5, 11)
    (30, 6, 5)
    """
    if min_frames is not None:
        return min_frames
    return min(_USUAL_MIN_FRAMES, (n_frames + 1) // 2)


@dataclass(frozen=True)
class Verdicts:
    """What was found about the cells of a field of view.

    Attributes
    ----------
    cell
        (n,) int64, ascending: all that were measured.
    reason
        Why each is not good, the first that applies of `REASONS`; empty for good cells.
    n_cut_off
        How many are too short only for the movie begins or ends within their life.
    n_without_light
        How many have no light in some frame though they were found by it, whatever else speaks
        against them.
    """

    cell: IntArray
    reason: list[Reason]
    n_cut_off: int = 0
    n_without_light: int = 0

    @property
    def good(self) -> NDArray[np.bool_]:
        """(n,) bool: whether nothing speaks against a cell."""
        return np.array([reason == "" for reason in self.reason], np.bool_)

    @property
    def summary(self) -> dict[str, int]:
        """Number of cells, of good cells, and of those that are not for each reason."""
        counts = Counter(self.reason)
        further: tuple[Reason, ...] = (*FURTHER_LIMITS, NOT_CORRECTED)
        return {
            "cells": len(self.reason),
            "good": counts[""],
            **{reason: counts[reason] for reason in REASONS},
            **{reason: counts[reason] for reason in further if counts[reason]},
            **({CUT_OFF: self.n_cut_off} if self.n_cut_off else {}),
            **({WITHOUT_LIGHT: self.n_without_light} if self.n_without_light else {}),
        }

    def without_correction(self) -> Verdicts:
        """Return verdicts by which no cell is good, for its fluorescence was not corrected."""
        reasons: list[Reason] = [reason or "not corrected" for reason in self.reason]
        return replace(self, reason=reasons)


def reasons_in(summary: Mapping[str, int]) -> dict[str, int]:
    """Return how many cells are not good for each reason, by the summary of a table of traces.

    Examples
    --------
    >>> reasons_in({"cells": 7, "good": 5, "merged": 2, "too short": 0, "rows": 70})
    {'merged': 2}
    """
    return {reason: n for reason, n in summary.items() if n and reason in _ALL_REASONS}


def judge_tracks(
    rows: Mapping[str, NDArray[Any]],
    tracks: Iterable[Track],
    shape: tuple[int, int, int],
    parameters: QualityParameters | None = None,
    *,
    found_by_light: bool = False,
) -> Verdicts:
    """Judge every cell of a field of view.

    A cell is too short if it is seen in few frames, unless that is its whole life, nobody said how
    many they must be, and they suffice to tell what jumps; merged if it shared its object with
    others, or ended in one; at the border if its bounding box came within `border` pixels of the
    edge in too many of its frames; of unusual size if its median area is far from the median of all
    cells', or, where there are many, out of the spread of those that are seen long enough; and it
    jumps if its area or total intensity changes, between two frames in which it is seen, by more
    than the allowed part of its median, and by five times more than it usually does (which lets dim
    cells, whose trace is all noise, pass). An area may change if the cell stays in its place and
    its light, otherwise steady, is still there: so do cells that round up, and nuclei that
    condense, before they divide. A cell goes far over an unsure link if the tracker was in doubt
    whom it became just where it made a long step. It is saturated if too many of its pixels are at
    the camera's ceiling in any frame, so that its light is more than was measured. Where nuclei are
    measured, it has no nucleus, or several, if that is so in too many of the frames in which it is
    known. Cells that were found by the light that is measured have some: one that is no brighter
    than the background in any frame has a wrong background, as that of crowds is, in which others
    were missed.

    Parameters
    ----------
    rows
        Equally long columns ``cell``, ``area``, ``box_top``, ``box_left``, ``box_bottom``,
        ``box_right`` as `measure_cells` gives them, ``frame``, ``intensity_total``,
        ``saturated_part`` and ``n_nuclei`` if there are any; sorted by cell, then by frame.
    tracks
        What the tracker says about the cells; cells that it does not know are not merged, and
        their links are sure.
    shape
        Number, height and width of the frames.
    parameters
        The defaults if None.
    found_by_light
        Whether the cells were found as brighter than what is around them in the channel whose
        intensity this is.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"cell": np.array([1, 1, 2, 2]), "area": np.full(4, 100)}
    >>> columns |= {"box_left": np.full(4, 20), "box_right": np.full(4, 30)}
    >>> columns |= {"box_top": np.array([20, 20, 0, 0]), "box_bottom": np.array([30, 30, 10, 10])}
    >>> judge_tracks(columns, [], (2, 60, 60)).reason
    ['', 'at the border']
    """
    parameters = QualityParameters() if parameters is None else parameters
    cells, begin, n_rows = np.unique(rows["cell"], return_index=True, return_counts=True)
    if cells.size == 0:
        return Verdicts(cells, [])
    traces = Traces(np.repeat(np.arange(cells.size), n_rows), begin, n_rows)
    tracks = list(tracks)
    border = _BORDER if parameters.border is None else parameters.border
    near = _near_border(rows, shape[1:], border)
    short = n_rows < resolve_min_frames(parameters.min_frames, shape[0])
    if parameters.min_frames is None:
        # Nothing is missing of it, however fast such cells grow.
        whole = np.isin(cells, [track.cell for track in tracks if track.is_whole_life])
        short &= ~whole | (n_rows < _LEAST_OF_A_LIFE)
    merged = _merged(cells, tracks, parameters.max_merged_part)
    at_border = np.add.reduceat(near, begin) > parameters.max_border_part * n_rows
    typical = ~(short | merged | at_border)
    broken: dict[Reason, NDArray[np.bool_]] = {
        "too short": short,
        "merged": merged,
        "at the border": at_border,
        "unusual size": _unusual(traces.medians(rows["area"]), typical, parameters),
        **_broken_steps(rows, cells, tracks, traces, parameters),
    }
    if "saturated_part" in rows and parameters.max_saturated_part is not None:
        part = np.nan_to_num(rows["saturated_part"])
        broken["saturated"] = np.maximum.reduceat(part, begin) > parameters.max_saturated_part
    if found_by_light and "intensity_total" in rows:
        broken["no light"] = np.minimum.reduceat(rows["intensity_total"], begin) <= 0
    if "n_nuclei" in rows:
        broken |= _odd_nuclei(traces, rows["n_nuclei"], parameters.max_odd_nuclei_part)
    reasons = np.array(["", *broken], object)
    first = np.argmax([~np.any(list(broken.values()), axis=0), *broken.values()], axis=0)
    cut_off = np.isin(cells, [track.cell for track in tracks if track.is_cut_off])
    return Verdicts(
        cells,
        reasons[first].tolist(),
        n_cut_off=int(np.count_nonzero(short & cut_off)),
        n_without_light=int(np.count_nonzero(broken.get("no light", False))),
    )


def _near_border(rows: Mapping[str, NDArray[Any]], shape: tuple[int, int], border: int) -> IntArray:
    """Return 1 for rows whose bounding box has a pixel less than `border` from the edge."""
    near = (
        (rows["box_top"] < border)
        | (rows["box_left"] < border)
        | (rows["box_bottom"] > shape[0] - border)
        | (rows["box_right"] > shape[1] - border)
    )
    return np.asarray(near, np.int64)


def _merged(cells: IntArray, tracks: Iterable[Track], max_part: float) -> NDArray[np.bool_]:
    merged = [
        track.cell
        for track in tracks
        if track.fate == "merged" or track.n_merged > max_part * track.n_frames
    ]
    return np.isin(cells, merged)


def _odd_nuclei(
    traces: Traces, n_nuclei: NDArray[Any], max_part: float
) -> dict[Reason, NDArray[np.bool_]]:
    """Return which cells have no nucleus, and several, in too many frames; NaN is not known."""
    known = np.add.reduceat(np.isfinite(n_nuclei).astype(np.int64), traces.begin)
    none = np.add.reduceat((n_nuclei == 0).astype(np.int64), traces.begin)
    several = np.add.reduceat((n_nuclei > 1).astype(np.int64), traces.begin)
    return {"no nucleus": none > max_part * known, "several nuclei": several > max_part * known}


def _unusual(
    median_area: Float64Array, typical: NDArray[np.bool_], parameters: QualityParameters
) -> NDArray[np.bool_]:
    """Return whose area is beyond the limits, or far out of the spread of typical cells."""
    relative = median_area / np.median(median_area)
    smallest, largest = parameters.min_relative_area, parameters.max_relative_area
    too_small = relative < (0 if smallest is None else smallest)
    too_large = relative > (np.inf if largest is None else largest)
    unusual = np.asarray(too_small | too_large, np.bool_)
    if parameters.max_size_spread is None or np.count_nonzero(typical) < _ENOUGH_CELLS:
        return unusual
    size = np.log(median_area)
    size -= np.median(size[typical])
    spread = _SPREAD_OF_MEDIAN * float(np.median(np.abs(size[typical])))
    limit = max(parameters.max_size_spread * spread, float(np.log(_NEVER_UNUSUAL)))
    return np.asarray(unusual | (np.abs(size) > limit))


def _broken_steps(
    rows: Mapping[str, NDArray[Any]],
    cells: IntArray,
    tracks: list[Track],
    traces: Traces,
    parameters: QualityParameters,
) -> dict[Reason, NDArray[np.bool_]]:
    """Return which cells jump, in area or light, or make a long step over an unsure link."""
    steps = Steps(traces)
    area, light = rows["area"], rows.get("intensity_total")
    lengths = steps.lengths(rows)
    unsure = np.zeros(lengths.size, np.bool_)
    if "frame" in rows:
        unsure = steps.unsure(rows["frame"], *_least_sure(cells, tracks))
    of_area, of_light, far = (np.zeros(lengths.size, np.bool_) for _ in range(3))
    if parameters.max_area_jump is not None:
        of_area = steps.jumps(area, parameters.max_area_jump)
        if light is not None:
            of_area &= ~steps.keep_the_light(area, light) | (lengths > IN_PLACE) | unsure
    if parameters.max_intensity_jump is not None and light is not None:
        of_light = steps.jumps(light, parameters.max_intensity_jump)
    if parameters.max_unsure_step is not None and lengths.size:
        far = unsure & (lengths > max(parameters.max_unsure_step, _FAR * float(np.median(lengths))))
    return {
        "area jump": steps.cells_with_any(of_area),
        "intensity jump": steps.cells_with_any(of_light),
        "unsure link": steps.cells_with_any(far),
    }


def _least_sure(cells: IntArray, tracks: list[Track]) -> tuple[Float64Array, Float64Array]:
    """Return how sure the least sure link of each cell is, and its frame; NaN where not told."""
    told = {track.cell: (track.link_confidence, track.link_frame) for track in tracks}
    links = [told.get(cell, (None, None)) for cell in cells.tolist()]
    confidence, frame = np.array(links, np.float64).reshape(-1, 2).T
    return confidence, frame
