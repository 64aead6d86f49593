"""Compare trackers on movies that are as hard as cells: `python -m benchmarks.tracking`.

With `--write` the comparison becomes a section of docs/ACCURACY.md, a row per movie.

Each is given the same objects. The other programs (extra `bench`) know only positions; how far a
cell can go they must be told: each is run with half, once and twice the median diameter, and
that row is shown in which it kept most cells complete. Ours are run with their defaults.
"""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from benchmarks.hard_movies import Colony, Faults
from benchmarks.link_metrics import Asked, LinkScore, ids_of_objects, score_links
from benchmarks.other_trackers import Found, Seen, installed
from benchmarks.real_movies import real_movies
from benchmarks.tracking_scenarios import Scenario, renumbered
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.lineage.tracker import LineageTracker
from pyama_core.processing.tracking.tracker import Tracker

COLUMNS = ("movie", "tracker", "complete", "links", "precision", "divisions R / P", "ms per frame")
OURS = ("lineage", "lineage, no divisions")
REACHES = (0.5, 1.0, 2.0)
"""How far a cell may go between frames, in diameters, for programs that must be told."""

SMALL = Colony(320, 25, radius=8, speed=3, divisions=0.02, deaths=0.01)
UNEQUAL = Colony(150, 25, radius=9, speed=2, memory=0.7, fast=0.15, fast_speed=11)
HALF = Colony(110, 25, radius=5, speed=5, memory=0.3, gap=4.0)
WHOLE = Colony(70, 25, radius=5, speed=10, memory=0.3, gap=5.0)
SPREAD = Colony(75, 25, radius=14, speed=3, lobes=3)
GROWING = Colony(70, 25, radius=14, speed=3, lobes=3, divisions=0.015, deaths=0.005)
MANY = Colony(500, 12, size=1024, radius=11, speed=4, divisions=0.01, deaths=0.004)


def made_movies() -> Iterator[tuple[bool, Scenario]]:
    """Yield whether cells divide, and movie."""
    for name, colony, step in (
        ("small cells that divide and die", SMALL, 1),
        ("small cells that divide and die, every third frame", SMALL, 3),
        ("unequal speeds", UNEQUAL, 1),
        ("unequal speeds, every third frame", UNEQUAL, 3),
        ("markers, steps of half their size", HALF, 1),
        ("markers, steps of their size", WHOLE, 1),
        ("spread cells", SPREAD, 1),
        ("spread cells, every third frame", SPREAD, 3),
        ("spread cells that divide", GROWING, 1),
        ("spread cells that divide, every third frame", GROWING, 3),
        ("500 cells that divide", MANY, 1),
    ):
        truth, parents = colony.movie(step)
        yield bool(parents), Scenario(name, truth, renumbered(truth, 3), parents)
    some = Faults(0.04, 0.04, 0.04, 0.04)
    for name, colony, faults in (
        ("small cells, split", SMALL, Faults(split=0.06)),
        ("small cells, merged", SMALL, Faults(merged=0.06)),
        ("small cells, missed", SMALL, Faults(missed=0.06)),
        ("small cells, spurious", SMALL, Faults(spurious=0.06)),
        ("small cells, all faults", SMALL, some),
        ("unequal speeds, all faults", UNEQUAL, some),
        ("markers, steps of half their size, all faults", HALF, some),
        ("spread cells, all faults", SPREAD, some),
        ("spread cells that divide, all faults", GROWING, some),
        ("the same, faults of one frame", GROWING, Faults(0.04, 0.04, 0.04, 0.04, duration=1)),
        ("the same, faults of four frames", GROWING, Faults(0.04, 0.04, 0.04, 0.04, duration=4)),
    ):
        truth, parents = colony.movie()
        yield bool(parents), Scenario(name, truth, renumbered(faults.of(truth), 3), parents)


def follow(scenario: Scenario, tracker: Tracker) -> Found:
    """Show a movie to a tracker of ours, as a run does."""
    began = time.process_time()
    labels = scenario.show_to(tracker)
    parents = {track.cell: track.parent for track in tracker.tracks() if track.parent}
    spent = 1000 * (time.process_time() - began) / len(labels)
    return Found(ids_of_objects(scenario.seen, labels), parents, spent)


@dataclass(frozen=True)
class Row:
    """How a tracker did on a movie."""

    movie: str
    tracker: str
    score: LinkScore
    ms_per_frame: float

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        score = self.score
        told = f"{score.division_recall:.2f} / {score.division_precision:.2f}".replace("nan", "–")
        return (
            self.movie,
            self.tracker,
            f"{score.complete:.3f}",
            f"{score.links:.4f}",
            f"{score.precision:.4f}",
            told if score.n_divisions else "",
            f"{self.ms_per_frame:.1f}",
        )


def compare(scenario: Scenario, divide: bool, others: bool = True) -> Iterator[Row]:
    """Yield how each tracker did."""
    asked = Asked.about(scenario.truth, scenario.seen, scenario.parents, scenario.all_known)
    ours: dict[str, Tracker] = {"overlap": IoUTracker(), "lineage": LineageTracker()}
    if divide:
        ours["lineage, no divisions"] = LineageTracker(LineageParameters(divisions=False))
    for name, tracker in ours.items():
        found = follow(scenario, tracker)
        yield Row(scenario.name, name, score_links(asked, found.ids, found.parents),
                  found.ms_per_frame)  # fmt: skip
    if not others:
        return
    seen = Seen.of(scenario.seen)
    for name, run in installed().items():
        rows = []
        for reach in REACHES:
            found = run(seen, reach * seen.diameter, divide)
            score = score_links(asked, found.ids, found.parents)
            rows.append(Row(scenario.name, name, score, found.ms_per_frame))
        yield max(rows, key=lambda row: (row.score.complete, row.score.links))


def as_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


WIDE = ("movie", "`lineage`", "overlap", "laptrack", "trackpy", "divisions, F1", "ms")
BEGIN, END = "<!-- hard movies: begin -->", "<!-- hard movies: end -->"


def wide_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table with a row per movie: complete cells and links of each tracker."""
    movies: dict[str, dict[str, Row]] = {}
    for row in rows:
        movies.setdefault(row.movie, {})[row.tracker] = row
    lines = ["| " + " | ".join(WIDE) + " |", "|" + "---|" * len(WIDE)]
    for movie, of in movies.items():
        scores = [
            f"{of[name].score.complete:.3f} / {of[name].score.links:.3f}" if name in of else "–"
            for name in ("lineage", "overlap", "laptrack", "trackpy")
        ]
        best = max(row.score.complete for name, row in of.items() if name not in OURS)
        scores[0] = f"**{scores[0]}**" if of["lineage"].score.complete >= best else scores[0]
        divide = "lineage, no divisions" in of and of["lineage"].score.n_divisions
        f1 = f"{of['lineage'].score.division_f1:.2f}" if divide else ""
        cells = (movie, *scores, f1, f"{of['lineage'].ms_per_frame:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_section(report: Path, table: str) -> None:
    """Put the table into its section of a page, or a new one at its end."""
    text = report.read_text(encoding="utf-8")
    if BEGIN not in text:
        text += f"\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    text = f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"
    report.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Measure, print the table or write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("--movies", metavar="REGEX", default="", help="only those whose name fits")
    parser.add_argument("--ours", action="store_true", help="leave the other programs out")
    parser.add_argument("--write", action="store_true", help="into docs/ACCURACY.md")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)  # as in a worker
    truth, _ = Colony(40, 8, size=128, radius=8, divisions=0.1).movie()
    seen = Faults(0.1, 0.1, 0.1, 0.1).of(truth)
    follow(Scenario("compiling", truth, seen), LineageTracker())
    movies = [*made_movies(), *real_movies()]
    rows = [
        row
        for divide, movie in movies
        if re.search(arguments.movies, movie.name)
        for row in compare(movie, divide, not arguments.ours)
    ]
    if arguments.write:
        write_section(Path(__file__).resolve().parents[1] / "docs/ACCURACY.md", wide_table(rows))
    else:
        print(as_table([row.cells() for row in rows]))  # noqa: T201


if __name__ == "__main__":
    main()
