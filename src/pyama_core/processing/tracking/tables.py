"""Tables of what a tracker found: one row per cell, and one per frame."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError
from pyama_core.processing.tracking.fates import AGAINST, EVEN, FATES, WORTH, Track

Number = TypeVar("Number", int, float)
Columns = dict[str, Sequence[Any] | NDArray[Any]]
OF_LINKS = ("link_confidence", "link_frame", "unsure_links")
OF_LINEAGES = ("generation", "fate_probability", "birth_probability", "cycle_frames")
OF_READINGS = ("n_joined", "n_cut")
"""Columns that the tables of some trackers have, empty where nothing is known of a cell."""
_LEAST = 1e-4  # to which confidences were rounded


def track_columns(tracks: Sequence[Track]) -> Columns:
    """Return the columns of the table of cells.

    How sure links are, lineages, and objects that were changed are told where the tracker knows
    of them.

    Examples
    --------
    >>> columns = track_columns([Track(2, 1, 0, 9, "lost", n_frames=8, n_merged=0)])
    >>> columns["parent"], columns["fate"]
    ([1], ['lost'])
    """
    names = ("cell", "parent", "first_frame", "last_frame", "fate", "n_frames", "n_merged")
    columns: Columns = {name: [getattr(track, name) for track in tracks] for name in names}
    for group in (OF_LINKS, OF_LINEAGES, OF_READINGS):
        further = {name: [_told(getattr(track, name)) for track in tracks] for name in group}
        if any(value is not None for values in further.values() for value in values):
            columns |= further
    return columns


def _told(value: float | tuple[tuple[int, float], ...] | None) -> float | str | None:
    """Return what stands in a table: of several links ``frame:confidence`` each."""
    if isinstance(value, tuple):
        return " ".join(f"{frame}:{sure}" for frame, sure in value)
    return value


def unsure_links(row: Mapping[str, str | None]) -> tuple[tuple[int, float], ...]:
    """Return the links that a row of the table of cells tells to be unsure: frame, and how sure.

    Examples
    --------
    >>> unsure_links({"unsure_links": "3:0.92 7:0.5"})
    ((3, 0.92), (7, 0.5))
    """
    pairs = (link.split(":") for link in (row.get("unsure_links") or "").split())
    return tuple((int(frame), float(sure)) for frame, sure in pairs)


def link_confidence(row: Mapping[str, str | None]) -> float | None:
    """Return how sure the least sure link of a row of the table of cells is, if it tells.

    Tables that do not tell all unsure links have it in log odds that were taken at their word,
    which is less than such links are worth.

    Examples
    --------
    >>> link_confidence({"link_confidence": "0.92", "unsure_links": "3:0.92"})
    0.92
    >>> link_confidence({"link_confidence": "0.5"})
    0.9047
    """
    if not row.get("link_confidence"):
        return None
    told = float(row["link_confidence"] or "nan")
    if row.get("unsure_links") is not None:
        return told
    odds = math.log(max(told, _LEAST)) - math.log(max(1 - told, _LEAST))
    worth = AGAINST if odds < 0 else WORTH
    return round(1 / (1 + math.exp(-(EVEN + worth * odds))), 4)


def read_tracks(lines: Iterable[str]) -> list[Track]:
    """Read the table of cells back from the lines of its file, as far as steps need it.

    Raises
    ------
    DamagedFileError
        It is not such a table.
    """
    try:
        return [
            Track(
                cell=int(row["cell"]),
                parent=int(row["parent"]) if row["parent"] else None,
                first_frame=int(row["first_frame"]),
                last_frame=int(row["last_frame"]),
                fate=FATES[FATES.index(row["fate"])],
                n_frames=int(row["n_frames"]),
                n_merged=int(row["n_merged"]),
                link_confidence=link_confidence(row),
                link_frame=_number(int, row.get("link_frame")),
                fate_probability=_number(float, row.get("fate_probability")),
                birth_probability=_number(float, row.get("birth_probability")),
            )
            for row in csv.DictReader(lines)
        ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DamagedFileError(f"not a table of cells: {error!r}") from error


def _number(kind: Callable[[str], Number], text: str | None) -> Number | None:
    """Read a number that need not be there."""
    return kind(text) if text else None


def count_fates(tracks: Sequence[Track]) -> dict[str, int]:
    """Return the number of cells, and of those of each fate."""
    counts = Counter(track.fate for track in tracks)
    return {"cells": len(tracks), **{fate: counts[fate] for fate in FATES}}


def shift_columns(shifts: NDArray[np.float64] | None, frames: Sequence[int]) -> Columns:
    """Return the columns of the table of frames.

    Parameters
    ----------
    shifts
        (T, 2) rows and columns that the field of view moved since the frame before; None where
        the tracker does not find that out, which leaves the columns empty.
    frames
        Numbers of the T frames.
    """
    nothing = [None] * len(frames)
    return {
        "frame": frames,
        "shift_x": nothing if shifts is None else shifts[:, 1],
        "shift_y": nothing if shifts is None else shifts[:, 0],
    }
