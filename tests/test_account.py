"""The account of accuracy: its page says what its command measures, and each figure is held."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.account import tables
from benchmarks.account.bounds import DEMO, HELD, SHARES_OF_GOOD, Bound
from benchmarks.account.checking import faults
from benchmarks.account.demos import SEEDS, score_seed, summed_up
from benchmarks.account.finding import TIME, Figure, Findings, nuclei_in_cells
from benchmarks.account.image_sets import SETS, ImageSet, set_named
from benchmarks.account.verdicts import REASONS, Verdicts, judge, movies, run_set

from inline import run_inline
from pyama_core.demo.kinds import DemoKind

PAGE = Path(__file__).parents[1] / "docs" / "ACCURACY.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def run(metadata, context) -> bool:
    return run_inline(metadata, context).ok


def assert_held(figures: Iterable[Figure], section: str, without: str = "") -> None:
    """Assert that just these rows are held, and that each is within its bound."""
    figures = list(figures)
    rows = {(each.images, each.what): next(iter(each.values.values())) for each in figures}
    images = {name for name, _ in rows}
    assert rows.keys() == {k for k in HELD[section] if k[0] in images and k[1] != without}
    off = {key: n for key, n in rows.items() if not HELD[section][key].holds(round(n, 3))}
    assert not off, f"beyond the bounds of benchmarks/account/bounds.py: {off}"


# The page


def test_the_page_has_the_tables_that_the_command_writes_and_no_figure_is_off_its_bound(page):
    assert faults(page) == []


def changed(page: str, section: str, row: int, cell: int, text: str) -> str:
    """Return the page with another cell in a table."""
    there = tables.read(page, section)
    rows = [list(each) for each in there.rows]
    rows[row][cell] = text
    return tables.replace(
        page, section, tables._as_table(there.head, [tuple(each) for each in rows])
    )


@pytest.mark.parametrize(
    ("section", "row", "cell", "text", "words"),
    [
        ("nuclei", 1, 3, "0.200", "F1 at IoU 0.5: 0.2 is not ≥"),
        ("nuclei", 1, 3, "good", "expected a number|Expected a number"),
        ("nuclei", 1, 4, "≥ 0.1", "but the page says '≥ 0.1'"),
        ("nuclei", 1, 1, "F2", "the command writes other rows"),
        ("adherent", 0, 0, "t99g", "the command writes other rows"),
        ("verdicts", 0, 2, "0.01", "t98g, good: 0.01 is not ≥"),
        ("verdicts", 0, 0, "t99g", "expected rows for t98g"),
        ("kinds of picture", 0, 3, "3", "right: 3 is not ≥"),
        ("kinds of picture", 0, 6, "1", "wrong: 1 is not ≤ 0"),
    ],
)
def test_a_page_that_says_something_else_is_found_out(page, section, row, cell, text, words):
    found = faults(changed(page, section, row, cell, text))
    assert len(found) == 1
    assert re.search(words, found[0]), found


def test_a_page_without_a_section_or_a_row_is_found_out(page):
    begin, end = tables.markers("bacteria")
    assert faults(page.replace(begin, "")) == ["bacteria: expected its two markers once each"]
    there = tables.read(page, "bacteria")
    fewer = tables.replace(page, "bacteria", tables._as_table(there.head, there.rows[1:]))
    assert "the command writes other rows" in faults(fewer)[0]
    with pytest.raises(ValueError, match="once each in the page"):
        tables.replace(page.replace(end, ""), "bacteria", "")


def test_the_pictures_of_the_page_are_there_and_are_shown(page):
    tutorial = (PAGE.parent / "tutorials" / "real_images.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\((?:\.\./)?(accuracy_\w+\.jpg)\)", page + tutorial))
    assert shown == {path.name for path in PAGE.parent.glob("accuracy_*.jpg")}
    assert len(shown) >= 4


def test_what_is_written_is_read_again_the_same(page):
    name = "bacteria"
    figures = [
        Figure(images, what, {"instances": 0.5, "log-std": 12.0}, "a note")
        for images, what in HELD[name]
    ]
    read = tables.read(tables.replace(page, name, tables.figures_table(name, figures)), name)
    assert [row[:2] for row in read.rows] == list(HELD[name])
    assert {row[3] for row in read.rows} == {"0.500 (a note)"}
    assert {row[5] for row in read.rows} == {"`log-std` 12"}
    with pytest.raises(ValueError, match="Expected a bound for each figure"):
        tables.figures_table(name, figures[1:])


def test_each_set_each_demo_and_each_movie_has_bounds():
    for about in SETS:
        assert about.name in {images for images, _ in HELD[about.kind]}
    assert {f"{kind}, {name}" for kind in DemoKind for name in SEEDS} == {
        images for images, _ in HELD[DEMO]
    }
    assert list(SHARES_OF_GOOD) == [each.name for each in movies()]
    held = [bound for rows in HELD.values() for bound in rows.values()]
    assert all((b.least, b.most) != (None, None) for b in [*held, *SHARES_OF_GOOD.values()])


def test_bounds_hold_on_both_sides_and_say_so():
    assert [Bound(1, 2).holds(v) for v in (0.9, 1, 2, 2.1)] == [False, True, True, False]
    assert not Bound(least=0.5).holds(0.4)
    assert not Bound(most=0.5).holds(0.6)
    assert not Bound(least=0.5).holds(float("nan"))
    assert [tables.in_words(b) for b in (Bound(1, 2), Bound(1), Bound(None, 2), Bound())] == [
        "1 – 2",
        "≥ 1",
        "≤ 2",
        "",
    ]


def test_nuclei_and_cells_are_counted_where_they_belong_together():
    nuclei = np.array([[1, 0, 2, 0, 3, 0, 4]])
    cells = np.array([[1, 1, 2, 2, 2, 0, 0]])
    assert nuclei_in_cells(nuclei, cells) == (1, 4, 1, 2)


def test_verdicts_are_shares_that_add_up():
    import pandas as pd

    reasons = ["", "", *REASONS, "something new"]
    found = judge(pd.DataFrame({"cell": range(len(reasons)), "reason_a": reasons}), "x")
    assert isinstance(found, Verdicts)
    assert found.n_cells == len(reasons)
    assert found.shares["good"] == 2 / len(reasons)
    assert found.shares["other"] == 1 / len(reasons)
    assert sum(found.shares.values()) == pytest.approx(1)


# What is held


def figures_of(about: ImageSet) -> list[Figure]:
    """Measure how well a set is segmented, by its own method alone."""
    alone = dataclasses.replace(about, beside=())
    return list(Findings(alone.load()).figures(timed=False))


QUICK = ("trpl", "pbmc")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each.name, marks=() if each.name in QUICK else pytest.mark.slow)
        for each in SETS
    ],
)
def test_cells_of_real_images_are_found_as_well_as_ever(name, shared_data):
    about = set_named(name)
    assert_held(figures_of(about), about.kind, without=TIME)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t98g", "trpl", "nuclei", "incucyte G"])
def test_no_method_takes_much_longer_than_it_did(name, shared_data):
    about = set_named(name)
    shown = dataclasses.replace(about, beside=("log-std",), labels="", nuclei=None)
    figure = Findings(shown.load()).time()
    assert HELD[about.kind][name, TIME].holds(figure.values[about.method]), figure


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, held in SHARES_OF_GOOD.items() if held.least])
def test_as_large_a_share_of_the_cells_of_real_movies_is_good_as_ever(name, shared_data, tmp_path):
    found = judge(run_set(set_named(name), tmp_path / "out", run), name)
    assert SHARES_OF_GOOD[name].holds(found.shares["good"]), found


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(name, marks=pytest.mark.nightly if len(seeds) > 2 else ())
        for name, seeds in SEEDS.items()
    ],
)
@pytest.mark.parametrize("kind", DemoKind)
def test_the_demo_of_each_kind_is_measured_as_well_as_ever(kind, seeds):
    scores = [score_seed(kind, seed, run) for seed in SEEDS[seeds]]
    assert_held(summed_up(f"{kind}, {seeds}", kind, scores), DEMO)
