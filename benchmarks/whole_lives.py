"""Cells that divide fast: how many are good, and whether whole lives are what they seem.

Run `python -m benchmarks.whole_lives` in the repository. The demo of bacteria is made longer, and
one frame of several is kept, so that a bacterium divides within fewer frames than those in which a
cell must else be seen. A life is right if four fifths of its frames are on one true cell, which
begins and ends within a frame of it. Seeds 0 and 1 were looked at when the verdict was changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from benchmarks.made_kinds import pairs_of
from pyama_core import (
    Channels,
    ProcessingContext,
    load_microscopy_file,
    open_results,
    run_complete_workflow,
)
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.demo.kinds import DemoKind

FRAMES, SIZE = 120, 512
_MOST_OF_A_LIFE = 0.8
_SAME = 1


@dataclass(frozen=True)
class Lives:
    """What a run made of a movie.

    Attributes
    ----------
    n_cells, n_good : int
        Cells followed, and those of them that are good.
    n_whole, n_right : int
        Good cells of which both divisions were seen, and those of them that are true lives.
    length : float
        In how many frames these are seen, in the middle.
    """

    n_cells: int
    n_good: int
    n_whole: int
    n_right: int
    length: float


def measure(seed: int, every: int, folder: Path) -> Lives:
    """Make a demo, keep one frame of several, and run it with default settings."""
    files = write_demo(
        folder / "demo", fovs=1, frames=FRAMES, size=SIZE, seed=seed, kind=DemoKind.BACTERIA
    )
    source, metadata = load_microscopy_file(_thinned(files, every, folder / "movie.ome.tif"))
    source.close()
    channels = Channels(pc=0, fl=[1])
    if not run_complete_workflow(metadata, ProcessingContext(folder / "out", channels)):
        raise RuntimeError(f"the run failed; see its log in {folder}")
    fov = open_results(folder / "out").fov(0)
    true = np.load(files.labels[0])[::every]
    cells = fov.cells[fov.cells.good]
    whole = cells[cells.parent.notna() & (cells.fate == "divided")]
    right = sum(_are_right(whole, true, pairs_of(true, np.asarray(fov.labels))))
    return Lives(len(fov.cells), len(cells), len(whole), right, float(whole.n_frames.median()))


def _thinned(files: DemoFiles, every: int, path: Path) -> Path:
    """Write one frame of several as a movie of its own."""
    source, about = load_microscopy_file(files.image)
    with source:
        frames = [
            [source.read_frame(0, channel, t) for channel in range(about.n_channels)]
            for t in range(0, FRAMES, every)
        ]
    axes = {"axes": "TCYX", "Channel": {"Name": list(about.channel_names)}}
    tifffile.imwrite(path, np.array(frames), ome=True, metadata=axes)
    return path


def _are_right(whole: pd.DataFrame, true: NDArray[Any], pairs: pd.DataFrame) -> Iterator[bool]:
    """Yield for each cell whether it is a true one from its first frame to its last."""
    for row in whole.itertuples():
        owners = pairs.who[pairs.cell == row.cell].value_counts()
        if owners.empty or owners.iloc[0] < _MOST_OF_A_LIFE * row.n_frames:
            yield False
            continue
        lived = np.flatnonzero((true == owners.index[0]).any(axis=(1, 2)))
        ends = abs(lived[0] - row.first_frame), abs(lived[-1] - row.last_frame)
        yield bool(max(ends) <= _SAME)


def main() -> None:
    """Measure the seeds that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole_lives", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--every", type=int, nargs="+", default=[3, 5])
    asked = parser.parse_args()
    _say("one frame of", "seed", "followed", "good", "whole lives", "right", "frames of a life")
    for every in asked.every:
        for seed in asked.seeds:
            with tempfile.TemporaryDirectory(prefix="pyama-lives-") as folder:
                told = measure(seed, every, Path(folder))
            figures = (told.n_cells, told.n_good, told.n_whole, told.n_right, told.length)
            _say(every, seed, *figures)


def _say(*words: object) -> None:
    sys.stdout.write(" | ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
