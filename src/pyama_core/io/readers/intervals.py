"""The time between frames, in numbers and in words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from pyama_core.io.readers.frame_source import MicroscopyMetadata


@dataclass(frozen=True)
class Interval:
    """Time between frames in minutes, over all fields of view.

    Attributes
    ----------
    mean, jitter : float
        Mean and standard deviation of the steps.
    shortest, longest : float
        Smallest and largest step.
    """

    mean: float
    jitter: float
    shortest: float
    longest: float


def interval_of(metadata: MicroscopyMetadata) -> Interval | None:
    """Time between frames; None where it is unknown."""
    steps = [
        later - earlier
        for row in metadata.timepoints
        for earlier, later in itertools.pairwise(row)
        if earlier is not None and later is not None
    ]
    if not steps:
        return None
    mean = sum(steps) / len(steps)
    jitter = (sum((step - mean) ** 2 for step in steps) / len(steps)) ** 0.5
    return Interval(mean, jitter, min(steps), max(steps))


def describe_times(
    metadata: MicroscopyMetadata, advice: str = "give the interval with --interval"
) -> str:
    """Interval between frames with its jitter, and where the times come from; or what to do."""
    interval = interval_of(metadata)
    if interval is None:
        return f"unknown; {advice}" if metadata.n_frames > 1 else "-"
    unit, scale = ("min", 1.0) if interval.mean >= 1 else ("s", 60.0)
    every = f"every {interval.mean * scale:.4g} {unit}"
    if metadata.timepoints_source == "nominal":
        return f"{every}, nominal (as planned, not as measured)"
    low, high = f"{interval.shortest * scale:.4g}", f"{interval.longest * scale:.4g}"
    if low == high:
        return f"{every}, without jitter, measured"
    return f"{every} ± {interval.jitter * scale:.2g} {unit} ({low} to {high} {unit}), measured"
