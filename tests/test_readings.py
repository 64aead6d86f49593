"""Frames around tell of a frame which objects are pieces of one cell, and which are several."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

# The benchmarks are not a part of the package.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import real_movies
from benchmarks.hard_movies import Colony, Faults
from benchmarks.link_metrics import Asked, ids_of_objects, score_links
from benchmarks.tracking_metrics import mask_faults
from benchmarks.tracking_scenarios import renumbered

from frames import label_image, seeds
from pyama_core.errors import InputError
from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.pixel_runs import find_runs
from pyama_core.processing.tracking.lineage.borders import Borders
from pyama_core.processing.tracking.lineage.kernels.likeness import hang_together, likenesses
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.readings import REACH, Readings
from pyama_core.processing.tracking.lineage.tracker import LineageTracker
from pyama_core.processing.tracking.objects import Objects
from pyama_core.processing.tracking.tables import track_columns
from pyama_core.processing.workflow.warm_up import _with_faults

SHAPE = (60, 80)


def disc(y, x, radius):
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def labels_of(*masks):
    labels = np.zeros(SHAPE, np.uint16)
    for number, mask in enumerate(masks, 1):
        labels[mask] = number
    return labels


# A cell that is seen whole or in two, two that touch and are seen as such or as one, and one alone.
CELL, LEFT = disc(15, 20, 9), np.arange(80) < 19
ONE, TWO = disc(42, 24, 8), disc(42, 39, 8) & ~disc(42, 24, 8)
ALONE = disc(20, 60, 9)
RIGHT = labels_of(CELL, ONE, TWO, ALONE)
SPLIT = labels_of(CELL & LEFT, CELL & ~LEFT, ONE, TWO, ALONE)
MERGED = labels_of(CELL, ONE | TWO, ALONE)


def track(frames, **parameters):
    tracker = LineageTracker(LineageParameters(**parameters))
    for frame in frames:
        tracker.preview(frame)
    return tracker, [tracker.update(frame) for frame in frames]


def same_partition(a, b):
    """Whether two label images have the same objects, whatever their labels."""
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return all(np.unique(row).size == row.size for row in pairs)


@pytest.mark.parametrize("n", [1, 2])
def test_what_is_one_before_and_after_is_put_together_and_told(n):
    tracker, labels = track([RIGHT, RIGHT, *[SPLIT] * n, RIGHT, RIGHT])
    assert tracker.n_cells == 4
    assert all(same_partition(frame, RIGHT) for frame in labels)
    assert [track.n_joined for track in tracker.tracks()] == [n, 0, 0, 0]
    assert track_columns(tracker.tracks())["n_cut"] == [0, 0, 0, 0]


def test_a_cell_in_many_pieces_is_put_together():
    crossed = np.where(CELL & LEFT, 5, RIGHT)
    crossed[:15][crossed[:15] == 5] = 6
    crossed[:15][CELL[:15] & ~LEFT] = 7
    labels = track([RIGHT, RIGHT, crossed, RIGHT])[1]
    assert all(same_partition(frame, RIGHT) for frame in labels)


@pytest.mark.parametrize("n", [1, 2])
def test_what_is_two_before_and_after_is_cut_and_told(n):
    tracker, labels = track([RIGHT, RIGHT, *[MERGED] * n, RIGHT, RIGHT])
    assert tracker.n_cells == 4
    for frame in labels:
        assert (frame[ONE | TWO] > 0).all()
        right = np.mean(frame[ONE] == frame[42, 20]) + np.mean(frame[TWO] == frame[42, 43])
        assert right > 1.95
    assert [track.n_cut for track in tracker.tracks()] == [0, 0, n, n]
    assert not any(track.n_merged for track in tracker.tracks())


@pytest.mark.parametrize(
    "frames",
    [
        [RIGHT, RIGHT, SPLIT, SPLIT, SPLIT, SPLIT],  # it divides
        [SPLIT, RIGHT, RIGHT, RIGHT],  # nothing is known of what was before
        [RIGHT, RIGHT, RIGHT, MERGED],  # or comes after
    ],
)
def test_one_side_alone_decides_nothing(frames):
    tracker, labels = track(frames, max_gap=0)
    alone, as_found = track(frames, max_gap=0, alternatives="off")
    for a, b in zip(labels, as_found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tracker.tracks() == alone.tracks()
    assert "n_joined" not in track_columns(tracker.tracks())


@pytest.mark.parametrize(
    ("frame", "parameters"),
    [
        (SPLIT, {"alternatives": "off", "max_broken": 1}),
        (SPLIT, {"max_broken": 0}),
        (MERGED, {"split_merged": False}),
        (MERGED, {"alternatives": "off", "split_merged": False}),
    ],
)
def test_nothing_is_changed_that_is_not_to_be(frame, parameters):
    tracker = track([RIGHT, RIGHT, frame, RIGHT, RIGHT], **parameters)[0]
    assert all(track.n_joined is None and track.n_cut is None for track in tracker.tracks())


def test_where_cells_change_their_place_by_their_size_nothing_is_decided():
    frames = [np.roll(frame, 13 * t, 1) for t, frame in enumerate([RIGHT, RIGHT, SPLIT, RIGHT])]
    tracker = track(frames)[0]
    assert "n_joined" not in track_columns(tracker.tracks())


@pytest.mark.parametrize(("far", "n_decided"), [(2, [1, 2]), (13, [])])
def test_nothing_is_decided_of_cells_that_stay_where_most_others_are_elsewhere(far, n_decided):
    """A cell in pieces and two as one, which stay, would be told from the frames around alone."""
    others = [disc(15, 48, 9), disc(30, 70, 9), disc(50, 56, 8), disc(10, 68, 7)]
    frames = []
    for t, stays in enumerate([RIGHT, RIGHT, SPLIT, MERGED, RIGHT, RIGHT]):
        stays = np.where(ALONE, 0, stays)
        moving = labels_of(*(np.roll(mask, far * (-1) ** t, 0) for mask in others))
        frames.append(np.where(stays > 0, stays, np.where(moving > 0, moving + 10, 0)))
    tracks = track(frames)[0].tracks()
    told = [sum(getattr(t, name) or 0 for t in tracks) for name in ("n_joined", "n_cut")]
    assert [n for n in told if n] == n_decided


def test_what_does_not_touch_is_not_put_together():
    far = labels_of(CELL & (np.arange(80) < 15), CELL & (np.arange(80) > 24), ONE, TWO, ALONE)
    tracker = track([RIGHT, RIGHT, far, RIGHT, RIGHT])[0]
    assert "n_joined" not in track_columns(tracker.tracks())


def test_labels_of_the_segmentation_do_not_matter_nor_does_how_often_it_is_done():
    truth, _ = Colony(40, 8, size=200, radius=9, speed=2).movie()
    seen = Faults(0.1, 0.1, 0, 0, duration=1).of(truth)
    first = track(list(renumbered(seen, 1)))
    assert any(t.n_joined for t in first[0].tracks())
    assert any(t.n_cut for t in first[0].tracks())
    for frames in (list(renumbered(seen, 1)), list(renumbered(seen, 5))):
        again = track(frames)
        assert again[0].tracks() == first[0].tracks()
        np.testing.assert_array_equal(np.stack(again[1]), np.stack(first[1]))


def test_memory_is_that_of_five_frames():
    readings = Readings(may_join=True, may_cut=True)
    n_read = 0
    for t in range(20):
        n_read += len(list(readings.see(Objects.of(RIGHT)[0], Borders.none())))
        assert n_read == max(0, t + 1 - REACH)
        assert len(readings._past) + len(readings._coming) <= 2 * REACH
    assert len(list(readings.rest())) == REACH


def test_each_frame_is_measured_in_its_own_image():
    """Frames are read later than they are seen, and so must be their images."""
    images = [np.full(SHAPE, 10.0 * (t + 1)) for t in range(6)]
    tracker = LineageTracker(LineageParameters(brightness_channel=1))
    frames = [RIGHT, RIGHT, SPLIT, RIGHT, RIGHT, RIGHT]
    for frame, image in zip(frames, images, strict=True):
        tracker.preview(frame, image)
    tracker.update(frames[0], images[0])
    for t, sighting in enumerate(tracker._previewed):
        np.testing.assert_allclose(sighting.brightness, 10 * (t + 1) * sighting.area)


def test_what_makes_kernels_ready_has_all_that_there_is_to_decide():
    tracker = track(_with_faults())[0]
    assert sum(t.n_joined for t in tracker.tracks()) == 1
    assert sum(t.n_cut for t in tracker.tracks()) == 2
    assert np.hypot(*tracker.shifts[-1]) > 20


def test_frames_that_were_not_previewed_are_refused():
    tracker = track([RIGHT, RIGHT, SPLIT, RIGHT])[0]
    with pytest.raises(InputError, match="preview the same frames"):
        tracker.update(np.zeros(SHAPE, np.uint16))


def slow_likeness(window, first, last, corner, labels):
    """What `likenesses` computes of one, with masks of whole frames."""
    piece = np.zeros(labels.shape, bool)
    top, left = corner
    piece[top : top + window.shape[0], left : left + window.shape[1]] = (window >= first) & (
        window <= last
    )
    if not piece.any():
        return 0.0
    centre, area = np.argwhere(piece).mean(axis=0), piece.sum()
    under = np.bincount(labels[piece], minlength=labels.max() + 1)
    under[0] = 0
    best = 0.0
    for label in np.argsort(-under, kind="stable")[:3].tolist():
        mask = labels == label
        step = np.argwhere(mask).mean(axis=0) - centre if under[label] else np.zeros(2)
        way = np.hypot(*step) / np.sqrt(4 * area / np.pi)
        if not under[label] or under[label] < 0.1 * min(area, mask.sum()) or way > 0.7:
            continue
        moved = np.floor(step + 0.5).astype(int)
        places = np.argwhere(piece) + moved
        inside = ((places >= 0) & (places < labels.shape)).all(axis=1)
        common = mask[tuple(places[inside].T)].sum()
        best = max(best, common / (area + mask.sum() - common) * (1 - way**2))
    return best


@settings(max_examples=60, deadline=None)
@given(first=seeds, second=seeds)
def test_likeness_is_what_masks_of_whole_frames_give(first, second):
    mine, other = (label_image((24, 30), seed, 4) for seed in (first, second))
    objects, numbers = Objects.of(other)
    by_raster = np.zeros(other.shape, np.int32)
    for number, label in enumerate(numbers.tolist(), 1):
        by_raster[other == label] = number
    window = mine[2:, 1:].astype(np.uint32)
    n = int(window.max())
    runs = find_runs(read_only(window), 0)
    found = likenesses(
        runs, n, (2, 1), objects.runs, objects.outlines, objects.area, objects.position
    )
    expected = [slow_likeness(window, 1, n, (2, 1), by_raster)]
    expected += [slow_likeness(window, i, i, (2, 1), by_raster) for i in range(1, n + 1)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_objects_are_drawn_anew_as_in_a_frame_of_pixels(seed):
    frame, rng = label_image((24, 30), seed, 5), np.random.default_rng(seed)
    objects, numbers = Objects.of(frame)
    value_of = rng.integers(0, 4, numbers.size)
    expected, patches = np.zeros(frame.shape, np.int64), []
    for i, label in enumerate(numbers.tolist()):
        expected[frame == label] = value_of[i]
        top, left, bottom, right = objects.box[i].tolist()
        if rng.random() < 0.4:
            patches.append((i, (top, left), rng.integers(0, 4, (bottom - top, right - left))))
            inside = np.zeros(frame.shape, np.int64)
            inside[top:bottom, left:right] = patches[-1][2]
            expected[frame == label] = inside[frame == label]
    found, labels = objects.redrawn(value_of, patches)
    again, same_labels = Objects.of(expected)
    np.testing.assert_array_equal(labels, same_labels)
    for name in ("area", "position", "box"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
    for a, b in zip(found.runs, again.runs, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_some_objects_are_seen_as_in_a_window_of_the_frame(seed):
    frame, rng = label_image((24, 30), seed, 5), np.random.default_rng(seed)
    objects, numbers = Objects.of(frame)
    which = rng.permutation(numbers.size)[: rng.integers(1, numbers.size + 1)].tolist()
    expected = np.zeros(frame.shape, np.uint32)
    for value, i in enumerate(which, 1):
        expected[frame == numbers[i]] = value
    top, left, bottom, right = objects.box_around(which).tolist()
    window = objects.seen_in(np.array([top, left, bottom, right]), which)
    np.testing.assert_array_equal(window, expected[top:bottom, left:right])
    np.testing.assert_array_equal(objects.seen_in(np.array([3, 4, 20, 19]), which),
                                  expected[3:20, 4:19])  # fmt: skip
    found = objects.runs_in(objects.box_around(which), which)
    for a, b in zip(found, find_runs(read_only(window), 0), strict=True):
        np.testing.assert_array_equal(a, b)
    outlines = np.zeros(frame.shape, np.int64)
    for i in range(numbers.size):
        for run in range(objects.outlines.first[i], objects.outlines.first[i + 1]):
            start, stop = objects.outlines.start[run], objects.outlines.stop[run]
            outlines[objects.outlines.row[run], start:stop] += numbers[i]
    np.testing.assert_array_equal(outlines, frame)


@pytest.mark.parametrize(
    ("row", "n", "gap", "together"),
    [
        ([1, 1, 2, 2], 2, 1, True),
        ([1, 0, 0, 2], 2, 2, False),
        ([1, 0, 0, 2], 2, 3, True),
        ([1, 0, 2, 0, 0, 3], 3, 2, False),
        ([1, 3, 2, 2], 3, 1, True),
    ],
)
def test_pieces_hang_together_over_a_gap(row, n, gap, together):
    window = np.array([row], np.uint32)
    assert hang_together(window, n, gap) == together
    assert hang_together(np.ascontiguousarray(window.T), n, gap) == together


SPREAD = Colony(
    45, 14, size=420, radius=14, speed=3, lobes=3, divisions=0.015, deaths=0.005, seed=1
)


@pytest.mark.parametrize(("duration", "left"), [(1, 0.5), (2, 0.9)])
def test_faults_that_pass_are_mended(duration, left):
    truth, parents = SPREAD.movie()
    seen = renumbered(Faults(0.04, 0.04, 0.04, 0.04, duration=duration).of(truth), 3)
    asked = Asked.about(truth, seen, parents)
    complete, faults = [], []
    for alternatives in ("off", "auto"):
        labels = track(list(seen), alternatives=alternatives)[1]
        complete.append(score_links(asked, ids_of_objects(seen, labels)).complete)
        faults.append(mask_faults(truth, labels))
    assert complete[1] > complete[0]
    assert faults[1].total < left * faults[0].total


@pytest.mark.slow
@pytest.mark.skipif(not (real_movies.DATA / "t98g").is_dir(), reason="its images are absent")
def test_real_cells_are_more_often_whole():
    movies = {movie.name: movie for _, movie in real_movies._glioma()}
    for name, complete, total in (
        ("t98g, instances", 0.73, 11.0),
        ("t98g, instances, every third frame", 0.86, 17.0),
    ):
        movie = movies[name]
        asked = Asked.about(movie.truth, movie.seen, movie.parents)
        labels = movie.show_to(LineageTracker())
        assert score_links(asked, ids_of_objects(movie.seen, labels)).complete >= complete
        assert mask_faults(movie.truth, labels).total <= total
