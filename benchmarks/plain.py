"""The pipeline with the plain algorithms: the tests' references in the places of the fast ones.

The tests' reference of the tracker compares all pairs of full-frame masks, which takes minutes per
frame at the sizes measured here. What stands in for it is what one would write first with NumPy
and SciPy: label images, one table of overlaps, one dense assignment.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import reference
from benchmarks.experiment import EXACT
from pyama_core.io.readers.frame_source import MicroscopyMetadata
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext


def segment_plain(frame: NDArray[Any]) -> NDArray[np.bool_]:
    """Segment with scipy.ndimage: two uniform filters rather than exact windows."""
    return reference.segment_plain(frame, log_std=reference.log_std_filtered)


class PlainSegmenter:
    """In the place of `LogStdSegmenter`."""

    def __init__(self, parameters: object = None) -> None:
        del parameters

    def segment(self, frame: NDArray[Any]) -> NDArray[np.bool_]:
        """Return the mask of a frame."""
        return segment_plain(frame)


class PlainBackground:
    """In the place of `TiledBackground`."""

    def __init__(self, shape: tuple[int, int], parameters: object = None) -> None:
        self.shape = shape

    def estimate(self, frame: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the medians of the tiles."""
        return reference.tile_medians_plain(frame, mask)

    def correct(self, frame: NDArray[Any], medians: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the frame without its background."""
        background = reference.background_plain(medians, self.shape)
        return (frame.astype(np.float64) - background).astype(np.float32)


class PlainTracker:
    """In the place of `IoUTracker`."""

    min_iou: ClassVar[float] = 0.1

    def __init__(self, parameters: object = None, dtype: Any = np.uint16) -> None:
        self.n_cells = 0
        self._dtype = np.dtype(dtype)
        self._labels: NDArray[Any] | None = None

    def tracks(self) -> list[Track]:
        """Return nothing: what became of cells is not asked here."""
        return []

    def update(self, mask: NDArray[np.bool_], image: None = None) -> NDArray[Any]:
        """Return the label image of the next frame."""
        from scipy import ndimage

        objects, n_objects = ndimage.label(mask)
        ids = np.zeros(n_objects + 1, np.int64)
        if self._labels is not None:
            current, previous = best_pairs(objects, self._labels, self.min_iou)
            ids[current] = previous
        new = np.flatnonzero(ids[1:] == 0) + 1
        ids[new] = self.n_cells + 1 + np.arange(new.size)
        self.n_cells += new.size
        self._labels = ids.astype(self._dtype)[objects]
        return self._labels


def best_pairs(
    current: NDArray[Any], previous: NDArray[Any], min_iou: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the labels that an assignment by intersection over union pairs."""
    from scipy.optimize import linear_sum_assignment

    n_current, n_previous = int(current.max()) + 1, int(previous.max()) + 1
    pair = current.astype(np.int64) * n_previous + previous
    common = np.bincount(pair.ravel(), minlength=n_current * n_previous)
    common = common.reshape(n_current, n_previous)
    area, area_before = common.sum(1), common.sum(0)
    union = area[1:, None] + area_before[None, 1:] - common[1:, 1:]
    iou = common[1:, 1:] / np.maximum(union, 1)
    iou[iou < min_iou] = 0
    rows, columns = linear_sum_assignment(iou, maximize=True)
    paired = iou[rows, columns] > 0
    return rows[paired] + 1, columns[paired] + 1


def measure_cells_plain(
    labels: NDArray[Any],
    images: list[NDArray[Any]],
    _selection: object = None,
    _ring: int = 10,
    _nuclei: object = None,
) -> tuple[dict[str, NDArray[Any]], list[dict[str, NDArray[Any]]]]:
    """In the place of `measure_cells`, for the basic features and one channel.

    One full mask per cell, as one would write it first. The tests' reference adds pixel by pixel
    in Python and looks for each mask several times.
    """
    columns = _measured(labels, images[0])
    return columns, [{"intensity_total": columns.pop("intensity_total")}]


_BASIC = ("cell", "area", "position_x", "position_y", "intensity_total")


def _measured(labels: NDArray[Any], image: NDArray[Any]) -> dict[str, NDArray[Any]]:
    rows: list[tuple[float, ...]] = []
    for cell in np.unique(labels[labels > 0]):
        mask = labels == cell
        y, x = np.nonzero(mask)
        box = (y.min(), y.max() + 1, x.min(), x.max() + 1)
        rows.append((cell, y.size, x.mean(), y.mean(), image[mask].sum(dtype=np.float64), *box))
    names = (*_BASIC, "box_top", "box_bottom", "box_left", "box_right")
    table = np.array(rows, np.float64).reshape(len(rows), len(names))
    columns = {name: table[:, i].copy() for i, name in enumerate(names)}
    for name in ("cell", "area", *names[len(_BASIC) :]):
        columns[name] = columns[name].astype(np.int64)
    return columns


def _process(metadata: MicroscopyMetadata, output_dir: Path, fov: int) -> None:
    """Take one field of view through all steps; runs in a process of its own."""
    from pyama_core.processing.background.tiled_interpolation import background
    from pyama_core.processing.extraction import measure
    from pyama_core.processing.segmentation.log_std import segmenter
    from pyama_core.processing.tracking.iou import tracker
    from pyama_core.processing.workflow.graph import later_services
    from pyama_core.processing.workflow.services.copying import CopyingService

    modules: list[tuple[Any, str, Any]] = [
        (segmenter, "LogStdSegmenter", PlainSegmenter),
        (background, "TiledBackground", PlainBackground),
        (tracker, "IoUTracker", PlainTracker),
        (measure, "measure_cells", measure_cells_plain),
    ]
    for module, name, plain in modules:
        getattr(module, name)  # what is no longer called so would not be replaced
        setattr(module, name, plain)
    context = ProcessingContext(output_dir, Channels(pc=0, fl=[1]), params=EXACT)
    for service in [CopyingService(), *later_services()]:
        service.process_fov(metadata, context, output_dir, fov)


def run_plain(metadata: MicroscopyMetadata, output_dir: Path, n_workers: int) -> None:
    """Process all fields of view of a file, several at a time."""
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as executor:
        fovs = range(metadata.n_fovs)
        calls = [executor.submit(_process, metadata, output_dir, fov) for fov in fovs]
        for call in calls:
            call.result()
