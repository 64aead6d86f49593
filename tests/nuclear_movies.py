"""A movie of cells with nuclei that a test knows, found by the masks of another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movies import write_movie
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

N_FRAMES, SIZE, SIDE = 4, 128, 32
CORNERS = ((12, 12), (12, 72), (72, 12), (72, 72))
"""Cells 1 to 4: with one nucleus, with two, without one, and with one that fills it."""
NUCLEI = (
    np.s_[22:32, 22:32],
    np.s_[14:22, 80:88],
    np.s_[30:38, 80:88],
    np.s_[71:105, 71:105],
    np.s_[112:120, 50:58],
)
"""The last lies in no cell."""
GROUND, IN_CELL, IN_NUCLEUS = 100, 150, 300


@dataclass(frozen=True)
class NuclearMovie:
    """Paths of the movie and of the masks of its cells and nuclei."""

    folder: Path

    @property
    def image(self) -> Path:
        """The movie, of three channels: cells, nuclei, and what is in both."""
        return self.folder / "m.ome.tif"

    def context(
        self, out: Path, *, nuclei: int | None = 1, fl: tuple[int, ...] = (2,), **params: Any
    ) -> ProcessingContext:
        """Return a request for compartments, unless the parameters say otherwise."""
        sections: dict[str, dict[str, Any]] = {
            "segmentation": self.section("cells"),
            "nuclei": self.section("nuclei"),
            "tracking": {"method": "iou"},
            "extraction": {"features": ["intensity", "compartments"]},
        }
        chosen = {step: sections.get(step, {}) | params.get(step, {}) for step in sections | params}
        return ProcessingContext(
            out, Channels(segment=0, fl=list(fl), nuclei=nuclei), params=chosen
        )

    def section(self, what: str) -> dict[str, Any]:
        """Return the parameters by which masks are read."""
        return {"method": "files", "path": str(self.folder / f"{what}.npy"), "content": "labels"}


def squares_of_cells() -> NDArray[np.uint16]:
    """Return the label image of the cells."""
    labels = np.zeros((SIZE, SIZE), np.uint16)
    for label, (y, x) in enumerate(CORNERS, 1):
        labels[y : y + SIDE, x : x + SIDE] = label
    return labels


def squares_of_nuclei() -> NDArray[np.uint16]:
    """Return the label image of the nuclei, with numbers of their own."""
    labels = np.zeros((SIZE, SIZE), np.uint16)
    for label, place in enumerate(NUCLEI, 11):
        labels[place] = label
    return labels


def write_nuclear_movie(folder: Path) -> NuclearMovie:
    """Write the movie, and the masks beside it."""
    cells, nuclei = squares_of_cells(), squares_of_nuclei()
    frame = np.full((3, SIZE, SIZE), GROUND, np.uint16)
    frame[0][cells > 0] = IN_CELL
    frame[1][nuclei > 0] = IN_NUCLEUS
    frame[2][cells > 0] = IN_CELL
    frame[2][(cells > 0) & (nuclei > 0)] = IN_NUCLEUS
    write_movie(folder / "m.ome.tif", [np.stack([frame] * N_FRAMES)], ["Cell", "H2B", "KTR"], 5.0)
    np.save(folder / "cells.npy", np.stack([cells] * N_FRAMES))
    np.save(folder / "nuclei.npy", np.stack([nuclei] * N_FRAMES))
    return NuclearMovie(folder)
