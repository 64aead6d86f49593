"""The movies that trackers are compared on, and the measures, on movies small enough to count."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

# The benchmarks are not a part of the package.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import other_trackers
from benchmarks.hard_movies import Colony, Faults
from benchmarks.link_metrics import Asked, ids_of_objects, score_links, sure_links
from benchmarks.real_movies import marked
from benchmarks.tracking import follow
from benchmarks.tracking_scenarios import Scenario, renumbered

from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.tracker import LineageTracker


def movie_of(*frames, size=6):
    """Label images of squares, from dictionaries of label and column."""
    images = np.zeros((len(frames), 8, 60), np.uint16)
    for image, cells in zip(images, frames, strict=True):
        for label, x in cells.items():
            image[1 : 1 + size, x : x + size] = label
    return images


def score(truth, seen, numbers, parents=None, found_parents=None, all_known=True):
    asked = Asked.about(truth, seen, parents or {}, all_known)
    return score_links(asked, numbers, found_parents)


TWO = movie_of({1: 5, 2: 20}, {1: 6, 2: 21}, {1: 7, 2: 22})
SAME = [{1: 1, 2: 2}] * 3


def test_numbers_that_are_kept_are_complete():
    perfect = score(TWO, TWO, SAME)
    assert (perfect.complete, perfect.links, perfect.precision) == (1, 1, 1)


def test_a_swap_costs_both_cells_and_a_new_number_costs_no_precision():
    swapped = score(TWO, TWO, [{1: 1, 2: 2}, {1: 1, 2: 2}, {1: 2, 2: 1}])
    assert (swapped.complete, swapped.links, swapped.precision) == (0, 0.5, 0.5)
    cut = score(TWO, TWO, [{1: 1, 2: 2}, {1: 1, 2: 2}, {1: 3, 2: 2}])
    assert (cut.complete, cut.links, cut.precision) == (0.5, 0.75, 1)


def test_a_cell_that_is_missed_or_merged_is_asked_for_before_and_after():
    missed, merged = TWO.copy(), TWO.copy()
    missed[1][missed[1] == 1] = 0
    merged[1][(merged[1] > 0).any(axis=1), 6:27] = 2
    for seen in (missed, merged):
        asked = Asked.about(TWO, seen, {})
        assert asked.nodes[1] == [(0, 1), (2, 1)]
        assert score_links(asked, [{1: 1, 2: 2}, {2: 2}, {1: 9, 2: 2}]).complete < 1


@pytest.mark.parametrize("late", [0, 1])
def test_a_division_counts_if_mother_and_daughters_are_told_even_if_late(late):
    truth = movie_of({1: 20}, {1: 20}, {2: 14, 3: 26}, {2: 13, 3: 27})
    numbers = [{1: 1}, {1: 1}, {2: 1 if late else 2, 3: 3}, {2: 2, 3: 3}]
    parents = {2: 1, 3: 1}
    found = score(truth, truth, numbers, parents, {2: 1, 3: 1})
    assert (found.division_recall, found.division_precision, found.n_divisions) == (1, 1, 1)
    wrong = score(truth, truth, numbers, parents, {2: 1, 3: 4})
    assert wrong.division_recall == 0
    assert score(truth, truth, numbers, parents).division_recall == 0


def test_where_the_truth_is_in_pieces_a_link_from_one_to_the_next_is_not_wrong():
    truth, seen = movie_of({1: 5}, {2: 5}, {2: 5}), movie_of({1: 5}, {1: 5}, {1: 5})
    numbers = [{1: 1}] * 3
    assert score(truth, seen, numbers).precision == 0.5
    assert score(truth, seen, numbers, all_known=False).precision == 1


def test_an_object_has_the_number_of_most_of_its_pixels():
    seen = movie_of({4: 5}, size=5)
    labels = seen.copy()
    labels[labels == 4] = 7
    labels[0, 1:3, 5:10] = 8
    assert ids_of_objects(seen, labels) == [{4: 7}]


def test_a_division_that_a_person_marked_ends_the_mother_who_went_on_as_a_daughter():
    labels = movie_of({1: 20, 4: 40}, {1: 20, 4: 40}, {1: 14, 3: 26, 4: 40}, {1: 13, 3: 27, 4: 40})
    truth, parents = marked(labels, [(2, (4, 22), (4, 16), (4, 28))])
    assert parents == {5: 1, 3: 1}
    assert [np.unique(frame).tolist() for frame in truth] == [[0, 1, 4]] * 2 + [[0, 3, 4, 5]] * 2


COLONY = Colony(30, 12, size=192, radius=8, speed=3, divisions=0.04, deaths=0.02, seed=1)


def test_colonies_are_the_same_each_time_and_their_daughters_come_in_pairs():
    (labels, parents), (again, _) = COLONY.movie(), COLONY.movie()
    np.testing.assert_array_equal(labels, again)
    first = {cell: int(np.flatnonzero((labels == cell).any(axis=(1, 2)))[0]) for cell in parents}
    last = {
        mother: int(np.flatnonzero((labels == mother).any(axis=(1, 2)))[-1])
        for mother in set(parents.values())
    }
    assert len(parents) >= 10
    assert all(first[cell] == last[mother] + 1 for cell, mother in parents.items())
    assert all(list(parents.values()).count(mother) == 2 for mother in last)


def test_in_every_third_frame_all_mothers_are_ancestors_that_are_seen():
    labels, parents = COLONY.movie(3)
    seen = set(np.unique(labels).tolist())
    assert parents
    assert set(parents) | set(parents.values()) <= seen


@pytest.mark.parametrize(
    ("faults", "sign"),
    [
        (Faults(split=0.2), 1),
        (Faults(merged=0.3), -1),
        (Faults(missed=0.2), -1),
        (Faults(spurious=0.2), 1),
    ],
)
def test_faults_come_at_their_rate_and_stay_for_a_while(faults, sign):
    truth, _ = Colony(40, 24, size=256, radius=9, speed=2).movie()
    n_true = np.array([np.unique(frame[frame > 0]).size for frame in truth])
    seen = faults.of(truth)
    n_seen = np.array([np.unique(frame[frame > 0]).size for frame in seen])
    rate = (sign * (n_seen - n_true) / n_true).mean()
    # Few neighbours touch, and some dirt lies on cells.
    assert 0.05 < rate < 0.25
    np.testing.assert_array_equal(seen, faults.of(truth))


def test_faults_stay_as_long_as_they_should():
    rng = np.random.default_rng(0)
    times = Faults(duration=4)._times(rng, 0.1, 400, 200)
    assert times.mean() == pytest.approx(0.1, rel=0.1)
    assert (times[:-1] & times[1:]).sum() / times[:-1].sum() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("name", ["laptrack", "trackpy"])
def test_other_programs_are_asked_about_the_same_objects(name):
    pytest.importorskip(name)
    truth, parents = Colony(12, 6, size=160, radius=8, speed=2).movie()
    seen = renumbered(truth, 3)
    found = other_trackers.OTHERS[name](other_trackers.Seen.of(seen), 12.0, False)
    asked = Asked.about(truth, seen, parents)
    assert score_links(asked, found.ids).complete == 1


def test_plain_overlap_follows_cells_that_hardly_move():
    truth, parents = Colony(12, 6, size=160, radius=8, speed=1).movie()
    movie = Scenario("", truth, renumbered(truth, 3), parents)
    found = follow(movie, IoUTracker())
    assert score_links(Asked.about(truth, movie.seen, parents), found.ids).complete == 1


CROWD = Colony(110, 16, size=300, radius=8, speed=3, divisions=0.02, deaths=0.01)
UNEQUAL = Colony(60, 16, size=320, radius=9, speed=2, memory=0.7, fast=0.15, fast_speed=11)
MARKERS = Colony(45, 16, size=330, radius=5, speed=5, memory=0.3, gap=4.0)
FAST = Colony(30, 16, size=330, radius=5, speed=10, memory=0.3, gap=5.0)
SPREAD = Colony(35, 16, size=360, radius=14, speed=3, lobes=3, divisions=0.015, deaths=0.005)
BUSY = replace(SPREAD, divisions=0.04)
SOME = Faults(0.04, 0.04, 0.04, 0.04)
SHORT = Faults(0.04, 0.04, 0.04, 0.04, duration=1)


@pytest.mark.parametrize(
    ("colony", "step", "faults", "complete", "links", "others"),
    [
        (CROWD, 1, None, 1.0, 1.0, 1.0),
        (CROWD, 3, None, 0.94, 0.99, 0.87),
        (UNEQUAL, 1, None, 0.96, 0.997, 0.90),
        (UNEQUAL, 3, None, 0.81, 0.961, 0.74),
        (MARKERS, 1, None, 1.0, 1.0, 1.0),
        (FAST, 1, None, 0.93, 0.994, 0.74),
        (SPREAD, 3, None, 1.0, 1.0, 1.0),
        (CROWD, 1, SOME, 0.92, 0.989, 0.79),
        (UNEQUAL, 1, SOME, 0.87, 0.988, 0.65),
        (SPREAD, 1, SOME, 0.92, 0.991, 0.76),
        (SPREAD, 1, SHORT, 0.94, 0.995, 0.76),
    ],
)
def test_hard_movies_are_followed_and_better_than_others_do(
    colony, step, faults, complete, links, others
):
    """`others` is the best of plain overlap, laptrack and trackpy, with the reach that suits."""
    truth, parents = colony.movie(step)
    seen = renumbered(faults.of(truth) if faults else truth, 3)
    asked = Asked.about(truth, seen, parents)
    scores = [
        score_links(asked, follow(Scenario("", truth, seen), tracker).ids)
        for tracker in (LineageTracker(), IoUTracker())
    ]
    assert scores[0].complete >= max(complete, scores[1].complete)
    assert scores[0].links >= max(links, scores[1].links)
    assert complete >= others


@pytest.mark.parametrize(
    ("colony", "faults", "f1", "lost"),
    [(CROWD, None, 0.95, 0.0), (BUSY, None, 0.9, 0.0), (BUSY, SOME, 0.75, 0.0)],
)
def test_divisions_are_found_and_cost_no_tracks(colony, faults, f1, lost):
    truth, parents = colony.movie()
    seen = renumbered(faults.of(truth) if faults else truth, 3)
    asked = Asked.about(truth, seen, parents)
    without, found = (
        follow(Scenario("", truth, seen), LineageTracker(LineageParameters(divisions=look)))
        for look in (False, True)
    )
    score = score_links(asked, found.ids, found.parents)
    assert score.n_divisions > 3
    assert score.division_f1 >= f1
    assert score.complete >= score_links(asked, without.ids).complete - lost


@pytest.fixture(scope="module")
def links():
    """How sure links of movies are, and which are wrong, of movies that nothing was fitted to."""
    found = []
    for seed, (colony, step, faults) in enumerate(
        [(CROWD, 3, None), (UNEQUAL, 3, None), (FAST, 1, None), (CROWD, 1, SOME), (SPREAD, 1, SOME)]
    ):
        truth, parents = replace(colony, seed=seed + 20).movie(step)
        faults = replace(faults, seed=seed + 20) if faults else None
        seen = renumbered(faults.of(truth) if faults else truth, 3)
        tracker = LineageTracker()
        ids = follow(Scenario("", truth, seen), tracker).ids
        found.append(sure_links(Asked.about(truth, seen, parents), ids, tracker.tracks()))
    return tuple(np.concatenate(values) for values in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("low", "high", "least", "most"),
    [(0, 0.9, 0.08, 0.3), (0.9, 0.97, 0.03, 0.12), (0.97, 1.01, 0, 0.005)],
)
def test_links_are_wrong_as_often_as_is_told(links, low, high, least, most):
    sure, wrong = links
    these = (sure >= low) & (sure < high)
    assert np.count_nonzero(these) > 100
    assert least < wrong[these].mean() < most
    told = 1 - sure[these].mean() if high < 1 else 0.002
    assert wrong[these].mean() == pytest.approx(told, rel=0.5, abs=0.005)
