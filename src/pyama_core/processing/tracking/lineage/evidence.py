"""How much speaks for an object being a cell: place, mask and size, weighed as odds.

What decides depends on the movie. Masks of spread cells overlap even when their centroids jump,
and those of small markers that move by their own size overlap with the wrong ones. So each kind of
evidence counts as much as it has told in this movie: places by how far from where they were
expected its cells were found (each cell's own steps first), sizes by how much they usually change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.fates import AGAINST, EVEN, WORTH
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.objects import Objects, at_edge, equivalent_diameter

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

_PRIOR = 4.0  # how many steps of a cell's own weigh as much as what is usual in the movie
_TREMBLE = 0.03  # of the diameter: centroids are not known any better
_FAR = 5.0  # of the spread: farther is beyond reach, unless it is near in diameters
_NEAR = 1.5  # of the diameter
_OVERLAP = 4.0  # log odds of masks that are equal, against masks that do not touch
_LARGEST_MISFIT = 4.0  # log odds that a size can cost: a cell cut in two is a cell still
_LEAST_CHANGE = 1.5  # of the usual change of sizes: rare changes are larger than a normal law's
_GOES_ON = 6.0  # log odds that a cell goes on, against its end and the beginning of another here
SURE = 0.97
"""Links that are less sure are told one by one, and looked at again: one in thirteen is wrong."""


def spreads(cells: TrackState, usual: float) -> Float64Array:
    """Return how far along each axis each cell is from where it is expected, in pixels.

    The standard deviation: of its own errors, shrunk towards what is usual in the movie, times the
    square root of the number of frames since it was seen, as for a random walk.
    """
    own = (_PRIOR * usual**2 + cells.errors) / (_PRIOR + cells.n_errors)
    tremble = _TREMBLE * equivalent_diameter(cells.area)
    return np.asarray(np.sqrt(cells.age * (own + tremble**2)), np.float64)


def reaches(cells: TrackState, spread: Float64Array, max_displacement: float) -> Float64Array:
    """Return how far cells may be from where they are expected, in pixels.

    Five spreads or one and a half diameters, whichever is more, but no farther than
    `max_displacement` diameters per frame.

    References
    ----------
    Y. Bar-Shalom, T. E. Fortmann, "Tracking and Data Association", Academic Press (1988): gates as
    a multiple of the error of the prediction. K. Jaqaman et al., "Robust single-particle tracking
    in live-cell time-lapse sequences", Nature Methods 5, 695-702 (2008): radii from the motion of
    the particles themselves, growing with the length of the gap, between an upper and a lower
    bound. The bounds in units of the cell's own size are own work.
    """
    diameter = equivalent_diameter(cells.area)
    usual = np.fmax(_FAR * spread, _NEAR * diameter)
    return np.asarray(np.fmin(usual, max_displacement * diameter * cells.age), np.float64)


def confidence_of(margin: Float64Array) -> Float64Array:
    """Return how probable it is that a link is right, from the log odds against the next best.

    As the log odds of neighbouring links are not independent, nor those of place, mask and size,
    they tell less than they say: how much less was fitted on made movies.

    Examples
    --------
    >>> import numpy as np
    >>> confidence_of(np.array([-2.0, 0.0, 5.0])).round(2)
    array([0.81, 0.9 , 0.99])
    """
    worth = np.where(margin < 0, AGAINST, WORTH)
    return np.asarray(1 / (1 + np.exp(-(EVEN + worth * margin))))


def sure(left: IntArray, right: IntArray, weight: Float64Array, chosen: BoolArray) -> Float64Array:
    """Return how sure the chosen pairs are, from 0 to 1, by the best other pairs of each.

    Parameters
    ----------
    left, right, weight
        The two nodes of all pairs, and their log odds.

    Returns
    -------
    ndarray
        Of the chosen pairs: the probability of the pair against the best of the others that one of
        the two could be in, or against none.
    """
    best = np.zeros(weight.size)
    other = np.where(chosen, 0.0, weight)
    for nodes in (left, right):
        largest = np.zeros(int(nodes.max(initial=-1)) + 1)
        np.maximum.at(largest, nodes, other)
        best = np.maximum(best, largest[nodes])
    margin = weight[chosen] - best[chosen]
    return confidence_of(margin)


@dataclass(frozen=True)
class Evidence:
    """What is usual in a movie, by which the likeness of cells and objects is judged.

    Attributes
    ----------
    spread
        (n_cells,) float64: see `spreads`.
    change
        Standard deviation of the logarithms of areas from frame to frame.
    density
        Objects per pixel: how probable it is that one lies at some place by chance.
    shape
        Of the frame.
    """

    spread: Float64Array
    change: float
    density: float
    shape: tuple[int, int]

    def log_odds(
        self,
        cells: TrackState,
        objects: Objects,
        cell: IntArray,
        target: IntArray,
        distance: Float64Array,
        iou: Float64Array,
        cut_by_edge: BoolArray,
    ) -> Float64Array:
        """Return the logarithm of the odds that objects are cells, for pairs of them.

        - The place: the density of Student's t distribution in the plane around where the cell is
          expected (its spread is an estimate, from few steps), over that of chance.
        - The mask: in proportion to the intersection over union.
        - The size: the square of the change over what is usual, but no more than a certain misfit.
          Where the edge of the frame may have cut something off, sizes tell nothing; and if half
          of the smaller lies in the larger, places tell nothing against it either.
        """
        variance = self.spread[cell] ** 2
        freedom = _PRIOR + cells.n_errors[cell]
        square = np.where(cut_by_edge, np.minimum(distance**2, variance), distance**2)
        place = -np.log(2 * np.pi * variance * self.density)
        place -= (freedom + 2) / 2 * np.log1p(square / (freedom * variance))
        change = np.log(objects.area[target] / cells.area[cell]) / (_LEAST_CHANGE * self.change)
        edge = at_edge(cells.box, self.shape)[cell] | at_edge(objects.box, self.shape)[target]
        misfit = np.where(edge, 0.0, np.minimum(change**2 / 2, _LARGEST_MISFIT))
        return np.asarray(place - misfit + _OVERLAP * iou + _GOES_ON, np.float64)
