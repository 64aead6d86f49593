"""The parts of a CZI file that pylibCZIrw does not give: which planes exist, and their times.

A CZI file (ZEISS, "ZISRAW" 1.2) is a row of segments. The directory lists the subblocks, each the
pixels of one tile of one plane; each may have metadata of its own with the time it was taken. An
attachment ``TimeStamps`` may have one time per frame.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyama_core.io.regular_files import open_regular

_SEGMENT = struct.Struct("<16sqq")
_FILE_HEADER = struct.Struct("<iiii16s16siqqiq")
_ENTRY = struct.Struct("<2siqiiBB4si")
_DIMENSION = struct.Struct("<4siifi")
_ATTACHMENT = struct.Struct("<2s10sqi16s8s80s")
_SUBBLOCK = struct.Struct("<iiq")
_COUNT = struct.Struct("<i")
_DIRECTORY_HEAD = 128
_ATTACHMENT_DIRECTORY_HEAD = 256
_ATTACHMENT_HEAD = 256
_SUBBLOCK_HEAD = 256
_TIME = re.compile(rb"<AcquisitionTime>\s*([^<]+?)\s*</AcquisitionTime>")
_FRACTION = re.compile(r"\.(\d+)")


class CziError(ValueError):
    """The file is damaged or cut off; says why."""


@dataclass(frozen=True, slots=True)
class Subblock:
    """One tile of one plane, as the directory names it.

    Attributes
    ----------
    start, size : dict of str to int
        First index and extent along each dimension, such as C, T, Z, S (scene), M (tile), X, Y.
    pixel_type : int
        Number of the pixel type.
    offset : int
        Where its segment begins.
    is_pyramid : bool
        Whether it is a smaller version of others.
    """

    start: dict[str, int]
    size: dict[str, int]
    pixel_type: int
    offset: int
    is_pyramid: bool


class CziSegments:
    """Directory, attachments and times of one open CZI file.

    Parameters
    ----------
    path : Path
        The file; it stays open until `close`.

    Raises
    ------
    CziError
        If the directory is not where the file says.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_regular(path)
        try:
            self._size = self._file.seek(0, 2)
            header = self._read_struct(_SEGMENT.size, _FILE_HEADER)
            directory, attachments = int(header[7]), int(header[10])
            self.subblocks = list(self._read_directory(directory))
            self._attachments = dict(self._read_attachments(attachments))
        except BaseException:
            self._file.close()
            raise

    def time_stamps(self) -> list[float]:
        """Return the seconds of each frame of the whole file; empty without that attachment."""
        offset = self._attachments.get("TimeStamps")
        if offset is None:
            return []
        start = offset + _SEGMENT.size + _ATTACHMENT_HEAD
        size, count = struct.unpack("<ii", self._read(start, 8))
        if not 0 <= count <= (size - 8) // 8:
            return []
        return [float(t) for t in np.frombuffer(self._read(start + 8, 8 * count), "<f8")]

    def acquisition_time(self, subblock: Subblock) -> float | None:
        """Return when a tile was taken, in seconds of the calendar; None if it does not say."""
        start = subblock.offset + _SEGMENT.size
        metadata_size, _, _ = self._read_struct(start, _SUBBLOCK)
        if metadata_size <= 0:
            return None
        entry = _ENTRY.unpack(self._read(start + _SUBBLOCK.size, _ENTRY.size))
        head = max(_SUBBLOCK_HEAD, _SUBBLOCK.size + _ENTRY.size + entry[-1] * _DIMENSION.size)
        match = _TIME.search(self._read(start + head, metadata_size))
        return None if match is None else _seconds(match[1].decode("ascii", "replace"))

    def read_whole(self, subblock: Subblock) -> bytes:
        """Return all bytes of the segment of a tile, as they are stored."""
        _, allocated, used = self._read_struct(subblock.offset, _SEGMENT)
        return self._read(subblock.offset + _SEGMENT.size, used or allocated)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_directory(self, offset: int) -> Iterator[Subblock]:
        data = self._segment(offset, b"ZISRAWDIRECTORY")
        (count,) = _COUNT.unpack_from(data)
        at = _DIRECTORY_HEAD
        for _ in range(count):
            if at + _ENTRY.size > len(data):
                raise CziError("its directory is cut off")
            _, kind, position, _, _, pyramid, _, _, n = _ENTRY.unpack_from(data, at)
            at += _ENTRY.size
            if not 0 <= n <= 40 or at + n * _DIMENSION.size > len(data):
                raise CziError("its directory is damaged")
            start, size, reduced = {}, {}, bool(pyramid)
            for _ in range(n):
                raw, begin, extent, _, stored = _DIMENSION.unpack_from(data, at)
                name = raw.rstrip(b"\0").decode("ascii", "replace")
                start[name], size[name] = begin, extent
                reduced |= name in "XY" and stored not in (0, extent)
                at += _DIMENSION.size
            if not {"X", "Y"} <= size.keys():
                raise CziError("its directory names a tile without height or width")
            yield Subblock(start, size, kind, position, reduced)

    def _read_attachments(self, offset: int) -> Iterator[tuple[str, int]]:
        if offset <= 0:
            return
        data = self._segment(offset, b"ZISRAWATTDIR")
        (count,) = _COUNT.unpack_from(data)
        room = (len(data) - _ATTACHMENT_DIRECTORY_HEAD) // _ATTACHMENT.size
        for index in range(min(max(count, 0), room)):
            at = _ATTACHMENT_DIRECTORY_HEAD + index * _ATTACHMENT.size
            _, _, position, _, _, _, name = _ATTACHMENT.unpack_from(data, at)
            yield name.split(b"\0")[0].decode("utf-8", "replace"), position

    def _segment(self, offset: int, name: bytes) -> bytes:
        found, allocated, used = self._read_struct(offset, _SEGMENT)
        size = used or allocated
        if found != name.ljust(16, b"\0") or size < _COUNT.size:
            raise CziError(f"byte {offset} begins something else than {name.decode()}")
        return self._read(offset + _SEGMENT.size, size)

    def _read_struct(self, offset: int, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self._read(offset, layout.size))

    def _read(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self._size:
            raise CziError(f"byte {offset} and what follows lie beyond its end")
        self._file.seek(offset)
        return self._file.read(size)


def _seconds(text: str) -> float | None:
    """Read a date such as ``2019-06-27T12:32:37.2812342Z``; Python takes six digits at most."""
    plain = _FRACTION.sub(lambda match: "." + match[1][:6].ljust(6, "0"), text)
    try:
        moment = dt.datetime.fromisoformat(plain)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def planes_of(subblocks: Sequence[Subblock]) -> dict[tuple[int, int, int, int], list[Subblock]]:
    """Group subblocks of full resolution by (scene, time, channel, z)."""
    planes: dict[tuple[int, int, int, int], list[Subblock]] = {}
    for block in subblocks:
        if not block.is_pyramid:
            at = tuple(block.start.get(axis, 0) for axis in "STCZ")
            planes.setdefault(at, []).append(block)  # type: ignore[arg-type]
    return planes
