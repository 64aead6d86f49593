"""The door for segmentations: what one must offer, and how it is found by its name.

A segmentation that another package brings is an entry point of the group `pyama_core.segmenters`,
whose name is the method's name and whose object is a `SegmentationMethod`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.processing.plugins import find_method

GROUP = "pyama_core.segmenters"


class Segmenter(Protocol):
    """Finds the cells of one frame; what it returns depends on the frame alone, not on others."""

    def segment(self, frame: NDArray[Any], /) -> NDArray[Any]:
        """Return a (Y, X) bool mask, or (Y, X) integer labels with 0 in the background."""


@runtime_checkable
class Prepared(Protocol):
    """A segmenter that looks at some frames of the field of view before it begins."""

    def prepare(self, frames: Sequence[NDArray[Any]], /) -> None:
        """Set what holds for all frames. The same frames must always set the same."""


@runtime_checkable
class SegmentsByNuclei(Protocol):
    """A segmenter that can use a nuclear channel."""

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return a mask or labels as `Segmenter` does, with the nuclei's help if given."""


@runtime_checkable
class SegmentsByIndex(Protocol):
    """A segmenter that must know which frame it is given, such as one that reads a file."""

    def segment_at(self, t: int, frame: NDArray[Any]) -> NDArray[Any]:
        """Return a mask or labels for frame `t`, counted from 0."""


@dataclass(frozen=True)
class SegmentationMethod:
    """A segmentation as the pipeline knows it.

    Attributes
    ----------
    parameters
        Pydantic model whose field `method` has the name of the method.
    algorithm
        Name and version, which change whenever results do.
    create
        Makes the segmenter of one field of view from its parameters and its number.
    by_nuclei
        Whether the segmenter is a `SegmentsByNuclei`.
    compiled
        Whether it has kernels that are better compiled before the work begins, by running it on
        a tiny frame.
    """

    parameters: type[BaseModel]
    algorithm: str
    create: Callable[[Any, int], Segmenter]
    by_nuclei: bool = False
    compiled: bool = False


def _log_std() -> SegmentationMethod:
    from pyama_core.processing.segmentation.log_std import segmenter as log_std

    return SegmentationMethod(
        log_std.LogStdParameters,
        log_std.ALGORITHM,
        lambda parameters, _fov: log_std.LogStdSegmenter(parameters),
        compiled=True,
    )


def _instances() -> SegmentationMethod:
    from pyama_core.processing.segmentation.instances import segmenter as instances

    return SegmentationMethod(
        instances.InstanceParameters,
        instances.ALGORITHM,
        lambda parameters, _fov: instances.InstanceSegmenter(parameters),
        by_nuclei=True,
        compiled=True,
    )


def _from_files() -> SegmentationMethod:
    from pyama_core.processing.segmentation import from_files

    return SegmentationMethod(
        from_files.MaskFileParameters, from_files.ALGORITHM, from_files.MaskFileSegmenter
    )


def _cellpose() -> SegmentationMethod:
    from pyama_core.processing.segmentation import cellpose

    return SegmentationMethod(
        cellpose.CellposeParameters,
        cellpose.ALGORITHM,
        lambda parameters, _fov: cellpose.CellposeSegmenter(parameters),
    )


_BUILT_IN: dict[str, Callable[[], SegmentationMethod]] = {
    "log-std": _log_std,
    "instances": _instances,
    "files": _from_files,
    "cellpose": _cellpose,
}


def find_segmentation(name: str) -> SegmentationMethod:
    """Return the segmentation of a name, built in or brought by an installed package.

    Parameters
    ----------
    name
        As in `segmentation.method` of the configuration. Built-in methods come first.

    Raises
    ------
    InputError
        If there is none of this name, or the package's cannot be loaded.

    Examples
    --------
    >>> method = find_segmentation("log-std")
    >>> segmenter = method.create(method.parameters(), 0)
    """
    return find_method("segmentation", name, _BUILT_IN, GROUP, SegmentationMethod)
