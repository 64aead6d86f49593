"""Write NDTiff data sets, by their specification (micro-manager/NDTiffStorage, versions 2 and 3).

Each file is a TIFF with a head of its own and the summary of the acquisition, then page by page
the tags, the pixels and what is said of the image. The index lists all images.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Axes = Mapping[str, int | float | str]

PIXEL_TYPES = {8: 0, 16: 1, 10: 3, 12: 4, 14: 5, 11: 6}


@dataclass
class NdTiffWriter:
    """A data set in a folder; `close` ends it.

    Parameters
    ----------
    folder : Path
        Is made.
    name : str
        What the names of its files begin with.
    summary : dict
        What is said of the acquisition.
    images_per_file : int
        After how many images a new file begins, as after 4 GB.
    major : int
        Version, 2 or 3.
    """

    folder: Path
    name: str = "scan"
    summary: Mapping[str, Any] = field(default_factory=dict)
    images_per_file: int = 1_000_000
    major: int = 3
    order: str = "<"
    entries: list[bytes] = field(default_factory=list)
    _pages: list[bytes] = field(default_factory=list)
    _n_files: int = 0

    def put(
        self,
        axes: Axes,
        pixels: npt.NDArray[Any],
        metadata: Mapping[str, Any] | None = None,
        *,
        bits: int | None = None,
    ) -> None:
        """Add an image."""
        if len(self._pages) == self.images_per_file:
            self._finish_file()
        position = len(self._head()) + sum(map(len, self._pages))
        text = json.dumps(dict(metadata or {})).encode()
        data = pixels.astype(pixels.dtype.newbyteorder(self.order)).tobytes()
        page, at = self._page(pixels, data, text, position)
        self._pages.append(page)
        kind = PIXEL_TYPES[bits or 8 * pixels.dtype.itemsize]
        height, width = pixels.shape
        self.entries.append(
            index_entry(
                axes, self._file_name(), (at, width, height, kind, 0, at + len(data), len(text), 0)
            )
        )

    def close(self, tail: bytes = b"") -> Path:
        """Write the last file and the index; return the folder."""
        self._finish_file()
        (self.folder / "NDTiff.index").write_bytes(b"".join(self.entries) + tail)
        return self.folder

    def _file_name(self) -> str:
        number = f"_{self._n_files}" if self._n_files else ""
        return f"{self.name}_NDTiffStack{number}.tif"

    def _head(self) -> bytes:
        text = json.dumps(dict(self.summary)).encode()
        version = (self.major, 0) if self.major >= 3 else (self.major,)
        numbers = (483729, *version, 2355492, len(text))
        start = 8 + 4 * len(numbers) + len(text)
        start += start % 2
        mark = b"II" if self.order == "<" else b"MM"
        head = mark + struct.pack(f"{self.order}HI", 42, start)
        return (head + struct.pack(f"{self.order}{len(numbers)}I", *numbers) + text).ljust(
            start, b"\0"
        )

    def _page(
        self, pixels: npt.NDArray[Any], data: bytes, text: bytes, position: int
    ) -> tuple[bytes, int]:
        """Return the bytes of a page, and where its pixels are in the file."""
        height, width = pixels.shape
        n_tags = 13
        resolution = position + 2 + 12 * n_tags + 4
        at = resolution + 16
        tags = [
            *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8 * pixels.dtype.itemsize)),
            *((259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, at), (277, 3, 1, 1)),
            *((278, 4, 1, height), (279, 4, 1, len(data)), (282, 5, 1, resolution)),
            *((283, 5, 1, resolution + 8), (296, 3, 1, 3), (51123, 2, len(text), at + len(data))),
        ]
        body = struct.pack(f"{self.order}H", n_tags)
        for tag, kind, count, value in tags:
            form = "HHIHH" if kind == 3 else "HHII"
            body += struct.pack(
                f"{self.order}{form}", tag, kind, count, value, *((0,) if kind == 3 else ())
            )
        end = at + len(data) + len(text)
        body += struct.pack(f"{self.order}5I", end + end % 2, 1, 1, 1, 1)
        return (body + data + text).ljust(end + end % 2 - position, b"\0"), at

    def _finish_file(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = bytearray(self._head() + b"".join(self._pages))
        if self._pages:  # the last page is followed by none
            link = len(content) - len(self._pages[-1]) + 2 + 12 * 13
            content[link : link + 4] = bytes(4)
        (self.folder / self._file_name()).write_bytes(content)
        self._pages, self._n_files = [], self._n_files + 1


def index_entry(axes: Axes, file_name: str, numbers: Sequence[int]) -> bytes:
    """Return an entry of the index."""
    text, name = json.dumps(dict(axes)).encode(), file_name.encode()
    parts = struct.pack("<I", len(text)), text, struct.pack("<I", len(name)), name
    return b"".join(parts) + struct.pack("<8I", *numbers)


def write_ndtiff(
    folder: Path,
    stack: npt.NDArray[Any],
    *,
    channels: Sequence[str] | None = ("PC", "GFP"),
    positions: Sequence[str] | None = None,
    elapsed_ms: float | None = 60_000.0,
    **options: Any,
) -> Path:
    """Write a stack (P, T, C, Z, Y, X) in the order in which a microscope would take it."""
    writer = NdTiffWriter(folder, **options)
    for p, t, c, z in np.ndindex(stack.shape[:4]):
        axes: dict[str, int | str] = {"time": t, "z": z}
        axes["position"] = p if positions is None else positions[p]
        axes["channel"] = c if channels is None else channels[c]
        about = {"PositionName": f"Pos{p}", "XPositionUm": 10.0 * p, "YPositionUm": 5.0}
        if elapsed_ms is not None:
            about["ElapsedTime-ms"] = elapsed_ms * t + 1000.0 * p + 10.0 * c
        if channels is None:
            about["Channel"] = f"ch{c}"
        writer.put(axes, stack[p, t, c, z], about)
    return writer.close()
