"""The files of an NDTiff data set: its folder, its index, and pixels by their place."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Literal

import numpy as np

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError
from pyama_core.io.regular_files import open_unbuffered

_Order = Literal["<", ">"]

INDEX_NAME = "NDTiff.index"
FULL_RESOLUTION = "Full resolution"

_MAGIC, _SUMMARY = 483729, 2355492
_ORDERS: Mapping[bytes, _Order] = {b"II": "<", b"MM": ">"}
_HEAD_BYTES = 28
_MAX_SUMMARY = 64 << 20
_MAX_OPEN_FILES = 16


def is_ndtiff_folder(path: Path) -> bool:
    """Tell whether a folder is an NDTiff data set."""
    return any((path / name).is_file() for name in (INDEX_NAME, f"{FULL_RESOLUTION}/{INDEX_NAME}"))


def is_ndtiff_file(path: Path) -> bool:
    """Tell whether a TIFF file was written as part of an NDTiff data set (versions 2 and 3)."""
    try:
        with open_unbuffered(path) as file:
            return _order_of(file.read(12)) is not None
    except OSError:
        return False  # which opening it will say


def has_index(path: Path) -> bool:
    """Tell whether a file has an index of a data set beside it."""
    return (path.parent / INDEX_NAME).is_file()


def find_index(path: Path) -> Path:
    """Return the index of a data set that is named by its folder, its index or one of its files.

    Raises
    ------
    InputError
        If it is not there, or the file holds a smaller version of the images.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir() and not (folder / INDEX_NAME).is_file():
        folder = folder / FULL_RESOLUTION
    if folder.name.startswith("Downsampled_") and (folder.parent / FULL_RESOLUTION).is_dir():
        raise InputError(
            f"{path} holds images of a lower resolution; open {folder.parent}, which has all of "
            "them in full."
        )
    index = folder / INDEX_NAME
    if not index.is_file():
        raise InputError(
            f"{path} is part of an NDTiff data set, but {INDEX_NAME} is not beside it; copy the "
            'whole folder, or read this file alone as a plain stack, with axes such as "TCYX" '
            "(command line: --axes TCYX)."
        )
    return index


def data_set_name(index: Path) -> str:
    """Return the name of the folder of a data set."""
    folder = index.parent
    return (folder.parent if folder.name == FULL_RESOLUTION else folder).resolve().name


def _order_of(head: bytes) -> _Order | None:
    """Return the byte order of a file from its first bytes, None if it is of another kind."""
    order = _ORDERS.get(head[:2])
    if order is None or len(head) < 12 or struct.unpack_from(f"{order}I", head, 8)[0] != _MAGIC:
        return None
    return order


class NdTiffFiles:
    """Files that are opened when needed, a few at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, tuple[FileIO, _Order]] = OrderedDict()

    def summary(self, path: Path) -> bytes:
        """Return what a file says of the acquisition, as JSON; empty if it says nothing.

        Raises
        ------
        OSError, UnreadablePlaneError
            It cannot be read, or is of another kind.
        """
        file, order = self._get(path)
        file.seek(0)
        numbers = struct.unpack(f"{order}7I", file.read(_HEAD_BYTES).ljust(_HEAD_BYTES, b"\0"))
        # Version 2 has no minor version, which in version 3 stands before the summary.
        for place in (5, 4):
            if numbers[place] == _SUMMARY:
                file.seek(4 * (place + 2))
                return file.read(min(numbers[place + 1], _MAX_SUMMARY))
        return b""

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Return some bytes of a file, fewer at its end; errors as `summary`."""
        file, _ = self._get(path)
        file.seek(offset)
        return file.read(size)

    def read_pixels(
        self, path: Path, offset: int, shape: tuple[int, int], dtype: np.dtype[np.generic]
    ) -> Frame:
        """Return the pixels at a place of a file, in native byte order; errors as `summary`."""
        file, order = self._get(path)
        pixels = np.empty(shape, dtype.newbyteorder(order))
        left = pixels.reshape(-1).view(np.uint8).data
        file.seek(offset)
        while left and (n_read := file.readinto(left)):
            left = left[n_read:]
        if left:
            raise UnreadablePlaneError(f"{path.name} ends before its pixels do; it is cut off")
        return pixels if pixels.dtype.isnative else pixels.astype(dtype)

    def _get(self, path: Path) -> tuple[FileIO, _Order]:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        file = open_unbuffered(path)
        try:
            order = _order_of(file.read(12))
        except BaseException:
            file.close()
            raise
        if order is None:
            file.close()
            raise UnreadablePlaneError(f"{path.name} does not begin as a file of NDTiff does")
        self._open[path] = file, order
        if len(self._open) > _MAX_OPEN_FILES:
            self._open.popitem(last=False)[1][0].close()
        return self._open[path]

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1][0].close()
