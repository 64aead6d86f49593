"""Measure all that is asked for in one frame, in all channels at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.compartments import CellNuclei, Compartments
from pyama_core.processing.extraction.crops import measure_custom
from pyama_core.processing.extraction.feature_names import SATURATED_PART
from pyama_core.processing.extraction.intensities import measure_intensities, measure_saturation
from pyama_core.processing.extraction.selection import Selection
from pyama_core.processing.extraction.shapes import measure_shapes
from pyama_core.processing.extraction.tables import Columns

_BOX = ("box_top", "box_left", "box_bottom", "box_right")


def measure_cells(
    labels: NDArray[Any],
    images: Sequence[NDArray[Any]],
    selection: Selection | None = None,
    ring: int = 10,
    nuclei: CellNuclei | None = None,
    saturated_from: Sequence[float | None] = (),
) -> tuple[Columns, list[Columns]]:
    """Measure the cells of a frame.

    Parameters
    ----------
    labels
        (Y, X) label image: any integer dtype, 0 is background, labels in any order with gaps.
    images
        (Y, X) images of the same frame, one per channel.
    selection
        What to measure besides the basic features.
    ring
        Width of the surroundings that the local background is taken from, in pixels.
    nuclei
        The nuclei of the cells; without them, what is selected of compartments is NaN.
    saturated_from
        Per channel, how bright pixels are that are at the camera's ceiling; None, or nothing at
        all, where there are none.

    Returns
    -------
    shapes : dict of str to ndarray
        ``cell`` (int64, ascending), ``area``, ``position_x``, ``position_y``, the bounding box,
        what of `measure_shapes` is selected, and of compartments.
    channels : list of dict
        Per channel ``intensity_total``, and what is selected of `measure_intensities`, of
        compartments and of the user's features; where the channel has a ceiling,
        ``saturated_part``, the part of a cell's pixels that are at it. Features beyond the basic
        ones are float32.

    Raises
    ------
    InputError
        If the images cannot be measured.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 7, 7], [0, 7, 7]])
    >>> shapes, [channel] = measure_cells(labels, [np.full((2, 3), 2.5)])
    >>> shapes["cell"], shapes["position_x"], channel["intensity_total"]
    (array([7]), array([1.5]), array([10.]))
    """
    selection = Selection() if selection is None else selection
    cells = FrameCells.of(labels)
    shapes = measure_shapes(cells, dict.fromkeys([*_BOX, *selection.shapes]))
    compartments = None
    if selection.has_compartments:
        compartments = Compartments.of(cells, nuclei)
        shapes |= compartments.measure_shapes(selection.compartment_shapes)
    channels = []
    for image, ceiling in itertools.zip_longest(images, saturated_from):
        found = measure_intensities(cells, image, selection.intensities, ring)
        if compartments is not None:
            found |= compartments.measure_intensities(image, selection.compartment_intensities)
        if selection.custom:
            found |= measure_custom(cells, image, selection.custom)
        if ceiling is not None:
            found[SATURATED_PART] = measure_saturation(cells, image, ceiling)
        del found["cell"]
        channels.append(_compact(found, [*_of_images(selection), SATURATED_PART]))
    of_shapes = {*selection.shapes, *selection.compartment_shapes}
    return _compact(shapes, of_shapes - set(_BOX)), channels


def _of_images(selection: Selection) -> tuple[str, ...]:
    return (*selection.intensities, *selection.compartment_intensities)


def unmeasured(n_cells: int, selection: Selection) -> Columns:
    """Return the columns of a channel that has no image to measure in: no number for any cell.

    Parameters
    ----------
    n_cells
        Number of cells in the frame.
    selection
        What would be measured.

    Examples
    --------
    >>> from pyama_core.processing.extraction.selection import select_features
    >>> unmeasured(1, select_features(("intensity_mean",)))
    {'intensity_total': array([nan]), 'intensity_mean': array([nan], dtype=float32)}
    """
    own = [feature.column for feature in selection.custom]
    names = ["intensity_total", *_of_images(selection), *own]
    return _compact({name: np.full(n_cells, np.nan) for name in names}, _of_images(selection))


def _compact(columns: Columns, names: Sequence[str] | set[str]) -> Columns:
    """Return columns of which some are float32, which is as precise as the pixels are."""
    return {
        name: column.astype(np.float32) if name in names else column
        for name, column in columns.items()
    }
