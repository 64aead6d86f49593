"""A run that was killed anywhere and then finished gives the bytes of an undisturbed run."""

from __future__ import annotations

import sys

import pytest

from chaos import VICTIMS, Experiment, Kill, boundary_rounds, play, prepare, random_rounds

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

KINDS = ("rename", "record", "lock", "unlock")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Experiment:
    return prepare(tmp_path_factory.mktemp("chaos"))


def test_the_harness_sees_every_kind_of_boundary(experiment):
    kinds = {line.split(" ")[0] for line in experiment.boundaries}
    assert kinds == {
        "write",
        *(f"{when}-{what}" for when in ("before", "after") for what in KINDS),
    }
    assert {line.split(" ")[3] for line in experiment.boundaries} == {"main", "worker"}
    assert len(experiment.boundaries) >= 70
    assert len(experiment.whole) == 8


def test_a_run_killed_at_a_few_boundaries_is_completed_to_the_same_bytes(experiment, tmp_path):
    kills = [
        Kill("write demo_fov_000_fl_ch_1.npy 4 main", "main"),
        Kill("before-unlock fov_000/claim 1 main", "group"),
        Kill("after-rename demo_fov_000_seg_ch_0.npy 1 worker", "group"),
        Kill("before-rename demo_fov_000_traces_ch_1.csv 1 worker", "main"),
    ]
    tally = play(experiment, [kills], tmp_path)
    assert (tally.faults, tally.killed) == ([], len(kills))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_at_any_boundary_is_completed_to_the_same_bytes(experiment, tmp_path):
    # Claims on locks are made only where another run died.
    claim = [
        [Kill("after-lock fov_000 1 main", "group"), Kill(f"{when} fov_000/claim 1 main", "group")]
        for when in ("before-lock", "after-lock", "before-unlock", "after-unlock")
    ]
    rounds = boundary_rounds(experiment, VICTIMS, in_a_row=6) + claim
    tally = play(experiment, rounds, tmp_path)
    assert (tally.faults, tally.killed) == ([], len(experiment.boundaries) + 2 * len(claim))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_at_fifty_random_times_is_completed_to_the_same_bytes(experiment, tmp_path):
    tally = play(experiment, random_rounds(experiment, 50, seed=1, in_a_row=6), tmp_path)
    assert tally.faults == []
    assert tally.killed > 25
