"""One field of view of crowded cells as a sequence of frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.camera import Camera, Illumination, draw_light
from pyama_core.demo.crowd import live_in_crowds
from pyama_core.demo.crowd_drawing import HALO, CrowdPen, Drawn, texture
from pyama_core.demo.kinds import HABITS
from pyama_core.demo.movie import Frame
from pyama_core.demo.parameters import DemoParameters, plane_times
from pyama_core.demo.truth import Track, TrackKeeper, label_image

_PHASE_LEVEL = 6e3
_REPORTER_LEVEL = 350.0
_MOTTLE = np.float32(0.015)


class CrowdMovie:
    """A field of view of nuclei, spread cells or bacteria that can be watched once.

    Parameters
    ----------
    parameters : DemoParameters
        The experiment.
    fov : int
        Number of the field of view.
    """

    def __init__(self, parameters: DemoParameters, fov: int) -> None:
        self._parameters = parameters
        self._life, look, light, clock = parameters.streams(fov, 4)
        about, self._habit = parameters.about, HABITS[parameters.kind]
        size, self._measured = parameters.size, about.measured
        self._pen = CrowdPen(parameters.kind, self._habit, about.measured, size, look)
        self._camera = Camera(size, light)
        marker = self._habit.background if 0 in about.measured else _PHASE_LEVEL
        self._lights = tuple(
            draw_light(light, level=level, vignette=self._habit.slope, tilt=slope, drift=0.01)
            for level, slope in ((marker, self._habit.slope), (_REPORTER_LEVEL, 0.05))
        )
        self._mottle = np.zeros((size, size), np.float32)
        if 0 not in about.measured:
            white = look.standard_normal((size, size), dtype=np.float32)
            self._mottle = _MOTTLE * texture(white)
        self._tracks = TrackKeeper()
        self.times = plane_times(parameters.frames, fov, clock, len(about.channels))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        frames, size = self._parameters.frames, self._parameters.size
        for index, alive in enumerate(live_in_crowds(self._habit, frames, size, self._life)):
            time = index / frames
            cells = self._tracks.admit(self._pen.draw(alive, time), index)
            patches = [patch for _, patch in cells]
            planes = tuple(
                self._plane(channel, light, patches, time)
                for channel, light in enumerate(self._lights)
            )
            yield Frame(index, time, cells, label_image(cells, size), planes)

    def _plane(
        self, channel: int, light: Illumination, patches: list[Drawn], time: float
    ) -> NDArray[np.uint16]:
        """Record a plane: light of the background, and what cells add to it or take away."""
        ground = light.field(self._parameters.size, time)
        added = np.zeros_like(ground)
        for patch in patches:
            added[patch.window] += patch.light[channel]
        if channel not in self._measured:
            # Where many halos meet, they are no brighter than one and a half.
            np.minimum(added, np.float32(1.5 * HALO), out=added)
            added += self._mottle
            added *= ground
        return self._camera.expose(np.maximum(ground + added, np.float32(1.0)))

    def tracks(self) -> list[Track]:
        """Return what became of the cells, once all frames were watched."""
        return self._tracks.tracks(self._parameters.frames)
