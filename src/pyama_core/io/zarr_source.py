"""OME-Zarr: images, plates and folders of images, on a disk or behind a URL."""

from __future__ import annotations

import errno
import itertools
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
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
from pyama_core.io.ome_zarr import ZarrDataSet, ZarrImage, read_ome_zarr
from pyama_core.io.retrying import telling_damage
from pyama_core.io.urls import text_of
from pyama_core.io.zarr_documents import ZarrStore

if TYPE_CHECKING:
    from zarr import Array

_MAX_OPEN_ARRAYS = 64
_MAX_LISTED_FILES = 20_000


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

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        image = self._images[fov]
        at = image.index(time, channel, z)
        try:
            pixels = telling_damage(
                lambda: np.asarray(self._array(fov)[at]),
                lambda: _drive_failure(self._store, image, at),
                self._refresh,
            )
        except Exception as error:  # codecs and file systems raise errors of many kinds
            raise self._missing(fov, channel, time, z, str(error)) from error
        fill = image.array.fill_value
        # A chunk that is absent reads as the fill value; so does one that is really so.
        if (
            pixels.flat[0] == fill
            and (pixels == fill).all()
            and not _is_there(self._store, image, at)
        ):
            told = "none of its chunks was ever written"
            raise self._missing(fov, channel, time, z, told) from _vanished(self._store, image)
        return np.ascontiguousarray(pixels, dtype=image.array.dtype)

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the files of an image: its chunks, and the documents of all."""
        companions = self.metadata.companions
        if not companions:  # behind a URL
            return ()
        array = self.metadata.file_path / self._images[fov].array.path
        documents = {self.metadata.file_path / name for name in self._store.documents}
        return [path for path in companions if path in documents or path.is_relative_to(array)]

    def _array(self, fov: int) -> Array[Any]:
        import zarr

        if fov in self._arrays:
            self._arrays.move_to_end(fov)
        else:
            path = self._images[fov].array.path
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
    return ZarrSource(describe(path, options, content), choice, store, found.images)


def _content(path: Path, store: ZarrStore, found: ZarrDataSet, choice: ReadOptions) -> FileContent:
    images, first = found.images, found.images[0]
    n_channels = first.size("c")
    companions, notes = _companions(path, store)
    xml = found.xml.images if found.xml and len(found.xml.images) == len(images) else ()
    names = [image.name for image in xml] or [image.name for image in images]
    channel_names = (xml and xml[0].channel_names) or first.channel_names
    return FileContent(
        file_type="ome-zarr",
        reader="ome-zarr",
        present=tuple(_present(store, image) for image in images),
        frame_sizes=tuple((image.size("y"), image.size("x")) for image in images),
        channel_names=(*channel_names, *("",) * n_channels)[:n_channels],
        fov_names=tuple(names),
        dtype=first.array.dtype,
        pixel_size_um=first.pixel_size_um,
        times=[image.frame_minutes(choice.z) for image in xml],
        nominal_times=_nominal(images),
        companions=companions,
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


def _is_there(store: ZarrStore, image: ZarrImage, at: tuple[int, ...]) -> bool:
    return any(store.exists(name) for name in image.array.chunk_names(at))


def _drive_failure(store: ZarrStore, image: ZarrImage, at: tuple[int, ...]) -> OSError | None:
    """Fetch the chunks of a plane without decoding them, to tell a failing server from damage."""
    try:
        for name in image.array.chunk_names(at):
            store.fetch(name)
    except OSError as error:
        return error
    except Exception as error:  # noqa: BLE001  each protocol's package has errors of its own
        return OSError(errno.EIO, f"the server failed: {error!r}")
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
    if store.is_remote or _is_there(store, image, last):
        return np.ones(shape, np.bool_)
    there = np.zeros(shape, np.bool_)
    for place in np.ndindex(shape):
        there[place] = _is_there(store, image, image.index(*place))
    return there


def _nominal(images: Sequence[ZarrImage]) -> list[float] | None:
    intervals = {image.interval_min for image in images}
    interval = intervals.pop()
    if intervals or interval is None or interval <= 0:
        return None
    return [frame * interval for frame in range(max(image.size("t") for image in images))]


def _companions(path: Path, store: ZarrStore) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """List all files of a store, or its metadata only where there are very many files."""
    if store.is_remote:
        return (), ()
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    listed = sorted(itertools.islice(files, _MAX_LISTED_FILES + 1))
    if len(listed) <= _MAX_LISTED_FILES:
        return tuple(listed), ()
    told = f"it has over {_MAX_LISTED_FILES} files and is identified by its metadata alone"
    return tuple(path / name for name in dict.fromkeys(store.documents)), (told,)
