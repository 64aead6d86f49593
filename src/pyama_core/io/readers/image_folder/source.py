"""Folders of single-plane images whose names say which plane they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import Frame, FrameSource, MicroscopyMetadata, ReadOptions
from pyama_core.io.readers.image_folder.grid import (
    ImageGrid,
    arrange_images,
    explain,
    grid_warnings,
)
from pyama_core.io.readers.image_folder.headers import ExpectedImages, expected_images
from pyama_core.io.readers.image_folder.names import understand_names
from pyama_core.io.readers.image_folder.single_image import read_image
from pyama_core.io.readers.micro_manager.metadata_file import MicroManagerNotes, read_notes
from pyama_core.io.readers.own_files import OwnFiles, own_files_of
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError


class ImageFolderSource(FrameSource):
    """Frames of a folder of images; each is opened when it is read."""

    def __init__(
        self,
        metadata: MicroscopyMetadata,
        options: ReadOptions,
        folder: Path,
        grid: ImageGrid,
        expected: ExpectedImages,
    ) -> None:
        super().__init__(metadata, options.z)
        self._folder = folder
        self._grid = grid
        self._expected = expected
        self._dtype = np.dtype(metadata.dtype)

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        index = int(self._grid.files[fov, time, channel, z])
        if index < 0:
            name = self._grid.describe((fov, time, channel, z))
            why, advice = f"there is no image of {name}", " Copy it again if it was taken."
            raise self._missing(fov, channel, time, z, why, advice)
        path = self._folder / self._grid.names[index]
        expected = self._expected.sizes[fov], self._expected.types[fov][channel]
        try:
            return read_image(path, expected, self._dtype)
        except (UnreadablePlaneError, OSError) as error:
            why, advice = f"{path.name}: {error}", " Copy or export it again."
            raise self._missing(fov, channel, time, z, why, advice) from error

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the images of a field of view."""
        return [
            self._folder / self._grid.names[i] for i in np.unique(self._grid.files[fov]) if i >= 0
        ]

    def own_files(self, fov: int) -> OwnFiles:
        """Return the images of a field of view, and which planes they are."""
        grid, expected = self._grid, (self._expected.sizes[fov], self._expected.types[fov])
        return own_files_of(
            lambda image: self._folder / grid.names[image],
            grid.files[fov],
            further=(*expected, self._dtype),
        )

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
    names = understand_names(path, choice.pattern)
    grid = arrange_images(names.listing, names.pattern, choice.numbering)
    expected = expected_images(path, grid)
    found = names.listing.notes
    notes = [note for file in found if (note := read_notes(path, file)) is not None]
    n_fovs = len(grid.fovs)
    content = FoundInFile(
        file_type="image-folder",
        reader="image-folder",
        base_name=path.resolve().name,
        present=tuple(grid.files >= 0),
        frame_sizes=expected.sizes,
        channel_names=grid.channels,
        fov_names=grid.fovs,
        dtype=expected.common,
        pixel_size_um=next((n.pixel_size_um for n in notes if n.pixel_size_um), None),
        times=[_measured(notes, grid, fov) for fov in range(n_fovs)],
        nominal_times=grid.frames.minutes,
        companions=tuple(path / name for name in (*grid.names, *found)),
        warnings=(*names.warnings, *grid_warnings(grid), *_unlike(grid, expected)),
        notes=tuple(explain(grid)),
        stage_positions_um=[_stage(notes, grid, fov) for fov in range(n_fovs)],
        why_absent="no FOV has an image of every channel and z plane at any time",
    )
    return ImageFolderSource(make_metadata(path, options, content), choice, path, grid, expected)


def _unlike(grid: ImageGrid, expected: ExpectedImages) -> Iterator[str]:
    """Warn of channels that differ in what their pixels are."""
    if len({dtype for row in expected.types for dtype in row}) > 1:
        told = [
            f"{name or f'channel {index}'}: {dtype}"
            for index, (name, dtype) in enumerate(
                zip(grid.channels, expected.channel_types, strict=True)
            )
        ]
        yield f"channels differ in pixel type and are given in a common one ({', '.join(told)})"


def _measured(notes: Sequence[MicroManagerNotes], grid: ImageGrid, fov: int) -> list[float | None]:
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
    notes: Sequence[MicroManagerNotes], grid: ImageGrid, fov: int
) -> tuple[float, float, float | None] | None:
    index = next((int(i) for i in grid.files[fov].flat if i >= 0), -1)
    places = (note.stage_um.get(grid.names[index]) for note in notes)
    return next((place for place in places if place is not None), None)
