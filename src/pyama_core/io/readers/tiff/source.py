"""TIFF files: OME-TIFF is passed on, ImageJ hyperstacks and plain stacks are read here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_plane_count,
)
from pyama_core.io.readers.micro_manager.stack import is_mm_stack, open_mm_stack
from pyama_core.io.readers.ndtiff.files import has_index, is_ndtiff_file
from pyama_core.io.readers.ndtiff.source import open_ndtiff
from pyama_core.io.readers.ome_tiff.source import open_ome_tiff
from pyama_core.io.readers.ome_tiff.stack import find_ome_stack
from pyama_core.io.readers.tiff.pages import TiffFiles, UnreadablePlaneError
from pyama_core.io.readers.tiff.series import find_stack
from pyama_core.io.readers.tiff.stack import TiffStack
from pyama_core.io.readers.tiff.stack_axes import StackLayout, lay_out

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
        if tiff.is_ome and ReadOptions.parse(options).axes is None:
            return open_ome_tiff(path, options, tiff.ome_metadata or "", files)
        if is_mm_stack(tiff) and not tiff.is_ome:
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
    if tiff.is_ome:
        found = find_ome_stack(path, tiff, choice, files)
    else:
        found = find_stack(path, tiff, as_one=choice.axes is not None)
    check_plane_count(path, found.told.n_planes)
    layout = lay_out(path, found.told, choice.axes, choice.sizes)
    stack, notes = found.stack, found.notes
    n_fovs, shape = layout.size("P"), tuple(layout.size(axis) for axis in "TCZ")
    names, interval = notes.channel_names, notes.interval_min
    content = FoundInFile(
        file_type=notes.file_type,
        reader="tiff",
        present=tuple(layout.arrange(stack.present())),
        frame_sizes=(stack.frame_size,) * n_fovs,
        channel_names=names if len(names) == shape[1] else ("",) * shape[1],
        fov_names=("",) * n_fovs,
        dtype=stack.dtype,
        pixel_size_um=notes.pixel_size_um,
        times=((),) * n_fovs,
        nominal_times=None if interval is None else [t * interval for t in range(shape[0])],
        companions=(path,),
        warnings=notes.warnings,
        bit_depth=notes.bit_depth,
    )
    return TiffStackSource(make_metadata(path, options, content), choice, files, stack, layout)
