from __future__ import annotations

import itertools
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import pyama_core.processing.tracking.laptrack.method as laptrack_method
import pyama_core.processing.tracking.trackastra.method as trackastra_method
from frames import blobs, label_image, seeds
from pyama_core.errors import InputError
from pyama_core.processing.frame import read_only
from pyama_core.processing.runs.measures import areas_and_boxes
from pyama_core.processing.runs.objects import labelled_objects
from pyama_core.processing.runs.pixel_runs import rows_of
from pyama_core.processing.tracking.graph_tracker import GraphTracker
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.laptrack.linker import LapTrackLinker
from pyama_core.processing.tracking.lineage.divisions import find_divisions, looks
from pyama_core.processing.tracking.lineage.drift import common_displacement, phase_shift
from pyama_core.processing.tracking.lineage.evidence import SURE, Evidence, spreads
from pyama_core.processing.tracking.lineage.gaps import find_gaps
from pyama_core.processing.tracking.lineage.kernels.correlation import reduced
from pyama_core.processing.tracking.lineage.kernels.moved_runs import move_runs
from pyama_core.processing.tracking.lineage.kernels.neighbours import neighbours
from pyama_core.processing.tracking.lineage.merges import nearest_seed
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.motion import Motion
from pyama_core.processing.tracking.lineage.swaps import exchange
from pyama_core.processing.tracking.lineage.tracker import LineageTracker
from pyama_core.processing.tracking.lineage.tracklets import Tracklets
from pyama_core.processing.tracking.objects import Objects
from pyama_core.processing.tracking.tables import track_columns
from pyama_core.processing.tracking.trackastra.linker import TrackastraLinker, make
from pyama_core.processing.tracking.tracker import (
    LookAheadTracker,
    TooManyCellsError,
    find_tracking,
)
from reference import objects_plain
from reference_lineage import Cell, PlainLineage, moved

SHAPE = (40, 52)


def disc(y, x, radius, shape=SHAPE):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def frame_of(*discs, shape=SHAPE):
    """A mask of discs, (y, x, radius) each."""
    return np.any([np.zeros(shape, bool), *(disc(*d, shape) for d in discs)], axis=0)


def labels_of(*discs, shape=SHAPE):
    labels = np.zeros(shape, np.uint16)
    for number, d in enumerate(discs, 1):
        labels[disc(*d, shape)] = number
    return labels


def track(frames, dtype=np.uint16, **parameters):
    tracker = LineageTracker(LineageParameters(**parameters), dtype)
    for frame in frames:
        tracker.preview(frame)
    return tracker, [tracker.update(frame) for frame in frames]


def ids_at(labels, places):
    return [[int(label[place]) for place in places] for label in labels]


def fates(tracker):
    return {track.cell: track.fate for track in tracker.tracks()}


def wanderers(seed, n_frames=10, as_masks=True):
    """Discs that walk, touch and part, vanish for a frame, enter and leave."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    y, x = rng.uniform(0, SHAPE[0], n), rng.uniform(0, SHAPE[1], n)
    step = rng.normal(0, rng.choice([0.5, 2.0, 5.0]), (2, n))
    radius = rng.uniform(2, 8, n)
    frames = []
    for _ in range(n_frames):
        there = rng.random(n) > 0.15
        discs = [d for d, seen in zip(zip(y, x, radius, strict=True), there, strict=True) if seen]
        frames.append(frame_of(*discs) if as_masks else labels_of(*discs))
        step = 0.7 * step + rng.normal(0, 1, (2, n))
        y, x = y + step[0], x + step[1]
    return frames


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(
    seed=seeds,
    as_masks=st.booleans(),
    max_gap=st.integers(0, 3),
    max_displacement=st.sampled_from([0.0, 1.0, 3.0]),
    split_merged=st.booleans(),
)
def test_cells_are_tracked_as_the_plain_algorithm_does(
    seed, as_masks, max_gap, max_displacement, split_merged
):
    parameters = LineageParameters(
        max_gap=max_gap,
        max_displacement=max_displacement,
        split_merged=split_merged,
        correct_drift=False,
        border=2,
    )
    tracker, plain = LineageTracker(parameters), PlainLineage(parameters)
    for frame in wanderers(seed, as_masks=as_masks):
        plain.step(frame, tracker.update(frame))
        assume(not plain.ambiguous)
    for found, cell in zip(tracker.tracks(), plain.cells, strict=True):
        last = cell.frames[-1]
        assert (found.cell, found.first_frame, found.last_frame) == (cell.number, cell.first, last)
        assert (found.n_frames, found.n_merged) == (len(cell.frames), cell.n_merged)
        assert found.fate == ("end of movie" if last == plain.n_frames - 1 else cell.fate)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_log_odds_are_those_of_place_size_and_mask(seed):
    """The same numbers, not only the same choice as the plain algorithm makes."""
    rng = np.random.default_rng(seed)
    frames = wanderers(seed, n_frames=2, as_masks=False)
    cells, objects = (Objects.of(frame)[0] for frame in frames)
    plain = PlainLineage(LineageParameters())
    plain.n_frames = 1
    plain.changes = rng.uniform(0, 0.5, 12).tolist()
    n = cells.area.size
    state = SimpleNamespace(
        area=cells.area.astype(float),
        box=cells.box,
        age=np.ones(n, np.int64),
        errors=rng.uniform(0, 9, n),
        n_errors=rng.uniform(0, 5, n),
    )
    usual = rng.uniform(0.5, 3)
    change = plain.change()
    evidence = Evidence(spreads(state, usual), change, 0.01, SHAPE)
    for i, j in itertools.product(range(n), range(objects.area.size)):
        masks = [plain_objects[k] for plain_objects, k in
                 ((objects_plain(frames[0]), i), (objects_plain(frames[1]), j))]  # fmt: skip
        distance, iou, cut = rng.uniform(0, 9), rng.uniform(0, 1), bool(rng.random() < 0.5)
        cell = Cell(1, masks[0], masks[0].sum(), None, 0, 0)
        cell.error, cell.n_errors = state.errors[i], state.n_errors[i]
        expected = plain.log_odds(cell, masks[1], distance, iou, cut, usual, 0.01)
        pair = (np.array([i]), np.array([j]), np.array([distance]), np.array([iou]))
        found = evidence.log_odds(state, objects, *pair, np.array([cut]))
        assert found == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, as_masks=st.booleans())
def test_cells_that_stand_apart_have_the_numbers_that_tracking_by_overlap_gives(seed, as_masks):
    rng = np.random.default_rng(seed)
    place = np.array([(y, x) for y in range(9, 60, 14) for x in range(9, 60, 14)])
    place = place + rng.uniform(-1, 1, place.shape)
    radius = rng.uniform(3, 5, len(place))
    there = rng.random(len(place)) < 0.8
    frames = []
    for _ in range(5):
        place = place + rng.uniform(-0.5, 0.5, place.shape)
        discs = [(*at, r) for at, r in zip(place[there], radius[there], strict=True)]
        frames.append((frame_of if as_masks else labels_of)(*discs, shape=(70, 70)))
        there = there | (rng.random(len(place)) < 0.1)
    exact = IoUTracker()
    for found, frame in zip(track(frames)[1], frames, strict=True):
        np.testing.assert_array_equal(found, exact.update(frame))


@pytest.mark.parametrize(("missed", "kept"), [(1, True), (2, True), (3, False)])
def test_a_cell_missed_in_up_to_max_gap_frames_keeps_its_number(missed, kept):
    cell, nothing = frame_of((20, 20, 6)), frame_of()
    tracker, labels = track([cell, *[nothing] * missed, cell], max_gap=2)
    assert labels[-1].max() == (1 if kept else 2)
    assert fates(tracker) == ({1: "end of movie"} if kept else {1: "lost", 2: "end of movie"})


def test_a_small_cell_faster_than_it_is_large_keeps_its_number():
    frames = [frame_of((20, 8 + 9 * t, 3)) for t in range(5)]
    assert [label.max() for label in track(frames)[1]] == [1] * 5
    assert track(frames, correct_drift=False)[0].n_cells == 1
    assert track(frames, correct_drift=False, max_displacement=1)[0].n_cells == 5


def test_cells_that_move_on_straight_ways_past_each_other_are_told_apart():
    frames = [
        frame_of(
            *((10 + 10 * i, 12 + 7 * t, 3) for i in range(6)), (75, 90 - 7 * t, 3), shape=(90, 110)
        )
        for t in range(11)
    ]
    labels = track(frames)[1]
    assert all(label.max() == 7 for label in labels)


def test_cells_that_merge_and_part_keep_their_identities():
    apart, together = [(20, 14, 7), (20, 34, 6)], [(20, 19, 7), (20, 30, 6)]
    frames = [frame_of(*apart), *[frame_of(*together)] * 4, frame_of(*apart)]
    tracker, labels = track(frames)
    assert ids_at(labels, [(20, 16), (20, 33)]) == [[1, 2]] * 6
    merged = labels[2]
    assert np.count_nonzero(merged == 1) == pytest.approx(np.pi * 49, rel=0.15)
    assert np.count_nonzero(merged == 2) == pytest.approx(np.pi * 36, rel=0.15)
    assert [t.n_merged for t in tracker.tracks()] == [4, 4]
    unsplit = track(frames, split_merged=False)[1]
    assert (unsplit[1][20, 16], unsplit[1][20, 33]) == (1, 1)


def test_three_cells_in_one_object_are_told_apart():
    at = [(12, 14), (12, 26), (22, 20)]
    frames = [frame_of(*((y, x, r) for y, x in at)) for r in (5, 8, 8, 5)]
    labels = track(frames)[1]
    assert ids_at(labels, at) == [[1, 2, 3]] * 4


def test_a_cell_in_the_place_of_one_that_ended_is_not_both():
    frames = [frame_of((20, 14, 6), (20, 30, 6)), frame_of((20, 29, 6))]
    tracker, labels = track(frames, border=2)
    assert np.unique(labels[1]).tolist() == [0, 2]
    assert fates(tracker) == {1: "lost", 2: "end of movie"}


@pytest.mark.parametrize("n_broken", [1, 6])
@pytest.mark.parametrize("cut", [28, 20])
def test_a_piece_that_breaks_off_does_not_divide_a_cell_for_good(n_broken, cut):
    whole = frame_of((20, 24, 10))
    broken = whole.copy()
    broken[:, cut] = False
    tracker, labels = track([whole, *[broken] * n_broken, whole, whole], max_broken=0)
    assert labels[1].max() == 2
    assert [np.unique(label).tolist() for label in labels[-2:]] == [[0, 1]] * 2
    assert fates(tracker) == {1: "end of movie", 2: "merged"}


def test_a_cell_that_falls_into_pieces_for_a_while_is_put_together():
    whole = frame_of((20, 24, 10))
    broken = whole.copy()
    broken[:, 20] = broken[16, :] = False
    tracker, labels = track([whole, broken, broken, whole, broken, whole], max_broken=2)
    assert tracker.n_cells == 1
    np.testing.assert_array_equal(labels[1] > 0, broken)
    tracker, labels = track([whole, *[broken] * 4, whole], max_broken=2, alternatives="off")
    assert [np.unique(label).size - 1 for label in labels] == [1, 4, 4, 4, 4, 1]
    assert fates(tracker) == {1: "end of movie", 2: "merged", 3: "merged", 4: "merged"}


def test_a_frame_out_of_focus_does_not_join_what_was_two_before_and_after():
    """All that is seen in it is something where both were."""
    rest = [(8, 8, 4), (8, 42, 4), (32, 8, 4), (32, 42, 4)]
    whole, two = [(20, 25, 7)], [(20, 19, 5), (20, 31, 5)]
    frames = [frame_of(*rest, *cells) for cells in [whole] * 3 + [two] * 2]
    again = frame_of(*rest, (20, 18, 5), (20, 32, 5))
    tracker, labels = track([*frames, frame_of((20, 25, 9)), again, again, again],
                            border=2, divisions=False)  # fmt: skip
    assert tracker.n_cells == 6
    assert len({int(label[20, 32]) for label in labels[3:5] + labels[6:]}) == 1
    one = track([*frames, frames[0], frames[0], frames[0]], border=2)[0]
    assert one.n_cells == 5


def test_two_that_are_one_object_more_often_than_apart_are_one_cell():
    """They were pieces in the first frames, which nobody could know then."""
    whole = frame_of((20, 24, 10))
    broken = whole.copy()
    broken[:, 22] = False
    tracker, labels = track([broken, broken, *[whole] * 6])
    assert tracker.n_cells == 1
    assert [np.unique(label).tolist() for label in labels] == [[0, 1]] * 8
    assert tracker.tracks()[0].n_merged == 0
    longer = track([*[broken] * 5, whole, whole])[0]
    assert [t.n_merged for t in longer.tracks()] == [2, 2]


def test_two_that_were_seen_clearly_apart_are_two_cells():
    apart, together = [(20, 12, 6), (20, 36, 6)], [(20, 19, 6), (20, 29, 6)]
    frames = [frame_of(*apart), frame_of((20, 17, 6), (20, 31, 6)), *[frame_of(*together)] * 6]
    tracker = track(frames, correct_drift=False)[0]
    assert [(t.n_frames, t.n_merged) for t in tracker.tracks()] == [(8, 6), (8, 6)]


def test_who_is_never_seen_alone_again_was_not_in_the_object_of_another():
    two, one = [(20, 14, 6), (20, 36, 6)], [(20, 26, 6), (20, 36, 6)]
    frames = [frame_of(*two), frame_of((20, 22, 6), (20, 36, 6)), frame_of(*one)]
    frames += [frame_of((20, 34, 8)), frame_of((20, 36, 6)), frame_of((20, 36, 6))]
    tracker = track(frames, border=2)[0]
    assert [(t.last_frame, t.n_merged) for t in tracker.tracks()][1] == (5, 0)


def test_an_end_and_a_beginning_that_nothing_else_explains_are_one_cell():
    rest = [(y, x, 4) for y in (10, 40, 70, 100, 130) for x in (10, 40, 70, 100, 130)]
    ways = [(25, 25, 5), (26, 25, 5), (48, 25, 5), (49, 25, 5)]
    frames = [frame_of(*rest, way, shape=(150, 150)) for way in ways]
    tracker, labels = track(frames)
    assert [int(label[y, x]) for label, (y, x, _) in zip(labels, ways, strict=True)] == [6] * 4
    small = [*ways[:2], *((y, x, 2) for y, x, _ in ways[2:])]
    frames = [frame_of(*rest, way, shape=(150, 150)) for way in small]
    assert track(frames)[0].n_cells == 27
    assert tracker.n_cells == 26


def test_a_neighbour_that_comes_into_the_place_of_a_cell_is_no_piece_of_it():
    frames = [labels_of((20, 14, 7)), labels_of((20, 14, 7), (20, 21, 4))]
    assert track(frames)[0].n_cells == 2


def test_an_object_is_not_divided_for_a_cell_that_was_seen_for_a_moment():
    """One that enters, is broken once, and is whole again."""
    entering = [frame_of((20, x, 9)) for x in (-3, 0, 3, 8, 8, 8, 8)]
    broken = entering[3].copy()
    broken[:, 7] = False
    frames = [entering[2], frame_of(), entering[2], broken, *entering[4:]]
    tracker, labels = track(frames, max_broken=0, max_gap=0)
    assert [np.unique(label).size - 1 for label in labels[-3:]] == [1, 1, 1]
    assert all(track.n_merged == 0 for track in tracker.tracks())


def test_cells_stay_in_their_object_even_if_it_shrinks_until_they_part():
    apart, together = [(20, 16, 8), (20, 31, 5)], frame_of((20, 18, 8), (20, 29, 5))
    shrunk, parted = frame_of((20, 19, 7), (20, 28, 4)), frame_of((20, 17, 7), (20, 31, 4))
    frames = [*[frame_of(*apart)] * 5, together, *[shrunk] * 4, *[parted] * 5]
    assert shrunk.sum() < disc(*apart[0]).sum() + disc(*apart[1]).sum() / 2
    for look_ahead in (True, False):
        tracker = LineageTracker(LineageParameters(alternatives="off", correct_drift=False))
        for frame in frames if look_ahead else ():
            tracker.preview(frame)
        labels = [tracker.update(frame) for frame in frames]
        assert ids_at(labels[5:10], [(20, 18), (20, 29)]) == [[1, 2]] * 5
        assert ids_at(labels[10:], [(20, 17), (20, 31)]) == [[1, 2]] * 5


def test_a_cell_owns_its_place_even_if_its_fragment_was_larger():
    whole = frame_of((20, 24, 10))
    left, right = whole.copy(), whole.copy()
    left[:, 20] = right[:, 28] = False
    labels = track([whole, left, right, left, right, whole], max_broken=0)[1]
    assert np.unique(labels[-1]).tolist() == [0, 1]


def test_a_piece_that_goes_away_is_a_cell_of_its_own():
    frames = [frame_of((20, 26, 8))]
    frames += [frame_of((20, 21 - x, 5), (20, 32 + x, 5)) for x in (0, 2, 4, 2, 0)]
    together = frame_of((20, 22, 5), (20, 31, 5), (20, 26, 3))
    labels = track([*frames, together, frames[1]], max_broken=0)[1]
    assert ids_at(labels[1:], [(20, 19), (20, 34)]) == [[1, 2]] * 7


OTHERS = [(6, 6, 4), (34, 46, 4), (6, 46, 4)]


def dividing(n_after, *, offset=0, second=5.5, whole=3):
    """A cell that divides into two, on opposite sides, or less so."""
    daughters = [(20, 20 + offset, 5.5), (20, 32 + offset, second)]
    return [frame_of((20, 26, 8), *OTHERS)] * whole + [frame_of(*daughters, *OTHERS)] * n_after


def test_both_daughters_get_new_numbers_and_their_parent():
    tracker, labels = track(dividing(4), divisions=True)
    assert ids_at(labels, [(20, 22), (20, 30)]) == [[3, 3]] * 3 + [[5, 6]] * 4
    assert [t.parent for t in tracker.tracks()] == [None] * 4 + [3, 3]
    assert fates(tracker)[3] == "divided"
    unasked = track(dividing(4), divisions=False)[0]
    assert {t.parent for t in unasked.tracks()} == {None}
    assert track(dividing(4))[0].tracks() == tracker.tracks()  # who divides is told unless one asks


def test_a_mother_goes_on_as_one_of_them_if_her_division_is_less_sure():
    tracker, labels = track(dividing(4, second=4.2), divisions=True)
    assert ids_at(labels, [(20, 22), (20, 30)]) == [[3, 3]] * 3 + [[3, 5]] * 4
    tracks = {t.cell: t for t in tracker.tracks()}
    assert (tracks[5].parent, tracks[5].generation, tracks[3].generation) == (3, 1, 0)
    assert 0.5 < tracks[5].birth_probability < 0.85
    assert tracks[3].fate == "end of movie"


def test_who_has_divided_does_not_go_on_as_what_begins_there_later():
    still = [(cell, [(t, 20 * cell, 100) for t in range(8)], 200) for cell in range(3, 9)]
    table = tracklets((1, [(0, 30, 30), (1, 30, 30)], 200), (2, [(3, 30, 31), (4, 30, 31)], 200),
                      *still)  # fmt: skip
    none = np.zeros(table.frame.size, np.bool_)
    motion = Motion(errors=(np.full(50, 4.0),))
    given = (2, 3.0, 300 * 300)
    assert find_gaps(table, motion, none, none, *given).end.size == 1
    assert find_gaps(table, motion, none, table.cell == 1, *given).end.size == 0


def test_fates_tell_how_probable_it_is_that_a_cell_divided():
    sure = track(dividing(4), divisions=True)[0].tracks()
    mother = next(t for t in sure if t.fate == "divided")
    assert mother.fate_probability == sure[-1].birth_probability > 0.9
    assert {t.fate_probability for t in sure if t.fate == "end of movie"} == {1.0}
    # One of the two, if that, lies so far off that it is no daughter, or hardly one.
    doubtful = [*dividing(3)[:3], *[frame_of((20, 20, 5.5), (20, 36, 3.2), *OTHERS)] * 3,
                frame_of(*OTHERS)]  # fmt: skip
    tracks = track(doubtful, divisions=True, max_gap=0)[0].tracks()
    assert not any(t.parent for t in tracks)
    assert all(0.5 <= t.fate_probability <= 1 for t in tracks)
    assert {t.fate_probability for t in track(doubtful, divisions=False)[0].tracks()} == {None}


def test_lineages_tell_generations_cycles_and_how_probable_divisions_are():
    mother, left, right = (20, 30, 9), (20, 23, 6.4), (20, 37, 6.4)
    grand = [(20, 15, 4.4), (20, 25, 4.4)]
    frames = [frame_of(*cells, (6, 6, 4), (34, 46, 4), (6, 46, 4)) for cells in
              [[mother]] * 4 + [[left, right]] * 2 + [[(20, 20, 6.4), (20, 40, 6.4)]] * 4
              + [[*grand, (20, 40, 6.4)]] * 4]  # fmt: skip
    tracks = track(frames, divisions=True)[0].tracks()
    lineage = {t.cell: t for t in tracks if t.parent or t.fate == "divided"}
    assert [t.generation for t in lineage.values()] == [0, 1, 1, 2, 2]
    assert [t.cycle_frames for t in lineage.values()] == [None, 6, None, None, None]
    born = [t.birth_probability for t in lineage.values()]
    assert born[0] is None
    assert born[1] == born[2]
    assert all(0.5 < p <= 1 for p in born[1:])
    assert {t.generation for t in tracks if t.cell not in lineage} == {0}
    assert {t.generation for t in track(frames, divisions=False)[0].tracks()} == {None}


def test_the_least_sure_link_of_a_cell_is_told_with_its_frame():
    """One of two that come near each other and part again."""
    still = [(10, 10, 4), (10, 40, 4), (30, 10, 4)]
    frames = [frame_of(*still, (28, 34 + x, 3), (28, 46 - x, 3)) for x in (0, 1, 2, 2, 2, 1, 0)]
    frames += [frame_of(*still, (28, 40, 3))]
    tracks = track(frames, correct_drift=False)[0].tracks()
    assert all(0 < t.link_confidence <= 1 for t in tracks)
    sure = {t.cell: t.link_confidence for t in tracks}
    assert min(sure, key=sure.get) in {3, 4}  # by their first pixels
    assert all(1 <= t.link_frame < len(frames) for t in tracks)
    for t in tracks:
        assert all(0 < sure < SURE for _, sure in t.unsure_links)
        least = min(t.unsure_links, key=lambda link: (link[1], link[0]), default=None)
        assert least in ((t.link_frame, t.link_confidence), None)
        assert (least is None) == (t.link_confidence >= SURE)
    assert any(t.unsure_links for t in tracks)
    columns = track_columns(tracks)
    for track_, told in zip(tracks, columns["unsure_links"], strict=True):
        pairs = [link.split(":") for link in told.split()]
        assert tuple((int(t), float(sure)) for t, sure in pairs) == track_.unsure_links
    assert track(frames[:1])[0].tracks()[0].link_confidence is None


def passing(sizes, swap=True, unsure=0.9):
    """Two cells that pass each other, whose tracks are exchanged when they meet, and others."""
    ways = [[(t, 30 + 0.5 * s, 10 + 4 * t if s else 50 - 4 * t) for t in range(11)] for s in (0, 1)]
    tracks = [(s + 1, ways[s][:6] + ways[1 - s if swap else s][6:], sizes[s]) for s in (0, 1)]
    rng = np.random.default_rng(0)
    for cell in range(3, 9):
        way = [(t, 20 * cell + rng.normal(0, 1), 100 + rng.normal(0, 1)) for t in range(11)]
        tracks.append((cell, way, 200))
    table = tracklets(*tracks)
    area = table.area.copy()
    if swap:
        late = (table.frame > 5) & (table.cell <= 2)
        area[late] = np.where(table.cell[late] == 1, sizes[1], sizes[0])
    confidence = np.where((table.cell <= 2) & (table.frame == 6), unsure, 0.999)
    area *= rng.uniform(0.97, 1.03, area.size)
    return replace(table, area=area, confidence=confidence)


@pytest.mark.parametrize("sizes", [(200, 340), (340, 200)])
def test_two_that_were_exchanged_where_they_pass_each_other_are_put_right(sizes):
    motion = Motion(product=9.0, square=10.0, n_pairs=50)
    table = passing(sizes)
    found = exchange(table, motion)
    late = (table.frame > 5) & (table.cell <= 2)
    np.testing.assert_array_equal(found.cell[late], 3 - table.cell[late])
    np.testing.assert_array_equal(found.cell[~late], table.cell[~late])
    anew = late & (table.frame == 6)
    assert (found.confidence[anew] > 0.97).all()
    np.testing.assert_array_equal(found.confidence[~anew], table.confidence[~anew])


@pytest.mark.parametrize("given", [{"swap": False}, {"unsure": 0.99}])
def test_who_fits_as_it_is_or_is_surely_linked_is_not_exchanged(given):
    table = passing((200, 340), **given)
    found = exchange(table, Motion(product=9.0, square=10.0, n_pairs=50))
    np.testing.assert_array_equal(found.cell, table.cell)


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        (dividing(4, offset=5), "both on one side"),
        (dividing(4, second=2.5), "unlike in size"),
        (dividing(1) + dividing(0), "one again after a frame"),
        ([frame_of((20, 26, 8), *OTHERS), *dividing(2, whole=0), frame_of((20, 20, 5), *OTHERS)],
         "one of them is gone soon"),
    ],
)  # fmt: skip
def test_what_is_not_like_a_division_is_none(frames, why):
    assert {t.parent for t in track(frames, divisions=True)[0].tracks()} == {None}, why


def test_a_mother_that_ends_gives_way_to_two_new_cells():
    """Beyond the reach of a link, for instance while the first look took another for her."""
    table = tracklets((1, [(0, 30, 30), (1, 30, 30)], 400), (2, [(2, 30, 22), (3, 30, 20)], 210),
                      (3, [(2, 30, 38), (3, 30, 40)], 200))  # fmt: skip
    (division,) = find_divisions(table, 0.5)[0]
    assert table.cell[[division.mother, *division.daughters]].tolist() == [1, 2, 3]
    assert 0.5 < division.probability < 1


def tracklets(*tracks):
    """A table of sightings: of each cell its id, its (frame, y, x), and its area."""
    rows = sorted((t, cell, y, x, area) for cell, way, area in tracks for t, y, x in way)
    frame, cell, y, x, area = (np.array(column) for column in zip(*rows, strict=True))
    none = np.zeros(len(rows), np.bool_)
    unknown = np.full(len(rows), np.nan)
    return Tracklets(
        frame=frame,
        object=np.arange(len(rows)),
        cell=cell,
        original=cell,
        position=np.stack([y, x], axis=1).astype(float),
        area=area.astype(float),
        brightness=unknown,
        at_edge=none,
        merged=none,
        confidence=unknown,
        fragment_of=np.zeros(len(rows), np.int64),
        n_cells=int(cell.max()),
        n_frames=int(frame.max()) + 1,
    )


def test_daughters_that_are_too_bright_for_their_mother_are_not_hers():
    frames = dividing(4)
    for brighter, parents in ((1.1, {None, 3}), (4.0, {None})):
        tracker = LineageTracker(LineageParameters(brightness_channel=1))
        images = [frame * (2.0 * brighter if t >= 3 else 2.0) for t, frame in enumerate(frames)]
        for frame, image in zip(frames, images, strict=True):
            tracker.preview(frame, image)
        for frame in frames:
            tracker.update(frame)
        assert {t.parent for t in tracker.tracks()} == parents


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_divisions_share_no_cell_and_are_among_all_that_are_probable(seed):
    rng = np.random.default_rng(seed)
    tracks = []
    for cell in range(1, 9):
        first, last = np.sort(rng.integers(0, 6, 2))
        y, x = rng.uniform(10, 40, 2)
        way = [(t, y + rng.normal(), x + rng.normal()) for t in range(first, last + 1)]
        tracks.append((cell, way, rng.choice([150, 300])))
    table = tracklets(*tracks)
    found = find_divisions(table, 0.5)[0]
    daughters = [row for division in found for row in division.daughters]
    assert len(daughters) == len(set(daughters))
    first = {cell: way[0] for cell, way, _ in tracks}
    for division in found:
        t = table.frame[division.daughters[0]]
        assert table.frame[division.daughters[1]] == t == table.frame[division.mother] + 1
        mother, *cells = table.cell[[division.mother, *division.daughters]].tolist()
        begun = [first[cell][0] == t for cell in cells]
        assert all(begun) or (any(begun) and mother in cells)
    odds = {(look.mother, look.daughters): look.log_odds(0.5) for look in looks(table)}
    best = max(odds.values(), default=-1)
    assert bool(found) == (best > 0)
    if found:
        assert max(division.probability for division in found) == pytest.approx(
            1 / (1 + np.exp(-best))
        )


@settings(max_examples=25, deadline=None)
@given(seed=seeds, y=st.integers(-40, 40), x=st.integers(-40, 40))
def test_a_jump_of_the_stage_is_removed_and_recorded(seed, y, x):
    rng = np.random.default_rng(seed)
    where = [(r, c) for r in range(60, 141, 20) for c in range(60, 141, 20)]
    discs = [(r + rng.uniform(-4, 4), c + rng.uniform(-4, 4), rng.uniform(3, 5)) for r, c in where]
    now = [(r + y + rng.uniform(-1, 1), c + x + rng.uniform(-1, 1), q) for r, c, q in discs]
    tracker, labels = track([frame_of(*d, shape=(200, 200)) for d in (discs, now)])
    assert ids_at(labels[1:], [(round(r), round(c)) for r, c, _ in now]) == ids_at(
        labels[:1], [(round(r), round(c)) for r, c, _ in discs]
    )
    # Below about a pixel, cells that move at random cannot be told from a field that does.
    np.testing.assert_allclose(tracker.shifts, [[0, 0], [y, x]], atol=1.0)
    assert track([frame_of(*d, shape=(200, 200)) for d in (discs, now)], correct_drift=False)[
        0
    ].shifts.tolist() == [[0, 0], [0, 0]]


@settings(max_examples=40, deadline=None)
@given(seed=seeds, y=st.integers(-30, 30), x=st.integers(-30, 30), factor=st.integers(1, 3))
def test_the_phase_shift_is_that_of_the_highest_overlap(seed, y, x, factor):
    shape = (100 * factor, 90 * factor)
    mask = np.pad(blobs((40, 30), seed, 6), 30).repeat(factor, 0).repeat(factor, 1)
    shift = phase_shift(mask, moved(mask, (y, x)))
    assert mask.shape == shape
    step = -(-max(shape) // 256)
    np.testing.assert_allclose(shift, (y, x), atol=step)


def test_an_empty_frame_has_no_phase_shift():
    assert phase_shift(frame_of(), frame_of((20, 20, 5))).tolist() == [0, 0]


def test_a_frame_of_other_things_is_no_jump_of_the_stage():
    rng = np.random.default_rng(4)
    places = np.stack(np.divmod(rng.permutation(64)[:24], 8), axis=1) * 30 + 15
    places += rng.integers(-8, 9, places.shape)
    cells, others = places[:14].tolist(), places[14:].tolist()
    frames = [
        frame_of(*((y, x, 6) for y, x in there), shape=(240, 240))
        for there in (cells, cells, others, cells, cells)
    ]
    tracker, labels = track(frames)
    assert not tracker.shifts.any()
    np.testing.assert_array_equal(labels[3], labels[1])


@pytest.mark.parametrize("n_blurred", [1, 2])
def test_after_frames_out_of_focus_cells_are_looked_for_where_they_were(n_blurred):
    rng = np.random.default_rng(0)
    places = [(y, x) for y in range(12, 120, 26) for x in range(12, 120, 26)]
    shape = (128, 128)
    cells = frame_of(*[(y, x, 6) for y, x in places + rng.integers(-3, 4, (25, 2))], shape=shape)
    # Where there is one object, in no cell's place, a shift would bring it onto one.
    blur = frame_of((25, 25, 6), shape=shape)
    tracker, labels = track([cells, cells, *[blur] * n_blurred, cells])
    assert not tracker.shifts.any()
    np.testing.assert_array_equal(labels[0], labels[-1])


def test_cells_that_move_each_on_their_own_are_no_drift():
    rng = np.random.default_rng(5)
    assert common_displacement(rng.normal(0, 3, (60, 2))).tolist() == [0, 0]
    np.testing.assert_allclose(common_displacement(rng.normal(5, 1, (60, 2))), [5, 5], atol=0.5)
    assert common_displacement(np.full((4, 2), 7.0)).tolist() == [0, 0]


def test_persistence_is_found_in_straight_ways_and_not_in_trembling():
    rng = np.random.default_rng(1)
    steps = rng.normal(0, 1, (200, 2))
    none = np.empty(0)
    straight = Motion().after(steps, steps, steps[:0], none)
    assert straight.persistence == 1
    assert straight.ahead(steps[:1], np.array([3])) == pytest.approx(3 * steps[:1])
    assert Motion().after(steps, -0.5 * steps, steps, none).persistence == 0
    assert Motion().after(steps[:5], steps[:5], steps[:5], none).persistence == 0
    assert Motion().after(steps, 0.6 * steps, steps, none).persistence == pytest.approx(0.6)
    assert Motion().after(steps, steps, steps, none).spread == pytest.approx(1, rel=0.2)
    assert Motion().spread == np.inf


def test_fates_are_told_apart():
    frames = [
        frame_of((20, 8, 4), (20, 26, 5)),
        frame_of((20, 5, 4), (20, 26, 5)),
        frame_of((20, 2, 4), (20, 26, 5)),
        frame_of((8, 44, 3)),
    ]
    tracker, _ = track(frames, border=2, correct_drift=False, max_displacement=1)
    assert fates(tracker) == {1: "lost", 2: "left the frame", 3: "end of movie"}
    assert [(t.first_frame, t.last_frame) for t in tracker.tracks()] == [(0, 2), (0, 2), (3, 3)]


def test_many_cells_that_touch_are_tracked_in_good_time():
    rows = np.arange(600) // 6
    labels = rows[:, np.newaxis] * 100 + rows + 1
    tracker = LineageTracker()
    tracker.update(labels)
    now = tracker.update(np.roll(labels, (2, 1), (0, 1)))
    assert np.count_nonzero(now == np.roll(labels, (2, 1), (0, 1))) > 0.97 * now.size


def test_too_many_cells_leave_the_tracker_as_it_was():
    pixels = np.arange(1, 257, dtype=np.uint16).reshape(1, 256)
    tracker = LineageTracker(LineageParameters(max_displacement=0), np.uint8)
    assert tracker.update(np.where(pixels > 255, 0, pixels)).max() == 255
    with pytest.raises(TooManyCellsError, match="256 cells do not fit labels of dtype uint8"):
        tracker.update(pixels)
    assert (tracker.n_cells, len(tracker.shifts)) == (255, 1)
    np.testing.assert_array_equal(tracker.update(pixels % 256), pixels % 256)


def test_frames_that_cannot_be_tracked_are_refused():
    tracker = LineageTracker()
    tracker.update(np.zeros((4, 4), np.bool_))
    with pytest.raises(InputError, match=r"shape \(4, 4\) like the one before, found \(4, 5\)"):
        tracker.update(np.zeros((4, 5), np.bool_))
    with pytest.raises(InputError, match=r"image of shape \(4, 4\)"):
        tracker.update(np.zeros((4, 4), np.bool_), np.zeros((4, 5)))
    with pytest.raises(InputError, match="found 1 pixels outside"):
        tracker.update(np.diag([-1, 2, 3, 4]))
    with pytest.raises(InputError, match="integer dtype"):
        LineageTracker(dtype=np.float32)


@pytest.mark.parametrize(
    "bad",
    [{"min_iou": 0}, {"max_gap": -1}, {"max_displacement": -1}, {"method": "iou"}, {"gap": 1}],
)
def test_parameters_out_of_bounds_are_refused(bad):
    with pytest.raises(ValidationError):
        LineageParameters(**bad)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(0, 8))
def test_runs_are_moved_as_masks_are(seed, n):
    labels = label_image((20, 30), seed, n)
    rng = np.random.default_rng(seed)
    runs, numbers = labelled_objects(labels)
    shift = rng.integers(-12, 13, (numbers.size, 2))
    found, area = move_runs(rows_of(runs), runs, shift, *labels.shape)
    for i, label in enumerate(numbers):
        mask = np.zeros(labels.shape, bool)
        for y in range(20):
            for run in range(found.first[y], found.first[y + 1]):
                if found.label[run] == i:
                    mask[y, found.start[run] : found.stop[run]] = True
        np.testing.assert_array_equal(mask, moved(labels == label, shift[i]))
        assert area[i] == mask.sum()
    for y in range(20):
        row = found.start[found.first[y] : found.first[y + 1]]
        assert (np.diff(row) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(0, 8))
def test_objects_are_described_as_their_masks_are(seed, n):
    labels = label_image((20, 30), seed, n)
    runs, numbers = labelled_objects(labels)
    area, row_sum, column_sum, box = areas_and_boxes(runs, numbers.size)
    for i, label in enumerate(numbers):
        y, x = np.nonzero(labels == label)
        assert (area[i], row_sum[i], column_sum[i]) == (y.size, y.sum(), x.sum())
        assert box[i].tolist() == [y.min(), x.min(), y.max() + 1, x.max() + 1]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(0, 30), m=st.integers(0, 30))
def test_neighbours_are_all_pairs_within_reach(seed, n, m):
    rng = np.random.default_rng(seed)
    points, others = rng.integers(0, 20, (n, 2)) * 1.0, rng.integers(0, 20, (m, 2)) * 1.0
    reach = rng.integers(0, 9, n) * 1.0
    i, j, distance = neighbours(points, reach, others)
    expected = {
        (a, b): np.hypot(*(points[a] - others[b]))
        for a, b in itertools.product(range(n), range(m))
        if np.hypot(*(points[a] - others[b])) <= reach[a]
    }
    assert dict(zip(zip(i, j, strict=True), distance, strict=True)) == expected
    assert len(i) == len(expected)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_pixels_go_to_the_nearest_seed(seed):
    inside = blobs((20, 20), seed, 3)
    rng = np.random.default_rng(seed)
    seeded = np.where(inside & (rng.random(inside.shape) < 0.1), rng.integers(1, 4, (20, 20)), 0)
    assume(seeded.any())
    piece = nearest_seed(seeded.astype(np.uint32), inside)
    assert not piece[~inside].any()
    places = np.argwhere(seeded > 0)
    for pixel in np.argwhere(inside):
        square = ((places - pixel) ** 2).sum(axis=1)
        nearest = places[square == square.min()]
        first = nearest[np.lexsort(nearest.T)[0]]  # by column, then by row
        assert piece[tuple(pixel)] == seeded[tuple(first)]


@settings(max_examples=30, deadline=None)
@given(seed=seeds, factor=st.integers(1, 5))
def test_masks_are_reduced_to_the_means_of_blocks(seed, factor):
    mask = blobs((23, 17), seed, 3)
    found = reduced(read_only(mask), factor)
    for i, j in np.ndindex(found.shape):
        block = mask[factor * i : factor * (i + 1), factor * j : factor * (j + 1)]
        assert found[i, j] == pytest.approx(block.sum() / factor**2)
    assert found.shape == tuple(-(-side // factor) for side in mask.shape)


def test_real_cells_of_which_a_twentieth_is_missed_are_followed(shared_data):
    paths = sorted((shared_data / "t98g" / "masks").glob("*.png"))
    truth = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[::4, ::4] for path in paths]
    rng = np.random.default_rng(2)
    right = {"lineage": 0, "iou": 0}
    for name, tracker in (("lineage", LineageTracker()), ("iou", IoUTracker())):
        rng, last, n_links = np.random.default_rng(2), {}, 0
        for frame in truth:
            cells = np.unique(frame[frame > 0])
            seen = np.where(np.isin(frame, cells[rng.random(cells.size) < 0.05]), 0, frame)
            labels = tracker.update(seen)
            for cell in np.unique(seen[seen > 0]).tolist():
                number = int(labels[seen == cell][0])
                n_links += cell in last
                right[name] += last.get(cell) == number
                last[cell] = number
    assert right["lineage"] > 0.985 * n_links
    assert right["iou"] < 0.96 * n_links


class Graph:
    """Stands in for the graphs of other programs."""

    def __init__(self, edges, nodes=()):
        self.edges = edges
        self._nodes = nodes

    def nodes(self, data):
        return self._nodes


def whole_movie(linker, frames, images=None):
    tracker = GraphTracker(linker)
    images = images or [None] * len(frames)
    for frame, image in zip(frames, images, strict=True):
        tracker.preview(frame, image)
    return tracker, [tracker.update(frame) for frame in frames]


MOVIE = [
    frame_of((20, 14, 4), (20, 40, 4)),
    frame_of((20, 14, 4)),
    frame_of((20, 8, 4), (20, 20, 4), (20, 40, 4)),
]


def test_links_of_laptrack_become_label_images_and_tracks():
    edges = [((0, 0), (1, 0)), ((1, 0), (2, 0)), ((1, 0), (2, 1)), ((0, 1), (2, 2))]
    model = SimpleNamespace(predict=lambda positions: Graph(edges))
    tracker, labels = whole_movie(LapTrackLinker(model), MOVIE)
    assert isinstance(tracker, LookAheadTracker)
    assert ids_at(labels, [(20, 14), (20, 40)])[:2] == [[1, 2], [1, 0]]
    assert ids_at(labels[2:], [(20, 8), (20, 20), (20, 40)]) == [[3, 4, 2]]
    assert [(t.parent, t.fate) for t in tracker.tracks()] == [
        (None, "divided"),
        (None, "end of movie"),
        (1, "end of movie"),
        (1, "end of movie"),
    ]
    with pytest.raises(InputError, match="before the first update"):
        tracker.preview(MOVIE[0])
    with pytest.raises(InputError, match="preview the same frames first"):
        tracker.update(MOVIE[0])


def test_two_objects_that_become_one_have_merged():
    edges = [((0, 0), (1, 0)), ((0, 1), (1, 0))]
    tracker, labels = whole_movie(
        LapTrackLinker(SimpleNamespace(predict=lambda positions: Graph(edges))), MOVIE[:2]
    )
    assert labels[1].max() == 1
    assert fates(tracker) == {1: "end of movie", 2: "merged"}


def test_links_of_trackastra_become_label_images():
    nodes = [
        (0, {"time": 0, "label": 7}),
        (1, {"time": 1, "label": 9}),
    ]

    def follow(images, masks, mode):
        assert images.shape == masks.shape == (2, *SHAPE)
        assert mode == "greedy"
        return Graph([(0, 1)], nodes), masks

    frames = [disc(20, 14, 4) * 7, disc(20, 30, 4) * 9]
    images = [np.ones(SHAPE)] * 2
    linker = TrackastraLinker(SimpleNamespace(track=follow))
    assert [label.max() for label in whole_movie(linker, frames, images)[1]] == [1, 1]
    with pytest.raises(InputError, match="needs images beside masks"):
        whole_movie(TrackastraLinker(SimpleNamespace(track=follow)), frames)


@pytest.mark.parametrize("name", ["laptrack", "trackastra"])
def test_a_program_that_is_not_installed_is_named(monkeypatch, name):
    def absent(package):
        raise PackageNotFoundError(package)

    for method in (laptrack_method, trackastra_method):
        monkeypatch.setattr(method, "version", absent)
    with pytest.raises(InputError, match=f"needs the package {name}, which is not installed"):
        find_tracking(name)


def test_a_folder_without_a_model_is_named(tmp_path):
    parameters = trackastra_method.TrackastraParameters(folder=tmp_path)
    with pytest.raises(InputError, match=r"Expected a model of trackastra in .*download or train"):
        make(parameters)


def test_laptrack_itself_follows_cells():
    pytest.importorskip("laptrack")
    frames = [frame_of((20, 14 + 2 * t, 4), (8, 40 - t, 3)) for t in range(4)]
    method = find_tracking("laptrack")
    tracker = method.create(method.parameters(options={"cutoff": 25.0}), np.uint16)
    for frame in frames:
        tracker.preview(frame)
    labels = [tracker.update(frame) for frame in frames]
    assert [label[20, 14 + 2 * t] for t, label in enumerate(labels)] == [2] * 4
    with pytest.raises(ValidationError, match="unknown: cut_off"):
        method.parameters(options={"cut_off": 1})
