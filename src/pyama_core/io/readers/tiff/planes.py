"""All planes of one TIFF file in a row, whatever it says that their dimensions are."""

from __future__ import annotations

from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.closing import Closes
from pyama_core.io.readers.frame_source import Frame, ReadOptions
from pyama_core.io.readers.ome_tiff.stack import find_ome_stack
from pyama_core.io.readers.tiff.pages import TiffFiles
from pyama_core.io.readers.tiff.series import FoundStack, find_stack
from pyama_core.io.readers.tiff.stack_axes import samples_in_words


class TiffPlanes(Closes):
    """Planes in the order of the file, for those that are frames of something else.

    Parameters
    ----------
    path : Path
        A TIFF file; it stays open until `close`.

    Attributes
    ----------
    n_planes : int
        How many there are.

    Raises
    ------
    InputError
        If it cannot be read, its pages are not alike, or each pixel has colours.
    """

    def __init__(self, path: Path) -> None:
        self._files = TiffFiles()
        try:
            found = _find(path, self._files)
        except BaseException:
            self._files.close()
            raise
        self.n_planes = found.told.n_planes
        self._stack = found.stack

    def read(self, index: int) -> Frame:
        """Read one plane.

        Returns
        -------
        (Y, X) ndarray
            C-contiguous, native byte order.

        Raises
        ------
        UnreadablePlaneError
            If it is not in the file or damaged.
        """
        return self._stack.read(index)

    def close(self) -> None:
        """Close the file."""
        self._files.close()


def _find(path: Path, files: TiffFiles) -> FoundStack:
    tiff = files.get(path)
    if tiff.is_ome:
        found = find_ome_stack(path, tiff, ReadOptions(axes="TYX"), files)
    else:
        found = find_stack(path, tiff, as_one=True)
    if found.told.samples_last:
        raise InputError(f"{path} {samples_in_words(found.told)}")
    return found
