"""Segmentation by another program: its masks or label images are read from files."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pyama_core.io.errors import InputError
from pyama_core.io.paths import PathTemplate
from pyama_core.io.read_files import FilesOfParameters
from pyama_core.io.regular_files import found_instead, require_regular
from pyama_core.io.tiff_pages import UnreadablePlaneError
from pyama_core.io.tiff_planes import TiffPlanes
from pyama_core.processing.frame import as_frame, as_labels
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "files/1"
_TIFF = (".tif", ".tiff")
_IMAGES = (*_TIFF, ".png", ".npy")


class MaskFileParameters(MethodParameters):
    """Where the masks are."""

    method: Literal["files"] = Field("files", description="name of the segmentation")
    path: Annotated[str, PathTemplate()] = Field(
        min_length=1,
        description="a stack (.tif, .npy), a folder of one image per frame, or a pattern for "
        "those; {fov} and {frame}, as in fov_{fov:03d}/mask_{frame:04d}.png, count from 0",
    )


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(MaskFileParameters, ALGORITHM, MaskFileSegmenter, mask_files)


def mask_files(parameters: MaskFileParameters, fov: int, n_frames: int) -> FilesOfParameters:
    """Return the files that have the masks of a field of view, by the number of the frame."""
    return {"path": MaskFileSegmenter(parameters, fov).files(n_frames)}


class MaskFileSegmenter:
    """Read the masks of one field of view.

    A path with `{frame}` names one image per frame. A folder holds one image per frame, in the
    order of the numbers in their names. Any other path is a stack (T, Y, X), or an image (Y, X)
    for a single frame. Only the frame that is asked for is held in memory.

    Parameters
    ----------
    parameters
        Where the masks are.
    fov
        Number of the field of view, for `{fov}` in the path.

    Raises
    ------
    InputError
        If the path has other fields in braces.

    Examples
    --------
    >>> parameters = MaskFileParameters(path="masks/fov_{fov}.tif")
    >>> segmenter = MaskFileSegmenter(parameters, fov=2)
    >>> segmenter.path_of(0).name
    'fov_2.tif'
    """

    def __init__(self, parameters: MaskFileParameters, fov: int = 0) -> None:
        self.parameters = parameters
        self.fov = fov
        self._template(0)

    def segment_at(self, t: int, frame: NDArray[Any]) -> NDArray[Any]:
        """Return the (Y, X) labels of frame `t`, of an integer dtype, 0 in the background.

        Raises
        ------
        InputError
            If there is no mask for the frame, or it is not one of the frame's shape.
        """
        shape = as_frame(frame).shape
        path = self.path_of(t)
        self._require(path, t)
        labels = as_labels(_read_image(path, t, is_stack=self._is_stack), f"label image in {path}")
        if labels.shape != shape:
            raise InputError(
                f"Expected a label image of shape {shape} for frame {t} in {path}, found "
                f"{labels.shape}; use masks of the same images, uncropped."
            )
        return labels

    def _require(self, path: Path, t: int) -> None:
        try:
            require_regular(path)
        except OSError as error:
            raise InputError(
                f"Expected the masks of frame {t} of field of view {self.fov} in {path}, found "
                f"{found_instead(error)}; correct the path of segmentation.method files."
            ) from error

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None, /) -> NDArray[Any]:
        """Return the labels of the only frame there is; `nuclei` is not looked at."""
        return self.segment_at(0, frame)

    def files(self, n_frames: int) -> dict[str, Path]:
        """Return the files of all frames that there are, by the number of the frame."""
        if self._is_stack:
            self._require(self._template(0), 0)
            return {"": self._template(0)}
        return {str(t): self.path_of(t) for t in range(n_frames)}

    def path_of(self, t: int) -> Path:
        """Return the file that has the masks of frame `t`."""
        path = self._template(t)
        if self._has_frame or not path.is_dir():
            return path
        if t >= len(self._listing):
            raise InputError(
                f"Expected an image for each frame in {path}, found {len(self._listing)} images "
                f"and none for frame {t}; add the missing masks."
            )
        return self._listing[t]

    @property
    def _has_frame(self) -> bool:
        return re.search(r"\{frame[:}]", self.parameters.path) is not None

    @cached_property
    def _is_stack(self) -> bool:
        return not self._has_frame and not self._template(0).is_dir()

    @cached_property
    def _listing(self) -> list[Path]:
        """The images of the folder, in the order of the numbers in their names."""
        images = (p for p in self._template(0).iterdir() if p.suffix.lower() in _IMAGES)
        return sorted(images, key=lambda p: (_by_numbers(p.name), p.name))

    def _template(self, t: int) -> Path:
        """Return the path with the numbers filled in."""
        try:
            return Path(self.parameters.path.format(fov=self.fov, frame=t))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise InputError(
                "Expected a path with no fields in braces but {fov} and {frame}, found "
                f"{self.parameters.path}; write a brace that is part of a name twice."
            ) from error


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """Return a key by which mask_2 comes before mask_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _read_image(path: Path, t: int, *, is_stack: bool) -> NDArray[Any]:
    """Read one image, from a stack frame `t`."""
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        return _read_tiff(path, t, is_stack=is_stack)
    if suffix == ".npy":
        return _read_npy(path, t, is_stack=is_stack)
    if suffix == ".png":
        return _read_png(path)
    raise InputError(f"Expected masks in a file of {', '.join(_IMAGES)}, found {path}; convert it.")


def _read_tiff(path: Path, t: int, *, is_stack: bool) -> NDArray[Any]:
    try:
        planes = TiffPlanes(path)
    except InputError as error:
        raise InputError(f"Expected masks in {path}, cannot read it: {error}") from error
    with planes:
        if not is_stack and planes.n_planes > 1:
            raise _too_many(path, planes.n_planes)
        if is_stack and t >= planes.n_planes:
            raise _too_short(path, t, planes.n_planes)
        try:
            return planes.read(t if is_stack else 0)
        except UnreadablePlaneError as error:
            raise InputError(f"Expected masks in {path}, cannot read it: {error}.") from error


def _read_npy(path: Path, t: int, *, is_stack: bool) -> NDArray[Any]:
    try:
        stack = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise InputError(f"Expected masks in {path}, cannot read it: {error}") from error
    if stack.ndim != 3:
        return np.array(stack)
    if not is_stack:
        raise _too_many(path, stack.shape[0])
    if t >= stack.shape[0]:
        raise _too_short(path, t, stack.shape[0])
    return np.array(stack[t])


def _read_png(path: Path) -> NDArray[Any]:
    import cv2

    # Not cv2.imread, which cannot open every name that Windows allows.
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"Expected a PNG image in {path}, found something else; convert it.")
    return np.asarray(image)


def _too_many(path: Path, n: int) -> InputError:
    return InputError(
        f"Expected one label image (Y, X) in {path}, which is that of one frame, found {n}; name "
        "a stack of the whole movie by itself, as path."
    )


def _too_short(path: Path, t: int, n: int) -> InputError:
    return InputError(
        f"Expected one label image (Y, X) for each frame in {path}, found {n} and none for frame "
        f"{t}; use the masks of the whole movie, as (T, Y, X)."
    )
