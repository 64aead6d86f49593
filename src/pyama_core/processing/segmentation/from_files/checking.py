"""Checking the masks of a field of view before a run begins, rather than when they are needed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.from_files.images import MaskImages
from pyama_core.processing.segmentation.from_files.pairing import MaskFiles, find_masks, lacking

logger = logging.getLogger(__name__)


def check_masks(
    template: str, fov: int, shape: tuple[int, int, int], is_there: Callable[[int], bool]
) -> None:
    """Make sure that each frame has a mask, and that the first fits.

    Parameters
    ----------
    template
        Path of the masks.
    fov
        Number of the field of view.
    shape
        (T, Y, X) of it.
    is_there
        Tells of a frame whether the source has it; one that is missing needs no mask. Asked only of
        frames without one.

    Raises
    ------
    InputError
        The masks are not those of these frames.
    """
    masks = find_masks(template, fov, shape[0])
    with MaskImages() as images:
        if masks.is_stack:
            n_images = images.count(masks.path)
            if n_images != shape[0]:
                raise InputError(
                    f"{masks.path}: {n_images} images for {shape[0]} frames; expected one mask for "
                    "each frame, the first for the first"
                )
            image, which = images.read(masks.path, 0), f"frame 0 in {masks.path}"
        else:
            _require_all(masks, shape[0], is_there)
            first = min(masks.frames)
            image, which = images.read(masks.frames[first]), str(masks.frames[first])
    if image.size and image.min() > 0:
        logger.warning(
            "FOV %d: %s: no pixel is 0, so that all of it is cell; if a value stands for the "
            "background, as in the classes of ilastik, it must be 0",
            fov,
            which,
        )
    if image.shape != shape[1:]:
        raise InputError(
            f"{which}: expected a mask of {shape[1:]} pixels (Y, X) like its frame, found "
            f"{image.shape}; use masks of the same images, uncropped"
        )


def _require_all(masks: MaskFiles, n_frames: int, is_there: Callable[[int], bool]) -> None:
    lost = next((t for t in lacking(masks, n_frames) if is_there(t)), None)
    if lost is None:
        return
    before = max((t for t in masks.frames if t < lost), default=None)
    after = min((t for t in masks.frames if t > lost), default=None)
    beside = ", ".join(
        f"frame {t} has {masks.frames[t].name}" for t in (before, after) if t is not None
    )
    raise InputError(
        f"{masks.path}: {len(masks.frames)} masks for {n_frames} frames, none for frame {lost} "
        f"({beside}); add it, an empty one if there is no cell"
    )
