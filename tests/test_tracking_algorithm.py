from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import linear_sum_assignment

from frames import blobs, label_image, seeds
from pyama_core.errors import InputError
from pyama_core.processing.tracking.assignment import best_assignment
from pyama_core.processing.tracking.iou.method import IoUParameters
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.tracker import TooManyCellsError
from reference import iou_plain, objects_plain, track_plain

SHAPES = st.sampled_from([(1, 1), (1, 40), (12, 9), (20, 200), (64, 64)])


def track(frames, min_iou=0.1, dtype=np.uint16):
    tracker = IoUTracker(IoUParameters(min_iou=min_iou), dtype)
    return [tracker.update(frame) for frame in frames]


def ids_of(objects, labels):
    """The id of each object; every object has one, and nothing else does."""
    ids = [int(labels[mask][0]) for mask in objects]
    painted = np.zeros(labels.shape, labels.dtype)
    for mask, cell in zip(objects, ids, strict=True):
        painted[mask] = cell
    np.testing.assert_array_equal(painted, labels)
    return ids


def best_totals(iou):
    """The totals of all one-to-one assignments, best first."""
    n_left, n_right = iou.shape
    padded = np.hstack([iou, np.zeros((n_left, n_left))])
    columns = range(n_right + n_left)
    # Assignments that differ only in which zero they take are one.
    choices = {
        tuple((i, j) for i, j in enumerate(choice) if padded[i, j] > 0)
        for choice in itertools.permutations(columns, n_left)
    }
    return sorted((sum(iou[pair] for pair in choice) for choice in choices), reverse=True)


def assert_tracked(frames, labels, min_iou):
    """Assert all that the definition says, whichever of several optima was taken."""
    previous, previous_ids, n_cells = [], [], 0
    for frame, label in zip(frames, labels, strict=True):
        current = objects_plain(frame)
        ids = ids_of(current, label)
        assert len(set(ids)) == len(ids)
        iou = iou_plain(current, previous)
        iou[iou < min_iou] = 0
        links = [
            (i, previous_ids.index(cell)) for i, cell in enumerate(ids) if cell in previous_ids
        ]
        assert all(iou[link] >= min_iou for link in links)
        optimum = iou[linear_sum_assignment(iou, maximize=True)].sum()
        assert sum(iou[link] for link in links) == pytest.approx(optimum, abs=1e-12)
        new = [cell for cell in ids if cell not in previous_ids]
        assert new == list(range(n_cells + 1, n_cells + 1 + len(new)))
        n_cells += len(new)
        previous, previous_ids = current, ids


@settings(max_examples=100, deadline=None)
@given(
    shape=SHAPES,
    seed=seeds,
    min_iou=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    step=st.integers(0, 6),
)
def test_masks_are_tracked_with_the_largest_total_iou(shape, seed, min_iou, step):
    rng = np.random.default_rng(seed)
    mask = blobs(shape, seed)
    frames = [np.roll(mask, (t * step, t), (0, 1)) & (rng.random(shape) < 0.97) for t in range(4)]
    assert_tracked(frames, track(frames, min_iou), min_iou)


@settings(max_examples=100, deadline=None)
@given(shape=SHAPES, seed=seeds, min_iou=st.sampled_from([0.01, 0.1, 0.3]), n=st.integers(0, 30))
def test_label_images_are_tracked_with_the_largest_total_iou(shape, seed, min_iou, n):
    frames = [label_image(shape, seed + t // 2, n) for t in range(4)]
    frames[1] = np.roll(frames[1], (1, 2), (0, 1))
    frames[2] = np.roll(frames[1], (2, 1), (0, 1))
    assert_tracked(frames, track(frames, min_iou), min_iou)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, n=st.integers(1, 4))
def test_ids_are_those_of_the_plain_algorithm_where_the_optimum_is_unique(seed, n):
    frames = [label_image((30, 40), seed, n), label_image((30, 40), seed + 1, n)]
    iou = iou_plain(objects_plain(frames[1]), objects_plain(frames[0]))
    iou[iou < 0.1] = 0
    totals = best_totals(iou)
    assume(len(totals) == 1 or totals[0] - totals[1] > 1e-9)
    for found, expected in zip(track(frames), track_plain(frames), strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=200, deadline=None)
@given(
    seed=seeds,
    n_left=st.integers(1, 12),
    n_right=st.integers(1, 12),
    density=st.sampled_from([0.1, 0.3, 0.6, 1.0]),
    n_weights=st.sampled_from([1, 2, 5, 10**6]),
)
def test_an_assignment_has_the_total_of_the_hungarian_one(
    seed, n_left, n_right, density, n_weights
):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, n_weights + 1, (n_left, n_right)) / n_weights
    weights[rng.random(weights.shape) > density] = 0
    left, right = np.nonzero(weights)
    chosen = best_assignment(left, right, weights[left, right])
    assert np.bincount(left[chosen]).max(initial=0) <= 1
    assert np.bincount(right[chosen]).max(initial=0) <= 1
    optimum = weights[linear_sum_assignment(weights, maximize=True)].sum()
    assert weights[left, right][chosen].sum() == pytest.approx(optimum, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, n_left=st.integers(1, 4), n_right=st.integers(1, 4))
def test_no_assignment_of_a_small_case_is_better(seed, n_left, n_right):
    iou = np.random.default_rng(seed).random((n_left, n_right)).round(1)
    left, right = np.nonzero(iou)
    chosen = best_assignment(left, right, iou[left, right])
    assert iou[left, right][chosen].sum() == pytest.approx(best_totals(iou)[0])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, dtype=st.sampled_from([np.uint8, np.int16, np.uint16, np.uint32, np.int64]))
def test_tracks_do_not_depend_on_the_numbers_of_labels(seed, dtype):
    rng = np.random.default_rng(seed)
    frames = [label_image((40, 50), seed, 9), np.roll(label_image((40, 50), seed, 9), 2, 1)]
    numbers = [
        np.concatenate([[0], rng.choice(np.arange(1, 120), 9, replace=False)]) for _ in frames
    ]
    renamed = [number[frame].astype(dtype) for number, frame in zip(numbers, frames, strict=True)]
    for found, expected in zip(track(renamed), track(frames), strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_a_mask_and_the_label_image_of_its_components_give_the_same_tracks(seed):
    masks = [np.roll(blobs((64, 80), seed, 8), 3 * t, 1) for t in range(3)]
    labels = [cv2.connectedComponents(mask.view(np.uint8), connectivity=4)[1] for mask in masks]
    for found, expected in zip(track(labels), track(masks), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_new_cells_are_numbered_by_frame_then_by_first_pixel():
    first = np.array([[0, 0, 0, 0, 9], [5, 0, 0, 0, 9], [5, 0, 7, 0, 0]])
    second = np.array([[3, 0, 0, 0, 9], [0, 0, 0, 0, 9], [5, 0, 7, 0, 4]])
    labels = track([first, second])
    assert labels[0].tolist() == [[0, 0, 0, 0, 1], [2, 0, 0, 0, 1], [2, 0, 3, 0, 0]]
    assert labels[1].tolist() == [[4, 0, 0, 0, 1], [0, 0, 0, 0, 1], [2, 0, 3, 0, 5]]


def test_diagonal_neighbours_are_two_cells_and_a_label_in_two_parts_is_one():
    assert track([np.eye(3, dtype=bool)])[0].max() == 3
    assert track([np.eye(3, dtype=np.int32) * 7])[0].max() == 1


def test_the_larger_daughter_keeps_the_number_of_its_mother():
    mother = np.ones((1, 10), np.bool_)
    daughters = mother.copy()
    daughters[0, 4] = False
    assert track([mother, daughters])[1].tolist() == [[2] * 4 + [0] + [1] * 5]


def test_a_tie_goes_to_the_first_object_and_to_the_smallest_number():
    whole = np.ones((1, 9), np.bool_)
    halves = whole.copy()
    halves[0, 4] = False
    assert track([whole, halves])[1].tolist() == [[1] * 4 + [0] + [2] * 4]
    assert track([halves, whole])[1].tolist() == [[1] * 9]


def test_a_cell_that_disappears_has_ended():
    cell = np.zeros((5, 5), np.bool_)
    cell[1:3, 1:3] = True
    labels = track([cell, np.zeros_like(cell), cell])
    assert [label.max() for label in labels] == [1, 0, 2]


def test_pairs_from_the_smallest_iou_on_are_the_same_cell():
    pixel, ten = np.zeros((1, 10), np.bool_), np.ones((1, 10), np.bool_)
    pixel[0, 3] = True
    assert track([pixel, ten], min_iou=0.1)[1].max() == 1
    assert track([pixel, ten], min_iou=0.1001)[1].max() == 2


def test_the_best_total_may_take_two_weaker_pairs_for_one_strong_pair():
    left, right = np.array([0, 0, 1]), np.array([0, 1, 0])
    weights = np.array([0.5, 0.4, 0.4])
    assert best_assignment(left, right, weights).tolist() == [False, True, True]


def test_ten_thousand_touching_cells_that_all_overlap_four_others_are_assigned():
    rows = np.arange(800) // 8
    labels = rows[:, np.newaxis] * 100 + rows + 1
    tracker = IoUTracker()
    tracker.update(labels)
    moved = tracker.update(np.roll(labels, (4, 4), (0, 1)))
    linked = np.unique(moved[moved <= 10_000])
    # A quarter of each cell covers each of four others, except at the edge that moved around.
    assert linked.size >= 99 * 99


def test_one_object_may_overlap_ten_thousand():
    many = np.arange(40_000, dtype=np.uint32).reshape(200, 200) // 4 + 1
    labels = track([np.ones((200, 200), np.uint16), many, np.ones((200, 200), np.uint16)])
    assert labels[1].min() == 2
    assert labels[1].max() == 10_001


def test_as_many_cells_as_the_dtype_can_number_are_tracked_and_no_more():
    pixels = np.arange(1, 257, dtype=np.uint16).reshape(1, 256)
    tracker = IoUTracker(dtype=np.uint8)
    assert tracker.update(np.where(pixels > 255, 0, pixels)).max() == 255
    with pytest.raises(TooManyCellsError, match="256 cells do not fit labels of dtype uint8"):
        tracker.update(pixels)
    assert tracker.n_cells == 255
    np.testing.assert_array_equal(tracker.update(pixels % 256), pixels % 256)


def test_the_result_belongs_to_the_caller():
    mask = blobs((64, 64), 3)
    tracker = IoUTracker()
    first = tracker.update(mask)
    kept = first.copy()
    first[:] = 7
    np.testing.assert_array_equal(tracker.update(mask), kept)


def test_frames_that_cannot_be_tracked_are_refused():
    tracker = IoUTracker()
    tracker.update(np.zeros((4, 4), np.bool_))
    with pytest.raises(InputError, match=r"shape \(4, 4\) like the one before, found \(4, 5\)"):
        tracker.update(np.zeros((4, 5), np.bool_))
    with pytest.raises(InputError, match="found 1 pixels outside"):
        tracker.update(np.diag([-1, 2, 3, 4]))
    with pytest.raises(InputError, match="dtype float32"):
        tracker.update(np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match="integer dtype"):
        IoUTracker(dtype=np.float32)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"min_iou": 0}, "greater than 0"),
        ({"min_iou": 1.1}, "less than or equal to 1"),
        ({"min_iou": float("nan")}, "less than or equal to 1"),
        ({"method": "distance"}, "iou"),
        ({"iou": 0.1}, "Extra inputs"),
    ],
)
def test_parameters_out_of_bounds_are_refused(bad, words):
    with pytest.raises(ValidationError, match=words):
        IoUParameters(**bad)


def test_real_instance_masks_are_tracked_as_the_plain_algorithm_does(shared_data):
    paths = sorted((shared_data / "t98g" / "masks").glob("*.png"))[:3]
    frames = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[::4, ::4] for path in paths]
    labels = track(frames)
    assert_tracked(frames, labels, 0.1)
    masks = [frame > 0 for frame in frames]
    assert_tracked(masks, track(masks), 0.1)
    # The labels of these files persist, so nearly every object must keep its number.
    kept = [len(np.unique(label)) for label in labels]
    assert labels[2].max() < 1.3 * kept[0]
