"""Write OME-TIFF of any kind, right and wrong, and read all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file

Array = np.ndarray[Any, Any]


def pixels(*shape: int, dtype: str = "uint16") -> Array:
    return np.random.default_rng(len(shape)).integers(1, 250, shape).astype(dtype)


def load_all(path: Path, **options: Any) -> tuple[list[Array], MicroscopyMetadata]:
    """Read every plane, per field of view as (T, C, Z, Y, X)."""
    source, metadata = load_microscopy_file(path, **options)
    images = []
    with source:
        for fov, (n_frames, height, width) in enumerate(metadata.fov_shapes):
            counts = n_frames, metadata.n_channels, metadata.n_z
            planes = np.empty((*counts, height, width), metadata.dtype)
            for time, channel, z in np.ndindex(counts):
                planes[time, channel, z] = source.read_frame(fov, channel, time, z)
            images.append(planes)
    return images, metadata


def image_xml(
    shape: tuple[int, ...],
    content: str = "",
    *,
    name: str = "",
    order: str = "XYCZT",
    dtype: str = "uint16",
    pixels_attributes: str = "",
    channels: str | None = None,
) -> str:
    """Describe one image of shape (T, C, Z, Y, X)."""
    sizes = " ".join(f'Size{axis}="{n}"' for axis, n in zip("TCZYX", shape, strict=True))
    if channels is None:
        channels = "".join(f'<Channel ID="Channel:0:{c}"/>' for c in range(shape[1]))
    label = f' Name="{name}"' if name else ""
    return (
        f'<Image ID="Image:0"{label}><Pixels ID="Pixels:0" DimensionOrder="{order}" '
        f'Type="{dtype}" {sizes} {pixels_attributes}>{channels}{content}</Pixels></Image>'
    )


def ome_xml(*images: str, uuid: str = "") -> str:
    identity = f' UUID="{uuid}"' if uuid else ""
    namespace = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}<OME xmlns="{namespace}"{identity}>{"".join(images)}</OME>'


def write_pages(path: Path, planes: Array, xml: str, **options: Any) -> None:
    """Write planes (N, Y, X), one page each, below the given OME-XML."""
    with tifffile.TiffWriter(path, ome=False) as tiff:
        for index, plane in enumerate(planes):
            text = xml if index == 0 else None
            tiff.write(plane, description=text, metadata=None, contiguous=False, **options)


def tiff_data(ifd: int, uuid: str = "", file: str = "", **first: int) -> str:
    at = " ".join(f'{name}="{value}"' for name, value in first.items())
    name = f' FileName="{file}"' if file else ""
    inner = f"<UUID{name}>{uuid}</UUID>" if file or uuid else ""
    return f'<TiffData IFD="{ifd}" PlaneCount="1" {at}>{inner}</TiffData>'


def write_set(folder: Path, n_files: int, *, names: Sequence[str] | None = None) -> Array:
    """Write one file per frame, each with the OME-XML of all."""
    stack = pixels(n_files, 2, 9, 13)
    names = names or [f"t{t}.ome.tif" for t in range(n_files)]
    data = [
        tiff_data(c, f"urn:uuid:{t}", names[t], FirstT=t, FirstC=c)
        for t, c in np.ndindex(n_files, 2)
    ]
    described = image_xml((n_files, 2, 1, 9, 13), "".join(data))
    for t in range(n_files):
        xml = ome_xml(described, uuid=f"urn:uuid:{t}")
        write_pages(folder / names[t], stack[t], xml)
    return stack
