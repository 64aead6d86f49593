"""A cell through its life: squares around it in some frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.app.layers import LayerKind, stack_of
from pyama_core.app.levels import shown
from pyama_core.errors import InputError
from pyama_core.results.fov_results import FovResults

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("position_x", "position_y", "area")
_SMALLEST, _LARGEST = 8, 512
_STEP = 16
_NEARLY_ALL = 90
_ROOM = 1.8
"""Side of a square, in diameters of the disk with the area of a large cell."""
_MOST_FRAMES = 200


def strip_of(
    fov: FovResults,
    traces: pd.DataFrame,
    cell: int,
    kind: LayerKind,
    channel: str,
    frames: Sequence[int],
    size: int,
) -> dict[str, NDArray[Any]]:
    """Cut squares around a cell out of some frames of a layer.

    Parameters
    ----------
    fov : FovResults
        Its field of view.
    traces : DataFrame
        Of the field of view, with `COLUMNS`.
    cell : int
        The cell.
    kind, channel
        The layer.
    frames : sequence of int
        Frames in which it is wanted; where it was not seen, where it was last, or will be first.
    size : int
        Side of the squares in pixels; 0 for one that nearly all cells of the position fit in.

    Returns
    -------
    dict
        ``frame`` (n), whether it was ``seen`` there (n), ``pixels`` and ``inside`` (n × size²,
        flat): grey values, 0 beyond the edge of the image, and whether pixels are the cell's.

    Raises
    ------
    InputError
        There is no such cell or layer, or too much is asked for.
    """
    if (size and not _SMALLEST <= size <= _LARGEST) or len(frames) > _MOST_FRAMES:
        raise InputError(
            f"expected squares of {_SMALLEST} to {_LARGEST} pixels in {_MOST_FRAMES} frames"
        )
    size = size or _side_for(traces["area"].to_numpy())
    of_cell = traces[traces["cell"] == cell]
    if of_cell.empty:
        raise InputError(f"{fov.title}: there is no cell {cell}, or nothing was measured of it")
    times = of_cell["frame"].to_numpy()
    centres = of_cell[["position_y", "position_x"]].to_numpy()
    stack = stack_of(fov, kind, channel)
    pixels = np.zeros((len(frames), size, size), shown(stack[:0]).dtype)
    inside = np.zeros(pixels.shape, np.uint8)
    for i, t in enumerate(frames):
        if not 0 <= t < len(stack):
            raise InputError(f"{fov.title} has frames 0 to {len(stack) - 1}, not {t}")
        near = max(int(np.searchsorted(times, t, "right")) - 1, 0)
        corner = np.rint(centres[near]).astype(int) - size // 2
        _paste(pixels[i], shown(stack[t]), corner)
        _paste(inside[i], fov.label_image(t) == cell, corner)
    return {
        "frame": np.array(frames, np.int32),
        "seen": np.isin(frames, times).astype(np.uint8),
        "pixels": pixels.ravel(),
        "inside": inside.ravel(),
    }


def _side_for(area: NDArray[Any]) -> int:
    """Return the side of squares in which nearly all cells have room, a multiple of 16."""
    diameter = 2 * float(np.sqrt(np.percentile(area, _NEARLY_ALL) / np.pi))
    return min(max(-(-int(_ROOM * diameter) // _STEP) * _STEP, 2 * _STEP), _LARGEST)


def _paste(square: NDArray[Any], image: NDArray[Any], corner: NDArray[np.int_]) -> None:
    """Copy the part of an image that a square covers, whose corner may lie outside."""
    size = len(square)
    (y, x), (height, width) = corner.tolist(), image.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + size, height), min(x + size, width)
    if top < bottom and left < right:
        square[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
