"""TIFF files: OME-TIFF is passed on, ImageJ hyperstacks and plain stacks are read here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.io.errors import InputError
from pyama_core.io.file_description import FileContent, describe
from pyama_core.io.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_plane_count,
)
from pyama_core.io.mm_stack import is_mm_stack, open_mm_stack
from pyama_core.io.ndtiff_files import has_index, is_ndtiff_file
from pyama_core.io.ndtiff_source import open_ndtiff
from pyama_core.io.ome_tiff_source import open_ome_tiff
from pyama_core.io.stated_numbers import Doubts
from pyama_core.io.tiff_pages import (
    TiffFiles,
    TiffStack,
    UnreadablePlaneError,
    chain_ends,
    damaged,
)
from pyama_core.io.units import micrometres_per, seconds_per

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_AXES = "PTCZYX"


@dataclass(frozen=True)
class _Layout:
    """Order of the planes of a stack.

    Attributes
    ----------
    axes : str
        Dimensions without YX, slowest first.
    sizes : tuple of int
        Their sizes.
    """

    axes: str
    sizes: tuple[int, ...]

    def size(self, axis: str) -> int:
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    def arrange(self, planes: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Turn one value per plane into (P, T, C, Z)."""
        missing = "".join(axis for axis in "PTCZ" if axis not in self.axes)
        planes = planes.reshape((1,) * len(missing) + self.sizes)
        return planes.transpose([(missing + self.axes).index(axis) for axis in "PTCZ"])

    def plane(self, **at: int) -> int:
        """Return the position in the stack of the plane at P, T, C, Z."""
        index = 0
        for axis, size in zip(self.axes, self.sizes, strict=True):
            index = index * size + at[axis]
        return index


class TiffStackSource(FrameSource):
    """Frames of one stack of equal planes in one TIFF file."""

    def __init__(
        self,
        metadata: MicroscopyMetadata,
        options: ReadOptions,
        files: TiffFiles,
        stack: TiffStack,
        layout: _Layout,
    ) -> None:
        super().__init__(metadata, options.z)
        self._files = files
        self._stack = stack
        self._layout = layout

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        index = self._layout.plane(P=fov, T=time, C=channel, Z=z)
        try:
            return self._stack.read(index)
        except UnreadablePlaneError as error:
            raise self._missing(fov, channel, time, z, str(error)) from error

    def _refresh(self) -> None:
        self._stack.reopen()

    def _release(self) -> None:
        self._files.close()


def open_tiff(path: Path, options: Mapping[str, Any]) -> FrameSource:
    """Open a TIFF file of any kind.

    Raises
    ------
    InputError
        If it is damaged, in colour, or a stack that does not say what its pages are.
    """
    # Looked at first, because the list of pages in such a file need not be whole.
    if is_ndtiff_file(path) and (has_index(path) or ReadOptions.parse(options).axes is None):
        return open_ndtiff(path, options)
    files = TiffFiles()
    try:
        tiff = files.get(path)
        if tiff.is_ome:
            return open_ome_tiff(path, options, tiff.ome_metadata or "", files)
        if is_mm_stack(tiff):
            return open_mm_stack(path, options, files)
        return _open_stack(path, options, tiff, files)
    except BaseException:
        files.close()
        raise


def _open_stack(
    path: Path, options: Mapping[str, Any], tiff: TiffFile, files: TiffFiles
) -> TiffStackSource:
    choice = ReadOptions.parse(options)
    choice.refuse_pattern(path, "a TIFF file")
    series, warnings = _main_series(path, tiff)
    layout = _layout(path, series, choice.axes)
    check_plane_count(path, math.prod(layout.sizes))
    stack = TiffStack(tiff, series, math.prod(layout.sizes))
    n_fovs, shape = layout.size("P"), tuple(layout.size(axis) for axis in "TCZ")
    about = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    doubts = Doubts()
    interval = _imagej_interval(about, doubts)
    content = FileContent(
        file_type="imagej-tiff" if tiff.is_imagej else "tiff",
        reader="tiff",
        present=tuple(layout.arrange(stack.present())),
        frame_sizes=(stack.frame_size,) * n_fovs,
        channel_names=("",) * shape[1],
        fov_names=("",) * n_fovs,
        dtype=stack.dtype,
        pixel_size_um=_imagej_pixel_size(tiff, about),
        times=((),) * n_fovs,
        nominal_times=None if interval is None else [t * interval for t in range(shape[0])],
        companions=(path,),
        warnings=(*warnings, *doubts.told()),
    )
    return TiffStackSource(describe(path, options, content), choice, files, stack, layout)


def _main_series(path: Path, tiff: TiffFile) -> tuple[TiffPageSeries, tuple[str, ...]]:
    """Return the stack of a file; thumbnails and pyramid levels beside it are not frames."""
    try:
        first, *others = tiff.series
        height, width = first.keyframe.imagelength, first.keyframe.imagewidth
        said = tiff.shaped_metadata
        announced = math.prod(said[0]["shape"]) if said else first.size
    except Exception as error:  # damaged tags and descriptions raise nearly anything
        raise damaged(path, error) from error
    if height < 1 or width < 1 or first.keyframe.dtype is None:
        raise damaged(path, f"an image of {height}×{width} pixels")
    if first.is_multifile:
        # A page number counts in one file alone.
        raise InputError(
            f"{path} is one of several files of a data set ({first.kind}) that is not known; "
            "export it as OME-TIFF."
        )
    # tifffile falls back to a bare row of pages where a description announces more than there is.
    if announced != first.size or (tiff.is_imagej and first.kind != "imagej"):
        raise damaged(path, "fewer images than its description says")
    small = [other.keyframe for other in others if not other.keyframe.is_reduced]
    for page in small:
        if 2 * page.imagelength > height or 2 * page.imagewidth > width:
            raise InputError(
                f"{path} holds several stacks, of {height}×{width} and {page.imagelength}×"
                f"{page.imagewidth} pixels, without saying what they are; export it as OME-TIFF."
            )
    warnings = []
    if small:
        warnings.append(f"{len(small)} kinds of smaller images are ignored as thumbnails")
    if not chain_ends(tiff):
        warnings.append(f"the file is cut off after page {len(tiff.pages) - 1}")
    return first, tuple(warnings)


def _layout(path: Path, series: TiffPageSeries, asked: str | None) -> _Layout:
    """Decide what each dimension of a stack is: what was asked for, else what the file says."""
    pairs = list(zip(series.axes, series.shape, strict=True))
    if any(axis == "S" and size > 1 for axis, size in pairs):
        raise InputError(
            f"{path} is a colour (RGB) image; expected one value per pixel and channel. "
            "Export the channels separately."
        )
    pairs = [(axis, size) for axis, size in pairs if axis in _AXES or size > 1]
    if asked is not None and len(asked) != len(pairs):
        pairs = [(axis, size) for axis, size in pairs if axis in "YX" or size > 1]
    axes = "".join(axis for axis, _ in pairs) if asked is None else asked
    shape = tuple(size for _, size in pairs)
    found = f"the shape {' × '.join(map(str, shape))}"
    example = {3: "TYX", 4: "TCYX", 5: "PTCYX"}.get(len(shape), _AXES)
    if asked is None and not _is_order(axes):
        raise InputError(
            f"{path} has {found} and does not say what its dimensions are; say it, for instance "
            f'axes="{example}" (command line: --axes {example}).'
        )
    if not _is_order(axes) or len(axes) != len(shape):
        raise InputError(
            f"axes={axes!r} does not fit {path}, which has {found}; expected one letter of {_AXES} "
            f"for each dimension, ending in YX, such as {example}."
        )
    return _Layout(axes[:-2], shape[:-2])


def _is_order(axes: str) -> bool:
    return set(axes) <= set(_AXES) and len(set(axes)) == len(axes) and axes[-2:] == "YX"


def _imagej_interval(about: Mapping[str, Any], doubts: Doubts) -> float | None:
    """Return the frame interval in minutes; ImageJ's own unit is the second."""
    seconds = seconds_per(str(about.get("tunit", "s")))
    interval = about.get("finterval", 0)
    if isinstance(interval, str):
        interval = doubts.value(interval, "finterval")
    if seconds is None or not isinstance(interval, (int, float)) or not interval > 0:
        return None
    return float(interval) * seconds / 60


def _imagej_pixel_size(tiff: TiffFile, about: Mapping[str, Any]) -> float | None:
    """Return the pixel size in µm: the resolution tag counts pixels per ImageJ's unit."""
    micrometres = micrometres_per(str(about.get("unit", "")))
    tag = tiff.pages.first.tags.get("XResolution")
    if micrometres is None or tag is None or not all(tag.value):
        return None
    pixels, units = tag.value
    return float(units / pixels * micrometres)
