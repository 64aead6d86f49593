"""What nuclei and rings cost in a frame of about 500: `python -m benchmarks.rings`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.compartments import CellNuclei
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.nuclei import assign_nuclei
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.rings import find_rings
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.segmentation.segmenter import find_segmentation

SIDE, CELL, NUCLEUS, STEP, TIMES = 1024, 20, 10, 45, 9
"""Side of the frame, radii of cells and of nuclei, and how far apart they are, in pixels."""


def milliseconds(call: Callable[[], object]) -> float:
    """Return the time of the processor that a call takes, the least of several."""
    call()
    taken = []
    for _ in range(TIMES):
        begin = time.process_time()
        call()
        taken.append(time.process_time() - begin)
    return 1e3 * min(taken)


def main() -> None:
    """Print the times."""
    rng, (rows, columns) = np.random.default_rng(3), np.mgrid[:SIDE, :SIDE]
    cells, nuclei = np.zeros((2, SIDE, SIDE), np.uint16)
    places = [(y, x) for y in range(20, SIDE, STEP) for x in range(20, SIDE, STEP)]
    for label, (y, x) in enumerate(places, 1):
        dy, dx = rng.uniform(-3, 3, 2)
        square = (rows - y - dy) ** 2 + (columns - x - dx) ** 2
        cells[(square < CELL**2) & (cells == 0)] = label
        nuclei[(square < NUCLEUS**2) & (cells == label)] = label
    image = 100.0 + 300 * (nuclei > 0) + 80 * (cells > 0) + rng.normal(0, 8, cells.shape)
    light, seen = image.astype(np.float32), image.astype(np.uint16)
    of_cells, of_nuclei = FrameCells.of(cells), FrameCells.of(nuclei)
    ring = ExtractionParameters().ring_in_pixels(None)
    plain = select_features(("shape", "intensity"))
    both = select_features(("shape", "intensity", "compartments"))
    owned = CellNuclei(nuclei, dict.fromkeys(range(1, len(places) + 1), 1), ring)
    bright = find_segmentation("bright")
    segmenter = bright.create(bright.parameters(cell_diameter=2 * NUCLEUS), 0)
    calls: dict[str, Callable[[], object]] = {
        "finding nuclei (bright)": lambda: segmenter.segment(seen),
        "the cell of each nucleus": lambda: assign_nuclei(nuclei, cells),
        "rings alone": lambda: find_rings(of_cells, of_nuclei, ring),
        "measuring shape and intensity": lambda: measure_cells(cells, [light], plain),
        "the same with compartments": lambda: measure_cells(cells, [light], both, nuclei=owned),
    }
    sys.stdout.write(f"{len(places)} nuclei in {SIDE} x {SIDE}, milliseconds of one core\n")
    for name, call in calls.items():
        sys.stdout.write(f"| {name} | {milliseconds(call):.1f} |\n")


if __name__ == "__main__":
    main()
