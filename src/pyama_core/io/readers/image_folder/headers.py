"""What the images of a folder are expected to be: size and pixel type.

A few images are looked at when a folder is opened, as few as do, because there may be a hundred
thousand; each image is compared with what was found when it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.image_folder.grid import ImageGrid
from pyama_core.io.readers.image_folder.single_image import Header, SeveralPlanesError, read_header
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError
from pyama_core.io.retrying import passing_failure

# How many images decide, how many are tried in place of one that cannot be read, and up to how
# many positions each is looked at as closely as that.
_LOOKED_AT, _TRIED, _FEW = 3, 8, 50


@dataclass(frozen=True)
class ExpectedImages:
    """What each image has to be.

    Attributes
    ----------
    sizes : tuple of (int, int)
        (Y, X) of each field of view.
    types : tuple of tuple of dtype
        Pixel type of each field of view and channel.
    common : dtype
        Pixel type that holds all of them.
    channel_types : tuple of dtype
        Pixel type that each channel has in most fields of view.
    """

    sizes: tuple[tuple[int, int], ...]
    types: tuple[tuple[np.dtype[Any], ...], ...]
    common: np.dtype[Any]
    channel_types: tuple[np.dtype[Any], ...]


class _Headers:
    """Headers of images, each read once."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = names
        self._known: dict[int, Header | None] = {}
        self.why = f"{folder} changed while it was read; try again."

    def usual(self, files: npt.NDArray[np.int64], count: int) -> Header | None:
        """Return what most of some images are, looked at in the beginning, middle and end."""
        there = files[files >= 0]
        anchors = np.linspace(0, len(there) - 1, min(count, len(there))).astype(int)
        found = [self._first_readable(there[anchor:]) for anchor in anchors]
        # Of several equally frequent ones the first.
        counts = Counter(header for header in found if header is not None)
        return max(counts, key=counts.__getitem__, default=None)

    def _first_readable(self, files: npt.NDArray[np.int64]) -> Header | None:
        for index in files[:_TRIED].tolist():
            if index not in self._known:
                self._known[index] = self._read(index)
            if (header := self._known[index]) is not None:
                return header
        return None

    def _read(self, index: int) -> Header | None:
        path = self._folder / self._names[index]
        try:
            return read_header(path)
        except (UnreadablePlaneError, OSError) as error:
            why = getattr(error, "strerror", None) or error
            if passing_failure(error) is not None:
                raise InputError(f"{path} cannot be read ({why}).") from error
            if not self._known:
                stack = isinstance(error, SeveralPlanesError)
                hint = "; if it is a stack, give it by itself in place of the folder" * stack
                self.why = f"{path} cannot be read as one plane: {why}{hint}."
        return None


def expected_images(folder: Path, grid: ImageGrid) -> ExpectedImages:
    """Look at a few images.

    Raises
    ------
    InputError
        If none that was looked at can be read.
    """
    headers = _Headers(folder, grid.names)
    n_fovs, _, n_channels, _ = grid.files.shape
    of_channel = [headers.usual(grid.files[:, :, c], _LOOKED_AT) for c in range(n_channels)]
    count = _LOOKED_AT if n_fovs <= _FEW else 1
    of_fov = [headers.usual(files, count) for files in grid.files]
    known = [header for header in (*of_fov, *of_channel) if header is not None]
    if not known:
        raise InputError(headers.why)
    most_common = Counter(known).most_common(1)[0][0]
    channel_types = tuple((header or most_common)[1] for header in of_channel)
    sizes, types = [], []
    for files, header in zip(grid.files, of_fov, strict=True):
        if header is not None and (header[0], header[1]) != most_common and count == 1:
            header = headers.usual(files, _LOOKED_AT)
        sizes.append((header or most_common)[0])
        types.append(tuple(_types_of(files, header, channel_types, headers)))
    common = np.result_type(*channel_types, *(dtype for row in types for dtype in row))
    return ExpectedImages(tuple(sizes), tuple(types), common, channel_types)


def _types_of(
    files: npt.NDArray[np.int64],
    header: Header | None,
    channel_types: Sequence[np.dtype[Any]],
    headers: _Headers,
) -> Iterator[np.dtype[Any]]:
    """Return the pixel type of each channel of a field of view.

    Unless its images are of a type that no channel has, they are what those of others are.
    """
    for channel, dtype in enumerate(channel_types):
        if header is None or header[1] in channel_types:
            yield dtype
        else:
            own = headers.usual(files[:, channel], _LOOKED_AT)
            yield dtype if own is None else own[1]
