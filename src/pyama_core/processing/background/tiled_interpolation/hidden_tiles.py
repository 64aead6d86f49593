"""What the tiles around say of those that cells hide: the surface that bends least."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

TENSION = 0.1
"""How much a slope counts beside a bend: far from all that shows background it becomes level."""


class HiddenTiles:
    """Fills in the tiles of a grid that show no background.

    They get the values with the least sum of squares of all second differences, along both axes
    and across, and of the first ones times `TENSION`. Distances count in steps of the grid, which
    are those of its middle. Light that rises evenly, or bends evenly between tiles that show it,
    goes on so; with one tile that shows any, all are as it is.

    Parameters
    ----------
    rows, columns
        Centres of the tiles along the axes, in pixels, strictly increasing.
    """

    def __init__(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> None:
        self._centres = rows, columns

    def fill(self, values: NDArray[np.float64], shows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return values with those of hidden tiles in their places.

        Parameters
        ----------
        values
            (n_tile_rows, n_tile_columns) float64.
        shows
            The same of bool: which of them are given; at least one.
        """
        given = shows.ravel()
        if given.all():
            return values
        from scipy.sparse.linalg import spsolve  # takes time to import, and many need it never

        filled = np.where(given, values.ravel(), 0.0)
        hidden = ~given
        bends = self._bends[hidden]
        filled[hidden] = spsolve(bends[:, hidden], -(bends[:, given] @ filled[given]))
        return filled.reshape(values.shape)

    @cached_property
    def _bends(self) -> csc_array:
        """The matrix of the quadratic form that is the least, over the tiles in order."""
        from scipy.sparse import csc_array, eye_array, kron

        levels = [eye_array(centres.size) for centres in self._centres]
        slopes, bends = zip(*(_differences(centres) for centres in self._centres), strict=True)
        form = csc_array((slopes[0].shape[1] * slopes[1].shape[1],) * 2)
        for along_rows, along_columns, weight in (
            (bends[0], levels[1], 1.0),
            (levels[0], bends[1], 1.0),
            (slopes[0], slopes[1], 2.0),
            (slopes[0], levels[1], TENSION**2),
            (levels[0], slopes[1], TENSION**2),
        ):
            each = kron(along_rows, along_columns)
            form = form + weight * (each.T @ each)
        return csc_array(form)


def _differences(centres: NDArray[np.float64]) -> tuple[csc_array, csc_array]:
    """Return matrices of the divided differences of an axis, first and second."""
    from scipy.sparse import csc_array

    steps = np.diff(centres)
    if steps.size:
        steps = steps / np.median(steps)
    first = np.diff(np.eye(centres.size), axis=0) / steps[:, np.newaxis]
    second = np.diff(first, axis=0) / ((steps[1:] + steps[:-1]) / 2)[:, np.newaxis]
    return csc_array(first), csc_array(second)
