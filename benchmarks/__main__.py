"""The command: measure all parts, write the report."""

from __future__ import annotations

import argparse
import importlib
import logging
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.report import Part, write_report

PARTS = (
    "kernels",
    "pipeline",
    "growth",
    "memory",
    "reading",
    "reading_formats",
    "start",
    "results",
)
logger = logging.getLogger("benchmarks")


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute, and less exact")
    parser.add_argument(
        "--against",
        action="store_true",
        help="time other programs beside this one, as far as they are installed; write SPEED.md",
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PACKAGE=PROGRAM",
        help="with --against: the Python of a package that cannot be installed beside the others",
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[1] / "docs", metavar="DIR"
    )
    arguments = parser.parse_args()
    # Only the benchmarks' own log is shown: what runs say would disturb them and hide it.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    package = logging.getLogger("pyama_core")
    package.propagate = False
    package.addHandler(logging.NullHandler())
    if arguments.against:
        from benchmarks.against.rounds import run

        pythons = dict(words.split("=", 1) for words in arguments.python)
        logger.info("wrote %s", run(arguments.output, quick=arguments.quick, pythons=pythons))
        return
    header = describe_machine(quick=arguments.quick)
    parts: dict[str, Part] = {}
    with tempfile.TemporaryDirectory(prefix="pyama-benchmark-") as folder:
        for name in arguments.parts:
            started = time.monotonic()
            part = importlib.import_module(f"benchmarks.{name}")
            parts[name] = part.measure(Path(folder), quick=arguments.quick)
            logger.info("%s: measured in %.0f s", name, time.monotonic() - started)
    for path in write_report(arguments.output, header, parts):
        logger.info("wrote %s", path)


if __name__ == "__main__":
    main()
