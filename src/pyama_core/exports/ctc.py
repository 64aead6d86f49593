"""Results in the form of the Cell Tracking Challenge: masks of 16 bits and a table of tracks.

A track there is seen in every frame from its first to its last. A cell that is not seen in some
frames in between is several tracks, each the parent of the next: the first has the number of the
cell, the others numbers above those of all cells. ``cells.csv`` tells which track is which cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.exports.labels import LabelImages, with_labels
from pyama_core.exports.options import Options
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import tell_missing
from pyama_core.results.selection import Selection

_LARGEST = (1 << 16) - 1


@dataclass
class Track:
    """A cell in frames without a gap.

    Attributes
    ----------
    label : int
        Its number in the masks.
    cell : int
        The cell.
    first, last : int
        Frames.
    parent : int
        Label of the track that it comes from; 0 for none.
    """

    label: int
    cell: int
    first: int
    last: int
    parent: int = 0


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Fill a folder with a folder of masks and tracks per FOV, ``00_RES`` and so on."""
    del options
    selection = with_labels(selection)
    tell_missing(selection)
    each = [LabelImages.of(selection, fov) for fov in selection.fovs]
    steps.expect(sum(images.shape[0] for images in each))
    for images in each:
        folder = path / f"{images.fov.number:02d}_RES"
        folder.mkdir()
        _write_fov(selection, images, folder, steps)


def _write_fov(selection: Selection, images: LabelImages, folder: Path, steps: Steps) -> None:
    import tifffile

    cells = selection.read(images.fov, ()).cells
    every = images.fov.read_tables(()).cells["cell"].tolist()
    tracks = Tracks(every, images.fov.title)
    n_digits = max(3, len(str(images.shape[0] - 1)))
    for t, labels in enumerate(images.frames()):
        mask = tracks.follow(t, labels)
        tifffile.imwrite(
            folder / f"mask{t:0{n_digits}d}.tif",
            mask,
            photometric="minisblack",
            compression="zlib",
            metadata=None,
            software=False,
        )
        steps.done(f"FOV {images.fov.number}: frame {t}")
    parents = cells.set_index("cell")["parent"].dropna()
    found = tracks.linked({int(str(cell)): int(parent) for cell, parent in parents.items()})
    rows = (f"{each.label} {each.first} {each.last} {each.parent}\n" for each in found)
    (folder / "res_track.txt").write_text("".join(rows), "utf-8", newline="\n")
    numbers = (f"{each.label},{each.cell},{each.first},{each.last}\n" for each in found)
    text = "".join(["track,cell,first_frame,last_frame\n", *numbers])
    (folder / "cells.csv").write_text(text, "utf-8", newline="\n")


class Tracks:
    """Follows the cells of a field of view from frame to frame.

    Parameters
    ----------
    cells : iterable of int
        Numbers of all cells, which tracks after a gap must not have.
    where : str
        The field of view, for messages.
    """

    def __init__(self, cells: Iterable[int], where: str) -> None:
        self._where = where
        self._next = max(cells, default=0) + 1
        self._of_cells: dict[int, list[Track]] = {}

    def follow(self, t: int, labels: NDArray[Any]) -> NDArray[np.uint16]:
        """Return the mask of the next frame.

        Parameters
        ----------
        t : int
            The frame, from 0.
        labels : (Y, X) integer array
            Its label image.

        Raises
        ------
        InputError
            A number does not fit into 16 bits.
        """
        there = np.unique(labels)
        numbers = np.array([self._track(t, cell) if cell else 0 for cell in there.tolist()])
        if numbers.max(initial=0) > _LARGEST:
            raise InputError(
                f"{self._where}: masks of the Cell Tracking Challenge hold numbers up to "
                f"{_LARGEST}, and frame {t} has the track {numbers.max()}; export geff"
            )
        return numbers.astype(np.uint16)[np.searchsorted(there, labels)]

    def _track(self, t: int, cell: int) -> int:
        """Return the label of the track that a cell is on."""
        tracks = self._of_cells.setdefault(cell, [])
        if not tracks:
            tracks.append(Track(cell, cell, t, t))
        elif tracks[-1].last < t - 1:
            tracks.append(Track(self._next, cell, t, t, parent=tracks[-1].label))
            self._next += 1
        tracks[-1].last = t
        return tracks[-1].label

    def linked(self, parents: dict[int, int]) -> list[Track]:
        """Return all tracks by label, with the parents of cells that come from a division.

        Parameters
        ----------
        parents : dict of int to int
            Parents of cells; those that are not in the masks are left out.
        """
        for cell, parent in parents.items():
            if cell in self._of_cells and parent in self._of_cells:
                last = self._of_cells[parent][-1]
                if last.last < self._of_cells[cell][0].first:
                    self._of_cells[cell][0].parent = last.label
        every = (track for tracks in self._of_cells.values() for track in tracks)
        return sorted(every, key=lambda track: track.label)
