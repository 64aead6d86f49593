"""Cells that never were: tracks, places and fluorescence of a field of view, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.fates import Track

Columns = dict[str, NDArray[Any]]

_DIVIDING = 0.05
_CUT_SHORT = 0.1
_MEDIAN_AREA = 400.0


@dataclass(frozen=True)
class MadeCells:
    """The cells of a field of view.

    Attributes
    ----------
    tracks : list of Track
        A row per cell.
    shapes : dict
        ``cell`` and ``frame``, sorted by both, with the place and the shape of each.
    """

    tracks: list[Track]
    shapes: Columns


def make_cells(n_cells: int, n_frames: int, side: int, rng: np.random.Generator) -> MadeCells:
    """Make cells that walk about: most are there all the time, some come, go or divide.

    Parameters
    ----------
    n_cells, n_frames : int
        How many.
    side : int
        Pixels of the edge of a frame.
    rng : Generator
        Decides on everything.
    """
    tracks = _make_tracks(n_cells, n_frames, rng)
    cell = np.repeat([t.cell for t in tracks], [t.n_frames for t in tracks])
    frame = np.concatenate([np.arange(t.first_frame, t.last_frame + 1) for t in tracks])
    return MadeCells(tracks, _make_shapes(cell, frame, side, rng))


def _make_tracks(n_cells: int, n_frames: int, rng: np.random.Generator) -> list[Track]:
    """Return tracks, numbered by their first frame."""
    first = np.zeros(n_cells, np.int64)
    last = np.full(n_cells, n_frames - 1)
    parent = np.full(n_cells, -1)
    fate = np.full(n_cells, "end of movie", object)
    if n_frames > 3:
        for mother in range(int(_DIVIDING * n_cells)):
            daughters = slice(n_cells - 2 * mother - 2, n_cells - 2 * mother)
            last[mother] = rng.integers(1, n_frames - 2)
            first[daughters], parent[daughters] = last[mother] + 1, mother
            fate[mother] = "divided"
        whole = np.flatnonzero((parent < 0) & (fate != "divided"))
        short = rng.choice(whole, int(_CUT_SHORT * whole.size), replace=False)
        last[short] = rng.integers(1, n_frames - 1, short.size)
        fate[short] = "lost"
    order = np.argsort(first, kind="stable")
    number = np.empty(n_cells, np.int64)
    number[order] = np.arange(1, n_cells + 1)
    return [
        Track(
            cell=int(number[i]),
            parent=None if parent[i] < 0 else int(number[parent[i]]),
            first_frame=int(first[i]),
            last_frame=int(last[i]),
            fate=fate[i],
            n_frames=int(last[i] - first[i] + 1),
            n_merged=0,
        )
        for i in order.tolist()
    ]


def _make_shapes(
    cell: NDArray[np.int64], frame: NDArray[np.int64], side: int, rng: np.random.Generator
) -> Columns:
    n_rows, n_cells = cell.size, int(cell.max(initial=0)) + 1
    begin = np.searchsorted(cell, np.arange(n_cells))
    x, y = (
        np.clip(start[cell] + _walk(cell, begin, rng), 1, side)
        for start in rng.uniform(30, side - 30, (2, n_cells))
    )
    usual = _MEDIAN_AREA * rng.lognormal(0, 0.2, n_cells)
    area = np.maximum(usual[cell] * rng.normal(1, 0.05, n_rows), 9).astype(np.int64)
    half = np.sqrt(area) / 2
    return {
        "cell": cell,
        "frame": frame,
        "position_x": x,
        "position_y": y,
        "area": area,
        "perimeter": (2 * np.sqrt(np.pi * area)).astype(np.float32),
        "box_top": np.maximum(y - half, 0).astype(np.int64),
        "box_left": np.maximum(x - half, 0).astype(np.int64),
        "box_bottom": np.minimum(y + half + 1, side).astype(np.int64),
        "box_right": np.minimum(x + half + 1, side).astype(np.int64),
        "eccentricity": rng.uniform(0, 0.9, n_rows).astype(np.float32),
        "solidity": rng.uniform(0.85, 1, n_rows).astype(np.float32),
        "orientation": rng.uniform(-1.5, 1.5, n_rows).astype(np.float32),
    }


def _walk(
    cell: NDArray[np.int64], begin: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how far each cell is from where it was first seen."""
    so_far = np.cumsum(rng.normal(0, 1, cell.size))
    return np.asarray(so_far - so_far[begin[cell]])


def make_intensities(shapes: Columns, level: float, rng: np.random.Generator) -> Columns:
    """Return the fluorescence of cells that begin to express, in one channel.

    Parameters
    ----------
    shapes : dict
        Of the cells.
    level : float
        Mean grey value that is typical of the sample in the end.
    rng : Generator
        Decides on everything.
    """
    cell, n_rows = shapes["cell"], shapes["cell"].size
    n_cells, n_frames = int(cell.max(initial=0)) + 1, int(shapes["frame"].max(initial=0)) + 1
    onset = rng.uniform(0, n_frames / 3, n_cells)[cell]
    pace = n_frames * rng.uniform(0.1, 0.5, n_cells)[cell]
    since = np.maximum(shapes["frame"] - onset, 0)
    plateau = level * rng.lognormal(0, 0.4, n_cells)[cell]
    mean = plateau * (1 - np.exp(-since / pace)) + rng.normal(0, 0.02 * level, n_rows)
    spread = 0.2 * np.abs(mean) + 0.01 * level
    of_pixels = {"mean": 0, "median": -0.05, "min": -2.5, "max": 2.5, "p5": -1.6, "p95": 1.6}
    made = {f"intensity_{name}": mean + part * spread for name, part in of_pixels.items()}
    columns = {name: values.astype(np.float32) for name, values in made.items()}
    columns["intensity_std"] = spread.astype(np.float32)
    return {"intensity_total": mean * shapes["area"], **columns}
