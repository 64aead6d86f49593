"""Score the segmentation of bright objects on the shared images, with default parameters.

Run `python -m benchmarks.accuracy_objects` in the repository: it prints a table. Rows whose images
are absent are left out.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_metrics import f1, score_frame, seg
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
logger = logging.getLogger("benchmarks.accuracy_objects")

Image = NDArray[Any]
Row = tuple[str, str]


def prepared(frames: list[Image]) -> ObjectSegmenter:
    """Return the segmenter, prepared by the first, middle and last frame."""
    segmenter = ObjectSegmenter()
    segmenter.prepare([frames[i] for i in sorted({0, (len(frames) - 1) // 2, len(frames) - 1})])
    return segmenter


def without_cut(labels: Image) -> Image:
    """Return labels without the objects that the edge of the frame cuts."""
    edge = np.unique(np.r_[labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.where(np.isin(labels, edge), 0, labels)


def measure_truth(name: str, frames: list[Image], truth: list[Image]) -> Iterator[Row]:
    """Yield the rows of frames with labels, of all objects and of those that no edge cuts."""
    segmenter = prepared(frames)
    pairs = [(t, segmenter.segment(f)) for f, t in zip(frames, truth, strict=True)]
    for which, change in (("", np.asarray), (", not cut by the edge", without_cut)):
        scores = [score_frame(change(t), change(found)) for t, found in pairs]
        counts = f"{sum(s.n_found for s in scores)} of {sum(s.n_true for s in scores)}"
        yield f"{name}: objects found{which}", counts
        yield f"{name}: F1 at IoU 0.5{which}", f"{f1(scores):.3f}"
        yield f"{name}: SEG{which}", f"{seg(scores):.3f}"
    yield f"{name}: diameter", f"{segmenter.cell_diameter:.0f} px"


def nuclei_in_cells(nuclei: Image, cells: Image) -> tuple[int, int, int, int]:
    """Return how many nuclei are alone in a cell, of how many in any; the same of cells."""
    home = {}
    for label in range(1, int(nuclei.max()) + 1):
        counts = np.bincount(cells[nuclei == label])
        home[label] = int(np.argmax(counts))
    inside = [cell for cell in home.values() if cell > 0]
    lonely = sum(1 for cell in inside if inside.count(cell) == 1)
    return lonely, len(home), len({c for c in inside if inside.count(c) == 1}), int(cells.max())


def measure_incucyte() -> Iterator[Row]:
    """Yield how nuclei (R) found here and cells found in phase contrast (P) by them agree."""
    import tifffile

    channels = (
        [tifffile.imread(path) for path in sorted((DATA / "incucyte").glob(f"*_{c}_*.tif"))]
        for c in "PR"
    )
    phase, red = channels
    nuclei, cells = prepared(red), InstanceSegmenter()
    cells.prepare([phase[0], phase[len(phase) // 2], phase[-1]])
    found = np.array(
        [
            nuclei_in_cells(nuclei.segment(r), cells.segment(p, r))
            for p, r in zip(phase, red, strict=True)
        ]
    ).sum(axis=0)
    yield "incucyte: nuclei alone in a cell of phase contrast", f"{found[0] / found[1]:.3f}"
    yield "incucyte: cells of phase contrast with one nucleus", f"{found[2] / found[3]:.3f}"
    yield "incucyte: diameter of nuclei", f"{nuclei.cell_diameter:.0f} px"


def measure_nuclei() -> Iterator[Row]:
    """Yield the rows of crowded nuclei, and the time that a frame of 1024×1024 of them takes."""
    import tifffile

    frame, truth = (tifffile.imread(DATA / "nuclei" / f"{n}.tif") for n in ("image", "mask"))
    yield from measure_truth("nuclei", [frame], [truth])
    segmenter, tiled, times = prepared([frame]), np.tile(frame, (2, 2)), []
    for _ in range(8):
        started = time.process_time()
        segmenter.segment(tiled)
        times.append(time.process_time() - started)
    yield "nuclei: a frame of 1024×1024", f"{1000 * statistics.median(times[1:]):.0f} ms"


def measure_hela() -> Iterator[Row]:
    """Yield the agreement with the labels of another program, which are no truth."""
    import tifffile

    names = ("images", "labels_of_another_program")
    frames, labels = (list(tifffile.imread(DATA / "hela" / f"{name}.tif")) for name in names)
    yield from measure_truth("hela", frames, labels)


MEASURED: tuple[Callable[[], Iterator[Row]], ...] = (measure_nuclei, measure_hela, measure_incucyte)


def main() -> None:
    """Measure what there are images of, and show it."""
    import cv2

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)  # as in a worker
    for measure in MEASURED:
        try:
            for name, value in measure():
                logger.info("| %s | %s |", name, value)
        except FileNotFoundError as error:
            logger.warning("left out, as its images are absent: %s", error)


if __name__ == "__main__":
    main()
