"""What ImageJ writes beside a stack: time between frames and size of a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyama_core.io.readers.stated_numbers import Doubts
from pyama_core.io.units import micrometres_per, seconds_per

if TYPE_CHECKING:
    from tifffile import TiffFile


def imagej_interval(about: Mapping[str, Any], doubts: Doubts) -> float | None:
    """Return the frame interval in minutes; ImageJ's own unit is the second."""
    seconds = seconds_per(str(about.get("tunit", "s")))
    interval = about.get("finterval", 0)
    if isinstance(interval, str):
        interval = doubts.value(interval, "finterval")
    if seconds is None or not isinstance(interval, (int, float)) or not interval > 0:
        return None
    return float(interval) * seconds / 60


def imagej_pixel_size(tiff: TiffFile, about: Mapping[str, Any]) -> float | None:
    """Return the pixel size in µm: the resolution tag counts pixels per ImageJ's unit."""
    micrometres = micrometres_per(str(about.get("unit", "")))
    tag = tiff.pages.first.tags.get("XResolution")
    if micrometres is None or tag is None or not all(tag.value):
        return None
    pixels, units = tag.value
    return float(units / pixels * micrometres)
