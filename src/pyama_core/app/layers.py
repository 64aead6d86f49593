"""The stacks of a field of view as the page shows them: layers, each with a name and a colour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyama_core.app.levels import MOST, averaged, sampled, shown
from pyama_core.app.messages import Message
from pyama_core.errors import DamagedFileError, InputError
from pyama_core.results.fov_results import FovResults
from pyama_core.results.grey_range import grey_range

LayerKind = Literal["phase", "raw", "corrected", "labels"]


class Layer(Message):
    """A stack that can be shown.

    Grey values from `low` to `high` are shown from black to full.
    """

    kind: LayerKind
    channel: str
    """Name of the channel; empty for phase contrast and labels."""
    dtype: str
    low: float
    high: float
    emission_nm: float | None = None


def stack_of(fov: FovResults, kind: LayerKind, channel: str) -> NDArray[Any]:
    """Return a stack as a memory map.

    Raises
    ------
    InputError
        It is not there; the message says why, and what brings it back.
    """
    if kind == "phase":
        return fov.phase
    if kind == "labels":
        return fov.labels
    return (fov.corrected if kind == "corrected" else fov.fluorescence)[channel]


def frame_of(fov: FovResults, kind: LayerKind, channel: str, t: int, level: int) -> NDArray[Any]:
    """Return a frame as it is shown: labels under corrections, in 16 or 32 bits; levels averaged.

    Raises
    ------
    InputError
        There is no such stack, frame or level.
    """
    if not 0 <= level <= MOST:
        raise InputError(f"level: expected 0 to {MOST}, found {level}")
    if kind == "labels":
        return _narrow(sampled(fov.label_image(t), level))
    stack = stack_of(fov, kind, channel)
    if not 0 <= t < len(stack):
        raise InputError(f"{fov.title} has frames 0 to {len(stack) - 1}, not {t}")
    return averaged(shown(stack[t]), level)


def _narrow(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels in the smaller type that holds them: there is half as much to send."""
    fits = not labels.size or int(labels.max()) <= np.iinfo(np.uint16).max
    return labels.astype(np.uint16 if fits else np.uint32)


def layers_of(fov: FovResults, emission_nm: dict[str, float | None]) -> Iterator[Layer]:
    """Yield the stacks that can be read, without labels."""
    wanted: list[tuple[LayerKind, str]] = [("phase", "")]
    wanted += [("raw", name) for name in fov.fluorescence]
    wanted += [("corrected", name) for name in fov.corrected]
    for kind, channel in wanted:
        try:
            stack = stack_of(fov, kind, channel)
        except (InputError, DamagedFileError):
            continue  # `FovResults.missing` says why
        low, high = grey_range(stack, fov.missing_frames, shines=kind != "phase")
        yield Layer(
            kind=kind,
            channel=channel,
            dtype=shown(stack[:0]).dtype.name,
            low=low,
            high=high,
            emission_nm=emission_nm.get(channel),
        )
