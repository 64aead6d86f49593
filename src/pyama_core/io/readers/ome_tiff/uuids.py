"""Find the file of an OME-TIFF data set that is known by its identifier alone."""

from __future__ import annotations

import itertools
import logging
import re
import struct
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from pyama_core.io.regular_files import open_regular

logger = logging.getLogger(__name__)

_ENDINGS = (".tif", ".tiff", ".tf2", ".tf8", ".btf")
_MAX_SEARCHED = 5000
_DESCRIPTION = 270
_HEAD_BYTES = 4096
_ROOT = re.compile(rb"""<(?:\w+:)?OME\b[^>]*?\bUUID\s*=\s*["']([^"']*)["']""")

# Of a classic and a big TIFF: number of tags, one tag, and an offset.
_FORMATS = {42: ("H", "HHII", "I"), 43: ("Q", "HHQQ", "Q")}


class ReadableFile(Protocol):
    """A file that is open for reading."""

    def seek(self, offset: int, /) -> object:
        """Go to a byte."""

    def read(self, size: int, /) -> bytes:
        """Return some bytes."""


def files_by_uuid(folder: Path, wanted: Collection[str]) -> dict[str, Path]:
    """Find the TIFF files of a folder that say of themselves to be those of some identifiers.

    Parameters
    ----------
    folder : Path
        Where to look, not below it.
    wanted : collection of str
        UUIDs.

    Returns
    -------
    dict of str to Path
        One that two files claim is left out.
    """
    found: dict[str, Path] = {}
    claimed: set[str] = set()
    for path in itertools.islice(_tiff_files(folder), _MAX_SEARCHED):
        uuid = _uuid_of(path)
        if uuid in found:
            claimed.add(uuid)
        elif uuid in wanted:
            found[uuid] = path
    return {uuid: path for uuid, path in found.items() if uuid not in claimed}


def _tiff_files(folder: Path) -> Iterable[Path]:
    named = [path for path in folder.iterdir() if path.name.lower().endswith(_ENDINGS)]
    # Those that call themselves OME-TIFF come first.
    return sorted(named, key=lambda path: (".ome." not in path.name.lower(), path.name))


def _uuid_of(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return uuid_in(file)
    except OSError as error:
        logger.debug("%s has no identifier: %s", path, error)
        return ""


def uuid_in(file: ReadableFile) -> str:
    """Return the identifier at the head of the OME-XML of a TIFF file; empty if it has none."""
    try:
        match = _ROOT.search(_description(file))
    except (struct.error, ValueError, OverflowError) as error:
        logger.debug("no identifier: %s", error)
        return ""
    return match[1].decode("utf-8", errors="replace").strip() if match else ""


def _description(file: ReadableFile) -> bytes:
    """Return how the description of the first page begins; empty if there is none.

    Read by hand, because a library reads all tags, and descriptions of hundreds of megabytes.
    """
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack_from(f"{order}H", head, 2)[0] if order and len(head) == 16 else None
    if version not in _FORMATS:
        return b""
    n_format, tag_format, at_format = (f"{order}{form}" for form in _FORMATS[version])
    file.seek(struct.unpack_from(at_format, head, 8 if version == 43 else 4)[0])
    (n_tags,) = struct.unpack(n_format, file.read(struct.calcsize(n_format)))
    tags = file.read(struct.calcsize(tag_format) * min(n_tags, 1000))
    for tag, _, count, value in struct.iter_unpack(tag_format, tags):
        if tag == _DESCRIPTION:
            file.seek(value)
            return file.read(min(count, _HEAD_BYTES))
    return b""
