"""Checksums of files, and the identity of a source file.

XXH3 is not cryptographic: it finds rot, truncation and mix-ups, not an adversary, and it runs
at the speed of memory, so that hashing every byte written costs next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import xxhash
from pydantic import BaseModel, ConfigDict

from pyama_core.errors import CancelledError
from pyama_core.io.regular_files import open_unbuffered

_CHUNK = 4 << 20
_SAMPLES = 32
_SAMPLED_FILES = 64
_SAMPLE_SIZE = 64 << 10


class Hasher(Protocol):
    """The part of a hash object that this package uses."""

    def update(self, data: memoryview | bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Digest of all bytes so far."""


def new_hasher() -> Hasher:
    """Return an empty 128-bit XXH3 hash."""
    hasher: Hasher = xxhash.xxh3_128()
    return hasher


def name_checksum(hasher: Hasher) -> str:
    """Write a digest the way that records do: algorithm, colon, hexadecimal digits."""
    return f"xxh3-128:{hasher.hexdigest()}"


def file_checksum(path: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
    """Checksum of the whole content of a file; `cancelled` is asked now and then.

    Raises
    ------
    OSError
        The file cannot be read.
    CancelledError
        The caller asked to stop.
    """
    hasher = new_hasher()
    buffer = memoryview(bytearray(_CHUNK))
    with open_unbuffered(path) as file:
        while n_read := file.readinto(buffer):
            hasher.update(buffer[:n_read])
            if cancelled():
                raise CancelledError(f"cancelled while reading {path}")
    return name_checksum(hasher)


def data_checksum(data: bytes) -> str:
    """Checksum of some bytes."""
    hasher = new_hasher()
    hasher.update(data)
    return name_checksum(hasher)


def value_checksum(value: object) -> str:
    """Checksum of a JSON-like value, independent of the order of keys."""
    hasher = new_hasher()
    hasher.update(json.dumps(value, sort_keys=True).encode())
    return name_checksum(hasher)


class SourceIdentity(BaseModel):
    """What tells one microscope file from another, wherever it lies: never its path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    mtime_ns: int
    sample: str
    """Checksum of blocks spread over the content, because hashing 100 GB would take minutes.

    The time of each file went into it too.
    """
    content: str = ""
    """The same without times; older records have none."""

    def is_same(self, other: SourceIdentity) -> bool:
        """Whether size, times and sampled content are the same."""
        mine, others = (self.size, self.mtime_ns, self.sample), (other.size, other.mtime_ns)
        return mine == (*others, other.sample)

    def may_be(self, other: SourceIdentity) -> bool:
        """Whether nothing but times is known to differ, so that a look at all pixels decides."""
        unknown = not self.content or not other.content
        return self.size == other.size and (unknown or self.content == other.content)

    def as_text(self) -> str:
        """One line that names the identity as the input of a copy."""
        return f"size={self.size} mtime_ns={self.mtime_ns} {self.sample}"


def identify_source(
    files: Sequence[Path],
    mtime_ns: int | None = None,
    *,
    layout: str = "",
    n_sampled: int = _SAMPLED_FILES,
) -> SourceIdentity:
    """Identify a data set by the size, modification time and sampled content of its files.

    Parameters
    ----------
    files : sequence of Path
        Files of the data set.
    mtime_ns : int, optional
        A time to take for that of each file, to find out what the identity was at that time.
    layout : str
        What else than the files decides on the pixels.
    n_sampled : int
        How many files are read, at most.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    hasher, without_times = new_hasher(), new_hasher()
    for each in (hasher, without_times):
        each.update(layout.encode())
    size, latest_ns = 0, 0
    # A folder may have a hundred thousand images: all are asked for their size and time, some read.
    step = -(-len(files) // n_sampled)
    for index, file in enumerate(sorted(files, key=lambda path: path.name)):
        status = file.stat()
        size += status.st_size
        changed_ns = status.st_mtime_ns if mtime_ns is None else mtime_ns
        latest_ns = max(latest_ns, changed_ns)
        hasher.update(f"{status.st_size} {changed_ns}".encode())
        without_times.update(f"{status.st_size} ".encode())
        if index % step == 0:
            for block in _sampled_blocks(file, status.st_size):
                hasher.update(block)
                without_times.update(block)
    return SourceIdentity(
        size=size,
        mtime_ns=latest_ns,
        sample=name_checksum(hasher),
        content=name_checksum(without_times),
    )


def _sampled_blocks(path: Path, size: int) -> Iterator[bytes]:
    """Read evenly spread blocks, the first and the last included; small files whole."""
    with open_unbuffered(path) as file:
        if size <= _SAMPLES * _SAMPLE_SIZE:
            yield file.read()
            return
        for index in range(_SAMPLES):
            file.seek((size - _SAMPLE_SIZE) * index // (_SAMPLES - 1))
            yield file.read(_SAMPLE_SIZE)
