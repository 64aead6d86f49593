"""Other programs beside this one: who takes part, who does not, and the page of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.against import rounds
from benchmarks.against.contest import Contestant, Finish, compete
from benchmarks.against.rounds import Discipline, table_of
from benchmarks.timing import Times

SMALL = {"side": 160, "cells": 6}


def test_those_that_are_there_are_called_in_turn_and_the_others_say_why_not() -> None:
    finishes = compete(
        [
            Contestant("ours", "benchmarks.against.measuring:measure_cells", ("pyama-core",)),
            Contestant("theirs", "benchmarks.against.measuring:scipy_labels", ("scipy",), 1),
            Contestant("absent", "benchmarks.against.measuring:regionprops", ("no-such-package",)),
            Contestant("broken", "benchmarks.against.measuring:no_such_function", ("numpy",)),
        ],
        SMALL,
        rounds=2,
    )
    ours, theirs, absent, broken = finishes
    assert ours.times is not None
    assert theirs.times is not None
    assert (len(ours.times.seconds), len(theirs.times.seconds)) == (2, 1)
    assert ours.outcome == theirs.outcome  # the same cells, the same sum
    assert ours.outcome.startswith("6 cells, ")
    assert theirs.versions.startswith("scipy 1.")
    assert absent.why_not == "not installed: no-such-package"
    assert "no_such_function" in broken.why_not


@pytest.mark.slow
def test_trackers_are_asked_about_the_same_cells() -> None:
    pytest.importorskip("laptrack")
    contestants = [
        Contestant(name, f"benchmarks.against.following:{name}", packages, 1)
        for name, packages in (("lineage", ("pyama-core",)), ("laptrack", ("laptrack",)))
    ]
    ours, theirs = compete(contestants, {"side": 200, "cells": 8, "frames": 6}, rounds=1)
    assert ours.outcome.endswith("tracks")
    assert theirs.outcome.endswith("tracks")


def test_the_table_holds_all_against_the_first() -> None:
    first, second = Contestant("a", "", ()), Contestant("b", "", ())
    finishes = [
        Finish(first, Times((1.0, 2.0, 3.0)), "6 cells", "numpy 2"),
        Finish(second, Times((5.0,)), "7 cells", "scipy 1"),
        Finish(Contestant("c", "", ()), why_not="not installed: c"),
    ]
    table = table_of(Discipline("T", SMALL, [first, second], "why"), finishes)
    assert [row[:4] for row in table.rows] == [
        ("a", "2 s (1 s – 3 s)", "1 ×", "6 cells"),
        ("b", "5 s (5 s – 5 s)", "2.5 ×", "7 cells"),
        ("c", "not installed: c", "", ""),
    ]
    page = rounds.as_page({"machine": "some"}, [table])
    assert "| c | not installed: c |" in page
    assert page.count("\n## ") == 1


def test_every_contestant_names_a_function_that_is_there() -> None:
    for discipline in rounds.disciplines(100, 4, 3):
        assert discipline.contestants[0].packages == ("pyama-core",)
        for contestant in discipline.contestants:
            module, _, function = contestant.make.partition(":")
            assert callable(getattr(__import__(module, fromlist=["x"]), function))
