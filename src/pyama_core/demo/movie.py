"""One field of view as a sequence of frames: the scene, drawn and recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.camera import Camera
from pyama_core.demo.drawing import Pen
from pyama_core.demo.parameters import CHANNELS, DemoParameters, plane_times
from pyama_core.demo.scene import live
from pyama_core.demo.truth import Track, TrackKeeper, Visible, label_image


@dataclass(frozen=True)
class Frame:
    """One moment of a field of view.

    Parameters
    ----------
    index : int
        Number of the frame.
    time : float
        The same as a fraction of the movie.
    cells : sequence of (int, Visible)
        The visible cells with their ids.
    labels : (Y, X) uint16 array
        Their true masks.
    planes : tuple of (Y, X) uint16 array
        One per channel.
    """

    index: int
    time: float
    cells: Sequence[tuple[int, Visible]]
    labels: NDArray[np.uint16]
    planes: tuple[NDArray[np.uint16], ...]


class Movie:
    """A field of view that can be watched once, from the first frame to the last.

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
        self._pen = Pen(parameters.size, look)
        self._camera = Camera(parameters.size, light)
        self._tracks = TrackKeeper()
        self.times = plane_times(parameters.frames, fov, clock)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        for index, alive in enumerate(live(self._parameters, self._life)):
            drawn = [patch for cell in alive if (patch := self._pen.draw(cell)) is not None]
            cells = self._tracks.admit(drawn, index)
            patches = [patch for _, patch in cells]
            time = index / self._parameters.frames
            fluorescence = (
                self._camera.fluorescence(patches, channel, time)
                for channel in range(len(CHANNELS) - 1)
            )
            yield Frame(
                index,
                time,
                cells,
                label_image(cells, self._parameters.size),
                (self._camera.phase_contrast(patches, time), *fluorescence),
            )

    def tracks(self) -> list[Track]:
        """Return what became of the cells, once all frames were watched."""
        return self._tracks.tracks(self._parameters.frames)
