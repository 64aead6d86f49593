"""What a segmentation must offer, and how it is found by its name.

A segmentation that another package brings is an entry point of the group `pyama_core.segmenters`,
whose name is the method's name and whose object is a `SegmentationMethod`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.io.read_files import FilesOfParameters
from pyama_core.processing.method_files import files_of_parameters
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.plugins import find_method, known_methods

if TYPE_CHECKING:
    from pyama_core.processing.segmentation.picture.kind import Picture

GROUP = "pyama_core.segmenters"

_BUILT_IN = {
    "auto": "pyama_core.processing.segmentation.auto:segmentation_method",
    "instances": "pyama_core.processing.segmentation.instances.method:segmentation_method",
    "bright": "pyama_core.processing.segmentation.bright.method:bright_method",
    "dark": "pyama_core.processing.segmentation.bright.method:dark_method",
    "log-std": "pyama_core.processing.segmentation.log_std.method:segmentation_method",
    "files": "pyama_core.processing.segmentation.from_files.method:segmentation_method",
    "seeds": "pyama_core.processing.segmentation.seeds:segmentation_method",
    "cellpose": "pyama_core.processing.segmentation.cellpose:segmentation_method",
    "bioimageio": "pyama_core.processing.segmentation.bioimageio:segmentation_method",
    "stardist": "pyama_core.processing.segmentation.stardist:segmentation_method",
    "instanseg": "pyama_core.processing.segmentation.instanseg:segmentation_method",
}


class Segmenter(Protocol):
    """Finds the cells of one frame; what it returns depends on the frame alone, not on others."""

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None, /) -> NDArray[Any]:
        """Return a (Y, X) bool mask, or (Y, X) integer labels with 0 in the background.

        `nuclei`, the frame of a nuclear channel, is given to segmenters of methods that are
        `by_nuclei` alone.
        """


@dataclass(frozen=True)
class Calibration:
    """What a segmenter found out about a field of view before it began.

    Attributes
    ----------
    cell_diameter
        Of a typical cell, in pixels; None where the segmenter works without it.
    found_cells
        Whether there were cells to tell it from; if not, it is a guess.
    """

    cell_diameter: float | None = None
    found_cells: bool = True


@runtime_checkable
class SelfCalibrating(Protocol):
    """A segmenter that looks at some frames of the field of view before it begins."""

    def prepare(self, frames: Sequence[NDArray[Any]], /) -> Calibration | None:
        """Set what holds for all frames, and return it as far as others can use it.

        The same frames must always set the same. None is a `Calibration` without a diameter.
        """


@runtime_checkable
class LooksAtNuclei(Protocol):
    """A segmenter that looks at some frames of a nuclear channel too before it begins."""

    def prepare_nuclei(self, frames: Sequence[NDArray[Any]], /) -> Calibration | None:
        """Set what holds for all frames; return it, or None where nuclei are not looked at."""


@runtime_checkable
class TellsDiameter(Protocol):
    """A segmenter that works by the diameter of cells, and can tell it from a frame too."""

    def diameter_shown(self, frame: NDArray[Any], /) -> float | None:
        """Return what the frame itself says where a diameter was given; None where it cannot."""


@runtime_checkable
class FitsToCells(Protocol):
    """A segmenter of nuclei that works by the size of the cells which they are in."""

    def fit_to_cells(self, diameter: float, /) -> None:
        """Take the typical diameter of the cells of the field of view, in pixels."""


@runtime_checkable
class SegmentsByIndex(Protocol):
    """A segmenter that must know which frame it is given, such as one that reads a file."""

    def segment_at(self, t: int, frame: NDArray[Any]) -> NDArray[Any]:
        """Return a mask or labels for frame `t`, counted from 0."""


@runtime_checkable
class KnowsTheMovie(Protocol):
    """A segmenter that must know how long the movie is before it begins."""

    def begin(self, n_frames: int, /) -> str:
        """Prepare for so many frames; return what was decided for all of them, in words."""


@runtime_checkable
class LeavesMargin(Protocol):
    """Parameters of a segmentation that finds nothing along the edges of a frame."""

    @property
    def margin(self) -> int:
        """How many pixels from the edge its outlines end at least."""


Shape = tuple[int, int, int]


def _as_they_are(parameters: Any, _shapes: Sequence[Shape]) -> Any:
    return parameters


def _never(_parameters: Any) -> bool:
    return False


def _any_is_fine(_parameters: Any, _fov: int, _shape: Shape, _is_there: object) -> None:
    return None


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
    files
        Tells which files the segmenter reads, of one field of view, by its parameters, its number
        and how many frames it has. Results are made anew when their content changes.
    check
        Raises `InputError`, before a run begins, if these files cannot be used for a field of view:
        given the parameters, its number, its (T, Y, X), and a function that tells of a frame
        whether the source has it.
    resolve
        Replaces what parameters leave to the data set as a whole, of which it is given the
        (T, Y, X) of each field of view.
    resolved
        Names of the parameters that `resolve` may replace, of which results have a record.
    choose
        Of a method that segments nothing itself: returns the parameters of the one that does, from
        its own and what the channel shows in some frames of the data set.
    beside_calibration
        Names of the parameters that do not matter to what a self-calibrating segmenter finds out
        when it is prepared.
    by_nuclei
        Whether the segmenter makes use of a nuclear channel.
    needs_nuclei
        Whether, with its parameters, it can do nothing without one.
    labels
        Whether it tells touching cells apart: then its stack has labels, else a mask. One that
        finds that out frame by frame says that it does, for the estimate of space.
    compiled
        Whether it has kernels that are better compiled before the work begins, by running it on
        a tiny frame.
    parts
        Calls that compile parts of these, so that processes can share them before it runs as a
        whole, those that take longest first. Each is given parameters, a frame and the (Y, X)
        uint16 labels of its cells.
    needs
        The package to import that the extra of the method's name installs; empty if none.
    """

    parameters: type[BaseModel]
    algorithm: str
    create: Callable[[Any, int], Segmenter]
    files: Callable[[Any, int, int], FilesOfParameters] = files_of_parameters
    check: Callable[[Any, int, Shape, Callable[[int], bool]], None] = _any_is_fine
    resolve: Callable[[Any, Sequence[Shape]], Any] = _as_they_are
    resolved: tuple[str, ...] = ()
    choose: Callable[[Any, Picture], MethodParameters] | None = None
    beside_calibration: tuple[str, ...] = ()
    by_nuclei: bool = False
    needs_nuclei: Callable[[Any], bool] = _never
    labels: bool = True
    compiled: bool = False
    parts: tuple[Callable[[Any, NDArray[Any], NDArray[np.uint16]], object], ...] = ()
    needs: str = ""


def known_segmentations() -> list[str]:
    """Return the names of all segmentations, those of installed packages last."""
    return known_methods(_BUILT_IN, GROUP)


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
