"""TIFF files: OME-TIFF is passed on, ImageJ hyperstacks and plain stacks are read here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from pyama_core.io.stack_axes import StackLayout, lay_out
from pyama_core.io.stated_numbers import Doubts
from pyama_core.io.tiff_pages import TiffFiles, UnreadablePlaneError
from pyama_core.io.tiff_series import find_stack
from pyama_core.io.tiff_stack import TiffStack
from pyama_core.io.units import micrometres_per, seconds_per

if TYPE_CHECKING:
    from tifffile import TiffFile


class TiffStackSource(FrameSource):
    """Frames of one stack of equal planes in one TIFF file."""

    def __init__(
        self,
        metadata: MicroscopyMetadata,
        options: ReadOptions,
        files: TiffFiles,
        stack: TiffStack,
        layout: StackLayout,
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
    found = find_stack(path, tiff, as_one=choice.axes is not None)
    check_plane_count(path, found.told.n_planes)
    layout = lay_out(path, found.told, choice.axes, choice.sizes)
    stack = found.stack
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
        warnings=(*found.warnings, *doubts.told()),
    )
    return TiffStackSource(describe(path, options, content), choice, files, stack, layout)


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
