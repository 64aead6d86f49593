"""Frames that are quick to make and cost the pipeline what real ones cost.

Round cells with a rough texture in phase contrast and light of their own in fluorescence, on a
noisy background that is brighter in the middle. Everything drifts by a pixel per frame, and the
noise is new in each, so that masks differ from frame to frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COVERED = 0.2
"""Share of the frame that cells cover, whatever their number."""

Frame = NDArray[np.uint16]


class Scene:
    """A movie of cells.

    Parameters
    ----------
    side : int
        Height and width in pixels.
    n_cells : int
        Cells in a frame.
    seed : int
        The same seed gives the same movie.
    """

    def __init__(self, side: int, n_cells: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.side = side
        self.labels = _discs(side, n_cells, rng)
        cells = self.labels > 0
        y, x = np.ogrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        vignette = 1 - 0.3 * (x * x + y * y)
        texture = rng.normal(0, 300, (side, side)).astype(np.float32)
        self._phase = (20_000 + texture * cells).astype(np.float32)
        self._fluorescence = (600 * vignette + 400 * cells).astype(np.float32)
        self._noise = rng.normal(0, 1, (side, side)).astype(np.float32)

    def mask(self, t: int) -> NDArray[np.bool_]:
        """Return the true mask of a frame."""
        return np.roll(self.labels > 0, t, (0, 1))

    def phase(self, t: int) -> Frame:
        """Return a phase-contrast frame."""
        return self._seen(self._phase, 30.0, t)

    def fluorescence(self, t: int) -> Frame:
        """Return a fluorescence frame."""
        return self._seen(self._fluorescence, 12.0, t + 1000)

    def _seen(self, scene: NDArray[np.float32], noise: float, t: int) -> Frame:
        drifted = np.roll(scene, t, (0, 1))
        drifted += noise * np.roll(self._noise, 7919 * (t + 1))
        return np.rint(drifted).astype(np.uint16)


def _discs(side: int, n_cells: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return discs with labels from 1, spread over a grid with some disorder, apart from others."""
    per_side = int(np.ceil(np.sqrt(n_cells)))
    pitch = side / per_side
    radius = np.sqrt(COVERED * side * side / (n_cells * np.pi))
    slack = max(0.0, pitch / 2 - radius - 1)
    labels = np.zeros((side, side), np.int32)
    places = rng.permutation(per_side * per_side)[:n_cells]
    for label, place in enumerate(places, start=1):
        centre = (np.array(divmod(place, per_side)) + 0.5) * pitch + rng.uniform(-slack, slack, 2)
        low = np.maximum(np.floor(centre - radius), 0).astype(int)
        high = np.minimum(np.ceil(centre + radius) + 1, side).astype(int)
        rows, columns = np.ogrid[low[0] : high[0], low[1] : high[1]]
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius * radius
        labels[low[0] : high[0], low[1] : high[1]][inside] = label
    return labels


def write_ome_tiff(path: Path, *, fovs: int, frames: int, side: int, n_cells: int) -> Path:
    """Write an experiment of two channels, phase contrast and fluorescence, a page per plane."""
    import tifffile

    def planes(scene: Scene) -> Iterator[Frame]:
        for t in range(frames):
            yield scene.phase(t)
            yield scene.fluorescence(t)

    axes: dict[str, Any] = {
        "axes": "TCYX",
        "Channel": {"Name": ["Phase", "GFP"]},
        "TimeIncrement": 300,
        "TimeIncrementUnit": "s",
    }
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        for fov in range(fovs):
            file.write(
                planes(Scene(side, n_cells, seed=fov)),
                shape=(frames, 2, side, side),
                dtype=np.uint16,
                photometric="minisblack",
                metadata=axes,
            )
    return path
