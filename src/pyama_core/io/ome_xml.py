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

from pyama_core.io.frame_source import MAX_PLANES, PlaneChoice, StagePosition
from pyama_core.io.units import micrometres_per, seconds_per

_DTYPES = {"float": "float32", "double": "float64", "bit": "bool"}


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
    emission_nm : tuple of (float or None)
        Emission wavelength of each channel.
    z_step_um : float or None
        Distance of z planes.
    stage_um : (float, float, float or None) or None
        Where the stage was for the first plane that says so.
    bit_depth : int or None
        Significant bits of a pixel.
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
    emission_nm: tuple[float | None, ...] = ()
    z_step_um: float | None = None
    stage_um: StagePosition | None = None
    bit_depth: int | None = None

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
    """

    uuid: str
    metadata_file: str
    files: tuple[FileReference, ...]
    images: tuple[OmeImage, ...]


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
    if _tag(root) != "OME":
        raise OmeXmlError(f"begins with {_tag(root)!r}, expected 'OME'")
    files: dict[FileReference, int] = {}
    images: list[OmeImage] = []
    metadata_file = ""
    try:
        for element in root:
            if _tag(element) == "BinaryOnly":
                metadata_file = element.get("MetadataFile", "")
            elif _tag(element) == "Image":
                images.extend(_image(element, pixels, files) for pixels in _all(element, "Pixels"))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise OmeXmlError(f"lacks or misstates {error}") from error
    return OmeDataSet(root.get("UUID", ""), metadata_file, tuple(files), tuple(images))


def _image(image: ET.Element, pixels: ET.Element, files: dict[FileReference, int]) -> OmeImage:
    order = pixels.attrib["DimensionOrder"]
    if sorted(order) != sorted("XYCZT") or order[:2] != "XY":
        raise ValueError(f"DimensionOrder {order!r}")
    channels = list(_all(pixels, "Channel"))
    samples = max((int(channel.get("SamplesPerPixel", 1)) for channel in channels), default=1)
    n_t, n_c, n_z, n_y, n_x = (int(pixels.attrib["Size" + axis]) for axis in "TCZYX")
    # Colour images count their samples as channels.
    n_c = n_c // samples if samples > 1 and n_c % samples == 0 else n_c
    if min(n_t, n_c, n_z, n_y, n_x) < 1 or n_t * n_c * n_z > MAX_PLANES:
        raise ValueError(f"the sizes {n_t, n_c, n_z, n_y, n_x} (T, C, Z, Y, X) of an image")
    names = [channel.get("Name", "") for channel in channels][:n_c]
    kind = pixels.attrib["Type"]
    ifd, file = _pages(pixels, order, (n_t, n_c, n_z), files)
    return OmeImage(
        name=image.get("Name", ""),
        shape=(n_t, n_c, n_z, n_y, n_x),
        dtype=np.dtype(_DTYPES.get(kind, kind)),
        samples_per_pixel=samples,
        channel_names=tuple(names + [""] * (n_c - len(names))),
        pixel_size_um=_micrometres(pixels, "PhysicalSizeX"),
        interval_min=_minutes(pixels, "TimeIncrement"),
        minutes=_plane_minutes(pixels, (n_t, n_c, n_z)),
        ifd=ifd,
        file=file,
        emission_nm=tuple(_emissions(channels, n_c)),
        z_step_um=_micrometres(pixels, "PhysicalSizeZ"),
        stage_um=_stage(pixels),
        bit_depth=int(pixels.get("SignificantBits", 0)) or None,
    )


def _emissions(channels: Sequence[ET.Element], n_channels: int) -> Iterator[float | None]:
    for channel in [*channels, *[ET.Element("Channel")] * n_channels][:n_channels]:
        micrometres = _length(channel, "EmissionWavelength", "nm")
        yield None if micrometres is None else round(micrometres * 1e3, 6)


def _stage(pixels: ET.Element) -> StagePosition | None:
    """Return the stage position; the schema's unit, the reference frame, has no length."""
    for plane in _all(pixels, "Plane"):
        x, y, z = (_length(plane, f"Position{axis}", "reference frame") for axis in "XYZ")
        if x is not None and y is not None:
            return x, y, z
    return None


def _pages(
    pixels: ET.Element,
    order: str,
    sizes: tuple[int, int, int],
    files: dict[FileReference, int],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find page and file of each plane, both (T, C, Z), from the TiffData elements."""
    slowest_first = order[:1:-1]
    size = dict(zip("TCZ", sizes, strict=True))
    grid = tuple(size[axis] for axis in slowest_first)
    ifd, file = np.full(grid, -1, np.int64), np.zeros(grid, np.int64)
    ifds, owners = ifd.reshape(-1), file.reshape(-1)
    for data in _all(pixels, "TiffData"):
        first = [int(data.get("First" + axis, 0)) for axis in slowest_first]
        if any(not 0 <= at < limit for at, limit in zip(first, grid, strict=True)):
            continue  # left over by programs that crop without rewriting; such planes are missing
        start = int(np.ravel_multi_index(first, grid))
        page = int(data.get("IFD", 0))
        # Without a count an element is one plane if it names its page, else all that follow.
        count = int(
            data.get("PlaneCount", data.get("NumPlanes", 1 if "IFD" in data.attrib else -1))
        )
        stop = ifds.size if count < 0 else min(start + count, ifds.size)
        ifds[start:stop] = np.arange(page, page + stop - start)
        owners[start:stop] = files.setdefault(_reference(data), len(files))
    axes = tuple(slowest_first.index(axis) for axis in "TCZ")
    return ifd.transpose(axes), file.transpose(axes)


def _reference(data: ET.Element) -> FileReference:
    for element in _all(data, "UUID"):
        return FileReference(element.get("FileName", ""), (element.text or "").strip())
    return FileReference()


def _plane_minutes(pixels: ET.Element, sizes: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    minutes = np.full(sizes, np.nan)
    for plane in _all(pixels, "Plane"):
        time = _minutes(plane, "DeltaT")
        at = tuple(int(plane.attrib["The" + axis]) for axis in "TCZ")
        if time is not None and all(0 <= i < n for i, n in zip(at, sizes, strict=True)):
            minutes[at] = time
    return minutes


def _minutes(element: ET.Element, name: str) -> float | None:
    """Return a time in minutes; the schema's unit is the second unless another is given."""
    seconds = seconds_per(element.get(name + "Unit", "s"))
    return None if seconds is None else _scaled(element.get(name), seconds / 60)


def _micrometres(element: ET.Element, name: str) -> float | None:
    """Return a positive length in µm; the schema's unit is the µm unless another is given."""
    length = _length(element, name, "µm")
    return length if length is not None and length > 0 else None


def _length(element: ET.Element, name: str, default_unit: str) -> float | None:
    micrometres = micrometres_per(element.get(name + "Unit", default_unit))
    return None if micrometres is None else _scaled(element.get(name), micrometres)


def _scaled(text: str | None, factor: float) -> float | None:
    value = math.nan if text is None else float(text) * factor
    return value if math.isfinite(value) else None


def _all(element: ET.Element, tag: str) -> Iterator[ET.Element]:
    return (child for child in element if _tag(child) == tag)


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
