"""Frames as a camera would record them: light, cells, shot noise and read noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.drawing import Patch

OFFSET = 100.0
"""Counts that the camera adds to every pixel."""

_GAIN = 2.0
_READ_NOISE = 3.0


@dataclass(frozen=True)
class Illumination:
    """Background light that is dimmer towards the corners, tilted and never quite constant.

    Parameters
    ----------
    level : float
        Counts in the middle of the frame.
    vignette : float
        Fraction that is missing in the corners.
    tilt : complex
        Relative slope ``ty + i·tx`` from the middle to the edge.
    drift : float
        Relative amplitude of the slow change of level and tilt.
    phase : float
        Where in the drift the movie starts, in radians.
    """

    level: float
    vignette: float
    tilt: complex
    drift: float
    phase: float

    def field(self, size: int, time: float) -> NDArray[np.float32]:
        """Return the background of a frame at a fraction of the movie, (size, size) in counts."""
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        angle = self.phase + 4.5 * time
        tilt = self.tilt + self.drift * complex(math.sin(angle), math.cos(angle))
        level = self.level * (1 + self.drift * math.sin(angle))
        bowl = 0.5 * self.vignette * axis**2
        rows = level * (1 - bowl + tilt.real * axis)
        cols = level * (tilt.imag * axis - bowl)
        return np.asarray(rows[:, None] + cols[None, :], dtype=np.float32)


class Camera:
    """Records the frames of one field of view.

    The shot noise is the normal approximation of Poisson noise, good at hundreds of electrons.
    The brightest pixel is far below the 65,535 counts that fit, because the levels and the
    contrast of the textures are bounded.

    Parameters
    ----------
    size : int
        Height and width of the frame in pixels.
    rng : numpy.random.Generator
        Decides illumination and noise.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._rng = rng
        self._noise = np.empty((size, size), np.float32)
        self._lights = (
            draw_light(rng, level=1e4, vignette=0.05, tilt=0.02, drift=0.005),
            draw_light(rng, level=rng.uniform(600, 750), vignette=0.07, tilt=0.02, drift=0.01),
            draw_light(rng, level=rng.uniform(450, 600), vignette=0.06, tilt=0.02, drift=0.01),
        )

    def phase_contrast(self, patches: Sequence[Patch], time: float) -> NDArray[np.uint16]:
        """Record the phase-contrast plane of a frame, (Y, X) in counts."""
        light = self._lights[0].field(self._size, time)
        contrast = np.ones_like(light)
        for patch in patches:
            contrast[patch.window] += patch.contrast
        return self.expose(light * contrast)

    def fluorescence(
        self, patches: Sequence[Patch], channel: int, time: float
    ) -> NDArray[np.uint16]:
        """Record the plane of fluorescence channel 0 or 1 of a frame, (Y, X) in counts."""
        light = self._lights[1 + channel].field(self._size, time)
        for patch in patches:
            light[patch.window] += np.float32(patch.cell.total(channel, time)) * patch.fluorescence
        return self.expose(light)

    def expose(self, light: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Record the light of a frame, (Y, X) in counts; the array is used up."""
        self._rng.standard_normal(out=self._noise, dtype=np.float32)
        self._noise *= np.sqrt(np.float32(_GAIN) * light + np.float32(_READ_NOISE**2))
        light += self._noise
        # Rounds, because the cast below cuts off.
        light += np.float32(OFFSET + 0.5)
        return light.astype(np.uint16)


def draw_light(
    rng: np.random.Generator, *, level: float, vignette: float, tilt: float, drift: float
) -> Illumination:
    """Draw an illumination whose tilt and drift start anywhere."""
    direction = complex(np.exp(2j * math.pi * rng.uniform()))
    return Illumination(level, vignette, tilt * direction, drift, rng.uniform(0, 2 * math.pi))
