"""How bright a cell is over time: the ground truth of its fluorescence traces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TimeCourse:
    r"""Total fluorescence of a cell over the length of a movie.

    With :math:`s` the time since the onset as a fraction of the movie,

    .. math:: F = p\,(1 - e^{-ks})\,e^{-\delta s}\,(1 + a \sin 2\pi(f\tau + \varphi))

    and zero before the onset: a gene that is switched on, matures and is diluted.

    Parameters
    ----------
    plateau : float
        Scale p, in counts summed over the cell.
    onset : float
        Time of the first fluorescence.
    rise, decay : float
        Rates k and δ.
    wobble, frequency, phase : float
        Amplitude a, frequency f and phase φ of a slow drift.
    """

    plateau: float
    onset: float
    rise: float
    decay: float
    wobble: float
    frequency: float
    phase: float

    def total(self, time: float) -> float:
        """Return the counts of the whole cell at `time`, a fraction of the movie."""
        since = time - self.onset
        if since <= 0:
            return 0.0
        drift = 1 + self.wobble * math.sin(2 * math.pi * (self.frequency * time + self.phase))
        return (
            self.plateau
            * (1 - math.exp(-self.rise * since))
            * math.exp(-self.decay * since)
            * drift
        )


def switched_on(rng: np.random.Generator) -> TimeCourse:
    """Draw the time course of a reporter that is transfected: dark, then rising (GFP)."""
    return TimeCourse(
        plateau=rng.uniform(15e4, 30e4),
        onset=rng.uniform(-0.05, 0.45),
        rise=rng.uniform(4.0, 9.0),
        decay=rng.uniform(0.1, 0.4),
        wobble=0.0,
        frequency=0.0,
        phase=0.0,
    )


def always_on(rng: np.random.Generator) -> TimeCourse:
    """Draw the time course of a reporter that is always there and drifts a little (mCherry)."""
    return TimeCourse(
        plateau=rng.uniform(12e4, 25e4),
        onset=-1e3,
        rise=1.0,
        decay=0.0,
        wobble=rng.uniform(0.03, 0.12),
        frequency=rng.uniform(0.5, 1.5),
        phase=rng.uniform(0.0, 1.0),
    )
