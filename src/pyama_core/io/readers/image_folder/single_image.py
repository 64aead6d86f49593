"""Files that hold one plane each."""

from __future__ import annotations

import itertools
import math
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError, open_tiff_file, read_page
from pyama_core.io.regular_files import open_regular, read_regular

if TYPE_CHECKING:
    from tifffile import TiffFile

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_IHDR = struct.Struct(">II BB")
_CHUNK = struct.Struct(">I4s")
_PNG_START = 4096
_GREY = 0
_IMAGEJ_PLANES = re.compile(r"^images=(\d{1,9})\s*$", re.MULTILINE)
_SHAPED = re.compile(r'\{"shape": \[([\d, ]+)\]')

Header = tuple[tuple[int, int], np.dtype[Any]]


class SeveralPlanesError(UnreadablePlaneError):
    """A file that should hold one plane holds several."""

    def __init__(self, count: int) -> None:
        super().__init__(f"it has {count} planes, expected one")


def read_header(path: Path) -> Header:
    """Return (Y, X) and pixel type of an image without decoding it.

    Raises
    ------
    UnreadablePlaneError
        If it is damaged, in colour, or holds several planes.
    OSError
        If it cannot be read.
    """
    if path.suffix.lower() == ".png":
        with open_regular(path) as file:
            return _png_header(file.read(_PNG_START))
    with _open_tiff(path) as tiff:
        return _tiff_header(tiff)


def read_image(path: Path, expected: Header, dtype: np.dtype[Any]) -> Frame:
    """Read an image as pixels of a type that holds its values.

    Parameters
    ----------
    path : Path
        A TIFF or PNG file.
    expected : ((int, int), dtype)
        (Y, X) and pixel type that the image has to have.
    dtype : dtype
        Pixel type wanted, at least as wide as that.

    Returns
    -------
    (Y, X) ndarray
        C-contiguous, native byte order.

    Raises
    ------
    UnreadablePlaneError
        If it is damaged or not the image expected.
    OSError
        If it cannot be read.
    """
    if path.suffix.lower() == ".png":
        data = read_regular(path)
        _check(_png_header(data), expected)
        frame = _decode_png(data)
    else:
        with _open_tiff(path) as tiff:
            _check(_tiff_header(tiff), expected)
            frame = read_page(tiff, 0, *expected)
    if (frame.shape, frame.dtype) != expected:
        raise UnreadablePlaneError(f"it was decoded as {frame.shape} pixels of {frame.dtype}")
    return np.ascontiguousarray(frame, dtype=dtype)


def _open_tiff(path: Path) -> TiffFile:
    try:
        return open_tiff_file(path)
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        why = str(error).removeprefix(f"{path} ").removesuffix("; copy it again.")
        raise UnreadablePlaneError(f"it {why}") from error


def _check(found: Header, expected: Header) -> None:
    if found != expected:
        raise UnreadablePlaneError(
            f"it has the shape {found[0]} and pixels of {found[1]}, expected {expected[0]} and "
            f"{expected[1]} as in others of its FOV and channel"
        )


def _tiff_header(tiff: TiffFile) -> Header:
    """Return size and pixel type of the only plane of a TIFF file."""
    try:
        pages: Any = tiff.pages
        page = pages.first
        # Pages that are much smaller are thumbnails.
        others = sum(
            2 * other.imagelength > page.imagelength or 2 * other.imagewidth > page.imagewidth
            for other in itertools.islice(pages, 1, None)
        )
        n_samples, shape = page.samplesperpixel, page.shape
        n_planes = max(1 + others, page.imagedepth, _announced_values(page) // max(page.size, 1))
        dtype = None if page.dtype is None else page.dtype.newbyteorder("=")
    except Exception as error:  # damaged tags raise nearly anything
        raise UnreadablePlaneError(f"its tags are damaged ({error})") from error
    if n_planes > 1:
        raise SeveralPlanesError(n_planes)
    if n_samples > 1:
        raise UnreadablePlaneError(
            f"it has {n_samples} values per pixel (a colour image, or planes stored as colours), "
            "expected one"
        )
    if dtype is None or len(shape) != 2:
        raise UnreadablePlaneError(f"it has a pixel type or shape {shape} that is not supported")
    return shape, dtype


def _announced_values(page: Any) -> int:
    """Return how many values ImageJ or tifffile say that a file has; 0 if they say nothing.

    Both can write many planes behind a single page.
    """
    description = page.description
    if description.startswith("ImageJ="):
        match = _IMAGEJ_PLANES.search(description)
        return 0 if match is None else int(match[1]) * int(page.size)
    if match := _SHAPED.match(description):
        return math.prod(int(size) for size in match[1].split(","))
    return 0


def _png_header(start: bytes) -> Header:
    if len(start) < 33 or not start.startswith(PNG_SIGNATURE) or start[12:16] != b"IHDR":
        raise UnreadablePlaneError("it is no whole PNG file")
    width, height, bits, colour = _IHDR.unpack_from(start, 16)
    if colour != _GREY:
        raise UnreadablePlaneError(
            "it is a colour or palette image, expected one grey value per pixel"
        )
    if (n_planes := _png_planes(start)) > 1:
        raise SeveralPlanesError(n_planes)
    return (height, width), np.dtype(np.uint16 if bits == 16 else np.uint8)


def _png_planes(start: bytes) -> int:
    """Return how many pictures an animated PNG says to have, before the first of them."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(start):
        length, kind = _CHUNK.unpack_from(start, at)
        if kind == b"acTL":
            return int.from_bytes(start[at + 8 : at + 12])
        if kind == b"IDAT":
            break
        at += 12 + length
    return 1


def _decode_png(data: bytes) -> Frame:
    import imagecodecs

    try:
        frame: Frame = imagecodecs.png_decode(data)
    except Exception as error:  # the codec has an error type of its own
        raise UnreadablePlaneError(f"it cannot be decoded ({error})") from error
    # A value that is marked as transparent adds a plane of opacity.
    return frame[..., 0] if frame.ndim == 3 and frame.shape[2] == 2 else frame
