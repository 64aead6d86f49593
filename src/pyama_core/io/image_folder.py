"""Folders of single-plane images whose names say which plane they are."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyama_core.io.errors import InputError
from pyama_core.io.file_description import FileContent, describe
from pyama_core.io.file_patterns import (
    IMAGE_ENDINGS,
    MAX_DEPTH,
    FilePattern,
    ImageName,
    compile_pattern,
    minutes_in_name,
    natural_order,
    recognise_pattern,
)
from pyama_core.io.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_plane_count,
)
from pyama_core.io.micro_manager import METADATA_NAME, MicroManagerNotes, read_notes
from pyama_core.io.single_image import read_header, read_image
from pyama_core.io.tiff_pages import UnreadablePlaneError

_SHOWN = 3


@dataclass(frozen=True)
class _Grid:
    """Where each image of a folder belongs.

    Attributes
    ----------
    pattern : FilePattern
        How the images are named.
    fovs, times, channels, planes : tuple of str
        The values of each field, in order.
    files : (P, T, C, Z) int64 ndarray
        Which of `names` is the image of each plane, −1 where there is none.
    names : list of str
        Paths of the images, below the folder.
    ignored : tuple of str
        Images that are not named so.
    """

    pattern: FilePattern
    fovs: tuple[str, ...]
    times: tuple[str, ...]
    channels: tuple[str, ...]
    planes: tuple[str, ...]
    files: npt.NDArray[np.int64]
    names: list[str]
    ignored: tuple[str, ...]


class ImageFolderSource(FrameSource):
    """Frames of a folder of images; each is opened when it is read."""

    def __init__(
        self, metadata: MicroscopyMetadata, options: ReadOptions, folder: Path, grid: _Grid
    ) -> None:
        super().__init__(metadata, options.z)
        self._folder = folder
        self._grid = grid
        self._dtype = np.dtype(metadata.dtype)

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        index = int(self._grid.files[fov, time, channel, z])
        if index < 0:
            name = _describe_plane(self._grid, (fov, time, channel, z))
            raise self._missing(fov, channel, time, z, f"there is no image of {name}")
        path = self._folder / self._grid.names[index]
        try:
            return read_image(path, self.metadata.fov_shapes[fov][1:], self._dtype)
        except (UnreadablePlaneError, OSError) as error:
            raise self._missing(fov, channel, time, z, f"{path.name}: {error}") from error

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the images of a field of view."""
        return [
            self._folder / self._grid.names[i] for i in np.unique(self._grid.files[fov]) if i >= 0
        ]

    def _release(self) -> None:
        """No file is open between reads."""


def open_image_folder(path: Path, options: Mapping[str, Any]) -> ImageFolderSource:
    """Open a folder of images.

    Raises
    ------
    InputError
        If there are none, their names are not understood, or two of them are the same plane.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "a folder of images")
    grid, others = _read_grid(path, choice)
    sizes, dtype, mixed = _pixels(path, grid)
    notes = [note for file in others if (note := read_notes(path, file)) is not None]
    minutes = [minutes_in_name(time) for time in grid.times]
    content = FileContent(
        file_type="image-folder",
        reader="image-folder",
        base_name=path.resolve().name,
        present=tuple(grid.files >= 0),
        frame_sizes=sizes,
        channel_names=grid.channels,
        fov_names=grid.fovs,
        dtype=dtype,
        pixel_size_um=next((n.pixel_size_um for n in notes if n.pixel_size_um), None),
        times=[_measured(notes, grid, fov) for fov in range(len(grid.fovs))],
        nominal_times=None if None in minutes else [m for m in minutes if m is not None],
        companions=tuple(path / name for name in (*grid.names, *others)),
        warnings=tuple(_warnings(grid, mixed)),
        notes=tuple(_explanation(grid)),
        stage_positions_um=[_stage(notes, grid, fov) for fov in range(len(grid.fovs))],
    )
    return ImageFolderSource(describe(path, options, content), choice, path, grid)


def _read_grid(path: Path, choice: ReadOptions) -> tuple[_Grid, list[str]]:
    """Understand the names in a folder; also returns the metadata files beside the images."""
    asked = None if choice.pattern is None else compile_pattern(choice.pattern)
    found = list(_files(path, MAX_DEPTH if asked is None else asked.depth))
    images = sorted(name for name in found if name.lower().endswith(IMAGE_ENDINGS))
    others = sorted(name for name in found if name.rpartition("/")[2] == METADATA_NAME)
    if not images:
        kinds = natural_order(Path(name).suffix for name in found)
        hint = f"; it holds files ending in {', '.join(kinds[:5])}, name one of them" * bool(found)
        raise InputError(f"{path} is a folder without TIFF or PNG images{hint}.")
    pattern = asked or recognise_pattern(images)
    example = 'say how, as in --pattern "{*}_{channel}_{fov}_{time}.tif"'
    if pattern is None:
        raise InputError(
            f"{path} holds images such as {images[0]}, named in a way that is not known; {example}."
        )
    named = [(image, name) for image in images if (name := pattern.parse(image)) is not None]
    if not named:
        raise InputError(
            f"{path} holds images such as {images[0]}, none of which fits the pattern "
            f"{pattern.title!r}; {example}."
        )
    return _arrange(path, pattern, images, named), others


def _files(folder: Path, depth: int) -> Iterator[str]:
    """List the files of a folder and those below it, hidden ones left out."""

    def walk(current: str, prefix: str, left: int) -> Iterator[str]:
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    yield prefix + entry.name
                elif left > 0:
                    yield from walk(entry.path, f"{prefix}{entry.name}/", left - 1)

    try:
        yield from walk(os.fspath(folder), "", depth)
    except (FileNotFoundError, PermissionError) as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}).") from error


def _arrange(
    path: Path, pattern: FilePattern, images: list[str], named: list[tuple[str, ImageName]]
) -> _Grid:
    experiments = natural_order(name.experiment for _, name in named)
    fovs = natural_order(name.fov for _, name in named)
    channels = natural_order(name.channel for _, name in named)
    planes = natural_order(name.z for _, name in named)
    times = _time_axis(natural_order(name.time for _, name in named))
    shape = len(fovs), len(times), len(channels), len(planes)
    check_plane_count(path, int(np.prod(shape)))
    files = np.full(shape, -1, np.int64)
    indices = [{value: i for i, value in enumerate(axis)} for axis in (fovs, channels, planes)]
    time_index = {key: i for i, time in enumerate(times) for key in (time, _frame_number(time))}
    for index, (image, name) in enumerate(named):
        # Numbers are compared by value: t1 and t01 are the same frame.
        time = time_index.get(name.time)
        time = time_index[_frame_number(name.time)] if time is None else time
        fov, channel, z = (
            axis[value]
            for axis, value in zip(indices, (name.fov, name.channel, name.z), strict=True)
        )
        if files[fov, time, channel, z] >= 0:
            other = named[int(files[fov, time, channel, z])][0]
            which = (
                f"; it holds several experiments ({', '.join(experiments[:_SHOWN])})"
                if len(experiments) > 1
                else ""
            )
            raise InputError(
                f"{path}: {other} and {image} are the same plane by their names{which}; say what "
                'tells them apart, as in --pattern "{fov}_{channel}_{time}.tif".'
            )
        files[fov, time, channel, z] = index
    taken = {image for image, _ in named}
    return _Grid(
        pattern,
        tuple(fovs),
        tuple(times),
        tuple(channels),
        tuple(planes),
        files,
        [image for image, _ in named],
        tuple(image for image in images if image not in taken),
    )


def _frame_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _time_axis(times: list[str]) -> list[str]:
    """Put lost frames back between numbered ones, so that later frames keep their place."""
    numbers = [_frame_number(time) for time in times]
    known = sorted({number for number in numbers if number is not None})
    if None in numbers or len(known) < 2:
        return times
    step = min(after - before for before, after in itertools.pairwise(known))
    full = range(known[0], known[-1] + 1, step)
    if not set(known) <= set(full) or len(full) > 2 * len(known):
        full = range(0)
    texts = dict(zip(numbers, times, strict=True))
    return [texts.get(number) or str(number).zfill(len(times[0])) for number in full or known]


def _pixels(
    path: Path, grid: _Grid
) -> tuple[tuple[tuple[int, int], ...], np.dtype[Any], tuple[str, ...]]:
    """Return the frame size of each field of view and a pixel type that holds all channels.

    One image per field of view and channel of the first is looked at; each other image is
    compared with that when it is read.
    """
    sizes: list[tuple[int, int]] = []
    types: dict[str, np.dtype[Any]] = {}
    for fov, files in enumerate(grid.files):
        shape, dtype = _header_of_one(path, grid, files)
        sizes.append(shape)
        if fov == 0 or dtype not in types.values():
            types[f"FOV {fov}"] = dtype
    for channel, name in enumerate(grid.channels):
        _, types[name or "channel 0"] = _header_of_one(path, grid, grid.files[:, :, channel])
    common = np.result_type(*types.values())
    differ = len(set(types.values())) > 1
    told = [f"{name}: {dtype}" for name, dtype in types.items() if not name.startswith("FOV ")]
    return tuple(sizes), common, tuple(told) if differ else ()


def _header_of_one(
    path: Path, grid: _Grid, files: npt.NDArray[np.int64]
) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Look at the first image that can be read."""
    why = ""
    for index in files[files >= 0][:_SHOWN]:
        name = grid.names[int(index)]
        try:
            return read_header(path / name)
        except UnreadablePlaneError as error:
            why = why or f"{path / name} cannot be read as one plane: {error}."
    raise InputError(why or f"{path} changed while it was read; try again.")


def _explanation(grid: _Grid) -> Iterator[str]:
    """Show how the names were understood, by one example."""
    name = grid.names[0]
    parsed = grid.pattern.parse(name)
    assert parsed is not None
    parts = [
        f"{field} {value}"
        for field, value in (
            ("channel", parsed.channel),
            ("position", parsed.fov),
            ("time", parsed.time),
            ("z", parsed.z),
        )
        if value
    ]
    yield f"names are read as {grid.pattern.title}: {name} is {', '.join(parts)}"


def _warnings(grid: _Grid, mixed: Sequence[str]) -> Iterator[str]:
    missing = np.argwhere(grid.files < 0)
    if len(missing):
        shown = "; ".join(_describe_plane(grid, place) for place in missing[:_SHOWN].tolist())
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        yield f"{len(missing)} of {grid.files.size} images are not there: {shown}{more}"
    if grid.ignored:
        yield f"{len(grid.ignored)} images are named otherwise and ignored, first {grid.ignored[0]}"
    if mixed:
        yield f"channels differ in pixel type and are given in a common one ({', '.join(mixed)})"


def _describe_plane(grid: _Grid, place: Iterable[int]) -> str:
    fov, time, channel, z = place
    parts = [
        f"{word} {value}"
        for word, value in (
            ("position", grid.fovs[fov]),
            ("channel", grid.channels[channel]),
            ("time", grid.times[time]),
            ("z", grid.planes[z]),
        )
        if value
    ]
    return ", ".join(parts)


def _measured(notes: Sequence[MicroManagerNotes], grid: _Grid, fov: int) -> list[float | None]:
    """Return when the frames of a field of view were taken: the earliest of their planes."""
    known: dict[str, float] = {}
    for note in notes:
        known.update(note.minutes)
    if not known:
        return []
    times: list[float | None] = []
    for files in grid.files[fov]:
        planes = [known.get(grid.names[int(index)]) for index in files.flat if index >= 0]
        times.append(min((time for time in planes if time is not None), default=None))
    return times


def _stage(
    notes: Sequence[MicroManagerNotes], grid: _Grid, fov: int
) -> tuple[float, float, float | None] | None:
    index = next((int(i) for i in grid.files[fov].flat if i >= 0), -1)
    places = (note.stage_um.get(grid.names[index]) for note in notes)
    return next((place for place in places if place is not None), None)
