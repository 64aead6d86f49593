"""Results for Fiji and ImageJ: a set of ROIs and a stack of label images for each FOV.

Where nuclei were found, there are those of nuclei, and of the rings that were measured, as well.

A ROI is a cell in a frame; it is called ``cell_0017_t042`` and knows its frame, which ImageJ counts
from 1. The pixels that it encloses are those of the label. Label images are plain TIFF with the
words in which ImageJ tells that pages are frames, so that it opens them without a plugin.
"""

from __future__ import annotations

import itertools
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import InputError
from pyama_core.exports.cell_colors import cell_color
from pyama_core.exports.labels import LabelImages, with_labels
from pyama_core.exports.names import cell_name
from pyama_core.exports.options import Options
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import tell_missing
from pyama_core.exports.scale import Scale
from pyama_core.io.storage.naming import fov_folder_name
from pyama_core.results.outlines import Polygon, outlines_of
from pyama_core.results.selection import Selection

if TYPE_CHECKING:
    from roifile import ImagejRoi

_NO_CLOCK = (1980, 1, 1, 0, 0, 0)
"""The same results give the same bytes."""
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0
_LARGEST_SHORT = (1 << 16) - 1
_LARGEST_EXACT = 1 << 24
"""Whole numbers that a float32 holds."""


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Fill a folder with an archive of ROIs and a stack of label images per FOV."""
    del options
    selection = with_labels(selection)
    if selection.good_only:
        tell_missing(selection)
    cells = [LabelImages.of(selection, fov) for fov in selection.fovs]
    every = [images for each in cells for images in (each, *each.compartments())]
    steps.expect(sum(images.shape[0] for images in every))
    for images in every:
        _write_images(selection, images, path, steps)


def _write_images(selection: Selection, images: LabelImages, path: Path, steps: Steps) -> None:
    """Write the archive and the stack of a part of the cells of a field of view."""
    name = fov_folder_name(images.fov.number)
    what = "" if images.part == "cells" else f"_{images.part}"
    scale = Scale.of(selection, images.fov)
    with (
        _archive(path / f"{name}{what}_rois.zip") as archive,
        LabelStack(path / f"{name}{what}_labels.tif", images, scale) as tif,
    ):
        for t, labels in enumerate(images.frames()):
            tif.append(labels)
            for cell, polygons in outlines_of(labels).items():
                roi = roi_of(cell, t, polygons)
                _add(archive, f"{roi.name}.roi", roi.tobytes())
            steps.done(f"FOV {images.fov.number}: {images.part}, frame {t}")


# ROIs


def roi_of(cell: int, t: int, polygons: Sequence[Polygon]) -> ImagejRoi:
    """Return a cell in a frame as a ROI.

    Parameters
    ----------
    cell : int
        The cell.
    t : int
        Frame, from 0.
    polygons : sequence of (N, 2) arrays
        Its outlines, where the centre of the first pixel is (0, 0).
    """
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    # In ImageJ the upper left corner of the first pixel is (0, 0).
    corners = [np.rint(polygon + 0.5).astype(np.int32) for polygon in polygons]
    if len(corners) == 1:
        roi = ImagejRoi.frompoints(corners[0])
        roi.roitype = ROI_TYPE.TRACED
    else:
        roi = ImagejRoi()
        roi.roitype = ROI_TYPE.RECT  # what ImageJ takes for a shape of several parts
        roi.options = ROI_OPTIONS.OVERLAY_BACKGROUNDS | ROI_OPTIONS.OVERLAY_LABELS
        roi.multi_coordinates = np.array(
            [number for part in corners for number in _path(part)], np.float32
        )
        roi.shape_roi_size = roi.multi_coordinates.size
    every = np.concatenate(corners)
    roi.left, roi.top = every.min(axis=0).tolist()
    roi.right, roi.bottom = every.max(axis=0).tolist()
    roi.name = cell_name(cell, t)
    roi.position = roi.t_position = t + 1
    roi.stroke_color = bytes([255, *cell_color(cell)])
    return roi


def _path(corners: NDArray[np.int32]) -> Iterator[float]:
    for number, (x, y) in enumerate(corners.tolist()):
        yield from (_LINE if number else _MOVE, x, y)
    yield _CLOSE


def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _NO_CLOCK)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    archive.writestr(info, content)


# Label images


class LabelStack:
    """A TIFF of label images, compressed, a page per frame; a context manager.

    Parameters
    ----------
    path : Path
        The file.
    labels : LabelImages
        Whose size and type it has.
    scale : Scale
        Of its axes.
    """

    def __init__(self, path: Path, labels: LabelImages, scale: Scale) -> None:
        import tifffile

        self._where = labels.fov.title
        self._tif = tifffile.TiffWriter(path)
        self._pages = itertools.count()
        self._description = _description(labels.shape[0], scale)
        self._density = 1 / scale.pixel_size_um if scale.pixel_size_um else 1.0
        # ImageJ has no whole numbers of 32 bits.
        is_short = labels.dtype == np.uint16
        self._dtype: DTypeLike = np.uint16 if is_short else np.float32
        self._largest = _LARGEST_SHORT if is_short else _LARGEST_EXACT

    def __enter__(self) -> LabelStack:
        return self

    def __exit__(self, *_: object) -> None:
        self._tif.close()

    def append(self, labels: NDArray[Any]) -> None:
        """Write the next frame.

        Raises
        ------
        InputError
            A number is larger than ImageJ can read, or the file is.
        """
        t = next(self._pages)
        if (largest := int(labels.max(initial=0))) > self._largest:
            raise InputError(
                f"{self._where}: frame {t}: ImageJ cannot read the number {largest} of a cell"
            )
        try:
            self._tif.write(
                labels.astype(self._dtype),
                photometric="minisblack",
                compression="zlib",
                description=None if t else self._description,
                metadata=None,
                software=False,
                resolution=(self._density, self._density),
                resolutionunit="NONE",
            )
        except struct.error as error:
            raise InputError(
                f"{self._where}: the label images are more than the 4 GB that ImageJ can read; "
                "export ome-zarr"
            ) from error


def _description(n_frames: int, scale: Scale) -> str:
    """Return what ImageJ reads of a stack, as it writes it."""
    lines = ["ImageJ=1.54f", f"images={n_frames}", f"frames={n_frames}", "hyperstack=true"]
    lines += ["mode=grayscale", "loop=false"]
    if scale.pixel_size_um:
        lines.append("unit=um")
    if scale.interval_min:
        lines.append(f"finterval={scale.interval_min * 60:.9g}")
    return "\n".join([*lines, ""])
