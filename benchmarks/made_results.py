"""Results folders of any size, made of tables alone: what a run leaves whose stacks were released.

Records, tables, names and samples are those of a run: all is proven, `pyama status` and
`pyama verify` have nothing to say, and `open_results` reads everything but images. Only a source
file never was, so nothing can be made again.

``python -m benchmarks.made_results DIR --fovs 200 --frames 60 --cells 100``
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made_tables import MadeCells, make_cells, make_intensities
from pyama_core import Channels, ProcessingContext
from pyama_core.io.checksums import value_checksum
from pyama_core.io.readers.frame_source import MicroscopyMetadata
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.host import boot_identity, host_name
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.records import OutputEntry
from pyama_core.io.storage.tables import trace_blocks
from pyama_core.outputs import SHIFTS_CSV, TRACES_CSV, TRACKS_CSV, Form
from pyama_core.processing.extraction.quality import judge_tracks
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.tracking.tables import count_fates, shift_columns, track_columns
from pyama_core.processing.workflow.graph import all_services
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.samples.stored import change_samples
from pyama_core.processing.workflow.samples.words import assignments_from_mapping
from pyama_core.processing.workflow.services.analysis import Analysis, parse_analysis
from pyama_core.processing.workflow.services.base import make_fov_folder, names_of
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.source_identity import identify
from pyama_core.processing.workflow.services.steps.extraction import frame_times, tabulate
from pyama_core.processing.workflow.source_description import save_description

logger = logging.getLogger(__name__)

SAMPLES = ("control", "drug 1 uM", "drug 5 uM", "drug 25 uM")
_INTERVAL_MIN = 5.0


@dataclass(frozen=True)
class Size:
    """How much of everything there is.

    Attributes
    ----------
    n_fovs, n_frames, n_cells : int
        Fields of view, frames, and cells of each field of view.
    channels : tuple of str
        Names of the fluorescence channels.
    features : tuple of str
        As ``extraction.features``, besides the basic columns.
    side : int
        Pixels of the edge of a frame.
    n_unlike : int
        Fields of view that are drawn at random; the others repeat these, under their own numbers.
    """

    n_fovs: int = 200
    n_frames: int = 60
    n_cells: int = 100
    channels: tuple[str, ...] = ("GFP", "mCherry")
    features: tuple[str, ...] = ("shape", "intensity")
    side: int = 2048
    n_unlike: int = 8


def make_results(folder: Path, size: Size | None = None, seed: int = 0) -> Path:
    """Make a results folder, and return it.

    Parameters
    ----------
    folder : Path
        Is made; must not hold results.
    size : Size, optional
        How much of everything there is.
    seed : int
        The same gives the same tables.
    """
    size = size or Size()
    metadata = _metadata(folder, size, seed)
    context = ProcessingContext(
        output_dir=folder,
        channels=Channels(pc=0, fl=list(size.channels)),
        params={"extraction": {"features": list(size.features)}},
    )
    analysis = parse_analysis(context, metadata.channel_names)
    templates: dict[int, _Tables] = {}
    for fov in range(size.n_fovs):
        likeness = fov % size.n_unlike
        if likeness not in templates:
            rng = np.random.default_rng([seed, likeness])
            cells = make_cells(size.n_cells, size.n_frames, size.side, rng)
            templates[likeness] = _Tables(cells, likeness, rng)
        _make_fov(folder, metadata, analysis, fov, templates[likeness])
        if (fov + 1) % 100 == 0:
            logger.info("%d of %d FOVs", fov + 1, size.n_fovs)
    save_description(folder, metadata)
    words: dict[str, Any] = {
        name: list(range(i, size.n_fovs, len(SAMPLES))) for i, name in enumerate(SAMPLES)
    }
    words = {name: fovs for name, fovs in words.items() if fovs}
    each = assignments_from_mapping(words, metadata.fov_names, "samples")
    change_samples(folder, lambda there: there.changed(each))
    write_results(folder)
    return folder


def _metadata(folder: Path, size: Size, seed: int) -> MicroscopyMetadata:
    """Return what a file would say of itself."""
    shape = (size.n_frames, size.side, size.side)
    times = tuple(_INTERVAL_MIN * t for t in range(size.n_frames))
    names = ("Phase", *size.channels)
    return MicroscopyMetadata(
        file_path=folder.parent / "made.ome.tif",
        base_name="made",
        file_type="ome-tiff",
        height=size.side,
        width=size.side,
        n_frames=size.n_frames,
        n_fovs=size.n_fovs,
        n_channels=len(names),
        n_z=1,
        timepoints=(times,) * size.n_fovs,
        channel_names=names,
        fov_names=tuple(f"position {fov + 1}" for fov in range(size.n_fovs)),
        dtype="uint16",
        pixel_size_um=0.65,
        fov_shapes=(shape,) * size.n_fovs,
        timepoints_source="measured",
        reader="tiff",
        options=(),
        companions=(),
        warnings=(),
        content_checksum=value_checksum(["made", seed, repr(size)]),
    )


def _make_fov(
    folder: Path, metadata: MicroscopyMetadata, analysis: Analysis, fov: int, tables: _Tables
) -> None:
    """Make what a run leaves of a field of view, step by step."""
    lock = FolderLock.acquire(make_fov_folder(folder, fov))
    try:
        there = FovFolder(folder, metadata.base_name, fov, identify(metadata), lock.ticket)
        there.begin(analysis.as_settings(), names_of(metadata, fov))
        job = FovJob(metadata, analysis, there)
        for service in all_services():
            for planned in service.plan(job):
                if planned.output.kind.form is Form.STACK:
                    _note_released(job, planned)
                else:
                    blocks, summary = tables.of(job, planned)
                    there.write_table(planned, blocks, summary)
    finally:
        lock.release()


def _note_released(job: FovJob, planned: PlannedOutput) -> None:
    """Note a stack that was there once; it is saved with the next table."""
    kind, channel = planned.output.kind, planned.output.channel
    dtype = np.dtype(kind.dtype or "uint16")
    entry = OutputEntry(
        kind=kind.name,
        channel=channel,
        provenance=planned.provenance,
        shape=job.shape,
        dtype=dtype.name,
        size=128 + dtype.itemsize * int(np.prod(job.shape)),
        mtime_ns=0,
        checksum=value_checksum([kind.name, channel, job.fov, job.metadata.content_checksum]),
        host=host_name(),
        boot=boot_identity(),
        released=True,
    )
    name = job.folder.path_of(planned.output).name
    job.folder.record = job.folder.record.with_output(name, entry)


class _Tables:
    """The tables of one field of view, and of all that repeat it.

    Parameters
    ----------
    cells : MadeCells
        The cells.
    likeness : int
        Decides on how bright they are.
    rng : Generator
        Decides on the rest.
    """

    def __init__(self, cells: MadeCells, likeness: int, rng: np.random.Generator) -> None:
        self._cells = cells
        self._likeness = likeness
        self._rng = rng
        self._made: dict[tuple[str, int], tuple[str, dict[str, int]]] = {}

    def of(self, job: FovJob, planned: PlannedOutput) -> tuple[Iterator[str], dict[str, int]]:
        """Return the text of a table and what its record counts."""
        key = (planned.output.kind.name, planned.output.channel)
        if key not in self._made:
            columns, summary = self._make(job, planned)
            self._made[key] = "".join(trace_blocks(0, columns)), summary
        text, summary = self._made[key]
        return iter([text.replace("\n0,", f"\n{job.fov},")]), summary

    def _make(self, job: FovJob, planned: PlannedOutput) -> tuple[dict[str, Any], dict[str, int]]:
        kind, tracks = planned.output.kind, self._cells.tracks
        if kind is TRACKS_CSV:
            return dict(track_columns(tracks)), count_fates(tracks)
        if kind is SHIFTS_CSV:
            shifts = np.zeros((job.shape[0], 2))
            return dict(shift_columns(shifts, range(job.shape[0]))), {"shifted frames": 0}
        assert kind is TRACES_CSV
        level = 200.0 * (1 + self._likeness % len(SAMPLES))
        rows = self._cells.shapes | make_intensities(self._cells.shapes, level, self._rng)
        parameters = job.analysis.parameters.extraction
        verdicts = judge_tracks(rows, tracks, job.shape, parameters)
        columns = tabulate(rows, verdicts, frame_times(job), select_features(parameters.features))
        return columns, {**verdicts.summary, "rows": rows["cell"].size}


def main() -> None:
    """Read the command line, make the folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.made_results", description=__doc__)
    parser.add_argument("folder", type=Path)
    default = Size()
    parser.add_argument("--fovs", type=int, default=default.n_fovs)
    parser.add_argument("--frames", type=int, default=default.n_frames)
    parser.add_argument("--cells", type=int, default=default.n_cells, help="in each FOV")
    parser.add_argument("--channels", nargs="+", default=default.channels, metavar="NAME")
    parser.add_argument("--basic", action="store_true", help="the basic columns only")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    size = Size(
        n_fovs=given.fovs,
        n_frames=given.frames,
        n_cells=given.cells,
        channels=tuple(given.channels),
        features=() if given.basic else default.features,
    )
    make_results(given.folder, size, given.seed)


if __name__ == "__main__":
    main()
