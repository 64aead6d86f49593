"""How well cells are found, frame by frame, against true masks; and where nuclei are.

References
----------
M. Maška et al., "A benchmark for comparison of cell tracking algorithms", Bioinformatics 30,
1609-1617 (2014), for SEG.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_IOU = 0.5


@dataclass(frozen=True)
class FrameScore:
    """What was found of one frame.

    Attributes
    ----------
    n_true, n_found
        Numbers of cells.
    n_hits
        Pairs of a true and a found cell with an intersection over union above ½; there the
        assignment is unique.
    jaccard
        Per true cell: the intersection over union with the found cell that covers more than half
        of it, 0 if none does.
    """

    n_true: int
    n_found: int
    n_hits: int
    jaccard: NDArray[np.float64]


def score_frame(true: NDArray[Any], found: NDArray[Any]) -> FrameScore:
    """Compare two (Y, X) label images, 0 the background.

    Examples
    --------
    >>> import numpy as np
    >>> score = score_frame(np.array([[1, 1, 1, 2]]), np.array([[0, 7, 7, 0]]))
    >>> score.n_true, score.n_found, score.n_hits, score.jaccard.round(2).tolist()
    (2, 1, 1, [0.67, 0.0])
    """
    true_ids, true_index = np.unique(true, return_inverse=True)
    found_ids, found_index = np.unique(found, return_inverse=True)
    pairs = true_index.ravel() * found_ids.size + found_index.ravel()
    common = np.bincount(pairs, minlength=true_ids.size * found_ids.size)
    common = common.reshape(true_ids.size, found_ids.size)
    true_area, found_area = common.sum(axis=1), common.sum(axis=0)
    iou = common / (true_area[:, None] + found_area - common)
    covers = 2 * common > true_area[:, None]
    cells, objects = true_ids > 0, found_ids > 0
    iou, covers = iou[cells][:, objects], covers[cells][:, objects]
    return FrameScore(
        n_true=int(cells.sum()),
        n_found=int(objects.sum()),
        n_hits=int((iou > LEAST_IOU).sum()),
        jaccard=(iou * covers).sum(axis=1),
    )


def f1(scores: Iterable[FrameScore]) -> float:
    """Return 2·hits / (true + found) over all frames: F1 at an intersection over union of ½."""
    scores = list(scores)
    cells = sum(score.n_true + score.n_found for score in scores)
    return 2 * sum(score.n_hits for score in scores) / cells if cells else 1.0


def seg(scores: Iterable[FrameScore]) -> float:
    """Return SEG of the Cell Tracking Challenge: the mean of `jaccard` over all true cells."""
    return float(np.mean(np.concatenate([score.jaccard for score in scores])))


def nucleus_centres(
    image: NDArray[Any], sigma: float = 4.0, n_sigma: float = 12.0
) -> NDArray[np.int64]:
    """Find nuclei in a fluorescence image, independently of any segmentation of cells.

    Local maxima, over 9×9 pixels, of a difference of Gaussians (σ and 1.6 σ) that exceed its
    noise (1.4826 · median absolute deviation) by a factor.

    Parameters
    ----------
    image
        (Y, X) image of a nuclear channel.
    sigma
        Pixels; a third of the diameter of nuclei.
    n_sigma
        The factor.

    Returns
    -------
    ndarray
        (n, 2) int64 rows and columns, in raster order.
    """
    import cv2

    pixels = image.astype(np.float32)
    wide = cv2.GaussianBlur(pixels, (0, 0), 1.6 * sigma)
    blobs = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma) - wide, np.float32)
    noise = 1.4826 * np.median(np.abs(blobs - np.median(blobs)))
    is_top = blobs == cv2.dilate(blobs, np.ones((9, 9), np.uint8))
    return np.argwhere(is_top & (blobs > n_sigma * noise)).astype(np.int64)
