"""Write image stacks as Micro-Manager does ("MMStack"), with or without OME-XML.

A TIFF whose header is followed by a table of offsets and the summary of the acquisition, then one
page per plane in order of acquisition, each with metadata of its own, then the index of planes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

_INDEX, _DISPLAY, _COMMENTS, _SUMMARY = 54773648, 483765892, 99384722, 2355492
_INDEX_MAP = 3453623
_HEAD = 40

# Position, frame, channel and slice of a plane.
Place = tuple[int, int, int, int]


def write_mm_stack(
    path: Path,
    planes: Mapping[Place, npt.NDArray[Any]],
    *,
    summary: Mapping[str, Any],
    elapsed_ms: Mapping[Place, float] | None = None,
    description: str = "",
    planes_metadata: Mapping[str, Any] | None = None,
    has_index: bool = True,
    blank: Mapping[Place, npt.NDArray[Any]] | None = None,
) -> None:
    """Write planes in the order given; `description` goes into the first page.

    Without an index it is what a crash leaves. Pages of `blank` follow that are in no index and do
    not say what they are.
    """
    about_all = json.dumps(summary).encode()
    body = bytearray()
    start = _HEAD + len(about_all)
    entries, at_link = [], 4
    head = bytearray(start)
    for number, (place, pixels) in enumerate([*planes.items(), *(blank or {}).items()]):
        fov, t, channel, z = place
        if number < len(planes):
            entries.append((channel, z, t, fov, start + len(body)))
        about = {
            "FrameIndex": t,
            "ChannelIndex": channel,
            "SliceIndex": z,
            "PositionIndex": fov,
            **(planes_metadata or {}),
        }
        if elapsed_ms is not None:
            about["ElapsedTime-ms"] = elapsed_ms[place]
        first = description if number == 0 else ""
        text = json.dumps(about) if number < len(planes) else "NULL "
        page, link = _page(pixels, first, text, start + len(body))
        where = start + len(body)
        if number == 0:
            struct.pack_into("<I", head, 4, where)
        else:
            struct.pack_into("<I", body, at_link - start, where)
        at_link = where + link
        body += page
    index_at = start + len(body)
    index = struct.pack("<II", _INDEX_MAP, len(entries))
    index += b"".join(struct.pack("<5I", *entry) for entry in entries)
    struct.pack_into("<2sH", head, 0, b"II", 42)
    struct.pack_into(
        "<8I",
        head,
        8,
        *(_INDEX, index_at * has_index, _DISPLAY, 0, _COMMENTS, 0, _SUMMARY, len(about_all)),
    )
    head[_HEAD:] = about_all
    path.write_bytes(bytes(head) + bytes(body) + index * has_index)


def _page(
    pixels: npt.NDArray[Any], description: str, metadata: str, start: int
) -> tuple[bytes, int]:
    """Return the bytes of a page with its pixels, and where in it the link to the next is."""
    height, width = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    texts: Sequence[tuple[int, bytes]] = [(51123, metadata.encode() + b"\0")]
    if description:
        texts = [(270, description.encode() + b"\0"), *texts]
    tags: list[tuple[int, int, int, Any]] = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8 * pixels.dtype.itemsize)),
        *((259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1), (278, 4, 1, height)),
        (279, 4, 1, len(data)),
    ]
    size = 2 + 12 * (len(tags) + 1 + len(texts)) + 4
    at, tail = start + size, b""
    for tag, text in texts:
        tags.append((tag, 2, len(text), at + len(tail)))
        tail += text + b"\0" * (len(text) % 2)
    tags.append((273, 4, 1, at + len(tail)))
    body = struct.pack("<H", len(tags))
    for tag, kind, count, value in sorted(tags):
        body += struct.pack("<HHI", tag, kind, count)
        body += struct.pack("<I", value)
    return body + bytes(4) + tail + data, size - 4
