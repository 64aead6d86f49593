"""What the XML in a CZI file says: names, wavelengths, pixel size, planned times, stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

from pyama_core.io.readers.frame_source import MAX_PLANES, StagePosition
from pyama_core.io.readers.stated_numbers import Doubts, tag_of


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
    warnings : tuple of str
        What it says that is no number, and was left out.
    """

    channel_names: tuple[str, ...]
    emission_nm: tuple[float | None, ...]
    scenes: dict[int, tuple[str, StagePosition | None]]
    n_frames: int
    interval_times: tuple[float, ...] | None
    pixel_size_um: float | None
    z_step_um: float | None
    bit_depth: int | None
    warnings: tuple[str, ...] = ()


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
    doubts = Doubts()
    # So many are refused later; the times of more would not fit into memory.
    planned = min(int(_number(image, "SizeT", doubts) or 0), MAX_PLANES + 1)
    bits = _number(image, "ComponentBitCount", doubts)
    scenes = {
        doubts.whole(scene, "Index"): (scene.get("Name", ""), _centre(scene, doubts))
        for scene in image.findall("Dimensions/S/Scenes/Scene")
    }
    found = CziXml(
        channel_names=tuple(channel.get("Name", "") for channel in channels),
        emission_nm=tuple(_number(channel, "EmissionWavelength", doubts) for channel in channels),
        scenes={index: about for index, about in scenes.items() if index is not None},
        n_frames=planned,
        interval_times=_planned_times(image, max(planned, n_frames), doubts),
        pixel_size_um=_scaling(root, "X", doubts),
        z_step_um=_scaling(root, "Z", doubts),
        bit_depth=int(bits) if bits else None,
    )
    return replace(found, warnings=tuple(doubts.told()))


def _planned_times(image: ET.Element, n_frames: int, doubts: Doubts) -> tuple[float, ...] | None:
    """Return minutes of each frame from the planned interval or offsets, both in seconds."""
    increment = _number(image, "Dimensions/T/Positions/Interval/Increment", doubts)
    if n_frames > MAX_PLANES:
        return None
    if increment is not None and increment > 0:
        return tuple(frame * increment / 60 for frame in range(n_frames))
    offsets = (image.findtext("Dimensions/T/Positions/List/Offsets") or "").split()
    known = [doubts.value(offset, "Positions/List/Offsets") for offset in offsets]
    times = tuple(offset / 60 for offset in known if offset is not None)
    return times if len(times) == len(offsets) and len(times) >= n_frames > 1 else None


def _scaling(root: ET.Element, axis: str, doubts: Doubts) -> float | None:
    """Return a distance in µm; it is stored in metres."""
    for item in root.iterfind("Metadata/Scaling/Items/Distance"):
        if item.get("Id") == axis:
            metres = _number(item, "Value", doubts)
            return metres * 1e6 if metres else None
    return None


def _centre(scene: ET.Element, doubts: Doubts) -> StagePosition | None:
    text = scene.findtext("CenterPosition") or ""
    parts: Sequence[str] = text.split(",") if text else ()
    if len(parts) != 2:
        if parts:
            doubts.note(text, "CenterPosition of a scene")
        return None
    x, y = (doubts.value(part, "CenterPosition of a scene") for part in parts)
    return None if x is None or y is None else (x, y, None)


def _number(element: ET.Element, path: str, doubts: Doubts) -> float | None:
    """Return the number in an element below another; None if it is absent or, noted, no number."""
    text = element.findtext(path)
    if not text or not text.strip():
        return None
    return doubts.value(text, f"{tag_of(element)} {path.rpartition('/')[2]}")
