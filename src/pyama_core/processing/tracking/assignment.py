"""One-to-one assignment of objects that maximises the total of the pairs' weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.kernels.certain_pairs import choose_certain_pairs


def best_assignment(
    left: NDArray[np.int64], right: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Choose pairs so that no node is chosen twice and the sum of weights is the largest possible.

    The maximum-weight matching of a sparse bipartite graph. Pairs of which an exchange argument
    tells that they belong to an optimum are taken at once; what remains (chains of objects that
    each overlap several) is solved by the Jonker-Volgenant algorithm for sparse matrices. Of
    several optima always the same one is returned for the same order of pairs; among equal pairs of
    one node it is the first.

    Parameters
    ----------
    left, right
        (n_pairs,) int64 ≥ 0: the two nodes of each pair; a pair occurs once.
    weights
        (n_pairs,) float64 > 0.

    Returns
    -------
    ndarray
        (n_pairs,) bool, True for the chosen pairs.

    References
    ----------
    R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
    assignment problems", Computing 38, 325-340 (1987).

    Examples
    --------
    >>> import numpy as np
    >>> left, right = np.array([0, 0, 1]), np.array([0, 1, 0])
    >>> best_assignment(left, right, np.array([0.5, 0.4, 0.4]))
    array([False,  True,  True])
    """
    if weights.size == 0:
        return np.zeros(0, np.bool_)
    chosen: NDArray[np.bool_]
    chosen, contested = choose_certain_pairs(left, right, weights)
    pairs = np.flatnonzero(contested)
    if pairs.size:
        chosen[pairs[_solve(left[pairs], right[pairs], weights[pairs])]] = True
    return chosen


def _solve(
    left: NDArray[np.int64], right: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the chosen pairs' indices, for nodes that may all be contested."""
    # Here, for it takes a fifth of a second to import, and few movies come to this.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    # SciPy before 1.15 matches by indices of this type alone.
    rows = np.unique(left, return_inverse=True)[1].astype(np.int32)
    columns = np.unique(right, return_inverse=True)[1].astype(np.int32)
    n_rows, n_columns = int(rows.max()) + 1, int(columns.max()) + 1
    # A column of its own for each row stands for staying unpaired, so that all rows can be
    # matched; 1 is added to all weights, because the solver reads 0 as "no such pair".
    unpaired = np.arange(n_rows, dtype=np.int32)
    graph = coo_array(
        (
            np.concatenate([1.0 + weights, np.ones(n_rows)]),
            (
                np.concatenate([rows, unpaired]),
                np.concatenate([columns, n_columns + unpaired]),
            ),
        ),
        shape=(n_rows, n_columns + n_rows),
    )
    matched_rows, matched_columns = min_weight_full_bipartite_matching(graph.tocsr(), maximize=True)
    partner = np.empty(n_rows, np.int64)
    partner[matched_rows] = matched_columns
    return np.flatnonzero(partner[rows] == columns)
