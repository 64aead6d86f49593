"""A run that was killed anywhere and then finished gives the bytes of an undisturbed run."""

from __future__ import annotations

import sys

import pytest

from chaos import (
    TIME_LIMIT_S,
    VICTIMS,
    Experiment,
    Kill,
    boundary_rounds,
    command,
    compare,
    play,
    prepare,
    random_rounds,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX"),
]

PART = pytest.param(5, id="a fifth")
"""Of the rounds that take minutes, those that fit beside all the other tests."""
ALL = pytest.param(1, id="all", marks=pytest.mark.nightly)

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


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every", [PART, ALL])
def test_a_run_killed_at_any_boundary_is_completed_to_the_same_bytes(experiment, tmp_path, every):
    # Claims on locks are made only where another run died.
    claim = [
        [Kill("after-lock fov_000 1 main", "group"), Kill(f"{when} fov_000/claim 1 main", "group")]
        for when in ("before-lock", "after-lock", "before-unlock", "after-unlock")
    ]
    rounds = boundary_rounds(experiment, VICTIMS, in_a_row=6)[::every] + claim
    tally = play(experiment, rounds, tmp_path)
    assert (tally.faults, tally.killed) == ([], sum(map(len, rounds)))


# Runs that release what they do not keep


@pytest.fixture(scope="module")
def thrifty(tmp_path_factory) -> Experiment:
    return prepare(tmp_path_factory.mktemp("thrifty"), keep="labels")


def test_a_run_that_keeps_labels_passes_a_boundary_at_each_release(experiment, thrifty):
    released = {line.split(" ")[1] for line in thrifty.boundaries if "-delete" in line}
    assert {name for name in released if not name.endswith(".npy")} == set()
    assert len(released) == 4
    labels = {name: content for name, content in experiment.whole.items() if "seg_lab" in name}
    tables = {name: content for name, content in experiment.whole.items() if ".csv" in name}
    assert thrifty.whole == labels | tables


def releases(thrifty: Experiment) -> list[str]:
    """Boundaries from the first release to the last."""
    at = [index for index, line in enumerate(thrifty.boundaries) if "-delete" in line]
    return thrifty.boundaries[at[0] - 2 : at[-1] + 1]


def test_a_run_killed_while_it_releases_is_completed_to_the_same_bytes(thrifty, tmp_path):
    first, *_, last = [line for line in thrifty.boundaries if "before-delete" in line]
    kills = [Kill("after-rename demo_fov_000_seg_ch_0.npy 1 worker", "group")]
    kills += [Kill(first, "group"), Kill(last.replace("worker", "main"), "main")]
    tally = play(thrifty, [kills], tmp_path)
    assert (tally.faults, tally.killed) == ([], len(kills))


def test_what_a_worker_that_died_did_not_release_the_main_process_does(thrifty, tmp_path):
    last = [line for line in thrifty.boundaries if "before-delete" in line][-1]
    bomb = {"CHAOS_AT": last, "CHAOS_VICTIM": "self"}
    with command(thrifty.image, tmp_path / "out", thrifty.keep, **bomb) as process:
        assert process.wait(TIME_LIMIT_S) == 0
    assert compare(thrifty, tmp_path / "out") == []


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_run_that_keeps_labels_killed_anywhere_is_completed_to_the_same_bytes(thrifty, tmp_path):
    rounds = [[Kill(at, victim)] for at in releases(thrifty) for victim in VICTIMS]
    tally = play(thrifty, rounds, tmp_path)
    assert (tally.faults, tally.killed) == ([], len(rounds))
    rounds = boundary_rounds(thrifty, VICTIMS, in_a_row=6)
    rounds += random_rounds(thrifty, 20, seed=2, in_a_row=4)
    assert play(thrifty, rounds, tmp_path).faults == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every", [PART, ALL])
def test_a_run_killed_at_random_times_is_completed_to_the_same_bytes(experiment, tmp_path, every):
    # How many kills come too late, after the end of their run, depends on how busy the machine is.
    n_rounds = 25 // every
    killed, seeds = 0, iter(range(1, 8))
    while killed <= n_rounds:
        rounds = random_rounds(experiment, n_rounds, seed=next(seeds), in_a_row=4)
        tally = play(experiment, rounds, tmp_path)
        assert tally.faults == []
        killed += tally.killed
