"""A synthetic cell at one moment: where it is, how it is shaped, how bright it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.expression import TimeCourse


class Role(Enum):
    """What a cell is about to do."""

    STAYING = "staying"
    LEAVING = "leaving"
    ENTERING = "entering"


@dataclass(frozen=True)
class Cell:
    """A cell at one moment of its life.

    The outline is ``radius · (1 + Re Σ modes[k] · e^{-i(k+2)θ})`` around the centre, a smooth,
    star-shaped curve.

    Parameters
    ----------
    key : int
        Number of the cell within its scene.
    parent : int or None
        Key of the mother.
    role : Role
        What it is about to do.
    appears : int
        Frame from which it can be seen.
    divides : int or None
        Frame in which its daughters take its place.
    y, x : float
        Centre, in pixels.
    velocity : complex
        ``vy + i·vx`` in pixels per frame.
    speed : float
        Typical speed, in pixels per frame.
    full_radius : float
        Mean radius while spread, in pixels.
    full_modes : tuple of complex
        Fourier modes of the outline while spread, from the second.
    rounding : float
        0: spread on the dish, 1: round and bright, as before a division.
    contrast : float
        1, less in the frame in which the cell settles.
    angle, spin : float
        Orientation of the texture in radians, and its change per frame.
    texture : int
        Which texture it wears.
    churn : float
        Phase of the slow change of the texture.
    share : float
        What part of its fluorescence a daughter inherited.
    courses : tuple of TimeCourse
        One per fluorescence channel.
    """

    key: int
    parent: int | None
    role: Role
    appears: int
    divides: int | None
    y: float
    x: float
    velocity: complex
    speed: float
    full_radius: float
    full_modes: tuple[complex, ...]
    rounding: float
    contrast: float
    angle: float
    spin: float
    texture: int
    churn: float
    share: float
    courses: tuple[TimeCourse, ...]

    @property
    def radius(self) -> float:
        """Mean radius of the outline, in pixels."""
        return self.full_radius * (1 - 0.1 * self.rounding)

    @property
    def modes(self) -> tuple[complex, ...]:
        """Fourier modes of the outline."""
        return tuple(mode * (1 - self.rounding) for mode in self.full_modes)

    @property
    def reach(self) -> float:
        """Radius of a circle that holds the outline, in pixels."""
        return self.radius * (1 + sum(abs(mode) for mode in self.modes))

    def total(self, channel: int, time: float) -> float:
        """Return the counts of the whole cell in a fluorescence channel at a time."""
        return self.share * self.courses[channel].total(time)

    def depth(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how deep pixels lie below the outline, measured along the radius.

        Parameters
        ----------
        y, x : arrays that broadcast against each other
            Pixel coordinates.

        Returns
        -------
        float64 array
            Pixels; positive inside, negative outside.
        """
        offset = (x - self.x) + 1j * (y - self.y)
        distance = np.abs(offset)
        direction = offset / np.maximum(distance, 1e-9)
        outline = np.ones_like(distance)
        power = direction
        for mode in self.modes:
            power = power * direction
            outline += mode.real * power.real + mode.imag * power.imag
        return np.asarray(self.radius * outline - distance, dtype=np.float64)
