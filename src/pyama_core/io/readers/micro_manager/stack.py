"""Image stacks of Micro-Manager ("MMStack") without OME-XML: what their own index says.

Behind the TIFF header stand the place of an index of all planes and a summary of the acquisition;
each page has metadata of its own. After a crash there is no index, and the pages have to do.
"""

from __future__ import annotations

import json
import logging
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_plane_count,
)
from pyama_core.io.readers.image_folder.patterns import natural_order
from pyama_core.io.readers.micro_manager.notes import (
    bit_depth,
    channel_names,
    interval_min,
    minutes_in,
    pixel_size_um,
    stage_um,
    z_step_um,
)
from pyama_core.io.readers.own_files import OwnFiles, own_files_of
from pyama_core.io.readers.stated_numbers import Doubts
from pyama_core.io.readers.tiff.pages import TiffFiles, UnreadablePlaneError, read_page

if TYPE_CHECKING:
    from tifffile import TiffFile

logger = logging.getLogger(__name__)

_HEAD = struct.Struct("<8I")
_INDEX_HEAD = struct.Struct("<II")
_ENTRY = np.dtype([(name, "<u4") for name in ("c", "z", "t", "p", "offset")])
_INDEX, _INDEX_MAP, _SUMMARY = 54773648, 3453623, 2355492
_TAG = 51123
_NAME = re.compile(r"(.*MMStack)(?:[_.-].*)?\.tiff?", re.IGNORECASE)


@dataclass(frozen=True)
class _Planes:
    """Where the planes of a data set are.

    Attributes
    ----------
    files : tuple of Path
        All files of it.
    file, page, offset : (P, T, C, Z) int64 ndarray
        File, page and first byte of the page of each plane, −1 where there is none.
    summary : dict
        What the first file says of the acquisition.
    n_blank : int
        Pages that are no plane: blank ones, which complete a frame where an acquisition stopped.
    """

    files: tuple[Path, ...]
    file: npt.NDArray[np.int64]
    page: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    summary: Mapping[str, Any]
    n_blank: int


class MmStackSource(FrameSource):
    """Frames of the stacks of one acquisition."""

    def __init__(
        self, metadata: MicroscopyMetadata, options: ReadOptions, planes: _Planes, files: TiffFiles
    ) -> None:
        super().__init__(metadata, options.z)
        self._planes = planes
        self._files = files
        self._dtype = np.dtype(metadata.dtype)

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        at = fov, time, channel, z
        page = int(self._planes.page[at])
        if page < 0:
            raise self._missing(fov, channel, time, z, "it was never written")
        try:
            tiff = self._files.get(self._planes.files[self._planes.file[at]])
            shape, offset = self.metadata.fov_shapes[fov][1:], int(self._planes.offset[at])
            return read_page(tiff, page, shape, self._dtype, offset=offset)
        except (UnreadablePlaneError, InputError) as error:
            raise self._missing(fov, channel, time, z, str(error)) from error

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the files that hold planes of a position."""
        planes = self._planes
        owners = np.unique(planes.file[fov][planes.page[fov] >= 0])
        return [planes.files[int(owner)] for owner in owners]

    def own_files(self, fov: int) -> OwnFiles:
        """Return the files that hold planes of a position, and the pages that they are on."""
        planes, expected = self._planes, (self.metadata.shape_of(fov), self._dtype)
        owner = np.where(planes.page[fov] >= 0, planes.file[fov], -1)
        places = planes.page[fov], planes.offset[fov]
        return own_files_of(planes.files.__getitem__, owner, *places, further=expected)

    def _refresh(self) -> None:
        self._files.close()

    def _release(self) -> None:
        self._files.close()


def is_mm_stack(tiff: TiffFile) -> bool:
    """Tell whether a TIFF has the header of a stack of Micro-Manager."""
    return _head(tiff) is not None


def open_mm_stack(path: Path, options: Mapping[str, Any], files: TiffFiles) -> MmStackSource:
    """Open the stacks of one acquisition through any of them.

    Parameters
    ----------
    path : Path
        The file that was asked for.
    options : mapping
        Options of `pyama_core.io.readers.frame_source.ReadOptions`.
    files : TiffFiles
        Files already open; belongs to the source from here on.

    Raises
    ------
    InputError
        If the files do not fit each other or are damaged.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "a stack of Micro-Manager")
    choice.refuse_pattern(path, "a stack of Micro-Manager")
    planes = _read_planes(path, files)
    content = _content(path, choice, planes, files)
    return MmStackSource(make_metadata(path, options, content), choice, planes, files)


def micro_manager_metadata(tiff: TiffFile, number: int) -> Mapping[str, Any]:
    """Return what Micro-Manager wrote beside a page; empty if it wrote nothing."""
    try:
        return _metadata(tiff.pages.get(number)) if number < len(tiff.pages) else {}
    except Exception:  # noqa: BLE001  damaged tags raise nearly anything, which reading it says
        return {}


def _head(tiff: TiffFile) -> tuple[int, int] | None:
    """Return where the index of planes is and how long the summary, None without such a header."""
    tiff.filehandle.seek(8)
    data = tiff.filehandle.read(_HEAD.size)
    if tiff.byteorder != "<" or tiff.is_bigtiff or len(data) < _HEAD.size:
        return None
    numbers = _HEAD.unpack(data)
    if (numbers[0], numbers[6]) != (_INDEX, _SUMMARY):
        return None
    return numbers[1], numbers[7]


def _siblings(path: Path, files: TiffFiles) -> list[Path]:
    """Find the files of the same acquisition, which has one or more for each position."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return [path]
    named = {
        other.name
        for other in path.parent.iterdir()
        if (like := _NAME.fullmatch(other.name)) and like[1] == match[1] and other.is_file()
    }
    others = [path.parent / name for name in natural_order(named)]
    return [other for other in others if other == path or is_mm_stack(files.get(other))]


def _read_planes(path: Path, files: TiffFiles) -> _Planes:
    paths = _siblings(path, files)
    indices = [_read_index(other, files.get(other)) for other in paths]
    summary = _read_summary(path, files.get(path))
    counts = [_planned(summary, name) for name in ("Frames", "Channels", "Slices")]
    seen = [max(int(index[axis].max(initial=0)) for index in indices) + 1 for axis in "ptcz"]
    shape = seen[0], *(max(a, b) for a, b in zip(seen[1:], counts, strict=True))
    check_plane_count(path, int(np.prod(shape, dtype=object)))
    file, page, offset = np.full((3, *shape), -1, np.int64)
    for owner, index in enumerate(indices):
        at = tuple(index[axis].astype(np.int64) for axis in "ptcz")
        if (file[at] >= 0).any():
            raise InputError(
                f"{paths[owner].name} has planes that another file of the acquisition has too; "
                "move the files of each acquisition into a folder of their own."
            )
        file[at], page[at] = owner, _page_numbers(files.get(paths[owner]), index["offset"])
        offset[at] = index["offset"]
    n_pages = sum(len(files.get(other).pages) for other in paths)
    return _Planes(
        tuple(paths), file, page, offset, summary, max(0, n_pages - sum(map(len, indices)))
    )


def _planned(summary: Mapping[str, Any], name: str) -> int:
    value = summary.get(name)
    return value if isinstance(value, int) and value > 0 else 1


def _read_summary(path: Path, tiff: TiffFile) -> dict[str, Any]:
    head = _head(tiff)
    assert head is not None
    tiff.filehandle.seek(8 + _HEAD.size)
    try:
        summary = json.loads(tiff.filehandle.read(head[1]).rstrip(b"\0 "))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its summary is damaged ({error}); copy it again.") from error
    return summary if isinstance(summary, dict) else {}


def _read_index(path: Path, tiff: TiffFile) -> npt.NDArray[Any]:
    """Return channel, slice, frame, position and place in the file of each plane."""
    head = _head(tiff)
    assert head is not None
    tiff.filehandle.seek(head[0])
    data = tiff.filehandle.read(_INDEX_HEAD.size) if head[0] else b""
    if len(data) == _INDEX_HEAD.size:
        magic, count = _INDEX_HEAD.unpack(data)
        data = tiff.filehandle.read(count * _ENTRY.itemsize) if magic == _INDEX_MAP else b""
        if len(data) == count * _ENTRY.itemsize and 0 < count <= len(tiff.pages):
            return np.frombuffer(data, _ENTRY)
    return np.array(list(_rows_of_pages(path, tiff)), _ENTRY)


def _rows_of_pages(path: Path, tiff: TiffFile) -> Iterator[tuple[int, ...]]:
    """Yield what pages say of themselves; blank ones say nothing."""
    n_known, why = 0, "it says nothing"
    for number in range(len(tiff.pages)):
        try:
            page = tiff.pages.get(number)
            about = _metadata(page)
            if not about:
                continue
            place = [int(about[f"{name}Index"]) for name in ("Channel", "Slice", "Frame")]
            position, offset = int(about.get("PositionIndex", 0)), int(page.offset)
        except Exception as error:  # noqa: BLE001  damaged tags raise nearly anything
            why = repr(error)
            continue
        n_known += 1
        yield *place, position, offset
    if not n_known:
        raise InputError(
            f"{path}: no page says which plane it is ({why}); export the acquisition again."
        )


def _page_numbers(tiff: TiffFile, offsets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return which page of a file begins at each place; any other than that if none does.

    Pages follow each other in the file as their planes were acquired.
    """
    if len(offsets) == len(tiff.pages):
        return np.argsort(np.argsort(offsets))
    begins = np.array(list(_page_offsets(tiff)), np.int64)
    order = np.argsort(begins)
    numbers = np.searchsorted(begins, offsets, sorter=order)
    return np.append(order, len(begins))[np.minimum(numbers, len(begins))]


def _page_offsets(tiff: TiffFile) -> Iterator[int]:
    """Yield where pages begin, without making objects of them."""
    file, at = tiff.filehandle, 4
    for _ in range(len(tiff.pages)):
        file.seek(at)
        data = file.read(4)
        offset = int.from_bytes(data, "little")
        file.seek(offset)
        n_tags = file.read(2)
        if len(data) < 4 or len(n_tags) < 2:
            return  # cut off
        yield offset
        at = offset + 2 + 12 * int.from_bytes(n_tags, "little")


def _content(path: Path, choice: ReadOptions, planes: _Planes, files: TiffFiles) -> FoundInFile:
    n_fovs = len(planes.page)
    first = [_first_page(planes, fov, files) for fov in range(n_fovs)]
    known = next(page for page in first if page is not None)
    for page in first:
        if page is not None and (len(page.shape) != 2 or page.dtype != known.dtype):
            raise InputError(
                f"{path}: expected one grey value per pixel and the same pixel type in all "
                f"FOVs, found {page.shape} {page.dtype}. Export the FOVs separately."
            )
    about = [_metadata(page) for page in first]
    names = channel_names(planes.summary)
    n_times, n_channels = planes.page.shape[1:3]
    doubts = Doubts()
    interval = interval_min(planes.summary, doubts)
    pixel_size = pixel_size_um(planes.summary, doubts) or pixel_size_um(about[0], doubts)
    content = FoundInFile(
        file_type="micro-manager",
        base_name=_common_name(planes.files),
        reader="tiff",
        present=tuple(planes.page >= 0),
        frame_sizes=tuple((known if page is None else page).shape for page in first),
        channel_names=(*names, *("",) * n_channels)[:n_channels],
        fov_names=tuple(str(found.get("PositionName") or "") for found in about),
        dtype=np.dtype(known.dtype).newbyteorder("="),
        pixel_size_um=pixel_size,
        times=[_minutes(planes, fov, choice, files) for fov in range(n_fovs)],
        nominal_times=None if interval is None else [t * interval for t in range(n_times)],
        companions=tuple(dict.fromkeys((path, *planes.files))),
        stage_positions_um=[stage_um(found, doubts) for found in about],
        z_step_um=z_step_um(planes.summary, doubts),
        bit_depth=bit_depth(about[0], doubts),
    )
    told = [*doubts.told()]
    if planes.n_blank:
        told.append(f"{planes.n_blank} pages do not say which plane they are and are left out")
    return replace(content, warnings=tuple(told))


def _first_page(planes: _Planes, fov: int, files: TiffFiles) -> Any:
    """Return the first page of a position, None if it has none."""
    pages = planes.page[fov].ravel()
    there = np.flatnonzero(pages >= 0)
    if not there.size:
        return None
    place = there[np.argmin(pages[there])]
    path = planes.files[planes.file[fov].ravel()[place]]
    return files.get(path).pages.get(int(pages[place]))


def _metadata(page: Any) -> Mapping[str, Any]:
    found = None if page is None or _TAG not in page.tags else page.tags[_TAG].value
    return found if isinstance(found, dict) else {}


def _minutes(
    planes: _Planes, fov: int, choice: ReadOptions, files: TiffFiles
) -> list[float | None]:
    """Return when each frame was taken: its first channel, in the plane that is read."""
    z = min(choice.z, planes.page.shape[3] - 1) if isinstance(choice.z, int) else 0
    minutes: list[float | None] = []
    for offset, file in zip(planes.offset[fov, :, :, z], planes.file[fov, :, :, z], strict=True):
        there = np.flatnonzero(offset >= 0)
        taken = None
        if there.size:
            tiff = files.get(planes.files[file[there[0]]])
            taken = _minutes_at(tiff, int(offset[there[0]]))
        minutes.append(taken)
    return minutes


def _minutes_at(tiff: TiffFile, offset: int) -> float | None:
    """Return the time in the metadata of a page, None if there is none.

    Pages are not made objects of for this, which takes tifffile half a millisecond each.
    """
    file = tiff.filehandle
    try:
        file.seek(offset)
        (n_tags,) = struct.unpack("<H", file.read(2))
        for tag, _, count, value in struct.iter_unpack("<HHII", file.read(12 * n_tags)):
            if tag == _TAG:
                file.seek(value)
                return minutes_in(file.read(count))
    except (struct.error, ValueError) as error:
        logger.debug("%s: the page at byte %d has no time: %s", tiff.filename, offset, error)
    return None


def _common_name(paths: Sequence[Path]) -> str:
    """Return what the names of several files of an acquisition begin with, else nothing."""
    match = _NAME.fullmatch(paths[0].name) if len(paths) > 1 else None
    return "" if match is None else match[1].removesuffix("MMStack").rstrip("_-. ")
