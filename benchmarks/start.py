"""Part 6: imports, the command, a worker until it is ready, a run until its first frame."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.experiment import EXACT
from benchmarks.report import Part, Table, Target
from benchmarks.scenes import write_ome_tiff
from benchmarks.timing import calls_in_turn, in_turn
from pyama_core import ProcessingContext
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.warm_up import warm_ups

FIRST_FRAME = """
import sys, time
from pathlib import Path
from pyama_core import Channels, ProcessingContext, load_microscopy_file, run_complete_workflow

times = []

def note(event):
    if event["step"] == "segmentation":
        times.append(time.time())

if __name__ == "__main__":
    source, metadata = load_microscopy_file(sys.argv[1])
    source.close()
    context = ProcessingContext(sys.argv[2], Channels(pc=0, fl=[1]))
    assert run_complete_workflow(metadata, context, n_workers=2, on_progress=note)
    sys.stdout.write(str(times[0]))
"""


def measure(folder: Path, *, quick: bool, side: int = 256) -> Part:
    """Measure processes that start."""
    rounds = 3 if quick else 7
    commands: dict[str, Callable[[], object]] = {
        "python alone": partial(_run, ["-c", "pass"]),
        "import numpy": partial(_run, ["-c", "import numpy"]),
        "import pyama_core": partial(_run, ["-c", "import pyama_core"]),
        "pyama --help": partial(_run, ["-m", "pyama_core", "--help"]),
        "import numba": partial(_run, ["-c", "import numba"]),
    }
    found = calls_in_turn(commands, rounds)
    found |= in_turn({"a worker until it is ready": _worker_ready}, rounds)
    movie = write_ome_tiff(folder / "first.ome.tif", fovs=2, frames=1, side=side, n_cells=4)
    script = folder / "first_frame.py"
    script.write_text(FIRST_FRAME, encoding="utf-8")
    warm = partial(_first_frame, script, movie, None)
    warm()
    found |= in_turn({"process to first frame, warm": warm}, rounds)
    if not quick:  # compiling takes a quarter of a minute
        found |= in_turn({"process to first frame, cold": partial(_cold, script, movie)}, 1)
    return Part(
        "Import and start",
        [
            Table(
                "",
                ("", "time"),
                [(name, str(times)) for name, times in found.items()],
                "A worker is ready when it has imported all that it needs and loaded the compiled "
                "kernels. Cold: nothing compiled yet, the first run on a machine.",
            )
        ],
        [
            Target("pyama --help", found["pyama --help"].median, 0.3, True, "s"),
            Target(
                "a worker until it is ready, warm",
                found["a worker until it is ready"].median,
                1.2,
                at_most=True,
                unit="s",
            ),
        ],
        {"times": found},
    )


def _run(arguments: Sequence[str], environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(  # noqa: S603 - this interpreter
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def _worker_ready() -> float:
    """Seconds from asking for a worker until it has done a call."""
    started = time.perf_counter()
    pool = WorkerPool(
        1, warm_ups=list(warm_ups(parse_analysis(ProcessingContext(params=EXACT)), "uint16"))
    )
    try:
        pool.submit(os.getpid).result()
        return time.perf_counter() - started
    finally:
        pool.shutdown(wait=True)


def _first_frame(script: Path, movie: Path, cache: Path | None) -> float:
    """Seconds from the start of a process until a worker has segmented a frame."""
    environment = dict(os.environ)
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    out = script.parent / "first"
    started = time.time()
    reported = float(_run([str(script), str(movie), str(out)], environment))
    shutil.rmtree(out)
    return reported - started


def _cold(script: Path, movie: Path) -> float:
    with tempfile.TemporaryDirectory(dir=script.parent) as cache:
        return _first_frame(script, movie, Path(cache))
