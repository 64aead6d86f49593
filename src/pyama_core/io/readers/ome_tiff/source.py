"""OME-TIFF: one file or a set of files that belong together, one image per field of view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import Frame, FrameSource, MicroscopyMetadata, ReadOptions
from pyama_core.io.readers.micro_manager.stack import micro_manager_metadata
from pyama_core.io.readers.ome_tiff.files import (
    FileSet,
    locate_files,
    read_companion,
    rightful_file,
)
from pyama_core.io.readers.ome_tiff.left_out import left_out, without_doubles
from pyama_core.io.readers.ome_tiff.uuids import uuid_in
from pyama_core.io.readers.ome_xml import OmeImage
from pyama_core.io.readers.own_files import OwnFiles, own_files_of
from pyama_core.io.readers.tiff.pages import TiffFiles, UnreadablePlaneError, is_reduced, read_page

if TYPE_CHECKING:
    from tifffile import TiffFile

_PLACES = ("Frame", "Channel", "Slice")
# What slide scanners call the images beside the sample, where those are smaller than it.
_THUMBNAILS = frozenset({"thumbnail", "label image", "macro image"})


class OmeTiffSource(FrameSource):
    """Frames of an OME-TIFF data set."""

    def __init__(
        self,
        metadata: MicroscopyMetadata,
        options: ReadOptions,
        file_set: FileSet,
        files: TiffFiles,
    ) -> None:
        super().__init__(metadata, options.z)
        self._set = file_set
        self._rightful: dict[int, Path] = {}
        self._images = file_set.data.images
        self._files = files
        self._dtype = np.dtype(metadata.dtype)

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        image = self._images[fov]
        try:
            tiff, ifd = self._find_page(image, (time, channel, z))
            if image.shared is not None and image.shared[time, channel, z]:
                _require_own(tiff, ifd, (time, channel, z))
            return read_page(tiff, ifd, image.shape[3:], self._dtype)
        except (UnreadablePlaneError, InputError) as error:
            raise self._missing(fov, channel, time, z, str(error)) from error

    def _find_page(self, image: OmeImage, at: tuple[int, int, int]) -> tuple[TiffFile, int]:
        ifd, owner = int(image.ifd[at]), int(image.file[at])
        if ifd < 0:
            raise UnreadablePlaneError("the file names no page for it")
        return self._files.get(self._path_of(owner)), ifd

    def _path_of(self, owner: int) -> Path:
        """Return the path of one of the files."""
        path = self._set.paths[owner]
        if path is None:
            raise UnreadablePlaneError(f"its file {self._set.absent[owner]}")
        if owner not in self._rightful:
            found = uuid_in(self._files.get(path).filehandle)
            self._rightful[owner] = rightful_file(self._set, owner, found)
        return self._rightful[owner]

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the files that the OME-XML names for a field of view."""
        paths = (self._set.paths[int(owner)] for owner in np.unique(self._images[fov].file))
        return [path for path in paths if path is not None]

    def own_files(self, fov: int) -> OwnFiles:
        """Return the files that planes of a field of view are in, and the pages that they are on.

        Of two files that have each other's names, the one that is read.
        """
        image = self._images[fov]
        owner = np.where(image.ifd >= 0, image.file, -1)
        shared = [] if image.shared is None else [image.shared]
        expected = image.shape, self._dtype
        return own_files_of(self._path_if_there, owner, image.ifd, *shared, further=expected)

    def _path_if_there(self, owner: int) -> Path | None:
        try:
            return self._path_of(owner)
        except (UnreadablePlaneError, InputError):  # damaged, or not there
            return self._set.paths[owner]

    def _refresh(self) -> None:
        self._files.close()

    def _release(self) -> None:
        self._files.close()


def open_ome_tiff(
    path: Path, options: Mapping[str, Any], text: str, files: TiffFiles, reader: str = "tiff"
) -> OmeTiffSource:
    """Open the data set that a TIFF file or its companion describes.

    Parameters
    ----------
    path : Path
        The file that was asked for.
    options : mapping
        Options of `pyama_core.io.readers.frame_source.ReadOptions`.
    text : str
        The OME-XML in that file.
    files : TiffFiles
        Files already open; belongs to the source from here on.
    reader : str
        Name of the reader in `pyama_core.io.microscopy`.

    Raises
    ------
    InputError
        If the metadata cannot be followed or the images do not fit each other.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "an OME-TIFF")
    choice.refuse_pattern(path, "an OME-TIFF")
    whole = locate_files(path, text, files, outside=choice.outside)
    file_set, ignored = _without_thumbnails(whole, files)
    _check_images(path, file_set.data.images)
    file_set, doubles = without_doubles(file_set)
    content = _content(path, choice, file_set, files, reader)
    told = (*ignored, *left_out(path, whole, files), *doubles, *content.warnings)
    content = replace(content, warnings=told)
    return OmeTiffSource(make_metadata(path, options, content), choice, file_set, files)


def _content(
    path: Path, choice: ReadOptions, file_set: FileSet, files: TiffFiles, reader: str
) -> FoundInFile:
    images = file_set.data.images
    return FoundInFile(
        file_type="ome-tiff",
        reader=reader,
        present=tuple(_present(image, path, file_set, files) for image in images),
        frame_sizes=tuple(image.shape[3:] for image in images),
        channel_names=images[0].channel_names,
        fov_names=tuple(image.name for image in images),
        dtype=images[0].dtype,
        pixel_size_um=images[0].pixel_size_um,
        times=[image.frame_minutes(choice.z) for image in images],
        nominal_times=_nominal(images),
        companions=file_set.companions,
        warnings=tuple(_warnings(file_set)),
        stage_positions_um=[image.stage_um for image in images],
        emission_nm=images[0].emission_nm,
        z_step_um=images[0].z_step_um,
        bit_depth=images[0].bit_depth,
        why_absent=_why_absent(path, file_set, files),
    )


def _why_absent(path: Path, file_set: FileSet, files: TiffFiles) -> str:
    if file_set.absent:
        return f"its file {next(iter(file_set.absent.values()))}"
    if path in files:
        return f"its OME-XML names none of the {len(files.get(path).pages)} pages of {path.name}"
    return "its OME-XML names no page"


def open_ome_companion(path: Path, options: Mapping[str, Any]) -> OmeTiffSource:
    """Open the OME-TIFF files that a ``.companion.ome`` file describes.

    Raises
    ------
    InputError
        As `open_ome_tiff`.
    """
    files = TiffFiles()
    try:
        text = read_companion(path)
        return open_ome_tiff(path, options, text, files, reader="ome-companion")
    except BaseException:
        files.close()
        raise


def _without_thumbnails(file_set: FileSet, files: TiffFiles) -> tuple[FileSet, tuple[str, ...]]:
    """Leave out images that say of themselves that they are no field of view."""
    images = file_set.data.images
    height, width = (max(image.shape[axis] for image in images) for axis in (3, 4))

    def is_thumbnail(image: OmeImage) -> bool:
        if image.shape[3] >= height or image.shape[4] >= width:
            return False
        path = file_set.paths[image.file.flat[0]] if file_set.paths else None
        ifd = int(image.ifd.flat[0])
        # Other files than the one asked for are not opened for this.
        opened = files.get(path) if path is not None and path in files else None
        marked = opened is not None and ifd >= 0 and is_reduced(opened, ifd)
        return marked or image.name.lower() in _THUMBNAILS

    kept = tuple(image for image in images if not is_thumbnail(image))
    if len(kept) == len(images):
        return file_set, ()
    told = f"{len(images) - len(kept)} images are ignored as thumbnails"
    return replace(file_set, data=replace(file_set.data, images=kept)), (told,)


def _check_images(path: Path, images: Iterable[OmeImage]) -> None:
    kinds: dict[tuple[str, int, int], OmeImage] = {}
    for image in images:
        if image.samples_per_pixel > 1:
            raise InputError(
                f"{path}: image {image.name!r} is a colour (RGB) image; expected one value per "
                "pixel and channel. Export the channels separately, or, if its "
                f"{image.samples_per_pixel} samples are frames or channels, say so, such as "
                f"{_axes_of_samples(image)}."
            )
        kinds.setdefault((image.dtype.name, image.shape[1], image.shape[2]), image)
    if len(kinds) > 1:
        found = "; ".join(
            f"{image.name!r}: {dtype}, {n_c} channels, {n_z} z planes"
            for (dtype, n_c, n_z), image in list(kinds.items())[:3]
        )
        raise InputError(
            f"{path}: expected the same pixel type, channels and z planes in all images, found "
            f"{found}. Export the images as separate files."
        )


def _axes_of_samples(image: OmeImage) -> str:
    """Show the axes that make the samples of a pixel channels, or frames where there is one."""
    others = [axis for axis in image.slowest_first if image.shape["TCZ".index(axis)] > 1]
    free = [axis for axis in "CTZ" if axis not in others][:2]
    return " or ".join(f"--axes {''.join(others)}{axis}YX" for axis in free)


def _present(
    image: OmeImage, path: Path, file_set: FileSet, files: TiffFiles
) -> npt.NDArray[np.bool_]:
    """Tell which planes exist: they have a page, in a file that is there and long enough.

    Other files than the one asked for are only opened when they are read.
    """
    there = np.array([found is not None for found in file_set.paths] or [False])
    present: npt.NDArray[np.bool_] = (image.ifd >= 0) & there[image.file]
    for owner, found in enumerate(file_set.paths):
        if found == path:
            beyond = (image.file == owner) & (image.ifd >= len(files.get(path).pages))
            present &= ~beyond
    return present


def _require_own(tiff: TiffFile, ifd: int, at: tuple[int, int, int]) -> None:
    """Make sure that a page of Micro-Manager, which says what it is, does not say otherwise."""
    about = micro_manager_metadata(tiff, ifd)
    stated = tuple(about.get(f"{name}Index", here) for name, here in zip(_PLACES, at, strict=True))
    if stated != at:
        raise UnreadablePlaneError(f"its page is that of frame {stated[0]}, channel {stated[1]}")


def _nominal(images: Iterable[OmeImage]) -> list[float] | None:
    intervals = {image.interval_min for image in images}
    interval = intervals.pop()
    if intervals or interval is None or interval <= 0:
        return None
    return [frame * interval for frame in range(max(image.shape[0] for image in images))]


def _warnings(file_set: FileSet) -> Iterator[str]:
    yield from file_set.data.warnings
    if file_set.absent:
        first = next(iter(file_set.absent.values()))
        yield f"{len(file_set.absent)} files of the data set are not there, first {first}"
    if len({image.pixel_size_um for image in file_set.data.images}) > 1:
        yield "FOVs differ in pixel size; that of the first is given"
    if len({image.channel_names for image in file_set.data.images}) > 1:
        yield "FOVs differ in channel names; those of the first are given"
