"""What columns of tables mean, and in which unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_GREY = "grey values"


@dataclass(frozen=True)
class Meaning:
    """What a column holds.

    Attributes
    ----------
    unit : str
        Its unit; empty where it has none, or where that is not known.
    words : str
        What it is.
    """

    unit: str
    words: str


_PLAIN: Mapping[str, Meaning] = {
    "sample": Meaning("", "condition that the field of view belongs to"),
    "fov": Meaning("", "number of the field of view, from 0"),
    "name": Meaning("", "name of the field of view in the file"),
    "cell": Meaning("", "number of the cell, as in the label image"),
    "frame": Meaning("", "number of the frame, from 0"),
    "time_min": Meaning("min", "time since the first frame of the file"),
    "time_h": Meaning("h", "time since the first frame of the file"),
    "good": Meaning("", "whether the cell can be trusted"),
    "position_x": Meaning("px", "column of the centroid; the centre of the first pixel is 0"),
    "position_y": Meaning("px", "row of the centroid; the centre of the first pixel is 0"),
    "area": Meaning("px²", "number of pixels"),
    "perimeter": Meaning("px", "length of the outline"),
    "box_top": Meaning("px", "first row of the bounding box"),
    "box_left": Meaning("px", "first column of the bounding box"),
    "box_bottom": Meaning("px", "row below the bounding box"),
    "box_right": Meaning("px", "column right of the bounding box"),
    "eccentricity": Meaning("1", "of the ellipse with the same second moments, 0 to 1"),
    "solidity": Meaning("1", "part of the convex hull that is cell, 0 to 1"),
    "orientation": Meaning("rad", "of the long axis of the ellipse"),
    "n_nuclei": Meaning("", "number of nuclei of the cell; empty where nuclei are not known"),
    "area_nucleus": Meaning("px²", "number of pixels of the nucleus; empty without one"),
    "perimeter_nucleus": Meaning("px", "length of the outline of the nucleus"),
    "eccentricity_nucleus": Meaning("1", "of the nucleus, 0 to 1"),
    "solidity_nucleus": Meaning("1", "of the nucleus, 0 to 1"),
    "orientation_nucleus": Meaning("rad", "of the nucleus"),
    "area_ring": Meaning("px²", "number of pixels of the ring around the nucleus; empty without"),
    "parent": Meaning("", "cell that divided into this one; empty for none"),
    "daughters": Meaning("", "cells that this one divided into"),
    "first_frame": Meaning("", "first frame in which the cell is seen, from 0"),
    "last_frame": Meaning("", "last frame in which the cell is seen"),
    "n_frames": Meaning("frames", "in how many frames the cell is seen"),
    "n_merged": Meaning("frames", "in how many of them its object held other cells too"),
    "fate": Meaning("", "what became of the cell"),
    "corrections": Meaning("", "what a person corrected"),
}
_OF_CHANNELS: Mapping[str, Meaning] = {
    "intensity_total": Meaning(_GREY, "sum of the corrected fluorescence over the cell"),
    "intensity_mean": Meaning(_GREY, "mean of the corrected fluorescence over the cell"),
    "intensity_median": Meaning(_GREY, "median of the corrected fluorescence over the cell"),
    "intensity_std": Meaning(_GREY, "standard deviation of the corrected fluorescence"),
    "intensity_min": Meaning(_GREY, "minimum of the corrected fluorescence over the cell"),
    "intensity_max": Meaning(_GREY, "maximum of the corrected fluorescence over the cell"),
    "intensity_p5": Meaning(_GREY, "5th percentile of the corrected fluorescence"),
    "intensity_p95": Meaning(_GREY, "95th percentile of the corrected fluorescence"),
    "saturated_part": Meaning(
        "1", "part of its pixels at the camera's ceiling; only where some are"
    ),
    "background_local": Meaning(_GREY, "median of the corrected fluorescence around the cell"),
    "ratio_nucleus_ring": Meaning("1", "ratio of the means in the nucleus and the ring around it"),
    "reason": Meaning("", "why the cell cannot be trusted; empty if it can"),
}


_COMPARTMENTS = {"nucleus": "nucleus", "ring": "ring around the nucleus"}


def _of_a_channel(stem: str) -> Meaning | None:
    """Return what a column holds, by its name without the channel."""
    for ending, place in _COMPARTMENTS.items():
        if (feature := stem.removesuffix(f"_{ending}")) in _OF_CHANNELS and feature != stem:
            known = _OF_CHANNELS[feature]
            return Meaning(known.unit, f"{known.words.removesuffix(' over the cell')}, {place}")
    return _OF_CHANNELS.get(stem)


def meaning_of(column: str, channels: Iterable[str]) -> Meaning:
    """Return what a column of traces or cells holds.

    Parameters
    ----------
    column : str
        The column.
    channels : iterable of str
        Names of the channels that were measured.

    Examples
    --------
    >>> meaning_of("intensity_total_GFP", ["GFP"]).unit, meaning_of("area", ["GFP"]).unit
    ('grey values', 'px²')
    """
    if column in _PLAIN:
        return _PLAIN[column]
    for channel in channels:
        stem = column.removesuffix(f"_{channel}")
        known = _of_a_channel(stem)
        if known is not None and stem != column:
            return Meaning(known.unit, f"{known.words}, channel {channel}")
    return Meaning("", "")


def meanings_table(columns: Iterable[str], channels: Sequence[str]) -> pd.DataFrame:
    """Return a row per column: its name, unit and meaning."""
    import pandas as pd

    each = [(name, meaning_of(name, channels)) for name in dict.fromkeys(columns)]
    rows = [(name, meaning.unit, meaning.words) for name, meaning in each]
    return pd.DataFrame(rows, columns=["column", "unit", "meaning"], dtype="str")
