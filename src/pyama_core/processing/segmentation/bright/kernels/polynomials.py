"""Kernel that fits polynomials of both coordinates by least squares.

Not by LAPACK, whose threads may add in another order, and wait for each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Float64Array = NDArray[np.float64]


@compiled()
def fit(terms: Float64Array, values: Float64Array, kept: NDArray[np.bool_]) -> Float64Array:
    """Return the factors of terms, (n, m), whose sum is nearest to n values where they are kept.

    By the normal equations and Cholesky's decomposition; terms that are not independent of those
    before them get the factor 0.
    """
    n_terms = terms.shape[1]
    normal, right = np.zeros((n_terms, n_terms)), np.zeros(n_terms)
    for i in range(terms.shape[0]):
        if kept[i]:
            for j in range(n_terms):
                right[j] += terms[i, j] * values[i]
                for k in range(j + 1):
                    normal[j, k] += terms[i, j] * terms[i, k]
    root = np.zeros((n_terms, n_terms))
    out = np.zeros(n_terms)
    for j in range(n_terms):
        for k in range(j + 1):
            rest = normal[j, k]
            for i in range(k):
                rest -= root[j, i] * root[k, i]
            if k < j:
                root[j, k] = rest / root[k, k] if root[k, k] > 0 else 0.0
            elif rest > 1e-9 * normal[j, j]:
                root[j, j] = np.sqrt(rest)
        out[j] = right[j]
        for i in range(j):
            out[j] -= root[j, i] * out[i]
        out[j] = out[j] / root[j, j] if root[j, j] > 0 else 0.0
    for j in range(n_terms - 1, -1, -1):
        for i in range(j + 1, n_terms):
            out[j] -= root[i, j] * out[i]
        out[j] = out[j] / root[j, j] if root[j, j] > 0 else 0.0
    return out
