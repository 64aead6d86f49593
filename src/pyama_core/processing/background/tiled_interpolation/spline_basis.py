"""The interpolating spline of one axis: knots, local basis at every pixel, coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDER = 4  # basis splines that differ from zero at a point, for a cubic


@dataclass(frozen=True)
class SplineBasis:
    """B-splines of an axis, at its pixels and at the centres that the spline goes through.

    Degree 3, or one less than the number of centres where there are fewer than four; cubics have
    not-a-knot ends, as FITPACK's with s = 0. Pixels beyond the outer centres count as being on
    them, or go on along the straight line through the two outer centres. Lower degrees are padded
    with weights of 0, so that a pixel always has four.

    Attributes
    ----------
    first
        (n_pixels,) int64: index of the first of the pixel's four basis splines.
    weights
        (4, n_pixels) float64: the values of those splines at the pixel.
    pieces
        int64: pixels at which `first` changes, from 0 to n_pixels.
    collocation
        (n_centres, n_centres) float64: value of each basis spline at each centre.
    """

    first: NDArray[np.int64]
    weights: NDArray[np.float64]
    pieces: NDArray[np.int64]
    collocation: NDArray[np.float64]

    @classmethod
    def through(
        cls, centres: NDArray[np.float64], n_pixels: int, go_on: bool = False
    ) -> SplineBasis:
        """Return the basis of the spline through strictly increasing `centres`.

        It is constant beyond the outer ones, or goes on as it comes from their neighbours.
        """
        degree = min(ORDER - 1, centres.size - 1)
        interior = centres[2:-2] if degree == ORDER - 1 else centres[:0]
        ends = np.ones(degree + 1)
        knots = np.concatenate([centres[0] * ends, interior, centres[-1] * ends])
        pixels = np.clip(np.arange(n_pixels, dtype=np.float64), centres[0], centres[-1])
        first, weights = _local_basis(knots, degree, pixels)
        first_at_centre, weights_at_centre = _local_basis(knots, degree, centres)
        if go_on and centres.size > 1:
            # Outer centres and their neighbours lie in one interval, and share their splines.
            outside = np.arange(n_pixels) - pixels
            below, above = outside < 0, outside > 0
            for beyond, outer, inner in ((below, 0, 1), (above, -1, -2)):
                slope = weights_at_centre[:, outer] - weights_at_centre[:, inner]
                slope /= centres[outer] - centres[inner]
                weights[:, beyond] += slope[:, np.newaxis] * outside[beyond]
        pieces = np.flatnonzero(np.diff(first, prepend=-1, append=-1))
        collocation = np.zeros((centres.size, centres.size))
        for k in range(degree + 1):
            collocation[np.arange(centres.size), first_at_centre + k] = weights_at_centre[k]
        return cls(first, weights, pieces, collocation)

    def interpolate(self, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the splines with `coefficients`, (n, m), at every pixel, (n_pixels, m)."""
        spline = np.zeros((self.first.size, coefficients.shape[1]))
        for k in range(ORDER):
            spline += self.weights[k, :, None] * coefficients[self.first + k]
        return spline


def _local_basis(
    knots: NDArray[np.float64], degree: int, x: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Evaluate the basis splines that differ from zero at each `x` by the Cox-de Boor recursion.

    Returns the index of the first of them and their values, (4, x.size), padded with 0.
    """
    last_interval = knots.size - degree - 2
    interval = np.clip(np.searchsorted(knots, x, side="right") - 1, degree, last_interval)
    weights = np.zeros((ORDER, x.size))
    weights[0] = 1.0
    for d in range(1, degree + 1):
        carried = np.zeros(x.size)
        for k in range(d):
            left, right = knots[interval + k + 1 - d], knots[interval + k + 1]
            share = weights[k] / (right - left)
            weights[k] = carried + (right - x) * share
            carried = (x - left) * share
        weights[d] = carried
    return (interval - degree).astype(np.int64), weights
