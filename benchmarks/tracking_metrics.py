"""How well cells were found and followed, against label images of the truth.

The measures of the Cell Tracking Challenge (SEG, DET, TRA, LNK, CT, TF, BC) are computed by
py-ctcmetrics, which the extra `bench` installs; the others, which users of traces care about and
which it lacks, are computed here.

References
----------
P. Matula et al., "Cell tracking accuracy measurement based on comparison of acyclic oriented
graphs", PLOS ONE 10(12), e0144959 (2015).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

CHALLENGE_METRICS = ("SEG", "DET", "TRA", "LNK", "CT", "TF", "BC")


@dataclass(frozen=True)
class FrameMatch:
    """The cells of one frame: true ids, found ids, and the pairs of which more than half match.

    A found cell matches a true one if it covers more than half of it, so that a true cell has one
    match at most, and a found one may have several.
    """

    true: IntArray
    found: IntArray
    matched_true: IntArray
    matched_found: IntArray
    iou: NDArray[np.float64]


def match_frame(true: NDArray[Any], found: NDArray[Any], border: int = 0) -> FrameMatch:
    """Match the cells of two (Y, X) label images.

    Parameters
    ----------
    true, found
        Label images, 0 the background.
    border
        Width in pixels of the margin outside of the field of interest. True cells that lie wholly
        in the margin are left out, and so are the found ones that match them, or match nothing
        and lie there too: whether a sliver of a cell that enters is seen is no matter of tracking.

    Examples
    --------
    >>> import numpy as np
    >>> matched = match_frame(np.array([[1, 1, 1, 2]]), np.array([[0, 7, 7, 0]]))
    >>> matched.matched_true, matched.matched_found, matched.iou
    (array([1]), array([7]), array([0.66666667]))
    """
    true_ids, true_index = np.unique(true, return_inverse=True)
    found_ids, found_index = np.unique(found, return_inverse=True)
    pair = true_index.ravel() * found_ids.size + found_index.ravel()
    shape = (true_ids.size, found_ids.size)
    common = np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)
    true_area, found_area = common.sum(axis=1), common.sum(axis=0)
    i, j = np.nonzero(common * 2 > true_area[:, np.newaxis])
    pairs_cells = (true_ids[i] > 0) & (found_ids[j] > 0)
    i, j = i[pairs_cells], j[pairs_cells]
    inside = np.s_[border : len(true) - border, border : true.shape[1] - border]
    kept_true = (true_ids > 0) & np.isin(true_ids, true[inside])
    kept_found = (found_ids > 0) & np.isin(found_ids, found[inside])
    kept_found[j] = False
    kept_found[j[kept_true[i]]] = True
    i, j = i[kept_true[i]], j[kept_true[i]]
    return FrameMatch(
        true=true_ids[kept_true].astype(np.int64),
        found=found_ids[kept_found].astype(np.int64),
        matched_true=true_ids[i].astype(np.int64),
        matched_found=found_ids[j].astype(np.int64),
        iou=common[i, j] / (true_area[i] + found_area[j] - common[i, j]),
    )


def challenge_metrics(
    matches: Sequence[FrameMatch],
    true_parents: Mapping[int, int] | None = None,
    found_parents: Mapping[int, int] | None = None,
) -> dict[str, float]:
    """Return the measures of the Cell Tracking Challenge.

    Parameters
    ----------
    matches
        One per frame.
    true_parents, found_parents
        Mother of each daughter. A cell that is missed for some frames is, by the rules of the
        challenge, continued by another one with the first as its parent.
    """
    from ctc_metrics.scripts.evaluate import calculate_metrics

    true_tracks, true = _cut_at_gaps([match.true for match in matches], true_parents or {})
    found_tracks, found = _cut_at_gaps([match.found for match in matches], found_parents or {})
    if not (len(true_tracks) and len(found_tracks)):  # which the library cannot measure
        return dict.fromkeys(CHALLENGE_METRICS, 0.0)
    trajectories: dict[str, list[list[Any]]] = {
        # Sorted, which the library takes for granted.
        "labels_ref": [
            sorted(true[t, cell] for cell in m.true.tolist()) for t, m in enumerate(matches)
        ],
        "labels_comp": [
            sorted(found[t, cell] for cell in m.found.tolist()) for t, m in enumerate(matches)
        ],
        "mapped_ref": [
            [true[t, cell] for cell in m.matched_true.tolist()] for t, m in enumerate(matches)
        ],
        "mapped_comp": [
            [found[t, cell] for cell in m.matched_found.tolist()] for t, m in enumerate(matches)
        ],
        "ious": [match.iou.tolist() for match in matches],
    }
    results = calculate_metrics(
        found_tracks, true_tracks, trajectories, trajectories, list(CHALLENGE_METRICS), True
    )
    named = {name: results[name] for name in CHALLENGE_METRICS if name != "BC"}
    named["BC"] = results["BC(1)"]
    return {name: np.nan if value is None else float(value) for name, value in named.items()}


def _cut_at_gaps(
    frames: Sequence[IntArray], parents: Mapping[int, int]
) -> tuple[IntArray, dict[tuple[int, int], int]]:
    """Return rows (id, first frame, last frame, parent) without gaps, and the new id per frame."""
    rows: list[list[int]] = []
    last_piece: dict[int, int] = {}
    ids: dict[tuple[int, int], int] = {}
    for t, cells in enumerate(frames):
        for cell in cells.tolist():
            piece = last_piece.get(cell)
            if piece is None or rows[piece - 1][2] != t - 1:
                parent = last_piece.get(parents.get(cell, 0), 0) if piece is None else piece
                rows.append([len(rows) + 1, t, t, parent])
                last_piece[cell] = piece = len(rows)
            rows[piece - 1][2] = t
            ids[t, cell] = piece
    return np.array(rows, np.int64).reshape(-1, 4), ids


@dataclass(frozen=True)
class Identity:
    """How well identities were kept.

    Attributes
    ----------
    switches_per_100
        How often the found id of a true cell differs from the one that it had when it was matched
        last, per 100 cell-frames of the truth.
    link_accuracy
        Of the pairs of consecutive frames in which a true cell is matched (whatever lies between),
        the part that has the same found id, which no other true cell has in either frame.
    whole_cells
        The part of the true cells whose matches all have one id, which no other true cell ever
        has.
    """

    switches_per_100: float
    link_accuracy: float
    whole_cells: float


def identity(matches: Sequence[FrameMatch]) -> Identity:
    """Return how well identities were kept over the frames of a movie."""
    ids_of: dict[int, list[tuple[int, bool]]] = {}
    owners: dict[int, set[int]] = {}
    for match in matches:
        values, counts = np.unique(match.matched_found, return_counts=True)
        shared = set(values[counts > 1].tolist())
        pairs = zip(match.matched_true.tolist(), match.matched_found.tolist(), strict=True)
        for true, found in pairs:
            ids_of.setdefault(true, []).append((found, found not in shared))
            owners.setdefault(found, set()).add(true)
    links = [pair for ids in ids_of.values() for pair in itertools.pairwise(ids)]
    switches = sum(before[0] != after[0] for before, after in links)
    right = sum(before == after and before[1] for before, after in links)
    whole = sum(
        len({found for found, _ in ids}) == 1 and len(owners[ids[0][0]]) == 1
        for ids in ids_of.values()
    )
    n_cell_frames = sum(match.true.size for match in matches)
    n_cells = len(set().union(*(match.true.tolist() for match in matches)))
    return Identity(
        switches_per_100=100 * switches / max(n_cell_frames, 1),
        link_accuracy=right / len(links) if links else np.nan,
        whole_cells=whole / max(n_cells, 1),
    )


@dataclass(frozen=True)
class MaskFaults:
    """How often what stands for a cell is not that cell, per 100 cells and frames of the truth.

    Attributes
    ----------
    splits
        True cells that hold two or more found objects, each mostly in it and a tenth of it or more.
    merges
        True cells most of which lies in an object that covers most of another one too: of three in
        one object these are two.
    switches
        True cells whose object (most of either in the other) has another number than the one that
        they had last.
    """

    splits: float
    merges: float
    switches: float

    @property
    def total(self) -> float:
        """All of them together."""
        return self.splits + self.merges + self.switches


def mask_faults(truth: Sequence[NDArray[Any]], found: Sequence[NDArray[Any]]) -> MaskFaults:
    """Count the faults of label images, those of masks and those of numbers."""
    n = splits = merges = switches = 0
    last: dict[int, int] = {}
    for true, labels in zip(truth, found, strict=True):
        both = (true > 0) & (labels > 0)
        pairs, common = np.unique(
            np.stack([true[both], labels[both]]).astype(np.int64), axis=1, return_counts=True
        )
        cell, label = pairs
        area, size = np.bincount(true.ravel()), np.bincount(labels.ravel())
        inside, covers = 2 * common > size[label], 2 * common > area[cell]
        n += int(np.count_nonzero(area[1:]))
        pieces = np.bincount(cell[inside & (common >= 0.1 * area[cell])])
        splits += int(np.count_nonzero(pieces > 1))
        merges += int(np.maximum(np.bincount(label[covers]) - 1, 0).sum())
        for a, b in zip(*(each[inside & covers].tolist() for each in pairs), strict=True):
            switches += last.get(a, b) != b
            last[a] = b
    return MaskFaults(*(100 * each / max(n, 1) for each in (splits, merges, switches)))


def relative_trace_errors(
    matches: Sequence[FrameMatch],
    true_totals: Mapping[tuple[int, int], float],
    found_totals: Mapping[tuple[int, int], float],
) -> NDArray[np.float64]:
    """Return |found − true| / true of the intensity of every matched cell in every frame.

    Parameters
    ----------
    matches
        One per frame.
    true_totals, found_totals
        Total intensity by (frame, cell).
    """
    errors = [
        abs(found_totals[t, found] - true_totals[t, true]) / true_totals[t, true]
        for t, match in enumerate(matches)
        for true, found in zip(
            match.matched_true.tolist(), match.matched_found.tolist(), strict=True
        )
    ]
    return np.array(errors, np.float64)
