"""What the OME-XML of a TIFF says: images, their planes, and when each was taken.

Follows the OME model of 2016-06 (https://docs.openmicroscopy.org/ome-model). Namespaces differ
between versions of the schema and are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from pyama_core.io.readers.frame_source import MAX_PLANES, PlaneChoice, StagePosition
from pyama_core.io.readers.stated_numbers import (
    Doubts,
    MisstatedError,
    misstated,
    required,
    shortened,
    tag_of,
    whole_number,
)
from pyama_core.io.units import micrometres_per, seconds_per

# The schema's own names, and those of numpy that some programs write in their place.
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "bit": "bool",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{name: name for name in ("bool", "float16", "float32", "float64")},
}
_MAX_IFD = 1 << 40


class OmeXmlError(ValueError):
    """The text is not OME-XML that can be followed; says why."""


@dataclass(frozen=True)
class FileReference:
    """A file of a data set, as a TiffData element names it.

    Attributes
    ----------
    name : str
        File name, empty for the file that holds the OME-XML.
    uuid : str
        Identifier of the file, empty if it has none.
    """

    name: str = ""
    uuid: str = ""


@dataclass(frozen=True)
class OmeImage:
    """One Image element, which is one field of view.

    Attributes
    ----------
    name : str
        Its name, empty if it has none.
    shape : tuple of int
        Sizes (T, C, Z, Y, X).
    dtype : dtype
        Pixel type.
    samples_per_pixel : int
        More than 1 for colour images.
    channel_names : tuple of str
        One per channel, empty where it has none.
    pixel_size_um, interval_min : float or None
        None where the file does not say, or in an unknown unit.
    minutes : (T, C, Z) float64 ndarray
        When each plane was taken, NaN where unknown.
    ifd : (T, C, Z) int64 ndarray
        Page of each plane in its file, −1 where there is none.
    file : (T, C, Z) int64 ndarray
        Which of the data set's files holds each plane.
    rank : (T, C, Z) int64 ndarray
        Which TiffData element of the image names each plane, in the order of the document.
    emission_nm : tuple of (float or None)
        Emission wavelength of each channel.
    z_step_um : float or None
        Distance of z planes.
    stage_um : (float, float, float or None) or None
        Where the stage was for the first plane that says so.
    bit_depth : int or None
        Significant bits of a pixel.
    beyond : tuple of (int, range)
        File and pages of planes that lie beyond the sizes.
    shared : (T, C, Z) bool ndarray or None
        Which planes are on a page that others were said to be on too; None if none are.
    reach : (int, int, int)
        Sizes (T, C, Z) that would hold those as well.
    slowest_first : str
        T, C and Z in the order in which planes follow each other in the file.
    """

    name: str
    shape: tuple[int, int, int, int, int]
    dtype: np.dtype[np.generic]
    samples_per_pixel: int
    channel_names: tuple[str, ...]
    pixel_size_um: float | None
    interval_min: float | None
    minutes: npt.NDArray[np.float64]
    ifd: npt.NDArray[np.int64]
    file: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]
    emission_nm: tuple[float | None, ...] = ()
    z_step_um: float | None = None
    stage_um: StagePosition | None = None
    bit_depth: int | None = None
    shared: npt.NDArray[np.bool_] | None = None
    beyond: tuple[tuple[int, range], ...] = ()
    reach: tuple[int, int, int] = (0, 0, 0)
    slowest_first: str = "TCZ"

    def frame_minutes(self, z: PlaneChoice | None) -> list[float | None]:
        """Return when each frame began: the first of its channels, in the plane that is read."""
        plane = min(z, self.shape[2] - 1) if isinstance(z, int) else 0
        planes = self.minutes[:, :, plane]
        known = np.where(np.isnan(planes), np.inf, planes).min(axis=1)
        return [float(time) if np.isfinite(time) else None for time in known]


@dataclass(frozen=True)
class OmeDataSet:
    """A whole OME-XML document.

    Attributes
    ----------
    uuid : str
        Identifier of the file that holds it, empty if it has none.
    metadata_file : str
        Name of the file with the real OME-XML if this one only points there, else empty.
    files : tuple of FileReference
        What `OmeImage.file` counts.
    images : tuple of OmeImage
        One per field of view.
    warnings : tuple of str
        What it says that is no number, and was left out.
    """

    uuid: str
    metadata_file: str
    files: tuple[FileReference, ...]
    images: tuple[OmeImage, ...]
    warnings: tuple[str, ...] = ()


def parse_ome_xml(text: str | bytes) -> OmeDataSet:
    """Parse OME-XML.

    Raises
    ------
    OmeXmlError
        If it is not well-formed, or lacks what the schema requires.
    """
    try:
        root = ET.fromstring(text)  # noqa: S314  expat itself refuses entity bombs
    except ET.ParseError as error:
        raise OmeXmlError(f"is not well-formed XML ({error})") from error
    if tag_of(root) != "OME":
        raise OmeXmlError(f"begins with {shortened(tag_of(root))!r}, expected 'OME'")
    files: dict[FileReference, int] = {}
    images: list[OmeImage] = []
    metadata_file = ""
    doubts = Doubts()
    try:
        for element in root:
            if tag_of(element) == "BinaryOnly":
                metadata_file = element.get("MetadataFile", "")
            elif tag_of(element) == "Image":
                images.extend(
                    _image(element, pixels, files, doubts) for pixels in _all(element, "Pixels")
                )
    except MisstatedError as error:
        raise OmeXmlError(str(error)) from error
    uuid = root.get("UUID", "")
    return OmeDataSet(uuid, metadata_file, tuple(files), tuple(images), tuple(doubts.told()))


def _image(
    image: ET.Element, pixels: ET.Element, files: dict[FileReference, int], doubts: Doubts
) -> OmeImage:
    order = _order(pixels)
    channels = list(_all(pixels, "Channel"))
    samples = max(
        (doubts.whole(channel, "SamplesPerPixel") or 1 for channel in channels), default=1
    )
    n_t, n_c, n_z, n_y, n_x = sizes = _sizes(pixels)
    # Colour images count their samples as channels.
    n_c = n_c // samples if samples > 1 and n_c % samples == 0 else n_c
    if n_t * n_c * n_z > MAX_PLANES:
        raise MisstatedError(f"has an image of the sizes {sizes} (T, C, Z, Y, X), too many planes")
    names = [channel.get("Name", "") for channel in channels][:n_c]
    kind = required(pixels, "Type", "a pixel type")
    if kind not in _DTYPES:
        raise misstated(pixels, "Type", "a pixel type such as uint8, uint16 or float")
    pages = _pages(pixels, order, (n_t, n_c, n_z), files)
    return OmeImage(
        name=image.get("Name", ""),
        shape=(n_t, n_c, n_z, n_y, n_x),
        dtype=np.dtype(_DTYPES[kind]),
        samples_per_pixel=samples,
        channel_names=tuple(names + [""] * (n_c - len(names))),
        pixel_size_um=_micrometres(pixels, "PhysicalSizeX", doubts),
        interval_min=_minutes(pixels, "TimeIncrement", doubts),
        minutes=_plane_minutes(pixels, (n_t, n_c, n_z), doubts),
        ifd=pages.ifd,
        file=pages.file,
        rank=pages.rank,
        emission_nm=tuple(_emissions(channels, n_c, doubts)),
        z_step_um=_micrometres(pixels, "PhysicalSizeZ", doubts),
        stage_um=_stage(pixels, doubts),
        bit_depth=doubts.whole(pixels, "SignificantBits") or None,
        beyond=tuple(pages.beyond),
        reach=pages.reach,
        slowest_first=order[:1:-1],
    )


def _order(pixels: ET.Element) -> str:
    order = required(pixels, "DimensionOrder", "an order such as XYCZT")
    if sorted(order) != sorted("XYCZT") or order[:2] != "XY":
        raise misstated(pixels, "DimensionOrder", "XY and then C, Z and T in any order")
    return order


def _sizes(pixels: ET.Element) -> tuple[int, ...]:
    sizes = tuple(whole_number(pixels, f"Size{axis}") for axis in "TCZYX")
    if min(sizes) < 1:
        raise MisstatedError(
            f"has an image of the sizes {sizes} (T, C, Z, Y, X), expected 1 or more"
        )
    return sizes


def _emissions(
    channels: Sequence[ET.Element], n_channels: int, doubts: Doubts
) -> Iterator[float | None]:
    for channel in [*channels, *[ET.Element("Channel")] * n_channels][:n_channels]:
        micrometres = _length(channel, "EmissionWavelength", "nm", doubts)
        yield None if micrometres is None else round(micrometres * 1e3, 6)


def _stage(pixels: ET.Element, doubts: Doubts) -> StagePosition | None:
    """Return the stage position; the schema's unit, the reference frame, has no length."""
    for plane in _all(pixels, "Plane"):
        x, y, z = (_length(plane, f"Position{axis}", "reference frame", doubts) for axis in "XYZ")
        if x is not None and y is not None:
            return x, y, z
    return None


class _Pages:
    """Page and file of each plane of an image, filled in element by element.

    Parameters
    ----------
    slowest_first : str
        T, C and Z in the order of the file.
    sizes : dict of str to int
        How many there are of each.
    """

    def __init__(self, slowest_first: str, sizes: dict[str, int]) -> None:
        self._axes = slowest_first
        self._grid = tuple(sizes[axis] for axis in slowest_first)
        self._reach = dict(sizes)
        # Both in the order of the file, in which planes follow each other.
        self._ifds = np.full(math.prod(self._grid), -1, np.int64)
        self._files = np.zeros(math.prod(self._grid), np.int64)
        self._ranks = np.zeros(math.prod(self._grid), np.int64)
        self._n_placed = 0
        self.beyond: list[tuple[int, range]] = []

    @property
    def ifd(self) -> npt.NDArray[np.int64]:
        """Page of each plane (T, C, Z), −1 where there is none."""
        return self._turned(self._ifds)

    @property
    def file(self) -> npt.NDArray[np.int64]:
        """File of each plane (T, C, Z)."""
        return self._turned(self._files)

    @property
    def rank(self) -> npt.NDArray[np.int64]:
        """Which of the calls of `place` each plane (T, C, Z) is from."""
        return self._turned(self._ranks)

    @property
    def reach(self) -> tuple[int, int, int]:
        """Sizes (T, C, Z) that hold all planes that were named."""
        return self._reach["T"], self._reach["C"], self._reach["Z"]

    def place(self, first: Sequence[int], page: int, count: int, owner: int) -> None:
        """Say where some planes are that follow each other; a negative count stands for all."""
        self._n_placed += 1
        if any(at >= limit for at, limit in zip(first, self._grid, strict=True)):
            # An element without a count says where one plane is, whatever the sizes.
            self._leave_out(first, range(page, page + max(count, 1)), owner)
            return
        stride = self._grid[1] * self._grid[2]
        start = first[0] * stride + first[1] * self._grid[2] + first[2]
        room = self._ifds.size - start
        taken = room if count < 0 else min(count, room)
        self._ifds[start : start + taken] = np.arange(page, page + taken)
        self._files[start : start + taken] = owner
        self._ranks[start : start + taken] = self._n_placed
        if count > room:
            slowest = (start + count - 1) // stride
            self._leave_out([slowest, 0, 0], range(page + room, page + count), owner)

    def _turned(self, planes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return planes.reshape(self._grid).transpose([self._axes.index(axis) for axis in "TCZ"])

    def _leave_out(self, at: Sequence[int], pages: range, owner: int) -> None:
        self.beyond.append((owner, pages))
        for axis, index in zip(self._axes, at, strict=True):
            self._reach[axis] = max(self._reach[axis], index + 1)


def _pages(
    pixels: ET.Element,
    order: str,
    sizes: tuple[int, int, int],
    files: dict[FileReference, int],
) -> _Pages:
    """Find page and file of each plane from the TiffData elements."""
    slowest_first = order[:1:-1]
    pages = _Pages(slowest_first, dict(zip("TCZ", sizes, strict=True)))
    for data in _all(pixels, "TiffData"):
        first = [whole_number(data, f"First{axis}", 0) for axis in slowest_first]
        page = whole_number(data, "IFD", 0)
        # Without a count an element is one plane if it names its page, else all that follow.
        default = 1 if "IFD" in data.attrib else -1
        count = whole_number(data, "PlaneCount", whole_number(data, "NumPlanes", default))
        if min(first) < 0 or not 0 <= page <= _MAX_IFD or count > _MAX_IFD:
            raise MisstatedError(f"has a TiffData of page {page} and {count} planes at {first}")
        pages.place(first, page, count, files.setdefault(_reference(data), len(files)))
    return pages


def _reference(data: ET.Element) -> FileReference:
    for element in _all(data, "UUID"):
        return FileReference(element.get("FileName", ""), (element.text or "").strip())
    return FileReference()


def _plane_minutes(
    pixels: ET.Element, sizes: tuple[int, int, int], doubts: Doubts
) -> npt.NDArray[np.float64]:
    minutes = np.full(sizes, np.nan)
    for plane in _all(pixels, "Plane"):
        time = _minutes(plane, "DeltaT", doubts)
        if time is None:
            continue
        at = tuple(doubts.whole(plane, f"The{axis}") for axis in "TCZ")
        if all(i is not None and 0 <= i < n for i, n in zip(at, sizes, strict=True)):
            minutes[at] = time
    return minutes


def _minutes(element: ET.Element, name: str, doubts: Doubts) -> float | None:
    """Return a time in minutes; the schema's unit is the second unless another is given."""
    seconds = seconds_per(element.get(name + "Unit", "s"))
    return None if seconds is None else doubts.number(element, name, seconds / 60)


def _micrometres(element: ET.Element, name: str, doubts: Doubts) -> float | None:
    """Return a positive length in µm; the schema's unit is the µm unless another is given."""
    length = _length(element, name, "µm", doubts)
    return length if length is not None and length > 0 else None


def _length(element: ET.Element, name: str, default_unit: str, doubts: Doubts) -> float | None:
    micrometres = micrometres_per(element.get(name + "Unit", default_unit))
    return None if micrometres is None else doubts.number(element, name, micrometres)


def _all(element: ET.Element, tag: str) -> Iterator[ET.Element]:
    return (child for child in element if tag_of(child) == tag)
