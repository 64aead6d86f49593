"""Planes out of TIFF files, checked before they are believed."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError, reason_of
from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.regular_files import require_regular

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MAX_OPEN_FILES = 16


class UnreadablePlaneError(Exception):
    """A plane is absent, damaged or not what was announced; says why, not where."""


def open_tiff_file(path: Path) -> TiffFile:
    """Open a TIFF file and make sure that it has a page.

    Raises
    ------
    InputError
        If it is damaged, or not a regular file.
    """
    from tifffile import TiffFile

    try:
        require_regular(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason_of(error)}).") from error
    try:
        tiff = TiffFile(path)
    except Exception as error:  # a damaged header raises nearly anything
        raise damaged(path, error) from error
    try:
        n_pages = len(tiff.pages)
    except Exception as error:
        tiff.close()
        raise damaged(path, error) from error
    if not n_pages:
        tiff.close()
        raise damaged(path, "no image in it")
    return tiff


def damaged(path: Path, why: object) -> InputError:
    """Return the error for a TIFF file that makes no sense."""
    told = str(why) or type(why).__name__
    return InputError(f"{path} is a damaged or cut-off TIFF file ({told}); copy it again.")


class TiffFiles:
    """TIFF files that are opened when needed, a few at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, TiffFile] = OrderedDict()

    def get(self, path: Path) -> TiffFile:
        """Return the open file of `path`, closing the one unused for longest if there are many."""
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        self._open[path] = tiff = open_tiff_file(path)
        if len(self._open) > MAX_OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return tiff

    def __contains__(self, path: object) -> bool:
        return path in self._open

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()


def read_page(
    tiff: TiffFile,
    index: int,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    *,
    offset: int | None = None,
) -> Frame:
    """Decode one page.

    Parameters
    ----------
    tiff : TiffFile
        The open file.
    index : int
        Number of the page in the file.
    shape : (int, int)
        Expected (Y, X).
    dtype : dtype
        Expected pixel type.
    offset : int or None
        Expected first byte of the page, where that is known from elsewhere.

    Returns
    -------
    (Y, X) ndarray
        C-contiguous, native byte order.

    Raises
    ------
    UnreadablePlaneError
        If the page is not the plane expected, lies beyond the end of the file or is damaged.
    """
    page = load_page(tiff, index)
    if offset is not None and page.offset != offset:
        raise UnreadablePlaneError(f"page {index} is not where the index of the file says it is")
    return np.ascontiguousarray(decode_page(page, index, shape, dtype), dtype=dtype)


def decode_page(
    page: TiffPage, index: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Decode all that a page holds, samples included; as `read_page` otherwise."""
    require_page(page, index, shape, dtype)
    check_segments(page.dataoffsets, page.databytecounts, page.parent.filehandle.size)
    try:
        return page.asarray()
    except Exception as error:  # each codec raises its own kind of error for damaged data
        raise UnreadablePlaneError(f"page {index} cannot be decoded ({error})") from error


def require_page(page: TiffPage, index: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise UnreadablePlaneError unless a page has the shape and type expected."""
    found = page.shape, page.dtype
    if found != (shape, dtype):
        raise UnreadablePlaneError(
            f"page {index} is {found[0]} {found[1]}, expected {shape} {dtype}"
        )


def is_reduced(tiff: TiffFile, index: int) -> bool:
    """Tell whether a page is marked as a smaller version of another; no page is not."""
    try:
        return bool(load_page(tiff, index).is_reduced)
    except UnreadablePlaneError:  # becomes an error with its place when it is read
        return False


def load_page(tiff: TiffFile, index: int) -> TiffPage:
    """Return a page with its tags.

    Raises
    ------
    UnreadablePlaneError
        If the file has no such page, or its tags are damaged.
    """
    if index >= len(tiff.pages):
        raise UnreadablePlaneError(f"{tiff.filename} ends before page {index}")
    try:
        return cast("TiffPage", tiff.pages.get(index))
    except Exception as error:  # damaged tags raise nearly anything
        raise UnreadablePlaneError(f"the tags of page {index} are damaged ({error})") from error


def check_segments(offsets: Sequence[int], counts: Sequence[int], file_size: int) -> None:
    """Raise UnreadablePlaneError unless all strips or tiles lie inside the file.

    tifffile gives zeros for a strip that was never written, and pads one that is cut off.
    """
    if not offsets or len(offsets) != len(counts) or not all(offsets) or not all(counts):
        raise UnreadablePlaneError("its pixels were never written")
    if max(map(operator.add, offsets, counts)) > file_size:
        raise UnreadablePlaneError("its pixels lie beyond the end of the file, which is cut off")


def chain_ends(tiff: TiffFile) -> bool:
    """Tell whether the last page says that it is the last; in a cut-off file it does not."""
    place = tiff.pages.next_page_offset
    if place is None:
        return False
    tiff.filehandle.seek(place)
    return not any(tiff.filehandle.read(tiff.tiff.offsetsize))
