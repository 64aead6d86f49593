"""Writers of TIFF flavours of microscopes, as small as their readers allow."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

_UIC1, _UIC2, _LSM_INFO = 33628, 33629, 34412
_LSM_MAGIC = 67127628
_SCAN_TYPE_OF_TIME_SERIES = 6


def write_stk(path: Path, movie: NDArray[np.uint16], times_ms: list[int]) -> None:
    """Write a MetaMorph stack of (T, Y, X): one page, behind whose plane all others follow."""
    n_planes = len(movie)
    uic2 = [n for ms in times_ms for n in (0, 1, 2_459_000, ms, 2_459_000, ms)]
    tags: list[Any] = [
        (_UIC1, 4, 2, (0, 0), True),
        (_UIC2, 5, 3 * n_planes, tuple(uic2), True),
    ]
    tifffile.imwrite(path, movie[0], metadata=None, extratags=tags, software="MetaMorph")
    with tifffile.TiffFile(path) as tiff:
        entry = tiff.pages.first.tags[_UIC2].offset
    data = bytearray(path.read_bytes())
    # Its count is that of the planes, each of which has three times as many numbers.
    struct.pack_into("<I", data, entry + 4, n_planes)
    path.write_bytes(bytes(data) + movie[1:].tobytes())


def write_lsm(path: Path, movie: NDArray[np.uint16]) -> None:
    """Write a ZEISS LSM of (T, C, Y, X): a page of all channels and a thumbnail of each time."""
    n_t, n_c, height, width = movie.shape
    info = np.zeros((), [(n, t) for n, t in tifffile.TIFF.CZ_LSMINFO if n])
    info["MagicNumber"], info["StructureSize"] = _LSM_MAGIC, info.nbytes
    for name, size in (("X", width), ("Y", height), ("Z", 1), ("Channels", n_c), ("Time", n_t)):
        info[f"Dimension{name}"] = size
    info["ScanType"] = _SCAN_TYPE_OF_TIME_SERIES
    tag = (_LSM_INFO, 1, info.nbytes, info.tobytes(), True)
    separate: Any = {"planarconfig": "separate"} if n_c > 1 else {}
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for t, pixels in enumerate(movie):
            page = pixels if n_c > 1 else pixels[0]
            tiff.write(
                page,
                photometric="minisblack",
                metadata=None,
                extratags=[tag] if t == 0 else [],
                **separate,
            )
            small = np.ascontiguousarray(page[..., ::4, ::4])
            tiff.write(small, photometric="minisblack", metadata=None, subfiletype=1, **separate)
