"""How well bright objects are found on real images must not become worse without a word."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.accuracy_metrics import f1, score_frame, seg
from benchmarks.accuracy_objects import nuclei_in_cells, prepared, without_cut


def test_crowded_nuclei_are_found_as_well_as_ever(shared_data: Path) -> None:
    frame, truth = (tifffile.imread(shared_data / "nuclei" / f"{n}.tif") for n in ("image", "mask"))
    segmenter = prepared([frame])
    score = [score_frame(truth, segmenter.segment(frame))]
    assert segmenter.cell_diameter == pytest.approx(24, rel=0.2)
    assert f1(score) >= 0.91
    assert seg(score) >= 0.75


def test_nuclei_agree_with_those_of_another_program_as_well_as_ever(shared_data: Path) -> None:
    frames, others = (
        tifffile.imread(shared_data / "hela" / f"{name}.tif")[[0, 10, 19]]
        for name in ("images", "labels_of_another_program")
    )
    segmenter = prepared(list(frames))
    scores = [
        score_frame(without_cut(labels), without_cut(segmenter.segment(frame)))
        for frame, labels in zip(frames, others, strict=True)
    ]
    assert f1(scores) >= 0.95
    assert seg(scores) >= 0.91


def test_nuclei_and_cells_are_counted_where_they_belong_together() -> None:
    nuclei = np.array([[1, 0, 2, 0, 3, 0, 4]])
    cells = np.array([[1, 1, 2, 2, 2, 0, 0]])
    assert nuclei_in_cells(nuclei, cells) == (1, 4, 1, 2)
