"""Images of results: memory maps, outlines and cells that are cut out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.results.outlines import outlines_of


def stack(results, pattern):
    return np.load(next(results.rglob(pattern)))


def test_stacks_are_memory_maps_of_all_frames(results_of_demo):
    fov = open_results(results_of_demo).fov(1)
    for found, pattern in (
        (fov.phase, "*_fov_001_pc_ch_0.npy"),
        (fov.fluorescence["GFP"], "*_fov_001_fl_ch_1.npy"),
        (fov.corrected["mCherry"], "*_fov_001_fl_corrected_ch_2.npy"),
        (fov.corrected[2], "*_fov_001_fl_corrected_ch_2.npy"),
        (fov.masks, "*_fov_001_seg_ch_0.npy"),
        (fov.labels, "*_fov_001_seg_labeled_ch_0.npy"),
    ):
        assert isinstance(found, np.memmap)
        assert not found.flags.writeable
        np.testing.assert_array_equal(found, stack(results_of_demo, pattern))


def test_channels_are_listed_by_name_and_unknown_ones_refused_with_the_list(results_of_demo):
    fov = open_results(results_of_demo).fov("position 2")
    assert list(fov.fluorescence) == ["GFP", "mCherry"]
    with pytest.raises(InputError, match="no such channel 'RFP'; there are GFP, mCherry"):
        fov.corrected["RFP"]
    with pytest.raises(KeyError):
        fov.corrected[7]
    with pytest.raises(InputError, match="has no channel 'RFP'; there are GFP, mCherry, phase"):
        fov.crop("RFP", cell=1, t=0)


def test_a_cell_is_cut_out_with_its_margin(results_of_demo):
    fov = open_results(results_of_demo).fov(0)
    labels = np.array(fov.labels[3])
    cell = int(labels[labels > 0][0])
    rows, columns = np.nonzero(labels == cell)
    y, x = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    np.testing.assert_array_equal(fov.crop("GFP", cell, 3, margin=0), fov.corrected["GFP"][3][y, x])
    np.testing.assert_array_equal(fov.crop("phase", cell, 3, margin=0), fov.phase[3][y, x])
    whole = fov.crop("phase contrast", cell, 3, margin=1000)
    np.testing.assert_array_equal(whole, fov.phase[3])


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"cell": 999, "t": 0}, r"FOV 0 \(position 1\): cell 999 is not in frame 0"),
        ({"cell": 1, "t": 10}, "has frames 0 to 9, not 10"),
        ({"cell": 1, "t": -1}, "has frames 0 to 9, not -1"),
        ({"cell": 1, "t": 0, "margin": -1}, "margin: expected 0 or more"),
    ],
)
def test_what_cannot_be_cut_out_is_told(results_of_demo, wish, words):
    with pytest.raises(InputError, match=words):
        open_results(results_of_demo).fov(0).crop("GFP", **wish)


# Outlines


def filled(polygons, shape):
    """Return the pixels whose centres are inside an odd number of polygons."""
    inside = np.zeros(shape, bool)
    scale = 8
    for polygon in polygons:
        # Far enough inside of pixels that it does not matter which edge belongs to which.
        corners = np.round((polygon + 0.5) * scale).astype(np.int32)
        canvas = np.zeros((shape[0] * scale + 1, shape[1] * scale + 1), np.uint8)
        cv2.fillPoly(canvas, [corners[:, np.newaxis]], 1)
        inside ^= canvas[scale // 2 :: scale, scale // 2 :: scale][: shape[0], : shape[1]] > 0
    return inside


@given(
    arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))
)
def test_outlines_that_are_filled_are_the_labels_to_the_pixel(labels):
    outlines = outlines_of(labels)
    assert list(outlines) == [int(label) for label in np.unique(labels[labels > 0])]
    for label, polygons in outlines.items():
        np.testing.assert_array_equal(filled(polygons, labels.shape), labels == label)


def test_parts_and_holes_are_polygons_of_their_own():
    labels = np.zeros((9, 12), np.uint16)
    labels[1:6, 1:6] = 7
    labels[3, 3] = 0
    labels[6, 6] = 7
    outer, hole, corner = sorted(outlines_of(labels)[7], key=len, reverse=True)
    assert len(outer) == len(hole) == len(corner) == 4
    areas = [
        np.dot(p[:, 0], np.roll(p[:, 1], -1)) - np.dot(p[:, 1], np.roll(p[:, 0], -1))
        for p in outlines_of(labels)[7]
    ]
    assert sorted(areas) == [-2, 2, 50]


def test_only_the_cells_that_are_wanted_are_outlined(results_of_demo):
    fov = open_results(results_of_demo).fov(0)
    cells = list(fov.outlines(2))
    assert cells == sorted(int(label) for label in np.unique(fov.labels[2]) if label)
    assert list(fov.outlines(2, cells[:1])) == cells[:1]


def test_outlines_lie_around_the_positions_of_the_traces(results_of_demo):
    fov = open_results(results_of_demo).fov(0)
    traces = fov.traces
    for cell, polygons in fov.outlines(4).items():
        row = traces[(traces["cell"] == cell) & (traces["frame"] == 4)].iloc[0]
        low, high = polygons[0].min(axis=0), polygons[0].max(axis=0)
        assert (low < [row["position_x"], row["position_y"]]).all()
        assert (high > [row["position_x"], row["position_y"]]).all()


# What was released


def test_a_released_stack_is_told_with_what_brings_it_back(copied_results):
    release_stacks(copied_results, ["fl", "seg_labeled"])
    results = open_results(copied_results)
    fov = results.fov(0)
    words = "released to save space; the command of the run with --restore"
    with pytest.raises(InputError, match=rf"FOV 0 \(position 1\): .*_fl_ch_1\.npy: {words} fl "):
        fov.fluorescence["GFP"]
    for ask in (lambda: fov.labels, lambda: fov.outlines(0), lambda: fov.crop("GFP", 1, 0)):
        with pytest.raises(InputError, match=f"{words} seg_labeled makes it again"):
            ask()
    assert fov.phase.shape == fov.corrected["GFP"].shape
    assert set(results.missing["kind"]) == {"fl", "seg_labeled"}
    assert results.missing["reason"].str.contains(words).all()
    assert len(results.traces)
