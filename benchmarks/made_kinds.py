"""How well a run with default settings measures the demo of each kind, whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.accuracy_metrics import f1, score_frame, seg
from pyama_core import Channels, ProcessingContext, load_microscopy_file, open_results
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.demo.kinds import KINDS, DemoKind
from pyama_core.io.microscopy import MicroscopyMetadata

_LEAST_LIGHT = 0.2  # of the median cell; what a cell hardly shines with has no relative error


@dataclass(frozen=True)
class KindScore:
    """What a run made of a demo.

    Attributes
    ----------
    method : str
        The segmentation that `auto` chose.
    n_true, n_found : int
        Cells of all frames.
    f1, seg : float
        See `accuracy_metrics`.
    n_tracks, n_good : int
        Cells followed, and those of them that are good.
    errors : dict of str to float
        Per fluorescence channel the median of |found - true| / true of good cells, over frames.
    """

    method: str
    n_true: int
    n_found: int
    f1: float
    seg: float
    n_tracks: int
    n_good: int
    errors: dict[str, float]


Run = Callable[[MicroscopyMetadata, ProcessingContext], bool]
"""Takes a run through, as `run_complete_workflow` does, and says whether it went well."""


def score_kind(kind: DemoKind, folder: Path, run: Run, **sizes: int) -> KindScore:
    """Make a demo in a folder, run it with default settings, and hold it against its truth."""
    files = write_demo(folder / "demo", fovs=1, kind=kind, **sizes)
    about, out = KINDS[kind], folder / "results"
    measured = list(about.measured)
    channels = Channels(segment=0, fl=measured) if 0 in measured else Channels(pc=0, fl=measured)
    source, metadata = load_microscopy_file(files.image)
    source.close()
    if not run(metadata, ProcessingContext(out, channels)):
        raise RuntimeError(f"the run of the demo of {kind} failed; see its log in {out}")
    return score_results(files, out, about.channels)


def score_results(files: DemoFiles, out: Path, names: tuple[str, ...]) -> KindScore:
    """Hold results against the truth of the demo that they were made from."""
    fov = open_results(out).fov(0)
    true, labels = np.load(files.labels[0]), np.asarray(fov.labels)
    scores = [score_frame(t, found) for t, found in zip(true, labels, strict=True)]
    intensities, cells = pd.read_csv(files.intensities), fov.cells
    good = fov.traces[fov.traces.cell.isin(cells.cell[cells.good])]
    matched = good.merge(pairs_of(true, labels), on=["cell", "frame"])
    errors = {
        names[channel]: _trace_error(matched, names[channel], rows)
        for channel, rows in intensities.groupby("channel")
    }
    masks = next(o for o in fov.record.outputs.values() if o.provenance.step == "segmentation")
    return KindScore(
        method=masks.provenance.algorithm,
        n_true=sum(s.n_true for s in scores),
        n_found=sum(s.n_found for s in scores),
        f1=f1(scores),
        seg=seg(scores),
        n_tracks=len(cells),
        n_good=int(cells.good.sum()),
        errors=errors,
    )


def pairs_of(true: NDArray[Any], labels: NDArray[Any]) -> pd.DataFrame:
    """Return which found cell covers more than half of which true one, frame by frame."""
    rows = []
    for frame, (t, found) in enumerate(zip(true, labels, strict=True)):
        both = np.unique(np.stack([t[t > 0], found[t > 0]]), axis=1, return_counts=True)
        sizes = np.bincount(t[t > 0])
        for (who, cell), n in zip(both[0].T, both[1], strict=True):
            if cell and 2 * n > sizes[who]:
                rows.append((frame, int(cell), int(who)))
    return pd.DataFrame(rows, columns=["frame", "cell", "who"])


def _trace_error(matched: pd.DataFrame, name: str, truth: pd.DataFrame) -> float:
    """Return the median relative error of the light of matched cells."""
    true = truth[["cell", "frame", "intensity_total"]].rename(columns={"cell": "who"})
    both = matched.merge(true, on=["who", "frame"])
    both = both[both.intensity_total > _LEAST_LIGHT * both.intensity_total.median()]
    error = (both[f"intensity_total_{name}"] - both.intensity_total) / both.intensity_total
    return float(error.abs().median())
