"""Outlines of labels as polygons, along the edges of pixels."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
"""(N, 2): x and y of the corners, of which the last is joined to the first."""

# Directions along edges of pixels, each a quarter turn to the right of the one before: x, y.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outlines_of(
    labels: NDArray[np.integer], cells: Collection[int] | None = None
) -> dict[int, list[Polygon]]:
    """Return the outlines of the labels of an image.

    Parameters
    ----------
    labels : (Y, X) integer array
        Label image, 0 for none.
    cells : collection of int, optional
        Labels that are wanted, by default all.

    Returns
    -------
    dict of int to list of (N, 2) float arrays
        By label, in order: polygons whose corners are x and y in pixels, where the centre of the
        first pixel is (0, 0). A label has as many as it has parts that touch at most at corners;
        around holes they run the other way. Filled, they are the label to the pixel.

    Examples
    --------
    >>> outlines_of(np.array([[0, 5, 5]]))[5][0].tolist()
    [[0.5, -0.5], [2.5, -0.5], [2.5, 0.5], [0.5, 0.5]]
    """
    from scipy.ndimage import find_objects

    found = {}
    for number, box in enumerate(find_objects(labels), 1):
        if box is not None and (cells is None or number in cells):
            corner = np.array([box[1].start, box[0].start])
            mask = np.pad(labels[box] == number, 1)
            found[number] = [polygon + (corner - 1.5) for polygon in _around(mask)]
    return found


def _around(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Walk around the parts of a mask with an empty border; x and y of corners of pixels."""
    begins = _edges(mask)
    polygons = []
    while begins:
        start = next(iter(begins))
        corners = []
        place, direction = start, next(iter(begins[start]))
        before = None
        while True:
            begins[place].discard(direction)
            if not begins[place]:
                del begins[place]
            if direction != before:
                corners.append(place)
            before = direction
            step = _STEPS[direction]
            place = (place[0] + step[0], place[1] + step[1])
            if place not in begins:
                break
            # Where two parts touch at a corner, the turn to the right stays with this one.
            turns = ((direction + 1) % 4, direction, (direction + 3) % 4)
            direction = next(turn for turn in turns if turn in begins[place])
        polygons.append(np.array(corners, np.float64))
    return polygons


def _edges(mask: NDArray[np.bool_]) -> dict[tuple[int, int], set[int]]:
    """Return edges of pixels with the mask on their right: directions by where they begin."""
    inside = mask.astype(np.int8)
    down, right = np.diff(inside, axis=0), np.diff(inside, axis=1)
    # Rightwards along the upper edge of a pixel, downwards along its right one, and so on.
    starts = (
        _places(down == 1, 0, 1),
        _places(right == -1, 1, 0),
        _places(down == -1, 1, 1),
        _places(right == 1, 1, 1),
    )
    begins: dict[tuple[int, int], set[int]] = {}
    for direction, places in enumerate(starts):
        for place in places:
            begins.setdefault(place, set()).add(direction)
    return begins


def _places(edges: NDArray[np.bool_], dx: int, dy: int) -> list[tuple[int, int]]:
    y, x = np.nonzero(edges)
    return list(zip((x + dx).tolist(), (y + dy).tolist(), strict=True))
