"""Part 8: results opened and drawn, from folders that are made of tables.

``python -m benchmarks.results DIR`` measures a folder that is there already, such as a large one of
`benchmarks.made_results`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.memory import peak_of_process
from benchmarks.report import Part, Table

if TYPE_CHECKING:
    from pyama_core.results.results import Results

_ROOT = Path(__file__).parents[1]
_HEADER = ("", "time", "of a processor", "peak memory")


def _traces_and_plot(results: Results) -> None:
    assert len(results.traces)
    results.plot()


STEPS: dict[str, Any] = {
    "open": lambda results: results.fov_numbers,
    "open, overview": repr,
    "open, figure of one FOV": lambda results: results.chosen()[-1].plot(),
    "open, one column of ten FOVs": lambda results: results.read_traces(
        results.fov_numbers[:10], [f"intensity_total_{results.chosen()[0].channels[0]}"]
    ),
    "open, figure of all FOVs": lambda results: results.plot(),
    "open, all traces": lambda results: results.traces,
    "open, all traces and a figure": _traces_and_plot,
}
"""What is asked of results, each in a process of its own, imports included."""
_WHOLE_TABLES = ("open, all traces", "open, all traces and a figure")


def measure(folder: Path, *, quick: bool) -> Part:
    """Measure a folder of 200 FOVs with 60 frames of 100 cells."""
    from benchmarks.made_results import Size, make_results

    size = Size(n_fovs=20) if quick else Size()
    found = measure_folder(make_results(folder / "made", size), list(STEPS))
    told = (
        f"{size.n_fovs} FOVs, {size.n_frames} frames, {size.n_cells} cells in each, "
        f"{len(size.channels)} channels"
    )
    return Part(
        "Results",
        [Table(told, _HEADER, as_rows(found), "In a fresh process each, imports included.")],
        data={"results": found},
    )


def measure_folder(folder: Path, steps: list[str]) -> dict[str, dict[str, float]]:
    """Return seconds and peak megabytes of each step, in a fresh process."""
    found = {}
    for step in steps:
        words = ["-m", "benchmarks.results", str(folder.resolve()), "--step", step]
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, *words], check=True, capture_output=True, text=True, cwd=_ROOT
        )
        found[step] = json.loads(done.stdout.splitlines()[-1])
    return found


def as_rows(found: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Return the rows of a table."""
    return [
        (
            step,
            f"{each['seconds']:.2f} s",
            f"{each['processor_seconds']:.2f} s",
            f"{each['peak_mb']:.0f} MB",
        )
        for step, each in found.items()
    ]


def _do(folder: Path, step: str) -> dict[str, float]:
    started = time.perf_counter()
    from pyama_core import open_results

    STEPS[step](open_results(folder))
    return {
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time(),
        "peak_mb": peak_of_process(),
    }


def main() -> None:
    """Do one step in this process, or measure all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", choices=STEPS, help="only this, in this process")
    parser.add_argument(
        "--parts-only", action="store_true", help="not all traces at once, which take much memory"
    )
    given = parser.parse_args()
    if given.step:
        sys.stdout.write(json.dumps(_do(given.folder, given.step)) + "\n")
        return
    steps = [step for step in STEPS if not (given.parts_only and step in _WHOLE_TABLES)]
    for row in (_HEADER, *as_rows(measure_folder(given.folder, steps))):
        sys.stdout.write(f"{row[0]:32}{row[1]:>12}{row[2]:>16}{row[3]:>14}\n")


if __name__ == "__main__":
    main()
