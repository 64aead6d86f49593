"""Images of masks out of TIFF, PNG and numpy files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.io.mapping import open_array
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError
from pyama_core.io.regular_files import read_regular
from pyama_core.processing.segmentation.from_files.pairing import require_masks

if TYPE_CHECKING:
    from pyama_core.io.readers.tiff.planes import TiffPlanes


class MaskImages:
    """Reads images one by one; as a context manager it keeps a stack open between them."""

    def __init__(self) -> None:
        self._keeps_open = False
        self._open: tuple[Path, TiffPlanes] | None = None

    def __enter__(self) -> Self:
        self._keeps_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._keeps_open = False
        self._close()

    def count(self, path: Path) -> int:
        """Return how many images a file holds.

        Raises
        ------
        InputError
            It cannot be read.
        """
        require_masks(path)
        if path.suffix.lower() == ".png":
            return 1
        if path.suffix.lower() == ".npy":
            array = _load_npy(path)
            return 1 if array.ndim == 2 else int(array.shape[0])
        try:
            return self._planes(path).n_planes
        finally:
            self._close_unless_kept()

    def read(self, path: Path, index: int | None = None) -> NDArray[Any]:
        """Read one image of a stack, or the only one of a file.

        Raises
        ------
        InputError
            There is no such image, there are several, or it cannot be read.
        """
        require_masks(path)
        read: Callable[[Path, int | None], NDArray[Any]] = {
            ".png": _read_png,
            ".npy": _read_npy,
        }.get(path.suffix.lower(), self._read_tiff)
        return _as_grey(read(path, index))

    def _read_tiff(self, path: Path, index: int | None) -> NDArray[Any]:
        try:
            planes = self._planes(path)
            return planes.read(_index_in(path, index, planes.n_planes))
        except UnreadablePlaneError as error:
            raise InputError(f"expected masks in {path}, cannot read them: {error}") from error
        finally:
            self._close_unless_kept()

    def _planes(self, path: Path) -> TiffPlanes:
        from pyama_core.io.readers.tiff.planes import TiffPlanes

        if self._open is None or self._open[0] != path:
            self._close()
            try:
                self._open = path, TiffPlanes(path)
            except InputError as error:
                raise InputError(f"expected masks in {path}, cannot read them: {error}") from error
        return self._open[1]

    def _close_unless_kept(self) -> None:
        if not self._keeps_open:
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _index_in(path: Path, index: int | None, n_images: int) -> int:
    if index is None and n_images == 1:
        return 0
    if index is None:
        raise InputError(f"{path}: expected one image, found {n_images}; split it into frames")
    if index >= n_images:
        raise InputError(
            f"{path}: expected an image for each frame, found {n_images} and none for frame {index}"
        )
    return index


def _read_npy(path: Path, index: int | None) -> NDArray[Any]:
    array = _load_npy(path)
    if array.ndim == 2:
        _index_in(path, index, 1)
        return np.array(array)
    return np.array(array[_index_in(path, index, array.shape[0])])


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        array = open_array(path)
    except (ValueError, OSError) as error:
        hint = ""
        if "bject" in str(error) or "pickle" in str(error):
            hint = (
                "; it holds objects of Python, as Cellpose's own _seg.npy do, which are not opened "
                "because they may run code: save the masks there as TIFF or PNG"
            )
        raise InputError(f"expected masks in {path}, cannot read them ({error}){hint}") from error
    if array.ndim not in (2, 3):
        raise InputError(f"{path}: expected an array (T, Y, X) or (Y, X), found {array.shape}")
    return array


def _read_png(path: Path, index: int | None) -> NDArray[Any]:
    import cv2

    _index_in(path, index, 1)
    # Not cv2.imread, which cannot open every name that Windows allows.
    try:
        data = read_regular(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise InputError(f"expected a PNG image in {path}, found something else; convert it")
    return np.asarray(image)


def _as_grey(image: NDArray[Any]) -> NDArray[Any]:
    """Return one value per pixel of an image that was saved in colour, but is grey."""
    if image.ndim == 3 and image.shape[2] in (3, 4):
        red, green, blue = image[..., 0], image[..., 1], image[..., 2]
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return np.ascontiguousarray(red)
    return image
