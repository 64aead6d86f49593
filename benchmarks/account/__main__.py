"""Measure how well cells of each kind are found, and write it into docs/ACCURACY.md.

Run `python -m benchmarks.account` in the repository: it replaces the tables between the markers of
the account, and the pictures; if any of the images are absent, it writes nothing. What trackers do
has commands of its own: `benchmarks.accuracy_tracking` and `benchmarks.tracking`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.account import tables
from benchmarks.account.bounds import DEMO, HELD
from benchmarks.account.demos import demo_figures
from benchmarks.account.finding import Figure, Findings
from benchmarks.account.image_sets import DATA, SETS
from benchmarks.account.kinds_told import OF_EACH_SERIES, views_told
from benchmarks.account.verdicts import measure_verdicts
from pyama_core import run_complete_workflow

REPOSITORY = Path(__file__).resolve().parents[2]
logger = logging.getLogger("benchmarks.account")


def measure_all() -> dict[str, str]:
    """Return all tables by their section."""
    figures: dict[str, list[Figure]] = {name: [] for name in HELD}
    for about in SETS:
        figures[about.kind] += Findings(about.load()).figures()
        logger.info("measured %s", about.name)
    figures[DEMO] += demo_figures(run_complete_workflow)
    logger.info("measured the demo")
    written = {name: tables.figures_table(name, some) for name, some in figures.items()}
    written[tables.KINDS] = tables.kinds_table([views_told(place) for place in OF_EACH_SERIES])
    logger.info("measured what channels are taken for")
    written[tables.VERDICTS] = tables.verdicts_table(list(measure_verdicts(run_complete_workflow)))
    return written


def main() -> None:
    """Measure, replace the tables, draw the pictures."""
    import cv2

    parser = argparse.ArgumentParser(prog="python -m benchmarks.account", description=__doc__)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs", metavar="DIR")
    output: Path = parser.parse_args().output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    package = logging.getLogger("pyama_core")  # what runs say would hide what this says
    package.propagate = False
    package.addHandler(logging.NullHandler())
    sources = [*(about.source for about in SETS), *OF_EACH_SERIES]
    absent = sorted({source for source in sources if not (DATA / source).exists()})
    if absent:
        parser.error(f"the images of {', '.join(absent)} are absent; expected them in ../shared")
    cv2.setNumThreads(1)  # as in a worker
    page = output / "ACCURACY.md"
    written = measure_all()
    text = page.read_text(encoding="utf-8")  # only now, for it may have been edited meanwhile
    for name, table in written.items():
        text = tables.replace(text, name, table)
    page.write_text(text, encoding="utf-8", newline="\n")
    logger.info("wrote %s", page)
    from benchmarks.account.pictures import write_pictures

    for path in write_pictures(output):
        logger.info("wrote %s", path)


if __name__ == "__main__":
    main()
