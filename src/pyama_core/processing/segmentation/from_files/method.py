"""The segmentation from files as the pipeline knows it: parameters and version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pyama_core.io.paths import PathTemplate
from pyama_core.io.read_files import FilesOfParameters
from pyama_core.processing.plugins import Imported
from pyama_core.processing.segmentation.from_files.pairing import find_masks
from pyama_core.processing.segmentation.growth import GrowthParameters
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "files/2"


class MaskFileParameters(GrowthParameters):
    """Where the masks are, and what they are."""

    method: Literal["files"] = Field("files", description="name of the segmentation")
    path: Annotated[str, PathTemplate()] = Field(
        min_length=1,
        description="a stack (.tif, .npy), a folder of one image per frame, or a pattern for "
        "those; {fov} and {frame}, as in fov_{fov:03d}/mask_{frame:04d}.png, count from 0",
    )
    content: Literal["auto", "labels", "mask"] = Field(
        "auto",
        description="labels: each number is a cell; mask: all that is not 0 is cell, and each "
        "connected part of it is one; auto: labels, unless no image has two different ones",
    )


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        MaskFileParameters,
        ALGORITHM,
        Imported("pyama_core.processing.segmentation.from_files.segmenter:MaskFileSegmenter"),
        files=mask_files,
        check=_check,
        resolve=_resolve,
        resolved=("content",),
    )


def mask_files(parameters: MaskFileParameters, fov: int, n_frames: int) -> FilesOfParameters:
    """Return the files that have the masks of a field of view, by the number of the frame."""
    masks = find_masks(parameters.path, fov, n_frames)
    if masks.is_stack:
        return {"path": {"": masks.path}}
    files: dict[str, Path] = {str(t): path for t, path in masks.frames.items()}
    return {"path": files}


def _check(
    parameters: MaskFileParameters,
    fov: int,
    shape: tuple[int, int, int],
    is_there: Callable[[int], bool],
) -> None:
    check = Imported("pyama_core.processing.segmentation.from_files.checking:check_masks")
    check(parameters.path, fov, shape, is_there)


def _resolve(
    parameters: MaskFileParameters, shapes: Sequence[tuple[int, int, int]]
) -> MaskFileParameters:
    """Decide for all fields of view together, where one alone does not tell."""
    if parameters.content != "auto":
        return parameters
    tells = Imported("pyama_core.processing.segmentation.from_files.content:set_has_labels")
    if tells(parameters.path, [shape[0] for shape in shapes]):
        return parameters.model_copy(update={"content": "labels"})
    return parameters
