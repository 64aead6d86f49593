"""Nuclei: found in a channel of their own, and given the numbers of the cells they belong to."""

from __future__ import annotations

import contextlib
import io
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError, reason_of
from pyama_core.io.read_files import FilesOfParameters
from pyama_core.io.regular_files import open_regular
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.stacks import StackReader
from pyama_core.io.storage.tables import trace_blocks
from pyama_core.outputs import FL, NUCLEI, NUCLEI_CSV, SEG_LABELED, Declaration, Output
from pyama_core.processing.segmentation.growth import growth_in_pixels
from pyama_core.processing.segmentation.segmenter import FitsToCells
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import (
    BaseProcessingService,
    at_frame,
    cell_channel,
    require_files_unchanged,
)
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.steps.found_objects import FoundObjects
from pyama_core.processing.workflow.services.steps.segmenting import (
    calibrate,
    decided_elsewhere,
    method_of,
    missing_frames,
    open_segmenter,
    segment_frame,
)

logger = logging.getLogger(__name__)

Counts = dict[int, dict[int, int]]
"""How many nuclei each cell has, by frame; cells without one are not in it."""


class NucleiService(BaseProcessingService):
    """Finds nuclei, where features of compartments are asked for, and tells whose they are."""

    step = "nuclei"

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare label images and a table of nuclei, from a channel that shows them and cells."""
        if not analysis.has_compartments:
            return []
        channel = nuclei_channel(analysis)
        inputs = {
            "seg_labeled": Output(SEG_LABELED, cell_channel(analysis)),
            "nuclei": Output(FL, channel),
        }
        return [Declaration(Output(kind, channel), inputs) for kind in (NUCLEI, NUCLEI_CSV)]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the chosen segmentation."""
        return method_of(analysis.parameters.nuclei).algorithm

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return the pixel size where it decides how many pixels a length is, and the like."""
        return decided_elsewhere(job.analysis.parameters.nuclei, job)

    def files_read(self, job: FovJob) -> FilesOfParameters:
        """Return the files that the chosen segmentation reads for the field of view."""
        parameters = job.analysis.parameters.nuclei
        return method_of(parameters).files(parameters, job.fov, job.shape[0])

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Find the nuclei frame by frame, and the cell of each."""
        from pyama_core.processing.extraction.nuclei import assign_nuclei  # loads the compiler

        wanted = {planned.output.kind: planned for planned in outputs}
        parameters = job.analysis.parameters.nuclei
        growth = growth_in_pixels(parameters, job.metadata.pixel_size_um)
        table = _Table()
        with contextlib.ExitStack() as stack:
            segmenter = open_segmenter(parameters, job, stack, "nuclei")
            inputs = outputs[0].inputs
            frames = stack.enter_context(job.open(inputs["nuclei"]))
            cells = stack.enter_context(job.open(inputs["seg_labeled"]))
            missing, there = missing_frames(job, inputs.values(), "cells and nuclei")
            if isinstance(segmenter, FitsToCells):
                segmenter.fit_to_cells(_typical_diameter(cells, there))
            calibration = calibrate(segmenter, frames, there, job, "nuclei")
            labels, seen = None, FoundObjects(there)
            if NUCLEI in wanted:
                new = job.folder.new_stack(wanted[NUCLEI], job.shape, cells.dtype, calibration)
                labels = stack.enter_context(new)
            for t in self.frames(job.fov, job.shape[0]):
                if t in missing:
                    if labels is not None:
                        labels.append_missing()
                    continue
                found = segment_frame(segmenter, frames, None, t, growth, seen)
                with at_frame(t):
                    nuclei = assign_nuclei(found, cells.read(t))
                if labels is not None:
                    labels.append(nuclei.labels)
                table.add(t, nuclei.n_nuclei, _columns_of(nuclei))
            calibration |= seen.summary()
            require_files_unchanged(outputs)
        table.tell(job)
        if NUCLEI_CSV in wanted:
            blocks = trace_blocks(job.fov, table.columns())
            job.folder.write_table(wanted[NUCLEI_CSV], blocks, table.counts)


def nuclei_channel(analysis: Analysis) -> int:
    """Return the channel in which nuclei are found.

    Raises
    ------
    InputError
        None was chosen.
    """
    channel = analysis.channels.nuclei
    if channel is None:
        raise InputError(
            "extraction.features asks for compartments, but no channel was chosen that shows "
            "nuclei; name it as nuclei (--nuclei CH)"
        )
    return channel


def _typical_diameter(cells: StackReader, there: list[int]) -> float:
    """Return the diameter of a disc of the typical area of cells, of three frames; 0 for none."""
    last = len(there) - 1
    areas = [np.bincount(cells.read(there[i]).ravel())[1:] for i in sorted({0, last // 2, last})]
    seen = np.concatenate(areas)
    seen = seen[seen > 0]
    return float(np.sqrt(4 / np.pi * np.median(seen))) if seen.size else 0.0


def _columns_of(nuclei: Any) -> dict[str, NDArray[Any]]:
    return {
        "nucleus": np.arange(1, nuclei.cell.size + 1),
        "cell": nuclei.cell,
        "area": nuclei.area,
        "part_in_cell": nuclei.part_in_cell.astype(np.float32),
        "position_x": nuclei.position_x,
        "position_y": nuclei.position_y,
    }


class _Table:
    """The nuclei of all frames, and how many cells have none, one or several."""

    def __init__(self) -> None:
        self._frames: list[dict[str, NDArray[Any]]] = []
        self._cells: Counter[int] = Counter()

    def add(self, t: int, n_nuclei: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:
        """Take in the nuclei of a frame, and how many each of its cells has."""
        self._cells.update(np.minimum(n_nuclei, 2).tolist())
        self._frames.append({"frame": np.full(columns["cell"].size, t), **columns})

    def columns(self) -> dict[str, NDArray[Any] | list[object]]:
        """Return the columns of the table; the cell of a nucleus of no cell is None."""
        joined: dict[str, NDArray[Any] | list[object]] = {
            name: np.concatenate([frame[name] for frame in self._frames])
            for name in self._frames[0]
        }
        return {**joined, "cell": [cell or None for cell in np.asarray(joined["cell"]).tolist()]}

    @property
    def counts(self) -> dict[str, int]:
        """Counts over all frames, for the record."""
        of_none = [np.count_nonzero(frame["cell"] == 0) for frame in self._frames]
        return {
            "nuclei": sum(frame["cell"].size for frame in self._frames),
            "of no cell": int(sum(of_none)),
            "cells": self._cells.total(),
            "without nucleus": self._cells[0],
            "with several nuclei": self._cells[2],
        }

    def tell(self, job: FovJob) -> None:
        """Log how many nuclei there are, and what does not go together."""
        counts, n_frames = self.counts, len(self._frames)
        tell = logger.info if counts["nuclei"] else logger.warning
        tell(
            "FOV %d: %d nuclei in %d frames, %d of them of no cell; of %d cells in these frames "
            "%d have no nucleus, %d several",
            job.fov,
            counts["nuclei"],
            n_frames,
            counts["of no cell"],
            counts["cells"],
            counts["without nucleus"],
            counts["with several nuclei"],
        )


def read_counts(job: FovJob, output: Output) -> Counts:
    """Read how many nuclei each cell has in each frame from the table of nuclei.

    Raises
    ------
    InputError
        It cannot be read.
    DamagedFileError
        It is not such a table.
    """
    path = job.find(output)
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8", newline="") as lines:
            return _counted(lines)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{path.name} is no table of nuclei: {error}") from error


def _counted(lines: Iterable[str]) -> Counts:
    rows = iter(lines)
    header = next(rows, "").rstrip("\n").split(",")
    frame, cell = header.index("frame"), header.index("cell")
    counts: Counts = {}
    for row in rows:
        fields = row.rstrip("\n").split(",")
        if len(fields) != len(header):
            raise ValueError(f"expected {len(header)} fields in a row, found {row!r}")
        if fields[cell]:
            of_frame = counts.setdefault(int(fields[frame]), {})
            of_frame[int(fields[cell])] = of_frame.get(int(fields[cell]), 0) + 1
    return counts
