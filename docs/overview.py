"""Draw `overview.png`, the picture of the README, from results of this package.

Run `python docs/overview.py RESULTS` on the output folder of `pyama run`; without a folder, a
demo is made and run first. Needs matplotlib, which the extra `dev` installs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from results_figure import make_results  # from this folder

from pyama_core.io.storage.stacks import StackReader

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

HERE = Path(__file__).parent
TITLES = {1: "GFP", 2: "mCherry"}


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--fov", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "overview.png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = arguments.results or make_results(Path(folder), fovs=1)
        draw(results / f"fov_{arguments.fov:03d}", arguments.output)


def draw(fov_folder: Path, target: Path) -> None:
    """Draw a phase-contrast frame with outlines, and the traces beside it, in equal colours."""
    tables = {
        int(path.stem.rsplit("_", 1)[1]): pd.read_csv(path)
        for path in sorted(fov_folder.glob("*_traces_ch_*.csv"))
    }
    cells = sorted({cell for table in tables.values() for cell in table.cell})
    palette = plt.get_cmap("tab20")(np.arange(len(cells)) % 20)
    colours = {cell: tuple(map(float, row[:3])) for cell, row in zip(cells, palette, strict=True)}
    figure = plt.figure(figsize=(12, 5.2), layout="constrained")
    grid = figure.add_gridspec(len(tables), 2, width_ratios=(1, 1.25))
    draw_outlines(figure.add_subplot(grid[:, 0]), fov_folder, colours)
    for row, (channel, table) in enumerate(tables.items()):
        axes = figure.add_subplot(grid[row, 1])
        draw_traces(axes, table, colours)
        axes.set_title(TITLES.get(channel, f"channel {channel}"), loc="left")
        axes.set_xlabel("time (min)" if row == len(tables) - 1 else "")
    figure.savefig(target, dpi=110)


def draw_outlines(axes: Axes, fov_folder: Path, colours: dict[int, tuple[float, ...]]) -> None:
    """Draw the middle frame with the outline and the number of each cell that has a trace."""
    with (
        StackReader(next(fov_folder.glob("*_pc_ch_*.npy"))) as phase,
        StackReader(next(fov_folder.glob("*_seg_labeled_ch_*.npy"))) as labeled,
    ):
        middle = phase.shape[0] // 2
        frame, labels = phase.read(middle), labeled.read(middle)
    low, high = np.percentile(frame, (0.5, 99.8))
    axes.imshow(frame, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    for cell, colour in colours.items():
        mask = (labels == cell).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for outline in outlines:
            x, y = np.vstack([outline[:, 0], outline[:1, 0]]).T
            axes.plot(x, y, color=colour, linewidth=1.6)
        if mask.any():
            y, x = np.argwhere(mask).mean(axis=0)
            number = axes.annotate(str(cell), (x, y), color="w", ha="center", va="center")
            number.set_path_effects([withStroke(linewidth=3, foreground="black")])
    axes.set_title(f"phase contrast, frame {middle}", loc="left")
    axes.set_axis_off()


def draw_traces(axes: Axes, table: pd.DataFrame, colours: dict[int, tuple[float, ...]]) -> None:
    """Draw the total intensity of each cell over time."""
    for cell, trace in table.groupby("cell"):
        axes.plot(trace.time, trace.intensity_total / 1e3, color=colours[cell], linewidth=1.2)
    axes.set_ylabel("total intensity\n(10³ counts)")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
