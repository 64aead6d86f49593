"""The page: frames per second, and how long it takes to open much.

``python -m benchmarks.page`` needs Chromium and draws without a graphics card, which is slower than
any computer of a biologist. ``--quick`` leaves out the largest.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.browser import OpenPage, browsing
from benchmarks.made_results import Size, make_results
from pyama_core import (
    Channels,
    ProcessingContext,
    load_microscopy_file,
    run_complete_workflow,
)
from pyama_core.demo import write_demo

logger = logging.getLogger(__name__)

SIDES = (512, 1024, 2048)
AIMS = {1024: 20.0, 2048: 10.0}
_N_FRAMES = 12
_STATIC = Path(__file__).parents[1] / "src" / "pyama_core" / "app" / "static"

_SCRUB = """async n => {
  const slider = document.querySelector('.time input[type=range]');
  const canvas = document.querySelector('.picture canvas');
  const gl = canvas.getContext('webgl2');
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const show = async t => {
    slider.value = String(t);
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    while (!(canvas.dataset.drawn || '').split(' ').includes(String(t)) ||
           !canvas.dataset.drawn.includes(` 0 ${t} `)) await frame();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  };
  const began = performance.now();
  for (let i = 1; i <= n; i++) await show(i % n);
  return 1000 * n / (performance.now() - began);
}"""
_TUNE = """async x => {
  const slider = document.querySelector('.parameter input[type=range]');
  const canvas = document.querySelector('.tune-picture canvas');
  const gl = canvas.getContext('webgl2');
  const before = canvas.dataset.outlines;
  const began = performance.now();
  slider.value = String(Number(slider.value) + x);
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  while (canvas.dataset.outlines === before) await new Promise(done => requestAnimationFrame(done));
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return (performance.now() - began) / 1000;
}"""
_REDRAW = """async () => {
  const box = document.querySelector('.legend input[type=checkbox]');
  const began = performance.now();
  box.click();
  for (let i = 0; i < 2; i++) await new Promise(done => requestAnimationFrame(done));
  return performance.now() - began;
}"""


@dataclass(frozen=True)
class Scrubbed:
    """Frames per second: while they are fetched, and when they are known already."""

    first: float
    again: float


def scrub(folder: Path, side: int) -> Scrubbed:
    """Go through the frames of a demo of some size: two channels, and outlines."""
    demo = write_demo(folder / f"demo {side}", fovs=1, frames=_N_FRAMES, size=side)
    source, metadata = load_microscopy_file(demo.image)
    source.close()
    context = ProcessingContext(folder / f"results {side}", Channels(pc=0, fl=[1]))
    if not run_complete_workflow(metadata, context):
        raise SystemExit("the run of the demo failed")
    with browsing(context.output_dir) as opened:
        opened.open(place="look", at=context.output_dir, show="phase,GFP")
        _wait_for_picture(opened)
        return Scrubbed(*(opened.page.evaluate(_SCRUB, _N_FRAMES) for _ in range(2)))


def tune(folder: Path, side: int) -> tuple[float, float]:
    """Return seconds until the first outlines, and from a slider that is moved to new ones."""
    demo = write_demo(folder / f"tuned {side}", fovs=1, frames=3, size=side)
    with browsing(folder) as opened:
        began = time.perf_counter()
        opened.open(place="tune", at=demo.image)
        opened.page.locator(".tune-picture canvas[data-outlines]:not([data-outlines=''])").wait_for(
            timeout=180_000
        )
        first = time.perf_counter() - began
        taken = [opened.page.evaluate(_TUNE, 0.03 * (-1) ** i * (i + 1)) for i in range(7)]
    return first, statistics.median(taken)


def time_to_open(folder: Path, size: Size) -> tuple[float, float]:
    """Return seconds until positions, traces and cells are there, and to draw all traces anew."""
    make_results(folder, size)
    with browsing(folder) as opened:
        began = time.perf_counter()
        opened.open(place="look", at=folder)
        for part in (".position", ".legend svg", ".table .scroll .row"):
            opened.page.locator(part).first.wait_for()
        taken = time.perf_counter() - began
        drawn = min(opened.page.evaluate(_REDRAW) for _ in range(4))
    return taken, drawn / 1000


def _wait_for_picture(opened: OpenPage) -> None:
    opened.page.wait_for_function("() => document.querySelector('.picture canvas')?.dataset.drawn")


def lines(folder: Path, *, quick: bool = False) -> list[str]:
    """Measure everything; return it in words."""
    told = [f"bundle: {sum(path.stat().st_size for path in _bundle()) / 1024:.0f} KB"]
    for side in SIDES[: 2 if quick else 3]:
        found = scrub(folder, side)
        aim = f" (aim: {AIMS[side]:.0f})" if side in AIMS else ""
        told.append(
            f"scrubbing {side}×{side}, two channels and outlines: {found.first:.1f} frames/s while "
            f"they are fetched, {found.again:.1f} frames/s again{aim}"
        )
    for side in SIDES[1 : 2 if quick else 3]:
        first, taken = tune(folder, side)
        told.append(
            f"tuning {side}×{side}: first outlines after {first:.1f} s, from a moved slider to new "
            f"ones {taken:.2f} s (aim: 1)"
        )
    basic: dict[str, Any] = {"features": (), "n_frames": 60}
    many = Size(n_fovs=100 if quick else 500, n_cells=50, **basic)
    taken, _ = time_to_open(folder / "many", many)
    told.append(f"opening {many.n_fovs} positions: {taken:.1f} s")
    large = Size(n_fovs=1, n_cells=10_000, **basic)
    taken, drawn = time_to_open(folder / "large", large)
    told.append(f"opening a position of 10,000 cells: {taken:.1f} s")
    told.append(f"plotting 10,000 traces of 60 frames: {drawn:.2f} s")
    return told


def _bundle() -> list[Path]:
    return [_STATIC / name for name in ("app.js", "app.css", "index.html")]


def main() -> None:
    """Read the command line, measure, tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the largest")
    quick = parser.parse_args().quick
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="pyama-page-") as folder:
        for line in lines(Path(folder), quick=quick):
            logger.info("%s", line)


if __name__ == "__main__":
    main()
