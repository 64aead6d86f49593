"""What segmentations find in real images, and what that is worth."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.account.image_sets import Frames, Image, Loaded
from benchmarks.accuracy_metrics import f1, score_frame, seg
from pyama_core.processing.runs.objects import components
from pyama_core.processing.runs.pixel_runs import paint

if TYPE_CHECKING:
    from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

SIDE = 1024
"""Frames are tiled to about so many pixels a side where time is measured."""
TIME = "time of a frame, times that of log-std"
_REPEATS = 7


@dataclass(frozen=True)
class Figure:
    """One row of the account: what was measured, by method; the first method is what is held."""

    images: str
    what: str
    values: dict[str, float]
    note: str = ""


@dataclass
class Finder:
    """A segmentation with its defaults, prepared as a run does it."""

    segment: Callable[[Image], Image]
    diameter: float | None = None


class Findings:
    """What each method finds in the frames of a set; done once."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.finders = {name: prepared(name, loaded) for name in loaded.about.methods}

    @cached_property
    def labels(self) -> dict[str, Frames]:
        """Label images by method."""
        return {
            name: [finder.segment(frame) for frame in self.loaded.frames]
            for name, finder in self.finders.items()
        }

    def figures(self, *, timed: bool = True) -> Iterator[Figure]:
        """Yield all figures but those that a whole run is needed for."""
        about = self.loaded.about
        if self.loaded.truth:
            yield from self._against_labels()
        else:
            yield from self._counts()
        if about.nuclei is not None:
            yield from self._against_nuclei()
        found = {name: each.diameter for name, each in self.finders.items()}
        own = {name: value for name, value in found.items() if value and name != "seeds"}
        yield Figure(about.name, "diameter found, px", own)
        if timed:
            yield self.time()

    def _against_labels(self) -> Iterator[Figure]:
        name = self.loaded.about.name
        changes: list[tuple[str, Callable[[Image], Image]]] = [("", np.asarray)]
        if name == "hela":  # its labels leave out most of what the edge cuts
            changes = [(", not cut by the edge", without_cut), *changes]
        for which, change in changes:
            scores = {
                method: [
                    score_frame(change(t), change(f))
                    for t, f in zip(self.loaded.truth, labels, strict=True)
                ]
                for method, labels in self.labels.items()
            }
            n_true = sum(score.n_true for score in next(iter(scores.values())))
            counts: dict[str, float] = {m: sum(s.n_found for s in of) for m, of in scores.items()}
            yield Figure(name, f"objects found{which}", counts, f"true: {n_true}")
            yield Figure(name, f"F1 at IoU 0.5{which}", {m: f1(of) for m, of in scores.items()})
            yield Figure(name, f"SEG{which}", {m: seg(of) for m, of in scores.items()})

    def _counts(self) -> Iterator[Figure]:
        counts = {
            method: [int(np.count_nonzero(np.unique(image))) for image in labels]
            for method, labels in self.labels.items()
        }
        name = self.loaded.about.name
        yield Figure(
            name, "objects in a frame", {m: statistics.median(n) for m, n in counts.items()}
        )
        if len(self.loaded.frames) > 1:
            yield Figure(
                name,
                "change of their number between frames",
                {m: _change(n) for m, n in counts.items()},
            )

    def _against_nuclei(self) -> Iterator[Figure]:
        """Compare with nuclei that `bright` finds in their own channel."""
        name, method = self.loaded.about.name, self.loaded.about.method
        finder = _bright(Loaded(self.loaded.about, self.loaded.nuclei))
        nuclei = [finder.segment(frame) for frame in self.loaded.nuclei]
        shares = {m: _pairing(nuclei, labels) for m, labels in self.labels.items()}
        yield Figure(name, "nuclei that lie in a cell alone", {m: s[0] for m, s in shares.items()})
        yield Figure(name, "cells with exactly one nucleus", {m: s[1] for m, s in shares.items()})
        if method == "instances":
            guided = self._by_nuclei("auto")
            alone, one = _pairing(nuclei, guided)
            told = ", separated by nuclei"
            yield Figure(name, f"nuclei that lie in a cell alone{told}", {method: alone})
            yield Figure(name, f"cells with exactly one nucleus{told}", {method: one})
            yield from self._of_seeds(nuclei, guided, self._by_nuclei("nuclei"))

    def _of_seeds(self, nuclei: Frames, spots: Frames, seeded: Frames) -> Iterator[Figure]:
        """Tell of cells of which each has a nucleus for a seed, and nothing shows by that."""
        name, told = self.loaded.about.name, ", seeds: nuclei"
        counts = [int(cells.max()) for cells in seeded]
        median = statistics.median
        yield Figure(name, f"objects in a frame{told}", {"instances": median(counts)})
        yield Figure(
            name, f"change of their number between frames{told}", {"instances": _change(counts)}
        )
        bare = {"instances": _bare(nuclei, seeded), "seeds: auto": _bare(nuclei, spots)}
        yield Figure(name, f"cells with hardly more than a nucleus{told}", bare)

    def _by_nuclei(self, seeds: str) -> Frames:
        """Find cells in phase contrast and their channel of nuclei."""
        segmenter = _segmenter_of_instances(self.loaded, seeds)
        some = Loaded(self.loaded.about, self.loaded.nuclei).some
        segmenter.prepare_nuclei(some)
        both = zip(self.loaded.frames, self.loaded.nuclei, strict=True)
        return [segmenter.segment(frame, nuclei) for frame, nuclei in both]

    def time(self) -> Figure:
        """Return the processor time of a frame, beside that of `log-std`."""
        frame = self.loaded.frames[0]
        tiled = np.tile(frame, [max(1, round(SIDE / n)) for n in frame.shape])
        times: dict[str, list[float]] = {name: [] for name in self.finders}
        for _ in range(_REPEATS):
            for name, finder in self.finders.items():
                began = time.process_time()
                finder.segment(tiled)
                times[name].append(time.process_time() - began)
        spent = {name: statistics.median(each[1:]) for name, each in times.items()}
        about, plain = self.loaded.about, spent.pop("log-std")
        return Figure(
            about.name,
            TIME,
            {name: each / plain for name, each in spent.items()},
            f"{1e9 * spent[about.method] / tiled.size:.0f} ms per million pixels",
        )


def prepared(method: str, loaded: Loaded) -> Finder:
    """Return a method with its defaults, prepared by the first, middle and last frame."""
    return _FINDERS[method](loaded)


def _log_std(_: Loaded) -> Finder:
    from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter

    segmenter = LogStdSegmenter()

    def segment(frame: Image) -> Image:
        runs, n = components(segmenter.segment(frame))
        labels = np.zeros(frame.shape, np.int32)
        paint(runs, np.arange(1, n + 1, dtype=np.int32), labels)
        return labels

    return Finder(segment)


def _segmenter_of_instances(loaded: Loaded, seeds: str = "auto") -> InstanceSegmenter:
    from pyama_core.processing.segmentation.instances.method import InstanceParameters
    from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter

    segmenter = InstanceSegmenter(InstanceParameters.model_validate({"seeds": seeds}))
    segmenter.prepare(loaded.some)
    return segmenter


def _instances(loaded: Loaded) -> Finder:
    segmenter = _segmenter_of_instances(loaded)
    return Finder(segmenter.segment, segmenter.cell_diameter)


def _bright(loaded: Loaded) -> Finder:
    from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter

    segmenter = ObjectSegmenter()
    segmenter.prepare(loaded.some)
    return Finder(segmenter.segment, segmenter.cell_diameter)


def _seeds(loaded: Loaded) -> Finder:
    """Return `seeds`, which must be told the size of cells: twice that of nuclei."""
    from pyama_core.processing.segmentation.seeds import SeedParameters, SeedSegmenter

    diameter = 2 * (_bright(loaded).diameter or 0.0)
    segmenter = SeedSegmenter(SeedParameters(cell_diameter=diameter))
    return Finder(segmenter.segment, diameter)


_FINDERS = {"log-std": _log_std, "instances": _instances, "bright": _bright, "seeds": _seeds}


def without_cut(labels: Image) -> Image:
    """Return labels without the objects that the edge of the frame cuts."""
    edge = np.unique(np.r_[labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.where(np.isin(labels, edge), 0, labels)


def nuclei_in_cells(nuclei: Image, cells: Image) -> tuple[int, int, int, int]:
    """Return how many nuclei are alone in a cell, of how many in any; the same of cells."""
    n_cells = int(np.count_nonzero(np.unique(cells)))
    both = np.unique(np.stack([nuclei[nuclei > 0], cells[nuclei > 0]]), axis=1, return_counts=True)
    home: dict[int, tuple[int, int]] = {}
    for (nucleus, cell), n in zip(both[0].T.tolist(), both[1].tolist(), strict=True):
        home[nucleus] = max(home.get(nucleus, (0, 0)), (n, cell), key=lambda each: each[0])
    inside = [cell for _, cell in home.values() if cell]
    lonely = sum(inside.count(cell) == 1 for cell in inside)
    return lonely, len(home), lonely, n_cells


def _pairing(nuclei: Frames, cells: Frames) -> tuple[float, float]:
    """Return the share of nuclei that are alone in a cell, and of cells that hold one."""
    each = [nuclei_in_cells(n, c) for n, c in zip(nuclei, cells, strict=True)]
    lonely, of_nuclei, single, of_cells = np.sum(each, axis=0).tolist()
    return lonely / max(1, of_nuclei), single / max(1, of_cells)


def _bare(nuclei: Frames, cells: Frames) -> float:
    """Return the share of cells of which less than a third lies outside of nuclei."""
    n_bare = n_cells = 0
    for found, labels in zip(nuclei, cells, strict=True):
        areas = np.bincount(labels.ravel())[1:]
        outside = np.bincount(labels[found == 0], minlength=areas.size + 1)[1:]
        n_bare += int(np.count_nonzero(3 * outside[areas > 0] < areas[areas > 0]))
        n_cells += int(np.count_nonzero(areas))
    return n_bare / max(1, n_cells)


def _change(counts: list[int]) -> float:
    """Return by which part a number usually changes from one frame to the next."""
    steps = [abs(b - a) / max(a, b, 1) for a, b in itertools.pairwise(counts)]
    return statistics.median(steps)
