"""The truth about a demo, for end-to-end tests: what there was, and which of it was found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Truth:
    """What `write_demo` says about its images; `labels` has a (T, Y, X) stack per FOV."""

    labels: list[NDArray[np.uint16]]
    tracks: pd.DataFrame
    intensities: pd.DataFrame
    about: dict[str, Any]

    def undisturbed_cells(self, fov: int) -> list[int]:
        """Cells that are there from first to last frame: neither born, divided, nor leaving."""
        frames = self.about["parameters"]["frames"]
        tracks = self.tracks[self.tracks.fov == fov]
        whole = (tracks.first_frame == 0) & (tracks.last_frame == frames - 1)
        return [int(cell) for cell in tracks.cell[whole]]

    def intensity(self, fov: int, cell: int, channel: int) -> pd.Series:
        """True total intensity of one cell by frame."""
        table = self.intensities
        rows = (table.fov == fov) & (table.cell == cell) & (table.channel == channel)
        return table[rows].set_index("frame").intensity_total


def load_truth(folder: Path) -> Truth:
    """Load the truth of a demo; `parent` is NA where a cell has none."""
    truth = folder / "truth"
    return Truth(
        labels=[np.load(path) for path in sorted(truth.glob("labels_fov_*.npy"))],
        tracks=pd.read_csv(truth / "tracks.csv", dtype={"parent": "Int64"}),
        intensities=pd.read_csv(truth / "intensities.csv"),
        about=json.loads((truth / "demo.json").read_text(encoding="utf-8")),
    )


def inner_cells(labels: NDArray[Any], margin: int = 10) -> list[int]:
    """Ids of the cells of one frame that lie wholly at least `margin` pixels from its edge."""
    inner = labels[margin:-margin, margin:-margin]
    outer = np.concatenate(
        [
            labels[:margin].ravel(),
            labels[-margin:].ravel(),
            labels[:, :margin].ravel(),
            labels[:, -margin:].ravel(),
        ]
    )
    return sorted((set(np.unique(inner).tolist()) - set(np.unique(outer).tolist())) - {0})


def found_cells(
    true: NDArray[Any], found: NDArray[Any], least_iou: float = 0.5
) -> dict[int, tuple[int, float]]:
    """Map each true label of a frame to the found label that overlaps it, and their IoU.

    With an IoU above one half there can be only one.
    """
    matches = {}
    for cell in np.unique(true[true > 0]).tolist():
        mask = true == cell
        for label in np.unique(found[mask]).tolist():
            other = found == label
            iou = (mask & other).sum() / (mask | other).sum()
            if label and iou > least_iou:
                matches[cell] = (label, float(iou))
    return matches
