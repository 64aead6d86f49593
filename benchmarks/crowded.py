"""How far the background is off where cells cover the frame: `python -m benchmarks.crowded`.

Nuclei and spread cells of the demo, ever more of them, in light of known unevenness. Their masks
are known: what errors are left are those of the background alone.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.camera import OFFSET, Camera, draw_light
from pyama_core.demo.crowd import live_in_crowds
from pyama_core.demo.crowd_drawing import CrowdPen
from pyama_core.demo.kinds import HABITS, KINDS, DemoKind
from pyama_core.demo.truth import TrackKeeper, label_image
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters

SIDE, SEEDS, GROUND = 768, (11, 12, 13), 350.0
CROWDS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8)
BOUNDS = (0.0, 0.02, 0.05, 0.08, 0.12, 0.2, 0.3, 0.45, 1.0)
"""Of the part of the frame that shows background: the rows of the table."""
LIGHTS = {
    "even": (0.0, 0j),
    "vignette, 20 %": (0.2, 0.02 + 0.01j),
    "vignette, 60 %": (0.6, 0.02 + 0.01j),
    "from one side, 50 %": (0.0, 0.25 + 0.1j),
}
"""How much is missing in the corners, and the slope."""
Hidden = Literal["around", "median"]
WAYS: tuple[Hidden, ...] = ("around", "median")


@dataclass(frozen=True)
class Error:
    """How far the background of a frame is off, by way: of half of the cells, of nine tenths."""

    light: str
    free: float
    off: dict[Hidden, tuple[float, float]]


def errors(kind: DemoKind, crowd: float, seed: int) -> Iterator[Error]:
    """Yield the errors of a frame with so many cells, in each light."""
    life, look, light = (np.random.default_rng([seed, i]) for i in range(3))
    habit = replace(HABITS[kind], crowd=crowd)
    pen = CrowdPen(kind, habit, KINDS[kind].measured, SIDE, look)
    cells = TrackKeeper().admit(pen.draw(next(live_in_crowds(habit, 1, SIDE, life)), 0.0), 0)
    labels, signal = label_image(cells, SIDE), np.zeros((SIDE, SIDE), np.float32)
    for _, patch in cells:
        signal[patch.window] += patch.light[1]
    camera, usual = (
        Camera(SIDE, light),
        draw_light(light, level=GROUND, vignette=0, tilt=0, drift=0),
    )
    for name, (vignette, tilt) in LIGHTS.items():
        ground = replace(usual, vignette=vignette, tilt=tilt).field(SIDE, 0.0)
        frame = camera.expose(np.maximum(ground + signal, np.float32(1)))
        yield _error(name, frame, labels, ground)


def _error(
    name: str, frame: NDArray[np.uint16], labels: NDArray[np.uint16], ground: NDArray[np.float32]
) -> Error:
    areas = np.bincount(labels.ravel())[1:]
    there = areas > 0
    diameter = float(np.sqrt(4 / np.pi * np.median(areas[there])))
    off: dict[Hidden, tuple[float, float]] = {}
    free = 0.0
    for way in WAYS:
        parameters = TiledInterpolationParameters(hidden_tiles=way).for_cells_of(diameter)
        background = TiledBackground(frame.shape, parameters)
        free, medians = background.free_part(labels), background.estimate(frame, labels)
        if medians is None:
            continue
        bias = (background.background(medians) - ground - OFFSET) / ground
        per_cell = np.bincount(labels.ravel(), weights=bias.ravel())[1:][there] / areas[there]
        half, most = np.percentile(abs(per_cell), [50, 90])
        off[way] = float(half), float(most)
    return Error(name, free, off)


def rows_of(found: list[Error]) -> Iterator[str]:
    """Yield the rows of the table."""
    for low, high in itertools.pairwise(BOUNDS):
        told = [f"| {100 * low:.0f} – {100 * high:.0f} % |"]
        for light in LIGHTS:
            some = [e.off for e in found if e.light == light and low <= e.free < high and e.off]
            for way in WAYS:
                means = np.mean([off[way] for off in some], axis=0) if some else np.full(2, np.nan)
                told.append(f" {100 * means[0]:.1f} / {100 * means[1]:.1f} |")
        yield "".join(told)


def main() -> None:
    """Print the table: in percent of the light of the ground, half of the cells / nine tenths."""
    found = [
        error
        for kind in (DemoKind.NUCLEI, DemoKind.CELLS)
        for crowd in CROWDS
        for seed in SEEDS
        for error in errors(kind, crowd, seed)
    ]
    named = "".join(f" {light}, {way} |" for light in LIGHTS for way in WAYS)
    sys.stdout.write(f"| shows background |{named}\n|{'---|' * (1 + len(LIGHTS) * len(WAYS))}\n")
    sys.stdout.writelines(f"{row}\n" for row in rows_of(found))


if __name__ == "__main__":
    main()
