"""Measure all that is asked for in one frame, in all channels at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.errors import InputError
from pyama_core.processing.extraction.cells import Columns, FrameCells
from pyama_core.processing.extraction.custom import CustomFeature, load_feature, measure_custom
from pyama_core.processing.extraction.intensities import INTENSITY_FEATURES, measure_intensities
from pyama_core.processing.extraction.parameters import GROUPS
from pyama_core.processing.extraction.shapes import SHAPE_FEATURES, measure_shapes

ALGORITHM = "features/2"

BASIC_COLUMNS = (
    "cell",
    "frame",
    "time",
    "good",
    "position_x",
    "position_y",
    "intensity_total",
    "area",
    "reason",
)
"""Columns that every table has, before all others."""

_BOX = ("box_top", "box_left", "box_bottom", "box_right")


@dataclass(frozen=True)
class Selection:
    """The features that were chosen besides the basic ones, in the order of their columns."""

    shapes: tuple[str, ...] = ()
    intensities: tuple[str, ...] = ()
    custom: tuple[CustomFeature, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of their columns."""
        return (*self.shapes, *self.intensities, *(feature.column for feature in self.custom))


@lru_cache(maxsize=32)
def select_features(words: tuple[str, ...]) -> Selection:
    """Return the features that words stand for; see `ExtractionParameters.features`.

    Raises
    ------
    InputError
        If a user's feature cannot be loaded, or two columns would have the same name.

    Examples
    --------
    >>> select_features(("solidity", "intensity_p5")).columns
    ('solidity', 'intensity_p5')
    """
    named = {name for word in words for name in GROUPS.get(word, (word,))}
    built_in = {*SHAPE_FEATURES, *INTENSITY_FEATURES}
    selection = Selection(
        tuple(name for name in SHAPE_FEATURES if name in named),
        tuple(name for name in INTENSITY_FEATURES if name in named),
        tuple(
            load_feature(word)
            for word in dict.fromkeys(words)
            if word not in built_in and word not in GROUPS
        ),
    )
    columns = ["fov", *BASIC_COLUMNS, *selection.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(
                f"Expected features with names of their own, found several of the name {column!r}; "
                "give your function another name."
            )
    return selection


def measure_cells(
    labels: NDArray[Any],
    images: Sequence[NDArray[Any]],
    selection: Selection | None = None,
    ring: int = 10,
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

    Returns
    -------
    shapes : dict of str to ndarray
        ``cell`` (int64, ascending), ``area``, ``position_x``, ``position_y``, the bounding box and
        what of `measure_shapes` is selected.
    channels : list of dict
        Per channel ``intensity_total``, and what is selected of `measure_intensities` and of the
        user's features. Features beyond the basic ones are float32.

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
    channels = []
    for image in images:
        found = measure_intensities(cells, image, selection.intensities, ring)
        if selection.custom:
            found |= measure_custom(cells, image, selection.custom)
        del found["cell"]
        channels.append(_compact(found, selection.intensities))
    return _compact(shapes, set(selection.shapes) - set(_BOX)), channels


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
    >>> unmeasured(1, select_features(("intensity_mean",)))
    {'intensity_total': array([nan]), 'intensity_mean': array([nan], dtype=float32)}
    """
    own = [feature.column for feature in selection.custom]
    names = ["intensity_total", *selection.intensities, *own]
    return _compact({name: np.full(n_cells, np.nan) for name in names}, selection.intensities)


def _compact(columns: Columns, names: Sequence[str] | set[str]) -> Columns:
    """Return columns of which some are float32, which is as precise as the pixels are."""
    return {
        name: column.astype(np.float32) if name in names else column
        for name, column in columns.items()
    }
