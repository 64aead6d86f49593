"""Files that a field of view has apart from others: they tell it, whatever happens to the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyama_core.io.checksums import name_checksum, new_hasher


@dataclass(frozen=True)
class OwnFiles:
    """What the planes of a field of view are read from, and where in it they are.

    Attributes
    ----------
    files : tuple of Path
        All files that hold them, or say where they are and what.
    layout : str
        Checksum of how the planes lie in the files. Where files and layout are the same, so are
        the pixels.
    """

    files: tuple[Path, ...]
    layout: str


def own_files_of(
    path_of: Callable[[int], Path | None],
    owner: npt.NDArray[np.int64],
    *places: npt.NDArray[np.generic],
    further: object = None,
) -> OwnFiles:
    """Return the files of a field of view by what a reader knows of its planes.

    Parameters
    ----------
    path_of : callable
        Returns the path of a file of the data set by its number; None if it is not there.
    owner : int64 ndarray
        Number of the file that each plane is in, −1 for none.
    places : ndarrays
        Where in its file each plane is.
    further : object
        What else decides on what is read, as its `repr` tells.
    """
    used, which = np.unique(owner, return_inverse=True)
    found = [path_of(index) if index >= 0 else None for index in used.tolist()]
    # By name, for the order of the data set may depend on the file by which it was opened.
    in_order = sorted(range(len(found)), key=lambda at: path.name if (path := found[at]) else "")
    layout = new_hasher()
    layout.update(f"{owner.shape} {[found[at] is None for at in in_order]} {further!r}".encode())
    for place in (np.argsort(in_order)[which.reshape(owner.shape)], *places):
        layout.update(np.ascontiguousarray(place).tobytes())
    files = tuple(path for at in in_order if (path := found[at]) is not None)
    return OwnFiles(files, name_checksum(layout))
