"""The measures of tracking accuracy, on movies small enough to count by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

# The benchmarks are not a part of the package.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.tracking_metrics import (
    challenge_metrics,
    identity,
    match_frame,
    relative_trace_errors,
)


def frame_of(*cells, shape=(20, 60)):
    """Label image of (label, row, column) squares of 8 pixels."""
    frame = np.zeros(shape, np.uint16)
    for label, y, x in cells:
        frame[max(y, 0) : y + 8, max(x, 0) : x + 8] = label
    return frame


TRUTH = [frame_of((1, 6, 6), (2, 6, 26), (3, 6, 44))] * 4


def matches_of(*frames, border=0):
    return [match_frame(a, b, border) for a, b in zip(TRUTH, frames, strict=True)]


def test_a_perfect_result_is_perfect():
    matches = matches_of(*[10 * frame for frame in TRUTH])
    kept = identity(matches)
    assert (kept.switches_per_100, kept.link_accuracy, kept.whole_cells) == (0, 1, 1)


def test_a_swap_of_two_cells_is_two_switches():
    swapped = frame_of((2, 6, 6), (1, 6, 26), (3, 6, 44))
    kept = identity(matches_of(*TRUTH[:2], swapped, swapped))
    assert kept.switches_per_100 == pytest.approx(100 * 2 / 12)
    assert kept.link_accuracy == pytest.approx(7 / 9)
    assert kept.whole_cells == pytest.approx(1 / 3)


def test_a_cell_missed_for_a_frame_keeps_its_identity():
    missed = frame_of((1, 6, 6), (3, 6, 44))
    kept = identity(matches_of(TRUTH[0], missed, *TRUTH[2:]))
    assert (kept.switches_per_100, kept.link_accuracy) == (0, 1)


def test_a_cell_must_be_covered_by_more_than_half():
    half = frame_of((1, 6, 6), (2, 6, 26), (3, 6, 44))
    half[:, 10:14] = 0
    assert match_frame(TRUTH[0], half).matched_true.tolist() == [2, 3]


def test_slivers_in_the_margin_count_neither_for_nor_against():
    true = frame_of((1, 6, -5), (2, 6, 26))
    for found in (frame_of((7, 6, -5), (8, 6, 26)), frame_of((8, 6, 26))):
        match = match_frame(true, found, border=4)
        assert (match.true.tolist(), match.found.tolist()) == ([2], [8])
    # One that reaches inside counts, and so does what is found of it, wherever that lies.
    match = match_frame(frame_of((1, 6, -3)), frame_of((7, 6, -4)), border=4)
    assert (match.true.tolist(), match.found.tolist()) == ([1], [7])
    # What matches nothing counts where it lies.
    match = match_frame(true, frame_of((7, 6, 50), (8, 6, 26), (9, 6, -6)), border=4)
    assert match.found.tolist() == [7, 8]


def test_trace_errors_are_those_of_matched_cells():
    matches = matches_of(*TRUTH)[:1]
    true = {(0, cell): 100.0 for cell in (1, 2, 3)}
    found = {(0, 1): 90.0, (0, 2): 100.0, (0, 3): 130.0}
    np.testing.assert_allclose(relative_trace_errors(matches, true, found), [0.1, 0, 0.3])


def test_the_library_measures_what_it_should():
    pytest.importorskip("ctc_metrics")
    perfect = challenge_metrics(matches_of(*TRUTH))
    assert all(perfect[name] == 1 for name in ("SEG", "DET", "TRA", "LNK", "CT", "TF"))
    nothing = challenge_metrics(matches_of(*[np.zeros_like(TRUTH[0])] * 4))
    assert nothing["TRA"] == 0
    missed = challenge_metrics(matches_of(TRUTH[0], frame_of((1, 6, 6), (3, 6, 44)), *TRUTH[2:]))
    assert 0.8 < missed["TRA"] < 1
