"""Files that hold one plane each."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from pyama_core.io.errors import InputError
from pyama_core.io.frame_source import Frame
from pyama_core.io.regular_files import open_regular, read_regular
from pyama_core.io.tiff_pages import UnreadablePlaneError, open_tiff_file, read_page

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_IHDR = struct.Struct(">II BB")
_GREY = 0

Header = tuple[tuple[int, int], np.dtype[Any]]


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
            return _png_header(file.read(33))
    with _open_tiff(path) as tiff:
        page = tiff.pages.first
        if len(page.shape) != 2 or page.dtype is None:
            raise UnreadablePlaneError("it is a colour (RGB) image, expected one value per pixel")
        for other in tiff.pages[1:]:
            if (2 * other.imagelength > page.imagelength) or 2 * other.imagewidth > page.imagewidth:
                raise UnreadablePlaneError(
                    f"it has {len(tiff.pages)} planes, expected one; open it by itself"
                )
        return (page.imagelength, page.imagewidth), page.dtype.newbyteorder("=")


def read_image(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> Frame:
    """Read an image as pixels of a type that holds its values.

    Parameters
    ----------
    path : Path
        A TIFF or PNG file.
    shape : (int, int)
        Expected (Y, X).
    dtype : dtype
        Pixel type wanted, at least as wide as the file's.

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
        found_shape, found = _png_header(data[:33])
        _check(found_shape, found, shape, dtype)
        return np.ascontiguousarray(_decode_png(data), dtype=dtype)
    with _open_tiff(path) as tiff:
        page = tiff.pages.first
        found = np.dtype(page.dtype)
        _check(page.shape, found, shape, dtype)
        return np.ascontiguousarray(read_page(tiff, 0, shape, found), dtype=dtype)


def _open_tiff(path: Path) -> Any:
    try:
        return open_tiff_file(path)
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise UnreadablePlaneError(str(error)) from error


def _check(
    found_shape: tuple[int, ...], found: np.dtype[Any], shape: tuple[int, int], dtype: np.dtype[Any]
) -> None:
    if found_shape != shape or not np.can_cast(found, dtype, "safe"):
        raise UnreadablePlaneError(
            f"it has the shape {found_shape} and pixels of {found}, expected {shape} and {dtype}"
        )


def _png_header(start: bytes) -> Header:
    if len(start) < 33 or not start.startswith(PNG_SIGNATURE) or start[12:16] != b"IHDR":
        raise UnreadablePlaneError("it is no whole PNG file")
    width, height, bits, colour = _IHDR.unpack_from(start, 16)
    if colour != _GREY:
        raise UnreadablePlaneError(
            "it is a colour or palette image, expected one grey value per pixel"
        )
    return (height, width), np.dtype(np.uint16 if bits == 16 else np.uint8)


def _decode_png(data: bytes) -> Frame:
    import imagecodecs

    try:
        frame: Frame = imagecodecs.png_decode(data)
    except Exception as error:  # the codec has an error type of its own
        raise UnreadablePlaneError(f"it cannot be decoded ({error})") from error
    return frame
