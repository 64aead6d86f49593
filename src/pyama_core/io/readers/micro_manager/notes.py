"""What Micro-Manager and pycro-manager say, as JSON, of a data set and of its images.

The same keys stand in the index of NDTiff, in the pages of stacks, and in ``metadata.txt``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pyama_core.io.readers.frame_source import StagePosition
from pyama_core.io.readers.stated_numbers import Doubts

Notes = Mapping[str, Any]

_PIXEL_SIZE = ("PixelSize_um", "PixelSizeUm")
_Z_STEP = ("z-step_um",)
_INTERVAL = ("Interval_ms",)
_BIT_DEPTH = ("BitDepth",)
_ELAPSED = re.compile(rb'"ElapsedTime-ms"\s*:\s*(?:"([^"]*)"|([-+.0-9eE]+))')
_MS_PER_MINUTE = 60_000.0


def parse_notes(data: bytes) -> Notes | None:
    """Parse a document of keys and values; None if it is none."""
    try:
        content = json.loads(data.rstrip(b"\0 "))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def minutes_in(data: bytes) -> float | None:
    """Return when an image was taken, without parsing all of its document; None if unknown."""
    match = _ELAPSED.search(data)
    try:
        elapsed = math.nan if match is None else float(match[1] or match[2])
    except ValueError:
        return None
    return elapsed / _MS_PER_MINUTE if math.isfinite(elapsed) else None


def pixel_size_um(notes: Notes, doubts: Doubts) -> float | None:
    """Return the edge length of a pixel; it is 0 where it was not calibrated."""
    return _positive(notes, _PIXEL_SIZE, doubts)


def z_step_um(notes: Notes, doubts: Doubts) -> float | None:
    """Return the distance of z planes."""
    return _positive(notes, _Z_STEP, doubts)


def interval_min(notes: Notes, doubts: Doubts) -> float | None:
    """Return the interval between frames that was asked for."""
    milliseconds = _positive(notes, _INTERVAL, doubts)
    return None if milliseconds is None else milliseconds / _MS_PER_MINUTE


def bit_depth(notes: Notes, doubts: Doubts) -> int | None:
    """Return the bits of a pixel that the camera used."""
    return int(_positive(notes, _BIT_DEPTH, doubts) or 0) or None


def elapsed_min(notes: Notes, doubts: Doubts) -> float | None:
    """Return when an image was taken."""
    milliseconds = _number(notes, ("ElapsedTime-ms", "ElapsedTimeMs"), doubts)
    return None if milliseconds is None else milliseconds / _MS_PER_MINUTE


def stage_um(notes: Notes, doubts: Doubts) -> StagePosition | None:
    """Return where the stage was, or was meant to be."""
    x, y, z = (
        _number(
            notes,
            (f"{axis}PositionUm", f"{axis}Position_um", f"{axis}Position_um_Intended"),
            doubts,
        )
        for axis in "XYZ"
    )
    return None if x is None or y is None else (x, y, z)


def planned_frames(notes: Notes) -> int:
    """Return how many frames were planned; 0 if it is not said."""
    frames = notes.get("Frames")
    return frames if isinstance(frames, int) and not isinstance(frames, bool) else 0


def channel_names(notes: Notes) -> list[str]:
    """Return the names of all channels, none if they are not said."""
    names = notes.get("ChNames")
    return [str(name) for name in names] if isinstance(names, list) else []


def _positive(notes: Notes, keys: tuple[str, ...], doubts: Doubts) -> float | None:
    numbers = (_number(notes, (key,), doubts) for key in keys)
    return next((number for number in numbers if number is not None and number > 0), None)


def _number(notes: Notes, keys: tuple[str, ...], doubts: Doubts) -> float | None:
    for key in keys:
        value = notes.get(key)
        if isinstance(value, str):
            value = doubts.value(value, key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None
