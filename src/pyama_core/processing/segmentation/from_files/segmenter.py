"""The segmentation from files, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_frame, as_labels
from pyama_core.processing.segmentation.from_files.content import Values, has_labels, values_of
from pyama_core.processing.segmentation.from_files.images import MaskImages
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.segmentation.from_files.pairing import MaskFiles, filled, find_masks


class MaskFileSegmenter:
    """Read the masks of one field of view; only the frame that is asked for is held in memory.

    As a context manager it keeps a stack open between frames.

    Parameters
    ----------
    parameters
        Where the masks are, and what they are.
    fov
        Number of the field of view, for `{fov}` in the path.

    Raises
    ------
    InputError
        The path has other fields in braces.
    """

    def __init__(self, parameters: MaskFileParameters, fov: int = 0) -> None:
        self.parameters = parameters
        self.fov = fov
        filled(parameters.path, fov, 0)
        self._found: MaskFiles | None = None
        self._images = MaskImages()
        self._content: Literal["auto", "labels", "mask"] = parameters.content

    def __enter__(self) -> Self:
        self._images.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._images.__exit__(kind, error, traceback)

    def begin(self, n_frames: int) -> str:
        """Pair masks with frames, and decide what the images are if that is left open.

        Parameters
        ----------
        n_frames
            How many frames the field of view has.

        Returns
        -------
        str
            What the images were taken for.

        Raises
        ------
        InputError
            They cannot be the masks of so many frames, or one cannot be read.
        """
        self._found = find_masks(self.parameters.path, self.fov, n_frames)
        self._decide()
        taken = {
            "labels": "each number is a cell",
            "mask": "each connected part of what is not 0 is a cell",
        }[self._content]
        note = f" ({self._masks.note})" if self._masks.note else ""
        word = "label images" if self._content == "labels" else "masks"
        return f"{self._masks.path}{note}: taken for {word}, {taken} (segmentation.content)"

    def segment_at(self, t: int, frame: NDArray[Any]) -> NDArray[Any]:
        """Return the (Y, X) mask of frame `t`, bool, or its labels, of an integer dtype.

        Raises
        ------
        InputError
            If there is no mask for the frame, or it is not one of the frame's shape.
        """
        shape = as_frame(frame).shape
        self._decide()
        labels = self._read(t)
        if labels.shape != shape:
            raise InputError(
                f"expected a mask of shape {shape} for frame {t} in {self.path_of(t)}, found "
                f"{labels.shape}; use masks of the same images, uncropped"
            )
        return labels != 0 if self._content == "mask" else labels

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None, /) -> NDArray[Any]:
        """Return the mask or labels of the only frame there is; `nuclei` is not looked at."""
        return self.segment_at(0, frame)

    def path_of(self, t: int) -> Path:
        """Return the file that has the mask of frame `t`."""
        path = filled(self.parameters.path, self.fov, t)
        if not path.is_dir():  # a stack, or named by the number of the frame
            return path
        if t not in self._masks.frames:
            raise InputError(
                f"expected a mask for each frame in {self._masks.path}, found "
                f"{len(self._masks.frames)} images and none for frame {t}"
            )
        return self._masks.frames[t]

    @property
    def _masks(self) -> MaskFiles:
        """The files; of how many frames is known only once it has begun."""
        if self._found is None:
            self._found = find_masks(self.parameters.path, self.fov)
        return self._found

    def _read(self, t: int) -> NDArray[Any]:
        path = self.path_of(t)
        return as_labels(self._images.read(path, t if self._masks.is_stack else None), str(path))

    def _decide(self) -> None:
        """Find out, of all images of the field of view, whether any has two labels."""
        if self._content == "auto":
            self._content = "labels" if has_labels(self._values()) else "mask"

    def _values(self) -> Iterator[Values]:
        masks = self._masks
        frames = range(self._images.count(masks.path)) if masks.is_stack else masks.frames
        for t in frames:
            yield values_of(self._read(t))
