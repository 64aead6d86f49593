"""Whether images are label images or two-valued masks.

A program that saves masks writes one value for all cells, 255 or 1. So does one that saves labels
in an image with a single cell, and none tells. What tells is whether any image has two different
labels; a single image that is two-valued says nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.io.readers.survey import first_middle_last
from pyama_core.processing.frame import as_labels
from pyama_core.processing.segmentation.from_files.images import MaskImages
from pyama_core.processing.segmentation.from_files.pairing import MaskFiles, find_masks

_ASKED_FOVS = 16


@dataclass(frozen=True)
class Values:
    """What values other than 0 an image has.

    Attributes
    ----------
    largest : int
        0 if it has no other.
    is_one : bool
        Whether all are the same.
    """

    largest: int
    is_one: bool


def values_of(image: NDArray[Any]) -> Values:
    """Look for a second label in an image.

    Examples
    --------
    >>> import numpy as np
    >>> values_of(np.array([[0, 7], [3, 7]]))
    Values(largest=7, is_one=False)
    """
    largest = int(image.max(initial=0))
    return Values(largest, bool(((image == 0) | (image == largest)).all()))


def has_labels(values: Iterable[Values]) -> bool:
    """Whether images, looked at until one tells, have two different labels among them."""
    seen = 0
    for found in values:
        if not found.is_one or (found.largest and seen and found.largest != seen):
            return True
        seen = seen or found.largest
    return False


def set_has_labels(template: str, n_frames: Sequence[int]) -> bool:
    """Whether any of a few masks of any field of view is a label image.

    The same few are looked at whatever is asked for: the first, the middle and the last of up to
    16 fields of view, evenly spread. For label images the first nearly always tells. What is not
    there, or cannot be read, becomes an error where it is needed.

    Parameters
    ----------
    template
        Path of the masks.
    n_frames
        Number of frames of each field of view.
    """
    step = -(-len(n_frames) // _ASKED_FOVS)
    seen: set[tuple[Path, int | None]] = set()
    return has_labels(
        found
        for fov in range(0, len(n_frames), step)
        for found in _values_of_some(template, fov, n_frames[fov], seen)
    )


def _values_of_some(
    template: str, fov: int, n_frames: int, seen: set[tuple[Path, int | None]]
) -> Iterator[Values]:
    try:
        masks = find_masks(template, fov, n_frames)
        for t in first_middle_last(n_frames):
            found = _look(masks, t, seen)
            if found is not None:
                yield found
    except (InputError, OSError):
        return


def _look(masks: MaskFiles, t: int, seen: set[tuple[Path, int | None]]) -> Values | None:
    """Look at the mask of a frame, unless it was looked at for another field of view."""
    path, index = (masks.path, t) if masks.is_stack else (masks.frames.get(t), None)
    if path is None or (path, index) in seen:
        return None
    seen.add((path, index))
    status = path.stat()
    return _values_in(path, index, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _values_in(path: Path, index: int | None, size: int, mtime_ns: int) -> Values:
    """Look at an image; of one that is not changed it is known."""
    del size, mtime_ns
    return values_of(as_labels(MaskImages().read(path, index), str(path)))
