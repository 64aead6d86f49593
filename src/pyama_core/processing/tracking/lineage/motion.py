"""How the cells of a movie move, as they tell themselves: persistently or not, far or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_ENOUGH = 10
_MEMORY = 1000
_OF_TWO = 2 * np.log(2)  # median of the sum of the squares of two standard normal values
_OF_ONE = 0.6745  # median of the absolute value of a standard normal value
_LEAST_CHANGE, _LARGEST_CHANGE = 0.1, 0.4


@dataclass(frozen=True)
class Motion:
    """What the steps of all cells so far have in common.

    A persistent random walk, whose steps are correlated with the ones before: the persistence is
    the regression of steps on the steps before.

    Attributes
    ----------
    product, square, n_pairs
        Σ v(t)·v(t−1) and Σ |v(t−1)|² in pixels², over pairs of consecutive steps v of a cell, and
        how many there were.
    errors
        |e|² in pixels², of the ways e from where a cell was expected to where it was found, of the
        last frames with a thousand of them together.
    changes
        The same of the absolute natural logarithms of the ratio of a cell's area to that before.
    """

    product: float = 0.0
    square: float = 0.0
    n_pairs: int = 0
    errors: tuple[Float64Array, ...] = ()
    changes: tuple[Float64Array, ...] = ()

    @property
    def persistence(self) -> float:
        """The part of a step that the next step repeats, from 0 to 1.

        It is 1 for cells on straight ways, 0 for a random walk (and for cells that only seem to
        move because their outlines tremble), and as long as there are too few steps to tell.
        """
        if self.n_pairs < _ENOUGH or self.square == 0:
            return 0.0
        return min(max(self.product / self.square, 0.0), 1.0)

    @property
    def spread(self) -> float:
        """Standard deviation of the errors along each axis in pixels, by their median.

        A few cells that were taken for others do not count. Infinite as long as there are too few.
        """
        if sum(map(len, self.errors)) < _ENOUGH:
            return np.inf
        return spread_of(np.concatenate(self.errors))

    @property
    def change(self) -> float:
        """Standard deviation of the logarithms of areas from one frame to the next, by the median.

        From a tenth (what a pixel more or less around a small cell makes) to four tenths.
        """
        if sum(map(len, self.changes)) < _ENOUGH:
            return _LARGEST_CHANGE
        usual = float(np.median(np.concatenate(self.changes))) / _OF_ONE
        return min(max(usual, _LEAST_CHANGE), _LARGEST_CHANGE)

    def after(
        self, before: Float64Array, now: Float64Array, errors: Float64Array, changes: Float64Array
    ) -> Motion:
        """Add what was seen in a frame.

        Parameters
        ----------
        before, now
            (n, 2) velocities of cells, and what they were a frame later.
        errors
            (m, 2) pixels.
        changes
            (k,) logarithms of ratios of areas.
        """
        return Motion(
            self.product + float((before * now).sum()),
            self.square + float((before**2).sum()),
            self.n_pairs + len(before),
            _latest(self.errors, (errors**2).sum(axis=1)),
            _latest(self.changes, np.abs(changes)),
        )

    def ahead(self, velocity: Float64Array, age: NDArray[np.int64]) -> Float64Array:
        """Return how far cells should move in `age` frames: v·(p + p² + … + p^age), p persistence.

        Cells of unknown velocity (NaN) should stay.

        Examples
        --------
        >>> import numpy as np
        >>> motion = Motion(product=5.0, square=10.0, n_pairs=20)
        >>> motion.ahead(np.array([[4.0, 0.0]]), np.array([2]))
        array([[3., 0.]])
        """
        part, velocity = self.persistence, np.nan_to_num(velocity)
        if part == 1:
            return velocity * age[:, np.newaxis]
        steps = part * (1 - part**age) / (1 - part)
        return velocity * steps[:, np.newaxis]


def spread_of(squares: Float64Array) -> float:
    """Return the standard deviation along each axis from the squares of distances in a plane.

    Examples
    --------
    >>> import numpy as np
    >>> errors = np.random.default_rng(0).normal(0, 3, (10_000, 2))
    >>> round(spread_of((errors**2).sum(axis=1)))
    3
    """
    return float(np.sqrt(np.median(squares) / _OF_TWO))


def _latest(frames: tuple[Float64Array, ...], new: Float64Array) -> tuple[Float64Array, ...]:
    """Return the values of frames with those of a new one, without what is older than needed."""
    kept = [*frames, new]
    while sum(map(len, kept[1:])) >= _MEMORY:
        kept.pop(0)
    return tuple(kept)
