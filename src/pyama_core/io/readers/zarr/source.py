"""OME-Zarr: images, plates and folders of images, on a disk or behind a URL."""

from __future__ import annotations

import errno
import functools
import itertools
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.checksums import value_checksum
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_frame_size,
    check_plane_count,
)
from pyama_core.io.readers.own_files import OwnFiles
from pyama_core.io.readers.zarr.chunks import ChunkAudit, written_planes
from pyama_core.io.readers.zarr.documents import ARRAY_DOCUMENTS, ZarrStore
from pyama_core.io.readers.zarr.images import ZarrDataSet, ZarrImage, read_ome_zarr
from pyama_core.io.retrying import telling_damage
from pyama_core.io.urls import text_of

if TYPE_CHECKING:
    from zarr import Array

logger = logging.getLogger(__name__)

_MAX_OPEN_ARRAYS = 64
_MAX_LISTED_FILES = 20_000
_SPARSE = (
    "%s: chunks that are not there count as empty where what lies around them is, first in FOV %d, "
    "channel %d, frame %d"
)


class ZarrSource(FrameSource):
    """Frames of an OME-Zarr."""

    def __init__(
        self,
        metadata: MicroscopyMetadata,
        options: ReadOptions,
        store: ZarrStore,
        images: Sequence[ZarrImage],
    ) -> None:
        super().__init__(metadata, options.z)
        self._store = store
        self._images = images
        self._arrays: OrderedDict[int, Array[Any]] = OrderedDict()
        self._audits: dict[int, ChunkAudit] = {}
        self._told = False

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        image, audit = self._images[fov], self._audit(fov)
        at = image.index(time, channel, z)
        chunks = list(image.array.chunks_of(image.array.block_of(at)))
        try:
            # Before zarr opens them, because it waits for ever for what is no file.
            absent = audit.absent(chunks) if self._store.is_quick else []
            if len(absent) < len(chunks):
                pixels = self._read_pixels(fov, at)
            else:
                pixels = np.zeros((0, 0), image.array.dtype)
            if not self._store.is_quick:
                dark = (chunk for chunk in chunks if image.array.is_fill(pixels[chunk.area]))
                absent = audit.absent(dark)
            why = audit.why_missing(at, chunks, absent, pixels)
        except Exception as error:  # noqa: BLE001  codecs and stores raise errors of many kinds
            cause = None if _is_irregular(error) else error
            raise self._missing(fov, channel, time, z, _words(error)) from cause
        if why is not None:
            raise self._missing(fov, channel, time, z, why) from _vanished(self._store, image)
        if absent and not self._told:
            self._told = True
            logger.info(_SPARSE, self._path.name, fov, channel, time)
        return np.ascontiguousarray(pixels, dtype=image.array.dtype)

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the files of an image: its chunks, and the documents of it and above it."""
        if not self.metadata.companions:  # behind a URL
            return ()
        array = self.metadata.file_path / self._images[fov].array.path
        return [path for place in (array, *array.parents) for path in self._files.get(place, ())]

    def own_files(self, fov: int) -> OwnFiles | None:
        """Return the files of an image, if all of them are known."""
        if not self._lists_chunks:
            return None
        files = tuple(self.files_of(fov))
        names = [path.relative_to(self.metadata.file_path).as_posix() for path in files]
        image, shape = self._images[fov], self.metadata.shape_of(fov)
        layout = value_checksum([names, image.array.path, image.axes, shape, self.metadata.dtype])
        return OwnFiles(files, layout)

    @functools.cached_property
    def _lists_chunks(self) -> bool:
        """Whether files of pixels are among those that are named, not documents alone."""
        root = self.metadata.file_path
        documents = {root / name for name in self._store.documents}
        return any(path not in documents for path in self.metadata.companions)

    @functools.cached_property
    def _files(self) -> dict[Path, list[Path]]:
        """All files, by the array that they are in, or the group that they describe."""
        root = self.metadata.file_path
        arrays = {root / image.array.path for image in self._images}
        found: dict[Path, list[Path]] = defaultdict(list)
        for path in self.metadata.companions:
            holder = next((place for place in path.parents if place in arrays), path.parent)
            found[holder].append(path)
        return found

    def find_change(self, fov: int) -> str:
        """Say if what describes an image behind a URL is another by now."""
        if not self._store.is_remote:
            return ""
        place = self._images[fov].array.path
        own = (f"{place}/{name}".lstrip("/") for name in ("zarr.json", ".zarray"))
        changed = [name for name in own if self._store.has_changed(name)]
        return f"{changed[0]} is another" if changed else ""

    def _read_pixels(self, fov: int, at: tuple[int, ...]) -> Frame:
        pixels: Frame = telling_damage(
            lambda: np.asarray(self._array(fov)[at]),
            lambda: _drive_failure(self._store, self._images[fov], at),
            self._refresh,
        )
        return pixels

    def _audit(self, fov: int) -> ChunkAudit:
        if fov not in self._audits:
            self._audits[fov] = ChunkAudit(self._store, self._images[fov].array)
        return self._audits[fov]

    def _array(self, fov: int) -> Array[Any]:
        import zarr

        if fov in self._arrays:
            self._arrays.move_to_end(fov)
        else:
            path = self._images[fov].array.path
            if self._store.is_quick:
                for name in ARRAY_DOCUMENTS:
                    self._store.exists(f"{path}/{name}".lstrip("/"))  # raises for what is no file
            self._arrays[fov] = zarr.open_array(self._store.location, path=path, mode="r")
            if len(self._arrays) > _MAX_OPEN_ARRAYS:
                self._arrays.popitem(last=False)
        return self._arrays[fov]

    def _refresh(self) -> None:
        self._arrays.clear()

    def _release(self) -> None:
        self._arrays.clear()


def open_zarr(path: Path, options: Mapping[str, Any]) -> ZarrSource:
    """Open an OME-Zarr.

    Raises
    ------
    InputError
        If there is no image in it, or its images do not fit each other.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "an OME-Zarr")
    choice.refuse_pattern(path, "an OME-Zarr")
    try:
        store = ZarrStore(path)
        found = read_ome_zarr(store)
    except FileNotFoundError as error:
        raise InputError(f"{text_of(path)} does not exist; check the path.") from error
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"{text_of(path)} cannot be read as OME-Zarr: {error}.") from error
    _check_images(path, found.images)
    content = _content(path, store, found, choice)
    return ZarrSource(make_metadata(path, options, content), choice, store, found.images)


def _content(path: Path, store: ZarrStore, found: ZarrDataSet, choice: ReadOptions) -> FoundInFile:
    images, first = found.images, found.images[0]
    n_channels = first.size("c")
    companions, notes = _companions(path, store)
    present = tuple(_present(store, image) for image in images)
    xml = found.xml.images if found.xml and len(found.xml.images) == len(images) else ()
    names = [image.name for image in xml] or [image.name for image in images]
    channel_names = (xml and xml[0].channel_names) or first.channel_names
    return FoundInFile(
        file_type="ome-zarr",
        reader="ome-zarr",
        present=present,
        frame_sizes=tuple((image.size("y"), image.size("x")) for image in images),
        channel_names=(*channel_names, *("",) * n_channels)[:n_channels],
        fov_names=tuple(names),
        dtype=first.array.dtype,
        pixel_size_um=first.pixel_size_um,
        times=[image.frame_minutes(choice.z) for image in xml],
        nominal_times=_nominal(images, present),
        companions=companions,
        warnings=found.warnings,
        notes=notes,
        stage_positions_um=[image.stage_um for image in xml],
        emission_nm=xml[0].emission_nm if xml else (),
        z_step_um=first.z_step_um,
        bit_depth=xml[0].bit_depth if xml else None,
        content_checksum=store.checksum() if store.is_remote else "",
    )


def _check_images(path: Path, images: Sequence[ZarrImage]) -> None:
    kinds = {(image.array.dtype.name, image.size("c"), image.size("z")) for image in images}
    if len(kinds) > 1:
        found = "; ".join(f"{kind}, {n_c} channels, {n_z} z" for kind, n_c, n_z in sorted(kinds))
        raise InputError(
            f"{path}: expected the same pixel type, channels and z planes in all images, found "
            f"{found}. Give one of its images by its own path."
        )
    check_plane_count(path, sum(i.size("t") * i.size("c") * i.size("z") for i in images))
    for image in images:
        if image.size("c") < 1 or image.size("z") < 1:
            raise InputError(f"{path} has an image of the shape {image.array.shape}.")
        check_frame_size(path, image.size("y"), image.size("x"))


def _is_irregular(error: Exception) -> bool:
    """Tell what is no file, and will be none if it is asked for again, from a failing drive."""
    return isinstance(error, OSError) and error.errno == errno.EINVAL


def _words(error: Exception) -> str:
    """Return what an error says in one line, as some libraries do not."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split())[:300] or type(error).__name__


def _drive_failure(store: ZarrStore, image: ZarrImage, at: tuple[int, ...]) -> OSError | None:
    """Fetch the chunks of a plane without decoding them, to tell a failing server from damage."""
    try:
        for name in image.array.chunk_names(at):
            store.fetch(name)
    except OSError as error:
        return error
    return None


def _vanished(store: ZarrStore, image: ZarrImage) -> OSError | None:
    """Tell a chunk that was never written from a drive that is gone with all there was on it."""
    documents = (f"{image.array.path}/{name}".lstrip("/") for name in ("zarr.json", ".zarray"))
    if any(store.exists(name) for name in documents):
        return None
    return FileNotFoundError(errno.ENOENT, f"{image.array.path or 'the array'} is gone")


def _present(store: ZarrStore, image: ZarrImage) -> npt.NDArray[np.bool_]:
    """Tell which planes have a chunk; all, if the last has one or asking would take long."""
    shape = image.size("t"), image.size("c"), image.size("z")
    last = image.index(*(n - 1 for n in shape))
    if not store.is_quick or _any_there(store, image.array.chunk_names(last)):
        return np.ones(shape, np.bool_)
    written = written_planes(store, image.array)
    axes = image.axes[:-2]
    written = written[tuple(slice(None) if axis in "tcz" else 0 for axis in axes)]
    axes = axes.replace("?", "")
    return written.transpose([axes.index(axis) for axis in "tcz" if axis in axes]).reshape(shape)


def _any_there(store: ZarrStore, names: Iterable[str]) -> bool:
    try:
        return any(map(store.exists, names))
    except OSError as error:
        if _is_irregular(error):
            return True  # whoever reads it says what it is
        raise


def _nominal(
    images: Sequence[ZarrImage], present: Sequence[npt.NDArray[np.bool_]]
) -> list[float] | None:
    intervals = {image.interval_min for image in images}
    interval = intervals.pop()
    if intervals or interval is None or interval <= 0:
        return None
    # Metadata may announce millions of frames that there are not.
    begun = (np.flatnonzero(planes.any(axis=(1, 2))) for planes in present)
    return [t * interval for t in range(max(int(t.max(initial=-1)) for t in begun) + 1)]


def _companions(path: Path, store: ZarrStore) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """List all files of a store, or its metadata only where there are very many files."""
    if store.is_remote:
        return (), ()
    files = (Path(path, name) for name in store.files())
    listed = sorted(itertools.islice(files, _MAX_LISTED_FILES + 1))
    if len(listed) <= _MAX_LISTED_FILES:
        return tuple(listed), ()
    told = f"it has over {_MAX_LISTED_FILES} files and is identified by its metadata alone"
    return tuple(path / name for name in dict.fromkeys(store.documents)), (told,)
