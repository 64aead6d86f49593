"""From the axes of an NDTiff data set to positions, frames, channels and z planes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import MAX_PLANES, check_plane_count
from pyama_core.io.readers.ndtiff.index import AxisValue, NdTiffIndex

AXES = ("position", "time", "channel", "z")

# Beyond these, numbers of frames are more likely something else, such as times.
_MANY_FRAMES, _MANY_PER_FOUND = 1000, 10
_SHOWN = 3


@dataclass(frozen=True)
class NdTiffGrid:
    """Where each plane of a data set is in its index.

    Attributes
    ----------
    labels : dict of str to tuple of (int, float or str)
        What the places along each of `AXES` are called.
    entry : (P, T, C, Z) int64 ndarray
        Which image of the index each plane is, −1 where there is none.
    n_replaced : int
        Images that a later one took the place of.
    """

    labels: Mapping[str, tuple[AxisValue, ...]]
    entry: npt.NDArray[np.int64]
    n_replaced: int


def arrange(path: Path, index: NdTiffIndex, n_planned: int) -> NdTiffGrid:
    """Find the plane that each image is.

    Parameters
    ----------
    path : Path
        The data set, for messages.
    index : NdTiffIndex
        Its images.
    n_planned : int
        How many frames were planned.

    Raises
    ------
    InputError
        If there are other axes than `AXES`, or images that only their number of axes tells apart.
    """
    _refuse_other_axes(path, index)
    labels, codes = {}, []
    for name in AXES:
        labels[name], code = _places(index.axis(name), is_time=name == "time")
        codes.append(code)
    n_frames = len(labels["time"])
    if n_frames < n_planned and labels["time"] == tuple(range(n_frames)):
        labels["time"] = tuple(range(min(n_planned, MAX_PLANES)))
    shape = tuple(len(labels[name]) for name in AXES)
    check_plane_count(path, math.prod(shape))
    at = tuple(np.array(code, np.int64) for code in codes)
    entry = np.full(shape, -1, np.int64)
    entry[at] = np.arange(len(index))  # where an image was taken again, the later one
    _refuse_ambiguity(path, index, entry[at])
    return NdTiffGrid(labels, entry, len(index) - int((entry >= 0).sum()))


def _refuse_other_axes(path: Path, index: NdTiffIndex) -> None:
    others = dict.fromkeys(name for names in index.names for name in names if name not in AXES)
    found = {name: len(set(index.axis(name))) for name in others}
    told = [f"{name} ({count} values)" for name, count in found.items() if count > 1]
    if told:
        raise InputError(
            f"{path} has the axes {', '.join(told)} beside position, time, channel and z; save "
            "each of their values as a data set of its own or as positions (with pycro-manager or "
            "ndtiff), or export it as OME-TIFF."
        )


def _places(
    values: Sequence[AxisValue | None], *, is_time: bool
) -> tuple[tuple[AxisValue, ...], list[int]]:
    """Return the labels along an axis, and which of them each image has.

    Micro-Manager leaves out an axis on which an image is at 0. Names stand in the order in which
    they were first used, numbers in their own.
    """
    is_named = any(isinstance(value, str) for value in values)
    absent: AxisValue = "" if is_named else 0
    whole = [absent if value is None else value for value in values]
    distinct = list(dict.fromkeys(whole))
    if not is_named:
        numbers = sorted(value for value in distinct if not isinstance(value, str))
        distinct = list(_frames(numbers) if is_time else numbers)
    place = {value: i for i, value in enumerate(distinct)}
    return tuple(distinct), [place[value] for value in whole]


def _frames(numbers: Sequence[float]) -> Sequence[float]:
    """Fill gaps in numbers of frames, so that lost frames keep their place."""
    whole = [number for number in numbers if isinstance(number, int)]
    steps = {after - before for before, after in itertools.pairwise(whole)}
    if len(steps) < 2 or len(whole) < len(numbers):
        return numbers  # in a row, or a numbering such as 0, 5, 10
    step = math.gcd(*steps)
    n_frames = (whole[-1] - whole[0]) // step + 1
    if n_frames > max(_MANY_FRAMES, _MANY_PER_FOUND * len(whole)):
        return numbers
    return range(whole[0], whole[-1] + 1, step)


def _refuse_ambiguity(path: Path, index: NdTiffIndex, winner: npt.NDArray[np.int64]) -> None:
    """Refuse images whose places are the same because one has fewer axes than the other."""
    naming = np.array(index.naming)
    mixed = np.flatnonzero(naming != naming[winner])
    if mixed.size:
        pairs = [
            " and ".join(_in_words(index, i) for i in (int(first), int(winner[first])))
            for first in mixed[:_SHOWN]
        ]
        raise InputError(
            f"{path} has images that cannot be told apart by position, time, channel and z: "
            f"{'; '.join(pairs)}. Save them as data sets of their own."
        )


def _in_words(index: NdTiffIndex, image: int) -> str:
    names = index.names[index.naming[image]]
    pairs = zip(names, index.values[image], strict=True)
    return ", ".join(f"{name} {value}" for name, value in pairs) or "one without axes"
