"""The chunks that an ND2 file is made of.

A modern ND2 file is a row of chunks, each with a header, a padded name and data, and ends with a
map from names to offsets. The nd2 package reads the metadata in them; frames are fetched here,
because that package gives zeros for a frame that is not there, and maps the whole file into
memory, which then appears to grow with every frame read.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyama_core.io.regular_files import open_regular

_MAGIC = 0x0ABECEDA
_HEADER = struct.Struct("<IIQ")
_PLACE = struct.Struct("<QQ")
_TAIL = struct.Struct("<32sQ")
_STAMP = struct.Struct("<d")
_MAP_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_FRAME = b"ImageDataSeq|"


class ChunkError(ValueError):
    """A chunk, or the map of all chunks, is absent or damaged; says why."""


def _is_frame(name: bytes) -> bool:
    digits = name[len(_FRAME) : -1]
    # A damaged name may have more digits than any count of frames.
    return name.startswith(_FRAME) and digits.isdigit() and len(digits) < 16


class Nd2Chunks:
    """Chunks of one open ND2 file.

    Parameters
    ----------
    path : Path
        The file; it stays open until `close`.

    Attributes
    ----------
    frames : (N,) int64 ndarray
        Places in the acquisition of the frames that there are, in order.

    Raises
    ------
    ChunkError
        If the file has no map of its chunks, as one that is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_regular(path)
        try:
            self._size = self._file.seek(0, 2)
            offsets = self._read_map()
        except BaseException:
            self._file.close()
            raise
        # Frames are kept as two arrays, because a dictionary takes 200 bytes for each of them.
        is_frame = {name for name in offsets if _is_frame(name)}
        places = np.array([int(name[len(_FRAME) : -1]) for name in is_frame], np.int64)
        where = np.array([offsets[name] for name in is_frame], np.uint64)
        order = np.argsort(places)
        self.frames, self._frame_offsets = places[order], where[order]
        self._offsets = {name: at for name, at in offsets.items() if name not in is_frame}

    def _read_map(self) -> dict[bytes, int]:
        if self._size < _TAIL.size:
            raise ChunkError("it is too short")
        self._file.seek(-_TAIL.size, 2)
        signature, start = _TAIL.unpack(self._file.read(_TAIL.size))
        if signature != _MAP_SIGNATURE:
            raise ChunkError("the list of its parts is missing from its end")
        table, at, offsets = self._read_at(start), 0, {}
        while (end := table.find(b"!", at) + 1) > 0 and table[at:end] != _MAP_SIGNATURE:
            if end + _PLACE.size > len(table):
                raise ChunkError("the list of its parts is damaged")
            offsets[table[at:end]], _ = _PLACE.unpack_from(table, end)
            at = end + _PLACE.size
        return offsets

    def read(self, name: bytes) -> bytes | None:
        """Return the data of a chunk, or None if the file has no such chunk.

        Raises
        ------
        ChunkError
            If the chunk is damaged.
        """
        offset = self._offsets.get(name)
        return None if offset is None else self._read_at(offset, name)

    def find_frame(self, index: int) -> int:
        """Go to the pixels of a frame, behind the time stamp before them; return their bytes.

        Raises
        ------
        ChunkError
            If the frame is absent or damaged.
        """
        at = index if index < len(self.frames) else len(self.frames) - 1
        if at < 0 or self.frames[at] != index:  # frames before it are absent, or it is itself
            at = int(np.searchsorted(self.frames, index))
            if at == len(self.frames) or self.frames[at] != index:
                raise ChunkError("it was never written")
        return self._find(
            int(self._frame_offsets[at]), b"%b%d!" % (_FRAME, index), skip=_STAMP.size
        )

    def read_into(self, buffer: memoryview) -> None:
        """Fill a buffer with the bytes that follow.

        Raises
        ------
        ChunkError
            If the file ends before.
        """
        if self._file.readinto(buffer) < len(buffer):
            raise ChunkError("the file ends within it")

    def skip(self, n_bytes: int) -> None:
        """Go on to what lies behind the bytes that follow."""
        self._file.seek(n_bytes, 1)

    def time_stamps(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the milliseconds that stand before the pixels of frames; NaN where there is none.

        Reads from all over the file; times of all frames in one place are a chunk of their own.
        """
        stamps = np.full(len(indices), np.nan)
        for place, index in enumerate(indices.tolist()):
            try:
                self.find_frame(index)
                self._file.seek(-_STAMP.size, 1)
                (stamp,) = _STAMP.unpack(self._file.read(_STAMP.size))
            except (ChunkError, struct.error):
                continue
            # Zero is what programs write that do not know.
            if math.isfinite(stamp) and stamp > 0:
                stamps[place] = stamp
        return stamps

    def _read_at(self, offset: int, name: bytes = b"") -> bytes:
        return self._file.read(self._find(offset, name))

    def _find(self, offset: int, name: bytes, skip: int = 0) -> int:
        """Go to the data of a chunk, past its first bytes; return how many there are."""
        if offset + _HEADER.size > self._size:
            raise ChunkError("it lies beyond the end of the file")
        self._file.seek(offset)
        head = self._file.read(_HEADER.size + len(name))
        magic, name_size, size = _HEADER.unpack_from(head)
        start = offset + _HEADER.size + name_size
        if magic != _MAGIC or start + size > self._size or size < skip:
            raise ChunkError(f"what begins at byte {offset} of the file is damaged")
        if name_size < len(name) or not head.startswith(name, _HEADER.size):
            raise ChunkError(f"byte {offset} of the file begins something else")
        self._file.seek(start + skip)
        return int(size - skip)

    def reopen(self) -> None:
        """Take a new handle of the file, in place of one that a network failure broke."""
        self._file.close()
        self._file = open_regular(self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
