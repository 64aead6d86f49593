"""Draw `results_figure.png`, the figure of the README that five lines give, from the demo.

Run `python docs/results_figure.py`. Needs matplotlib, which the extra `plot` installs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pyama_core import (
    Channels,
    ProcessingContext,
    load_microscopy_file,
    open_results,
    run_complete_workflow,
)
from pyama_core.demo import write_demo

TARGET = Path(__file__).with_suffix(".png")


def main() -> None:
    """Make a demo, run it, and draw it."""
    with tempfile.TemporaryDirectory() as folder:
        draw(make_results(Path(folder)), TARGET)


def make_results(folder: Path, fovs: int = 4, name: str = "results") -> Path:
    """Make a demo, and run it."""
    demo = write_demo(folder / "demo", fovs=fovs, frames=72, size=512, seed=0)
    source, metadata = load_microscopy_file(demo.image)
    source.close()
    context = ProcessingContext(folder / name, Channels(pc=0, fl=[1, 2]))
    if not run_complete_workflow(metadata, context):
        raise SystemExit("the run failed")
    return folder / name


def draw(folder: Path, target: Path) -> None:
    """Draw the traces of two samples."""
    results = open_results(folder)
    results.assign_samples({"control": "0-1", "drug": "2-3"})
    results.plot(n_lines=30).savefig(target, dpi=60)


if __name__ == "__main__":
    main()
