"""The chunks that an ND2 file is made of.

A modern ND2 file is a row of chunks, each with a header, a padded name and data, and ends with a
map from names to offsets. The nd2 package reads the metadata in them; frames are fetched here,
because that package gives zeros for a frame that is not there, and maps the whole file into
memory, which then appears to grow with every frame read.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_MAGIC = 0x0ABECEDA
_HEADER = struct.Struct("<IIQ")
_PLACE = struct.Struct("<QQ")
_TAIL = struct.Struct("<32sQ")
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
        self._file = path.open("rb")
        self._buffer = bytearray()
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

    def read_frame(self, index: int) -> memoryview:
        """Return the pixels of a frame as they are stored, behind the time stamp before them.

        They lie in memory that the next call uses again, because fresh memory costs more than
        reading into it.

        Raises
        ------
        ChunkError
            If the frame is absent or damaged.
        """
        at = int(np.searchsorted(self.frames, index))
        if at == len(self.frames) or self.frames[at] != index:
            raise ChunkError("it was never written")
        size = self._find(int(self._frame_offsets[at]), b"%b%d!" % (_FRAME, index), skip=8)
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        frame = memoryview(self._buffer)[:size]
        return frame[: self._file.readinto(frame)]

    def _read_at(self, offset: int, name: bytes = b"") -> bytes:
        return self._file.read(self._find(offset, name))

    def _find(self, offset: int, name: bytes, skip: int = 0) -> int:
        """Go to the data of a chunk, past its first bytes; return how many there are."""
        if offset + _HEADER.size > self._size:
            raise ChunkError("it lies beyond the end of the file")
        self._file.seek(offset)
        magic, name_size, size = _HEADER.unpack(self._file.read(_HEADER.size))
        start = offset + _HEADER.size + name_size
        if magic != _MAGIC or start + size > self._size or size < skip:
            raise ChunkError(f"what begins at byte {offset} of the file is damaged")
        if not self._file.read(name_size).startswith(name):
            raise ChunkError(f"byte {offset} of the file begins something else")
        self._file.seek(start + skip)
        return int(size - skip)

    def reopen(self) -> None:
        """Take a new handle of the file, in place of one that a network failure broke."""
        self._file.close()
        self._file = self._path.open("rb")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
