"""How the cells of a movie move, as they tell themselves: persistently or not, far or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

_ENOUGH = 10


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
    error, n_steps
        Σ |e|² in pixels², over the ways e from where a cell was expected to where it was found,
        and how many there were.
    """

    product: float = 0.0
    square: float = 0.0
    n_pairs: int = 0
    error: float = 0.0
    n_steps: int = 0

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
        """Root mean square of the errors in pixels; infinite as long as there are too few."""
        return float(np.sqrt(self.error / self.n_steps)) if self.n_steps >= _ENOUGH else np.inf

    def after(self, before: Float64Array, now: Float64Array, errors: Float64Array) -> Motion:
        """Add steps: (n, 2) velocities, what they were a frame later; and (m, 2) errors."""
        return Motion(
            self.product + float((before * now).sum()),
            self.square + float((before**2).sum()),
            self.n_pairs + len(before),
            self.error + float((errors**2).sum()),
            self.n_steps + len(errors),
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
