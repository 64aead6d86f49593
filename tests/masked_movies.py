"""Movies whose cells a test places: the masks of another program say where they are, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from movies import metadata_of, rough_squares, write_movie
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

N_FRAMES = 12
SIZE = 160
SIDE = 16


@dataclass(frozen=True)
class Square:
    """A cell that stands still: its upper left corner, and when it is there."""

    y: int
    x: int
    frames: Sequence[int] = range(N_FRAMES)
    side: int = SIDE


class MaskedMovie:
    """A movie of one FOV, whose squares are the cells of a run; runs go into one folder.

    Parameters
    ----------
    folder : Path
        Where to write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output_dir = folder / "out"
        corners = [(y, x) for y in range(20, 140, 40) for x in range(20, 140, 40)]
        pixels = rough_squares(N_FRAMES, SIZE, corners, side=SIDE)
        # What is bright grows from frame to frame, so that no two rows are the same.
        pixels[:, 1] += np.arange(N_FRAMES, dtype=np.uint16)[:, None, None] * (pixels[:, 1] > 100)
        self.image = write_movie(folder / "movie.ome.tif", [pixels], ["Phase", "GFP"], 5.0)

    def run(self, *squares: Square, fl: Sequence[int] = (1,), **params: Any) -> Path:
        """Run it with cells of its own, numbered by the first frame, then by place."""
        masks = np.zeros((N_FRAMES, SIZE, SIZE), np.uint16)
        for label, square in enumerate(squares, start=1):
            rows, columns = (slice(start, start + square.side) for start in (square.y, square.x))
            masks[list(square.frames), rows, columns] = label
        np.save(self.folder / "masks.npy", masks)
        segmentation = {
            "method": "files",
            "path": str(self.folder / "masks.npy"),
            "content": "labels",
        }
        context = ProcessingContext(
            output_dir=self.output_dir,
            channels=Channels(pc=0, fl=list(fl)),
            params={"segmentation": segmentation, "tracking": {"method": "iou"}, **params},
        )
        assert run_workflow(metadata_of(self.image), context, n_workers=1).ok
        return self.output_dir
