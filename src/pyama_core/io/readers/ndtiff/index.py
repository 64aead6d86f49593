"""The file ``NDTiff.index``: which images an NDTiff data set has, and where they are.

A list of entries without a head, one for each image in the order in which they were taken: the
length of the axes and the axes, as JSON (``{"time": 3, "channel": "GFP"}``), the length of a file
name and the name, then eight numbers. A writer that did not come to its end leaves zeros behind
the last (https://github.com/micro-manager/NDTiffStorage).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

AxisValue = int | float | str

_LENGTH = struct.Struct("<I")
_FIELDS = np.dtype(
    [
        (name, "<u4")
        for name in (
            *("offset", "width", "height", "pixel_type", "pixel_compression"),
            *("metadata_offset", "metadata_length", "metadata_compression"),
        )
    ]
)
_DECODER = json.JSONDecoder()
_PLAIN = {int, str}
_MAX_AXES, _MAX_NAME = 1 << 16, 1 << 12


@dataclass(frozen=True)
class NdTiffIndex:
    """The images of a data set, in the order in which they were taken.

    Attributes
    ----------
    names : tuple of tuple of str
        The sets of axes that there are; nearly always one.
    naming : list of int
        Which of them each image has.
    values : list of tuple of (int, float or str)
        Where each image is along its axes.
    file_names : tuple of str
        The files that there are.
    file : (N,) int64 ndarray
        Which of them each image is in.
    fields : (N,) structured ndarray
        First byte of its pixels, width, height, pixel type, compression, and where its metadata
        are.
    n_damaged : int
        Places at which the list is damaged.
    """

    names: tuple[tuple[str, ...], ...]
    naming: list[int]
    values: list[tuple[AxisValue, ...]]
    file_names: tuple[str, ...]
    file: npt.NDArray[np.int64]
    fields: npt.NDArray[Any]
    n_damaged: int

    def __len__(self) -> int:
        return len(self.values)

    def axis(self, name: str) -> list[AxisValue | None]:
        """Return where each image is along an axis, None for one that does not have it."""
        places = [names.index(name) if name in names else -1 for names in self.names]
        return [
            values[places[naming]] if places[naming] >= 0 else None
            for naming, values in zip(self.naming, self.values, strict=True)
        ]


def parse_index(data: bytes) -> NdTiffIndex:
    """Parse the content of ``NDTiff.index``.

    After damage the next entry that makes sense is looked for, so that one image is lost, not all
    that follow.
    """
    names: dict[tuple[str, ...], int] = {}
    files: dict[bytes, int] = {}
    naming, values, file, fields = [], [], [], []
    position, n_damaged = 0, 0
    while position < len(data):
        entry = _entry_at(data, position)
        if entry is None:
            start = _next_entry(data, position)
            n_damaged += start is not None or any(data[position:])
            if start is None:
                break
            position = start
            continue
        axes, name, at = entry
        naming.append(names.setdefault(tuple(axes), len(names)))
        values.append(tuple(axes.values()))
        file.append(files.setdefault(name, len(files)))
        position = at + _FIELDS.itemsize
        fields.append(data[at:position])
    return NdTiffIndex(
        names=tuple(names),
        naming=naming,
        values=values,
        file_names=tuple(name.decode() for name in files),
        file=np.array(file, np.int64),
        fields=np.frombuffer(b"".join(fields), _FIELDS),
        n_damaged=n_damaged,
    )


def _entry_at(data: bytes, position: int) -> tuple[dict[str, AxisValue], bytes, int] | None:
    """Return axes and file name of the entry there, and where its numbers are; None if damaged."""
    try:
        (length,) = _LENGTH.unpack_from(data, position)
        start = position + _LENGTH.size
        text = start + length
        if not 2 <= length <= _MAX_AXES:
            return None
        axes = _DECODER.decode(data[start:text].decode())
        (n_name,) = _LENGTH.unpack_from(data, text)
        at = text + _LENGTH.size + n_name
        name = data[text + _LENGTH.size : at]
        # A damaged length would take the entries that follow for part of the name.
        if not name.decode().isprintable():
            return None
    except (struct.error, ValueError, RecursionError):
        return None
    whole = 0 < n_name <= _MAX_NAME and at + _FIELDS.itemsize <= len(data)
    return (axes, name, at) if whole and _are_axes(axes) else None


def _are_axes(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    kinds = set(map(type, found.values()))
    if kinds <= _PLAIN:
        return True
    numbers = (value for value in found.values() if not isinstance(value, str))
    return kinds <= {*_PLAIN, float} and all(map(math.isfinite, numbers))


def _next_entry(data: bytes, position: int) -> int | None:
    """Find the next entry that makes sense behind a damaged one."""
    brace = data.find(b"{", position + _LENGTH.size + 1)
    while brace >= 0:
        if _entry_at(data, brace - _LENGTH.size) is not None:
            return brace - _LENGTH.size
        brace = data.find(b"{", brace + 1)
    return None
