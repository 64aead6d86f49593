"""What share of the cells of real movies is good, and what is held against the others."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.account.image_sets import DATA, SETS, ImageSet
from benchmarks.made_kinds import Run
from pyama_core import Channels, ProcessingContext, open_results
from pyama_core.io.microscopy import load_microscopy_file

REASONS = (
    "at the border",
    "merged",
    "area jump",
    "intensity jump",
    "unusual size",
    "too short",
    "unsure link",
    "saturated",
)
"""What is held against cells; the account tells of all others together."""


@dataclass(frozen=True)
class Verdicts:
    """How the cells of a movie were judged.

    Attributes
    ----------
    images : str
        Name of the set.
    n_cells : int
        Cells followed.
    shares : dict of str to float
        Share of them that is good, under "good", and of each reason.
    """

    images: str
    n_cells: int
    shares: dict[str, float]


def movies() -> tuple[ImageSet, ...]:
    """Return the sets that are movies."""
    return tuple(each for each in SETS if each.name not in ("nuclei", "pbmc"))


def run_set(about: ImageSet, folder: Path, run: Run) -> pd.DataFrame:
    """Run a movie with default settings and return its table of cells.

    What is measured is the channel in which the cells are found, for some have no other; the light
    of phase contrast jumps no more than that of others.
    """
    source, metadata = load_microscopy_file(DATA / about.source, **about.options)
    source.close()
    channels = Channels(segment=about.channel, fl=[about.channel])
    params = {"segmentation": {"method": about.method}}
    if not run(metadata, ProcessingContext(folder, channels, params=params)):
        raise RuntimeError(f"the run of {about.name} failed; see its log in {folder}")
    return open_results(folder).fov(0).cells


def judge(cells: pd.DataFrame, name: str) -> Verdicts:
    """Count verdicts; of several reasons a cell counts by the first that its columns tell."""
    told = cells.filter(regex="^reason").iloc[:, 0].fillna("")
    counts = Counter(told)
    shares = {"good": counts.pop("", 0)} | {reason: counts.pop(reason, 0) for reason in REASONS}
    shares["other"] = sum(counts.values())
    return Verdicts(name, len(cells), {k: n / max(1, len(cells)) for k, n in shares.items()})


def measure_verdicts(run: Run) -> Iterator[Verdicts]:
    """Run all movies that there are."""
    for about in movies():
        if not about.is_there:
            continue
        with tempfile.TemporaryDirectory(prefix="pyama-account-") as folder:
            yield judge(run_set(about, Path(folder) / "results", run), about.name)
