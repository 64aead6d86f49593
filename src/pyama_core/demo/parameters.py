"""What a synthetic experiment is made of: its size, channels, pixel size and clock."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from pyama_core.demo.kinds import KINDS, DemoKind, KindOfDemo
from pyama_core.errors import InputError

CHANNELS = KINDS[DemoKind.ADHERENT].channels
INTERVAL_S = 300.0

_POSITION_DELAY_S = 7.0
_CHANNEL_DELAY_S = 0.8
_JITTER_S = 0.5

MIN_SIZE = 64
MIN_SIZE_FOR_DIVISION = 192
MIN_FRAMES_FOR_DIVISION = 8


@dataclass(frozen=True)
class DemoParameters:
    """Size of a synthetic experiment.

    Parameters
    ----------
    fovs : int
        Number of fields of view, at least 1.
    frames : int
        Number of frames of each, at least 1.
    size : int
        Height and width of a frame in pixels, at least 64.
    seed : int
        Any number from 0; the same seed gives the same experiment.
    kind : DemoKind or str
        What it shows: "adherent", "nuclei", "cells" or "bacteria".

    Raises
    ------
    InputError
        A number is not whole or too small, or there is no such kind.
    """

    fovs: int
    frames: int
    size: int
    seed: int
    kind: DemoKind = DemoKind.ADHERENT

    def __post_init__(self) -> None:
        for name, minimum in (("fovs", 1), ("frames", 1), ("size", MIN_SIZE), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise InputError(
                    f"demo: {name} must be a whole number of at least {minimum}, found {value!r}"
                )
        try:
            object.__setattr__(self, "kind", DemoKind(self.kind))
        except ValueError:
            kinds = ", ".join(DemoKind)
            raise InputError(f"demo: expected a kind of {kinds}, found {self.kind!r}") from None

    @property
    def about(self) -> KindOfDemo:
        """What there is to know of its kind."""
        return KINDS[self.kind]

    def described(self) -> dict[str, object]:
        """Return the parameters by name; the kind is left out where it is the usual one."""
        described = asdict(self)
        if self.kind is DemoKind.ADHERENT:
            del described["kind"]
        return described

    @property
    def n_bytes(self) -> int:
        """Bytes of all planes and label images."""
        return 2 * (len(self.about.channels) + 1) * self.fovs * self.frames * self.size**2

    @property
    def has_division(self) -> bool:
        """Whether there is time and room for a cell to divide."""
        return self.frames >= MIN_FRAMES_FOR_DIVISION and self.size >= MIN_SIZE_FOR_DIVISION

    def streams(self, fov: int, n: int) -> list[np.random.Generator]:
        """Return `n` independent random streams of one field of view, whatever `fovs` is."""
        seeds = np.random.SeedSequence(self.seed, spawn_key=(fov,)).spawn(n)
        return [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]


def plane_times(
    frames: int, fov: int, rng: np.random.Generator, n_channels: int = len(CHANNELS)
) -> list[float]:
    """Return the acquisition time of every plane of one field of view.

    The stage visits the positions one after another, each channel is exposed in turn, and no
    clock is perfect: the first frame of the first position alone is exact.

    Returns
    -------
    list of float
        Seconds since the first plane of the file, frame by frame and channel by channel.
    """
    starts = INTERVAL_S * np.arange(frames) + _POSITION_DELAY_S * fov
    starts[1:] += rng.uniform(-_JITTER_S, _JITTER_S, frames - 1)
    times = starts[:, None] + _CHANNEL_DELAY_S * np.arange(n_channels)
    return [round(float(time), 3) for time in times.ravel()]
