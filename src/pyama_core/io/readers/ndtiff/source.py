"""NDTiff: data sets of Micro-Manager 2 and pycro-manager, of one file or several, with an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError, reason_of
from pyama_core.io.readers.companions import Surroundings
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import Frame, FrameSource, MicroscopyMetadata, ReadOptions
from pyama_core.io.readers.micro_manager.notes import (
    Notes,
    channel_names,
    interval_min,
    minutes_in,
    parse_notes,
    pixel_size_um,
    planned_frames,
    stage_um,
    z_step_um,
)
from pyama_core.io.readers.ndtiff.axes import NdTiffGrid, arrange
from pyama_core.io.readers.ndtiff.files import NdTiffFiles, data_set_name, find_index
from pyama_core.io.readers.ndtiff.index import NdTiffIndex, parse_index
from pyama_core.io.readers.own_files import OwnFiles, own_files_of
from pyama_core.io.readers.stated_numbers import Doubts
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError
from pyama_core.io.regular_files import read_regular

# Bits of a pixel by its type in the index; 2 is colour.
_BITS = {0: 8, 1: 16, 3: 10, 4: 12, 5: 14, 6: 11}
_COLOUR = 2
_MAX_METADATA = 16 << 20
# So many images lie alike that a few that lie otherwise are damage of the index.
_USUAL_SHARE = 0.9


@dataclass(frozen=True)
class _DataSet:
    """A parsed index and where everything is.

    Attributes
    ----------
    path : Path
        The index.
    index : NdTiffIndex
        All images.
    grid : NdTiffGrid
        Which of them each plane is.
    paths : tuple of (Path or None)
        Place of each file of the index, None for one that is not there.
    absent : dict of int to str
        Name of each file that is not there, and why it is not read.
    faults : dict of int to str
        Images of the index that cannot be believed, and why.
    dtype : dtype
        Pixel type that holds those of all images.
    summary : dict
        What it says of the acquisition.
    """

    path: Path
    index: NdTiffIndex
    grid: NdTiffGrid
    paths: tuple[Path | None, ...]
    absent: Mapping[int, str]
    faults: Mapping[int, str]
    dtype: np.dtype[np.generic]
    summary: Notes


class NdTiffSource(FrameSource):
    """Frames of an NDTiff data set."""

    def __init__(
        self, metadata: MicroscopyMetadata, options: ReadOptions, data: _DataSet, files: NdTiffFiles
    ) -> None:
        super().__init__(metadata, options.z)
        self._data = data
        self._files = files
        # As plain numbers, because small frames are read in microseconds.
        fields = data.index.fields
        self._offsets = fields["offset"].astype(np.int64)
        self._shapes = np.stack([fields["height"], fields["width"]], axis=1)
        self._dtypes = [_dtype_of(kind) for kind in range(max(_BITS) + 1)]

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        entry = int(self._data.grid.entry[fov, time, channel, z])
        try:
            return self._read_entry(entry, self.metadata.fov_shapes[fov][1:])
        except (UnreadablePlaneError, OSError) as error:
            raise self._missing(fov, channel, time, z, str(error)) from error

    def _read_entry(self, entry: int, shape: tuple[int, int]) -> Frame:
        data = self._data
        if entry < 0:
            raise UnreadablePlaneError("the index has no image of it")
        if entry in data.faults:
            raise UnreadablePlaneError(data.faults[entry])
        owner = int(data.index.file[entry])
        path = data.paths[owner]
        if path is None:
            raise UnreadablePlaneError(f"its file {data.absent[owner]}")
        height, width = self._shapes[entry].tolist()
        if (height, width) != shape:
            raise UnreadablePlaneError(f"it has {height} × {width} pixels, expected {shape}")
        dtype = self._dtypes[int(data.index.fields["pixel_type"][entry])]
        pixels = self._files.read_pixels(path, int(self._offsets[entry]), shape, dtype)
        return pixels.astype(data.dtype, copy=False)

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the index, and the files that hold images of a position."""
        data, entries = self._data, self._data.grid.entry[fov]
        owners = np.unique(data.index.file[entries[entries >= 0]]).tolist()
        return [data.path, *(path for owner in owners if (path := data.paths[owner]) is not None)]

    def own_files(self, fov: int) -> OwnFiles:
        """Return the files that hold images of a position, and what the index says of these."""
        data, entry = self._data, self._data.grid.entry[fov]
        # Of a plane without an image, what is said of the last of all does not matter.
        owner = np.where(entry >= 0, data.index.file[entry], -1).astype(np.int64)
        told = [data.index.fields[name][entry] for name in ("pixel_type", "height", "width")]
        is_faulty = np.isin(entry, list(data.faults))
        places = (np.where(entry >= 0, place, 0) for place in (self._offsets[entry], *told))
        expected = self.metadata.shape_of(fov), data.dtype
        return own_files_of(data.paths.__getitem__, owner, *places, is_faulty, further=expected)

    def _refresh(self) -> None:
        self._files.close()

    def _release(self) -> None:
        self._files.close()


def open_ndtiff(path: Path, options: Mapping[str, Any]) -> NdTiffSource:
    """Open an NDTiff data set by its folder, its index or any of its TIFF files.

    Raises
    ------
    InputError
        If the index or all TIFF files are not there, or it has other axes than position, time,
        channel and z.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "an NDTiff data set")
    choice.refuse_pattern(path, "an NDTiff data set")
    files = NdTiffFiles()
    try:
        doubts = Doubts()
        data = _read_data_set(path, choice, files)
        content = _content(path, choice, data, files, doubts)
        return NdTiffSource(make_metadata(path, options, content), choice, data, files)
    except BaseException:
        files.close()
        raise


def _read_data_set(path: Path, choice: ReadOptions, files: NdTiffFiles) -> _DataSet:
    place = find_index(path)
    try:
        index = parse_index(read_regular(place))
    except OSError as error:
        raise InputError(f"{place} cannot be read ({reason_of(error)}).") from error
    if not len(index):
        raise InputError(f"{place} lists no image; the acquisition stopped before the first.")
    around = Surroundings(place.parent, choice.outside)
    paths = tuple(around.find(name) for name in index.file_names)
    absent = {
        owner: f"{name} {around.why_absent(name)}"
        for owner, (name, found) in enumerate(zip(index.file_names, paths, strict=True))
        if found is None
    }
    if len(absent) == len(paths):
        raise InputError(
            f"{path}: none of the TIFF files of the data set can be read, first "
            f"{absent[0]}; copy the whole folder."
        )
    dtype = _common_dtype(path, index)
    summary = _read_summary(paths, files)
    grid = arrange(path, index, planned_frames(summary))
    faults = _faults(index, grid)
    return _DataSet(place, index, grid, paths, absent, faults, dtype, summary)


def _common_dtype(path: Path, index: NdTiffIndex) -> np.dtype[np.generic]:
    """Return a pixel type that holds all images that are believed."""
    kinds = set(index.fields["pixel_type"].tolist())
    if _COLOUR in kinds:
        raise InputError(
            f"{path} has colour (RGB) images; expected one value per pixel and channel. "
            "Export the channels separately."
        )
    known = kinds & set(_BITS)
    if not known or not (index.fields["pixel_compression"] == 0).any():
        raise InputError(
            f"{path} has pixels of a type or compression that is not known (type "
            f"{', '.join(map(str, sorted(kinds)))}); export it as OME-TIFF."
        )
    return np.result_type(*(_dtype_of(kind) for kind in known))


def _dtype_of(pixel_type: int) -> np.dtype[np.generic]:
    return np.dtype(np.uint8 if _BITS.get(pixel_type) == 8 else np.uint16)


def _read_summary(paths: tuple[Path | None, ...], files: NdTiffFiles) -> Notes:
    """Return what the first file that can be read says of the acquisition."""
    for path in paths:
        if path is not None:
            try:
                return parse_notes(files.summary(path)) or {}
            except UnreadablePlaneError:  # becomes an error with its place when it is read
                continue
    return {}


def _faults(index: NdTiffIndex, grid: NdTiffGrid) -> dict[int, str]:
    """Find images whose numbers in the index cannot be right, so that other pixels were read."""
    fields = index.fields
    unknown = ~np.isin(fields["pixel_type"], list(_BITS)) | (fields["pixel_compression"] > 0)
    used = np.sort(grid.entry[grid.entry >= 0])
    faults = dict.fromkeys(
        used[unknown[used]].tolist(), "its pixel type or compression in the index is not known"
    )
    used = used[~unknown[used]]
    start = fields["offset"].astype(np.int64)
    end = start + _sizes(fields)
    for entry in used[_strays(fields["metadata_offset"][used] - end[used])].tolist():
        faults[entry] = "its place in the index is damaged"
    order = used[np.lexsort([start[used], index.file[used]])]
    before, after = order[:-1], order[1:]
    overlaps = (index.file[before] == index.file[after]) & (start[after] < end[before])
    for pair in zip(before[overlaps].tolist(), after[overlaps].tolist(), strict=True):
        # Where one of the two is known to be damaged, the other is not to blame.
        for entry in pair if faults.keys().isdisjoint(pair) else ():
            faults[entry] = "by the index it shares pixels with another image"
    return faults


def _sizes(fields: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return how many bytes the pixels of each image take."""
    n_bytes = np.where(fields["pixel_type"] == 0, 1, 2)
    size: npt.NDArray[np.int64] = n_bytes * fields["width"].astype(np.int64) * fields["height"]
    return size


def _strays(gaps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which images have their metadata elsewhere than right behind their pixels.

    Should a writer leave room between the two, then the same everywhere.
    """
    usual = 0
    if 2 * np.count_nonzero(gaps == 0) < len(gaps):
        values, counts = np.unique(gaps, return_counts=True)
        usual = values[counts.argmax()]
        if counts.max() < _USUAL_SHARE * len(gaps):
            return np.zeros(len(gaps), np.bool_)
    strays: npt.NDArray[np.bool_] = gaps != usual
    return strays


def _content(
    path: Path, choice: ReadOptions, data: _DataSet, files: NdTiffFiles, doubts: Doubts
) -> FoundInFile:
    present, sizes = _present(data)
    n_fovs, n_frames = present.shape[:2]
    about = [_notes(data, files, data.grid.entry[fov][present[fov]]) for fov in range(n_fovs)]
    z = min(choice.z, present.shape[3] - 1) if isinstance(choice.z, int) else 0
    labels = data.grid.labels["position"]
    interval = interval_min(data.summary, doubts)
    kinds = set(data.index.fields["pixel_type"].tolist())
    pixel_size = pixel_size_um(data.summary, doubts) or pixel_size_um(about[0], doubts)
    z_step = z_step_um(data.summary, doubts) or z_step_um(about[0], doubts)
    stage = [stage_um(notes, doubts) for notes in about]
    named = [path] if path.is_file() else []
    return FoundInFile(
        file_type="ndtiff",
        reader="ndtiff",
        base_name=data_set_name(data.path),
        present=tuple(present),
        frame_sizes=sizes,
        channel_names=tuple(_channel_names(data, files, present)),
        fov_names=tuple(
            label if isinstance(label, str) else str(notes.get("PositionName") or "")
            for label, notes in zip(labels, about, strict=True)
        ),
        dtype=data.dtype,
        pixel_size_um=pixel_size,
        times=[_minutes(data, files, present, fov, z) for fov in range(n_fovs)],
        nominal_times=None if interval is None else [t * interval for t in range(n_frames)],
        companions=tuple(dict.fromkeys([*named, data.path, *filter(None, data.paths)])),
        warnings=(*_warnings(data), *doubts.told()),
        stage_positions_um=stage,
        z_step_um=z_step,
        bit_depth=max(_BITS[kind] for kind in kinds & set(_BITS)),
        why_absent=_why_absent(data),
    )


def _present(data: _DataSet) -> tuple[npt.NDArray[np.bool_], tuple[tuple[int, int], ...]]:
    """Tell which planes there are, (P, T, C, Z), and the frame size (Y, X) of each position."""
    index, fields = data.index, data.index.fields
    ends = [0 if path is None else path.stat().st_size for path in data.paths]
    believed = np.ones(len(index), np.bool_)
    believed[list(data.faults)] = False
    believed &= fields["offset"] + _sizes(fields) <= np.array(ends)[index.file]
    entry = data.grid.entry
    present = (entry >= 0) & believed[entry]
    sizes = []
    for fov, there in enumerate(present):
        used = entry[fov][there]
        first = int(used.min()) if used.size else int(entry[fov].max())
        sizes.append((int(fields["height"][first]), int(fields["width"][first])))
        unlike = (fields["height"] != sizes[-1][0]) | (fields["width"] != sizes[-1][1])
        present[fov] &= ~unlike[entry[fov]]
    return present, tuple(sizes)


def _notes(data: _DataSet, files: NdTiffFiles, entries: npt.NDArray[np.int64]) -> Notes:
    """Return what is said of the image of some that was taken first; nothing if there is none."""
    if not entries.size:
        return {}
    return parse_notes(_metadata(data, files, int(entries.min()))) or {}


def _metadata(data: _DataSet, files: NdTiffFiles, entry: int) -> bytes:
    path, fields = data.paths[data.index.file[entry]], data.index.fields[entry]
    if path is None or fields["metadata_compression"]:
        return b""
    try:
        size = min(int(fields["metadata_length"]), _MAX_METADATA)
        return files.read(path, int(fields["metadata_offset"]), size)
    except UnreadablePlaneError:  # becomes an error with its place when it is read
        return b""


def _channel_names(
    data: _DataSet, files: NdTiffFiles, present: npt.NDArray[np.bool_]
) -> Iterator[str]:
    """Name each channel as the index does, else as the summary does, else as its first image."""
    known = channel_names(data.summary)
    for channel, label in enumerate(data.grid.labels["channel"]):
        if isinstance(label, str):
            yield label
        elif isinstance(label, int) and 0 <= label < len(known):
            yield known[label]
        else:
            entries = data.grid.entry[:, :, channel][present[:, :, channel]]
            yield str(_notes(data, files, entries).get("Channel") or "")


def _minutes(
    data: _DataSet, files: NdTiffFiles, present: npt.NDArray[np.bool_], fov: int, z: int
) -> list[float | None]:
    """Return when each frame was taken: its first channel, in the plane that is read."""
    minutes: list[float | None] = []
    there = present[fov, :, :, z]
    for entries, exists in zip(data.grid.entry[fov, :, :, z], there, strict=True):
        found = entries[exists]
        minutes.append(minutes_in(_metadata(data, files, int(found[0]))) if found.size else None)
    return minutes


def _warnings(data: _DataSet) -> Iterator[str]:
    if data.absent:
        yield f"{len(data.absent)} files are not there, first {next(iter(data.absent.values()))}"
    if data.index.n_damaged:
        yield f"{data.path.name} is damaged in {data.index.n_damaged} places; images are lost there"
    if data.faults:
        yield f"{len(data.faults)} images cannot be believed, {next(iter(data.faults.values()))}"
    if data.grid.n_replaced:
        yield f"{data.grid.n_replaced} images were taken again; the later ones are read"
    kinds = sorted(set(data.index.fields["pixel_type"].tolist()) & set(_BITS))
    if len({_dtype_of(kind) for kind in kinds}) > 1:
        yield f"images differ in pixel type and are given in a common one ({data.dtype})"


def _why_absent(data: _DataSet) -> str:
    if data.absent:
        return f"its file {next(iter(data.absent.values()))}"
    return "the acquisition stopped before the first"
