"""How far pixels and frames of a field of view are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pyama_core.results.fov_results import FovResults
from pyama_core.results.selection import Selection


@dataclass(frozen=True)
class Scale:
    """Size of the pixels and times of the frames of a field of view.

    Attributes
    ----------
    pixel_size_um : float or None
        Micrometres per pixel; None where the file does not tell.
    times_min : tuple of float or None
        Minutes since the first frame of the file, by frame; empty where the file does not tell.
        An interval that was given counts in their place.
    """

    pixel_size_um: float | None = None
    times_min: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, selection: Selection, fov: FovResults) -> Self:
        """Return what the microscope file, or who ran it, said of a field of view."""
        source, interval = selection.source, fov.given_interval_min
        times: Sequence[float | None] = ()
        if source is not None and fov.number < len(source.timepoints):
            times = source.timepoints[fov.number]
        if interval is not None:
            n_frames = len(times) or fov.n_frames or 0
            times = [frame * interval for frame in range(n_frames)]
        return cls(None if source is None else source.pixel_size_um, tuple(times))

    @property
    def interval_min(self) -> float | None:
        """Mean time between frames, in minutes; None where that is not known."""
        frames = [t for t, time in enumerate(self.times_min) if time is not None]
        times = np.array([time for time in self.times_min if time is not None])
        if len(frames) < 2:
            return None
        interval = float((times[-1] - times[0]) / (frames[-1] - frames[0]))
        return interval if interval > 0 else None
