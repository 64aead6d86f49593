"""Before and after: outlines of two segmentations over a crop of a frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

# Top, left and side of the crops, and how often they are enlarged.
CROPS = {"t98g": (300, 380, 420, 1), "trpl": (190, 130, 330, 1), "incucyte": (300, 700, 420, 1)}
_COLOUR = (40, 90, 255)  # orange, as blue, green, red


def write_pictures(
    folder: Path,
    name: str,
    frame: NDArray[Any],
    exact: Callable[[NDArray[Any]], NDArray[Any]],
    segmenter: InstanceSegmenter,
) -> None:
    """Write `accuracy_{name}.jpg`: the crop, the old outlines and the new ones side by side."""
    import cv2

    top, left, side, scale = CROPS[name]
    crop = slice(top, top + side), slice(left, left + side)
    low, high = np.percentile(frame, (0.3, 99.7))
    grey = np.clip((frame[crop] - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    panels = [_draw(grey, np.zeros_like(grey), scale)]
    panels += [_draw(grey, segment(frame)[crop], scale) for segment in (exact, segmenter.segment)]
    path = folder / f"accuracy_{name}.jpg"
    cv2.imwrite(str(path), np.hstack(panels), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _draw(grey: NDArray[np.uint8], labels: NDArray[Any], scale: int) -> NDArray[np.uint8]:
    """Return a colour image with a line where labels differ."""
    image = np.repeat(np.repeat(grey, scale, 0), scale, 1)
    large = np.repeat(np.repeat(labels, scale, 0), scale, 1)
    edge = np.zeros(large.shape, np.bool_)
    edge[:, 1:] |= large[:, 1:] != large[:, :-1]
    edge[1:] |= large[1:] != large[:-1]
    colour = np.dstack([image] * 3)
    colour[edge] = _COLOUR
    return np.pad(colour, ((0, 0), (0, 4), (0, 0)), constant_values=255)
