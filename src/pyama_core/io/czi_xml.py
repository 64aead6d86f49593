"""What the XML in a CZI file says: names, wavelengths, pixel size, planned times, stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pyama_core.io.frame_source import StagePosition


@dataclass(frozen=True)
class CziXml:
    """The part of the XML that is used.

    Attributes
    ----------
    channel_names : tuple of str
        By channel, empty where it has none.
    emission_nm : tuple of (float or None)
        By channel.
    scenes : dict of int to (str, StagePosition or None)
        Name and centre of each scene.
    n_frames : int
        Frames that were planned, 0 if it does not say.
    interval_times : tuple of float or None
        Planned minutes of each frame.
    pixel_size_um, z_step_um : float or None
    bit_depth : int or None
    """

    channel_names: tuple[str, ...]
    emission_nm: tuple[float | None, ...]
    scenes: dict[int, tuple[str, StagePosition | None]]
    n_frames: int
    interval_times: tuple[float, ...] | None
    pixel_size_um: float | None
    z_step_um: float | None
    bit_depth: int | None


def parse_czi_xml(text: str, n_frames: int) -> CziXml:
    """Parse the XML of a file.

    Parameters
    ----------
    text : str
        The XML.
    n_frames : int
        Frames that were found, which planned times are given for at least.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If it is not well-formed.
    """
    root = ET.fromstring(text)  # noqa: S314  expat itself refuses entity bombs
    image = root.find("Metadata/Information/Image")
    image = ET.Element("Image") if image is None else image
    channels = image.findall("Dimensions/Channels/Channel")
    planned = int(_number(image, "SizeT") or 0)
    bits = _number(image, "ComponentBitCount")
    return CziXml(
        channel_names=tuple(channel.get("Name", "") for channel in channels),
        emission_nm=tuple(_number(channel, "EmissionWavelength") for channel in channels),
        scenes={
            int(scene.get("Index", -1)): (scene.get("Name", ""), _centre(scene))
            for scene in image.findall("Dimensions/S/Scenes/Scene")
        },
        n_frames=planned,
        interval_times=_planned_times(image, max(planned, n_frames)),
        pixel_size_um=_scaling(root, "X"),
        z_step_um=_scaling(root, "Z"),
        bit_depth=int(bits) if bits else None,
    )


def _planned_times(image: ET.Element, n_frames: int) -> tuple[float, ...] | None:
    """Return minutes of each frame from the planned interval or offsets, both in seconds."""
    increment = _number(image, "Dimensions/T/Positions/Interval/Increment")
    if increment is not None and increment > 0:
        return tuple(frame * increment / 60 for frame in range(n_frames))
    offsets = (image.findtext("Dimensions/T/Positions/List/Offsets") or "").split()
    try:
        times = tuple(float(offset) / 60 for offset in offsets)
    except ValueError:
        return None
    return times if len(times) >= n_frames > 1 else None


def _scaling(root: ET.Element, axis: str) -> float | None:
    """Return a distance in µm; it is stored in metres."""
    for item in root.iterfind("Metadata/Scaling/Items/Distance"):
        if item.get("Id") == axis:
            metres = _number(item, "Value")
            return metres * 1e6 if metres else None
    return None


def _centre(scene: ET.Element) -> StagePosition | None:
    parts: Sequence[str] = (scene.findtext("CenterPosition") or "").split(",")
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        return None
    return x, y, None


def _number(element: ET.Element, path: str) -> float | None:
    try:
        value = float(element.findtext(path, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
