"""What is left of the background at the rim of the frame: `python -m benchmarks.rim`.

Cells of known light, half of them along the edges, on a background of known unevenness. Their masks
are known: what errors are left are those of the background alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters

SIDE, SEEDS, DIAMETERS = 1024, (1, 2, 3), (20, 40)
GROUND, OFFSET, READ_NOISE = 500.0, 100.0, 5.0
LIGHTS = ("even", "vignette, 20 %", "vignette, 60 %", "from one side, 50 %", "field stop")
Edges = Literal["constant", "linear"]
Way = tuple[str, Edges, int]
WAYS: tuple[Way, ...] = (
    ("four cells", "linear", 2), ("four cells", "linear", 1), ("four cells", "constant", 2),
    ("256", "constant", 1),
)  # fmt: skip
"""Tiles, edges and rounds: `auto` where the diameter is known, the same with other rounds and other
edges, and `auto` where it is not."""


@dataclass(frozen=True)
class Made:
    """A frame, and what it was made of."""

    frame: NDArray[np.uint16]
    background: NDArray[np.float64]
    light: NDArray[np.float64]
    cells: list[tuple[NDArray[np.bool_], bool]]
    """The pixels of each, and whether it lies at the rim."""


def brightness(kind: str) -> NDArray[np.float64]:
    """Return how bright the light is in each pixel, 1 in the middle of the frame."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / (SIDE / 2) - 1
    square = rows**2 + columns**2
    by_kind: dict[str, NDArray[np.float64]] = {
        "even": np.ones((SIDE, SIDE)),
        "vignette, 20 %": 1 - 0.1 * square,
        "vignette, 60 %": 1 - 0.3 * square,
        "from one side, 50 %": 0.75 + 0.25 * columns,
        "field stop": 0.2 + 0.8 / (1 + np.exp((np.sqrt(square) - 1.15) / 0.06)),
    }
    return by_kind[kind]


def make(kind: str, diameter: int, seed: int) -> Made:
    """Draw cells that do not touch, half of them anywhere, half along the edges."""
    rng, n = np.random.default_rng(seed), 3200 // diameter
    rows, columns = np.mgrid[:SIDE, :SIDE]
    along, across = rng.uniform(0, SIDE, n), rng.choice([0.7 * diameter, SIDE - 0.7 * diameter], n)
    anywhere = rng.uniform(0, SIDE, (n // 2, 2)).tolist()
    beside = zip(along[::4], across[::4], strict=True)
    above = zip(across[1::4], along[1::4], strict=True)
    signal, cells, taken = np.zeros((SIDE, SIDE)), [], np.zeros((SIDE, SIDE), np.bool_)
    for y, x in [*anywhere, *beside, *above]:
        pixels = (rows - y) ** 2 + (columns - x) ** 2 < diameter**2 / 4
        if not (taken & pixels).any():
            taken |= pixels
            signal[pixels] = rng.uniform(50, 300)
            cells.append((pixels, min(y, x, SIDE - 1 - y, SIDE - 1 - x) < diameter))
    light = brightness(kind)
    seen = rng.poisson((GROUND + signal) * light) + OFFSET + rng.normal(0, READ_NOISE, light.shape)
    frame = np.clip(np.rint(seen), 0, 65_535).astype(np.uint16)
    return Made(frame, GROUND * light + OFFSET, signal * light, cells)


def errors(made: Made, tile: int, edges: Edges, rounds: int) -> Iterator[tuple[float, float, bool]]:
    """Yield of each cell the error of its background, the part of its light, and where it is."""
    parameters = TiledInterpolationParameters(tile_size=tile, edges=edges, rounds=rounds)
    background = TiledBackground(made.frame.shape, parameters)
    medians = background.estimate(made.frame, made.light > 0)
    assert medians is not None
    error = background.background(medians) - made.background
    corrected = background.correct(made.frame, medians)
    for pixels, at_rim in made.cells:
        part = abs(corrected[pixels].sum() / made.light[pixels].sum() - 1)
        yield float(error[pixels].mean()), float(part), at_rim


def row_of(kind: str, diameter: int, found: dict[Way, NDArray[Any]]) -> str:
    """Return a row of the table: of each way the error at the rim, and inside."""
    told = [f"| {kind} | {diameter} |"]
    for way in WAYS:
        bias, part, at_rim = found[way].T
        rim, inside = part[at_rim > 0], part[at_rim == 0]
        told.append(
            f" {bias[at_rim > 0].mean():.1f} | {100 * np.median(rim):.1f} % | "
            f"{100 * np.median(inside):.1f} % |"
        )
    return "".join(told)


def main() -> None:
    """Print the table."""
    named = "".join(
        f" {tiles}, {edges}, rounds {rounds}: grey values | rim | inside |"
        for tiles, edges, rounds in WAYS
    )
    sys.stdout.write(f"| light | diameter |{named}\n|{'---|' * (2 + 3 * len(WAYS))}\n")
    for kind in LIGHTS:
        for diameter in DIAMETERS:
            frames = [make(kind, diameter, seed) for seed in SEEDS]
            found = {
                (tiles, edges, rounds): np.array(
                    [
                        each
                        for made in frames
                        for each in errors(
                            made, 256 if tiles == "256" else 4 * diameter, edges, rounds
                        )
                    ]
                )
                for tiles, edges, rounds in WAYS
            }
            sys.stdout.write(row_of(kind, diameter, found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
