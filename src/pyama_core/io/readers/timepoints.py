"""When the frames of a file were taken, as far as the file says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

Times = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Timepoints:
    """Times in minutes since the first frame of the file, and where they are from.

    Attributes
    ----------
    values : tuple of tuple of (float or None)
        ``values[fov][frame]``, None where unknown.
    source : str
        ``"measured"``, ``"nominal"`` or ``"unknown"``.
    warnings : tuple of str
        What a user should know about them.
    """

    values: tuple[tuple[float | None, ...], ...]
    source: str
    warnings: tuple[str, ...] = ()


def resolve_timepoints(
    measured: Times, nominal: Sequence[float] | None, lengths: Sequence[int]
) -> Timepoints:
    """Take measured times if there are any, else nominal ones, else none.

    Parameters
    ----------
    measured : sequence of sequences of (float or None)
        Minutes since any common zero, per field of view and frame; may be shorter than `lengths`.
    nominal : sequence of float or None
        Minutes of each frame from the interval that was asked for.
    lengths : sequence of int
        Number of frames of each field of view.

    Returns
    -------
    Timepoints
        The earliest time over all fields of view is 0. Measured times that are the same for all
        frames are placeholders and count as absent.

    Examples
    --------
    >>> resolve_timepoints([[2.0, 12.5]], None, [2]).values
    ((0.0, 10.5),)
    """
    rows = [_row(times, n) for times, n in zip(measured, lengths, strict=True)]
    known = [time for row in rows for time in row if time is not None]
    moving = max(lengths, default=0) > 1
    if known and not (moving and all(_constant(row) for row in rows)):
        zero = min(known)
        values = tuple(
            tuple(None if t is None else round(t - zero, 9) for t in row) for row in rows
        )
        return Timepoints(values, "measured", _doubts(values))
    if nominal is not None:
        zero = min(nominal, default=0.0)
        row = tuple(round(time - zero, 9) for time in nominal)
        told = "the file has no time per frame; times are from the nominal interval"
        return Timepoints(tuple(row[:n] for n in lengths), "nominal", (told,) if moving else ())
    told = "the file has no times; give the interval in minutes (command line: --interval MIN)"
    return Timepoints(tuple((None,) * n for n in lengths), "unknown", (told,) if moving else ())


def _row(times: Sequence[float | None], length: int) -> list[float | None]:
    row = [t if t is not None and math.isfinite(t) else None for t in times[:length]]
    return row + [None] * (length - len(row))


def _constant(row: Sequence[float | None]) -> bool:
    return len({t for t in row if t is not None}) <= 1


def _doubts(values: Times) -> tuple[str, ...]:
    doubts = []
    unknown = sum(t is None for row in values for t in row)
    if unknown:
        doubts.append(f"{unknown} of {sum(map(len, values))} frames have no time in the file")
    for fov, row in enumerate(values):
        known = [t for t in row if t is not None]
        if any(after <= before for before, after in itertools.pairwise(known)):
            doubts.append(f"times of FOV {fov} do not increase from frame to frame")
    return tuple(doubts)
