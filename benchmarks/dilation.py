"""How far cells are enlarged, and what it does to their light: `python -m benchmarks.dilation`.

The demo of each kind, as it is and with two and three pixels put together, so that cells are small.
They are found with their true diameter given, the background is taken beside them, and their light
is held against the truth. That `auto` is half of the diameter was chosen on seed 10.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.made_kinds import pairs_of
from pyama_core.demo.crowd_movie import CrowdMovie
from pyama_core.demo.kinds import KINDS, DemoKind
from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters
from pyama_core.processing.segmentation.bright.method import BrightParameters
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

SIDE, FRAMES, EVERY, SEEDS, FACTORS = 510, 9, 4, (3, 4), (1, 2, 3)
Side = int | Literal["auto"]
SIDES: tuple[Side, ...] = (3, 7, 11, 21, 41, "auto")
_LEAST_LIGHT = 0.2  # of the median cell; what a cell hardly shines with has no relative error


@dataclass(frozen=True)
class Made:
    """A frame: its planes, true labels, and the light of each cell in each channel."""

    planes: list[NDArray[np.uint16]]
    labels: NDArray[Any]
    light: dict[tuple[int, int], float]


def frames_of(kind: DemoKind, seed: int, factor: int) -> Iterator[Made]:
    """Yield frames of a demo of cells that are so many times smaller."""
    parameters = DemoParameters(fovs=1, frames=FRAMES, size=SIDE * factor, seed=seed, kind=kind)
    movie = Movie if kind is DemoKind.ADHERENT else CrowdMovie
    for frame in movie(parameters, 0).frames():
        if frame.index % EVERY:
            continue
        planes = []
        for channel, plane in enumerate(frame.planes):
            blocks = plane.astype(float).reshape(SIDE, factor, SIDE, factor)
            is_light = channel in KINDS[kind].measured
            small = blocks.sum((1, 3)) if is_light else blocks.mean((1, 3))
            planes.append(np.rint(np.clip(small, 0, 65_535)).astype(np.uint16))
        light = {
            (who, channel): value
            for who, patch in frame.cells
            for channel, value in patch.signals(frame.time)
        }
        yield Made(planes, frame.labels[factor // 2 :: factor, factor // 2 :: factor], light)


def errors(kind: DemoKind, seed: int, factor: int) -> tuple[float, dict[Side, float]]:
    """Return the diameter, and the median relative error of the light by each side."""
    made = list(frames_of(kind, seed, factor))
    areas = np.concatenate([np.bincount(each.labels.ravel())[1:] for each in made])
    diameter = float(np.sqrt(4 / np.pi * np.median(areas[areas > 0])))
    segmenter = (
        ObjectSegmenter(BrightParameters(cell_diameter=diameter))
        if 0 in KINDS[kind].measured
        else InstanceSegmenter(InstanceParameters(cell_diameter=diameter))
    )
    found = [np.asarray(segmenter.segment(each.planes[0])) for each in made]
    return diameter, {side: _error(kind, made, found, diameter, side) for side in SIDES}


def _error(
    kind: DemoKind, made: list[Made], found: list[NDArray[Any]], diameter: float, side: Side
) -> float:
    """Return the median over cells that the edge does not cut, and all channels of light."""
    parameters = TiledInterpolationParameters(dilation_size=side).for_cells_of(diameter)
    pairs: list[tuple[float, float]] = []
    for each, labels in zip(made, found, strict=True):
        background, true = TiledBackground(labels.shape, parameters), each.labels
        cut = np.unique(np.r_[true[0], true[-1], true[:, 0], true[:, -1]])
        matched = pairs_of(true[None], labels[None])
        for channel in KINDS[kind].measured:
            medians = background.estimate(each.planes[channel], labels)
            assert medians is not None
            corrected = background.correct(each.planes[channel], medians)
            light = np.bincount(labels.ravel(), corrected.ravel())
            for cell, who in zip(matched.cell, matched.who, strict=True):
                if who not in cut:
                    pairs.append((light[cell], each.light[int(who), channel]))
    measured, true_light = np.array(pairs).T
    bright = true_light > _LEAST_LIGHT * np.median(true_light)
    return float(np.median(abs(measured[bright] / true_light[bright] - 1)))


def main() -> None:
    """Print the table: in percent of the light of a cell."""
    named = "".join(f" {side} |" for side in SIDES)
    sys.stdout.write(f"| demo | diameter |{named}\n|{'---|' * (2 + len(SIDES))}\n")
    for kind in DemoKind:
        for factor in FACTORS:
            some = [errors(kind, seed, factor) for seed in SEEDS]
            told = "".join(
                f" {100 * np.mean([off[side] for _, off in some]):.2f} |" for side in SIDES
            )
            diameter = np.mean([each for each, _ in some])
            sys.stdout.write(f"| {kind} | {diameter:.0f} |{told}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
