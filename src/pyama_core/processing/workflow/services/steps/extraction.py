"""Extraction: label images and corrected fluorescence become one trace per cell."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError, reason_of
from pyama_core.io.checksums import value_checksum
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.regular_files import open_regular
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.stacks import StackReader
from pyama_core.io.storage.tables import trace_blocks
from pyama_core.outputs import (
    FL_CORRECTED,
    NUCLEI,
    NUCLEI_CSV,
    SEG_LABELED,
    TRACES_CSV,
    TRACKS_CSV,
    Declaration,
    Output,
)
from pyama_core.processing.extraction.feature_names import SATURATED_PART
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.quality import Verdicts, judge_tracks, reasons_in
from pyama_core.processing.extraction.selection import (
    ALGORITHM,
    ALGORITHM_OF_COMPARTMENTS,
    BASIC_COLUMNS,
    Selection,
    current_features,
)
from pyama_core.processing.extraction.tables import Columns, joined, rows_by_cell
from pyama_core.processing.segmentation.picture.kind import METHODS, PictureKind
from pyama_core.processing.segmentation.segmenter import LeavesMargin
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.tracking.tables import read_tracks
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import (
    BaseProcessingService,
    at_frame,
    cell_channel,
)
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.steps.compartment_counts import RINGS, tell_rings
from pyama_core.processing.workflow.services.steps.nuclei import (
    Counts,
    nuclei_channel,
    read_counts,
)
from pyama_core.processing.workflow.services.steps.saturation_counts import SATURATED_FROM

if TYPE_CHECKING:
    from pyama_core.processing.extraction.compartments import CellNuclei

logger = logging.getLogger(__name__)

Table = dict[str, NDArray[np.generic] | Sequence[object]]

FOUND_BY_LIGHT = "found by its light"
"""The input of a table of the channel in which cells were found as bright objects."""
MARGIN = "margin"
"""The input of a table that says how many pixels along the edge the segmentation leaves empty."""


class ExtractionService(BaseProcessingService):
    """Measures every cell in every frame, judges it, and writes one table per channel."""

    step = "extraction"

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare one table per channel, from labels, tracks and corrected fluorescence.

        And from nuclei where they are measured apart.
        """
        cells = cell_channel(analysis)
        inputs = {
            "seg_labeled": Output(SEG_LABELED, cells),
            "tracks_csv": Output(TRACKS_CSV, cells),
        }
        if analysis.has_compartments:
            nuclei = nuclei_channel(analysis)
            inputs |= {kind.name: Output(kind, nuclei) for kind in (NUCLEI, NUCLEI_CSV)}
        return [
            Declaration(
                Output(TRACES_CSV, channel),
                {**inputs, "fl_corrected": Output(FL_CORRECTED, channel)},
            )
            for channel in analysis.channels.fl
        ]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the measurements."""
        return ALGORITHM_OF_COMPARTMENTS if analysis.has_compartments else ALGORITHM

    def inputs_there(self, job: FovJob, declared: Declaration) -> Mapping[str, Output]:
        """Leave the table of cells out where the label images are not those that it belongs to."""
        inputs = dict(declared.inputs)
        if _tracks_file(job, inputs) is None:
            del inputs["tracks_csv"]
        return inputs

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return the times, the code of a user's own features, and the pixel size if it decides."""
        parameters = job.analysis.parameters.extraction
        features = current_features(parameters.features).custom
        inputs = {
            "times": value_checksum(frame_times(job)),
            **{f"feature {feature.column}": feature.identity for feature in features},
        }
        lengths = (parameters.ring_width, parameters.ring_gap)
        if parameters.needs_nuclei and any(isinstance(length, str) for length in lengths):
            inputs["pixel_size_um"] = repr(job.metadata.pixel_size_um)
        ceiling = job.told(declared.inputs["fl_corrected"]).get(SATURATED_FROM)
        if ceiling is not None:
            inputs[SATURATED_FROM] = str(ceiling)
        if _found_by_light(job, declared.output):
            inputs[FOUND_BY_LIGHT] = "yes"
        margin = _margin(job)
        if margin and parameters.border is None:
            inputs[MARGIN] = str(margin)
        return inputs

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Measure frame by frame, all channels of a frame under one label image."""
        # Here, for it loads the compiler.
        from pyama_core.processing.extraction.measure import measure_cells, unmeasured

        parameters = job.analysis.parameters.extraction
        if not self.scope.in_a_run:  # a run says this once, not once for each FOV
            warn_of_times(job.metadata, parameters)
        selection = current_features(parameters.features)
        shapes: dict[int, Columns] = {}
        with contextlib.ExitStack() as stack:
            label_images = stack.enter_context(job.open(outputs[0].inputs["seg_labeled"]))
            channels = [_Channel(job, output, stack) for output in outputs]
            nuclei = _Nuclei(job, outputs[0], stack) if selection.has_compartments else None
            for t in self.frames(job.fov, job.shape[0]):
                there = [channel for channel in channels if t not in channel.missing]
                corrected = [channel for channel in there if channel.frames is not None]
                images = [channel.frames.read(t) for channel in there if channel.frames is not None]
                with at_frame(t):
                    shapes[t], measured = measure_cells(
                        label_images.read(t),
                        images,
                        selection,
                        parameters.background_ring,
                        None if nuclei is None else nuclei.read(t),
                        [channel.saturated_from for channel in corrected],
                    )
                for channel in there:
                    channel.measured[t] = unmeasured(shapes[t]["cell"].size, selection)
                for channel, columns in zip(corrected, measured, strict=True):
                    channel.measured[t] = columns
        tracks = _read_tracks(job, outputs[0].inputs)
        for channel in channels:
            _write_table(job, channel, shapes, tracks, selection)


def _found_by_light(job: FovJob, traces: Output) -> bool:
    """Whether the cells were found as bright objects in the channel of a table."""
    analysis = job.analysis
    is_theirs = traces.channel == analysis.channels.cells != analysis.channels.pc
    return is_theirs and analysis.parameters.segmentation.method == METHODS[PictureKind.BRIGHT]


def _margin(job: FovJob) -> int:
    """Return how much along the edge the segmentation leaves empty, if its parameters tell."""
    segmentation = job.analysis.parameters.segmentation
    return segmentation.margin if isinstance(segmentation, LeavesMargin) else 0


class _Channel:
    """A corrected channel, the table that is made of it, and what was measured, by frame."""

    def __init__(self, job: FovJob, output: PlannedOutput, stack: contextlib.ExitStack) -> None:
        self.output = output
        labels, corrected = output.inputs["seg_labeled"], output.inputs["fl_corrected"]
        self.missing = job.missing(labels) | job.missing(corrected)
        self.saturated_from = job.told(corrected).get(SATURATED_FROM)
        self.frames: StackReader | None = None
        if not job.why_not_made(corrected):
            self.frames = stack.enter_context(job.open(corrected))
        self.measured: dict[int, Columns] = {}


class _Nuclei:
    """The nuclei of the cells, frame by frame."""

    def __init__(self, job: FovJob, output: PlannedOutput, stack: contextlib.ExitStack) -> None:
        labels, table = output.inputs[NUCLEI.name], output.inputs[NUCLEI_CSV.name]
        self._ring = job.analysis.parameters.extraction.ring_in_pixels(job.metadata.pixel_size_um)
        self._missing = job.missing(labels)
        self._labels = stack.enter_context(job.open(labels))
        self._counts: Counts = read_counts(job, table)

    def read(self, t: int) -> CellNuclei | None:
        """Return the nuclei of a frame; None where they are not known."""
        from pyama_core.processing.extraction.compartments import CellNuclei

        if t in self._missing:
            return None
        return CellNuclei(self._labels.read(t), self._counts.get(t, {}), self._ring)


def _tracks_file(job: FovJob, inputs: Mapping[str, Output]) -> Path | None:
    """Return the table of cells that belongs to the label images; those of others have none."""
    if "tracks_csv" not in inputs:
        return None
    try:
        path = job.find(inputs["tracks_csv"])
    except InputError:
        return None
    return path if path.parent == job.find(inputs["seg_labeled"]).parent else None


def _read_tracks(job: FovJob, inputs: Mapping[str, Output]) -> list[Track]:
    path = _tracks_file(job, inputs)
    if path is None:
        return []
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8", newline="") as lines:
            return read_tracks(lines)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error
    except (DamagedFileError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{path.name}: {error}") from error


def _write_table(
    job: FovJob,
    channel: _Channel,
    shapes: dict[int, Columns],
    tracks: list[Track],
    selection: Selection,
) -> None:
    """Arrange what was measured, in the frames that there are, and judge the cells."""
    of_frames = [shapes[t] for t in channel.measured]
    rows, order = rows_by_cell({t: shapes[t]["cell"] for t in channel.measured})
    table = {**joined(of_frames, order), **joined(list(channel.measured.values()), order), **rows}
    channel.measured.clear()
    shape = (len(of_frames), *job.shape[1:])
    limits = job.analysis.parameters.extraction.beyond(_margin(job))
    if channel.frames is None:
        judged = {name: column for name, column in table.items() if name != "intensity_total"}
        verdicts = judge_tracks(judged, tracks, shape, limits)
        verdicts = verdicts.without_correction()
    else:
        by_light = _found_by_light(job, channel.output.output)
        verdicts = judge_tracks(table, tracks, shape, limits, found_by_light=by_light)
    summary = {**verdicts.summary, "rows": order.size, **_count_rings(table, job)}
    _tell(job, channel.output, summary)
    columns = tabulate(table, verdicts, frame_times(job), selection)
    job.folder.write_table(channel.output, trace_blocks(job.fov, columns), summary)


def _tell(job: FovJob, output: PlannedOutput, summary: dict[str, int]) -> None:
    """Log how many cells are good, and why the others are not."""
    reasons = [f"{n} {reason}" for reason, n in reasons_in(summary).items()]
    logger.info(
        "FOV %d, channel %d: %d cells, %d of them good%s",
        job.fov,
        output.output.channel,
        summary["cells"],
        summary["good"],
        f" ({', '.join(reasons)})" if reasons else "",
    )
    if told := tell_rings(summary):
        logger.info("FOV %d, channel %d: %s", job.fov, output.output.channel, told)


def _count_rings(table: Columns, job: FovJob) -> dict[str, int]:
    """Count nuclei of cells, and those without a ring or with too small a one, if rings are."""
    if "area_ring" not in table:
        return {}
    least = job.analysis.parameters.extraction.min_ring_area
    has_nucleus, area = table["n_nuclei"] > 0, table["area_ring"]
    counted = (has_nucleus, has_nucleus & np.isnan(area), has_nucleus & (area < least))
    return dict(zip(RINGS, (int(np.count_nonzero(each)) for each in counted), strict=True))


def frame_times(job: FovJob) -> list[float | None]:
    """Time of each frame in minutes: the given interval, else what the file says, else None."""
    interval = job.analysis.parameters.extraction.interval_minutes
    if interval is not None:
        return [frame * interval for frame in range(job.shape[0])]
    return list(job.metadata.timepoints[job.fov][: job.shape[0]])


def warn_of_times(metadata: MicroscopyMetadata, parameters: ExtractionParameters) -> None:
    """Say once if the column of times will be empty, or not what the file says."""
    known = any(time is not None for row in metadata.timepoints for time in row)
    if parameters.interval_minutes is None and not known:
        logger.warning(
            "%s does not say when its frames were taken, the column time stays empty; "
            "give the interval (--interval, or extraction.interval_minutes)",
            metadata.file_path.name,
        )
    elif parameters.interval_minutes is not None and known:
        logger.warning(
            "the interval of %g min replaces the times that %s has for its frames",
            parameters.interval_minutes,
            metadata.file_path.name,
        )


def tabulate(
    rows: Columns,
    verdicts: Verdicts,
    times: Sequence[float | None],
    selection: Selection,
) -> Table:
    """Arrange measurements as the columns of a table of traces.

    Parameters
    ----------
    rows : dict
        Equally long columns, sorted by cell, then by frame.
    verdicts : Verdicts
        On the cells.
    times : sequence of float or None
        Minutes, one per frame.
    selection : Selection
        Features that follow the basic ones, and are followed by what is at the camera's ceiling.

    Returns
    -------
    dict
        Columns by name, in the order of the table.
    """
    index = np.searchsorted(verdicts.cell, rows["cell"])
    made: Table = {
        "time": [times[t] for t in rows["frame"]],
        "good": verdicts.good[index],
        "reason": [verdicts.reason[i] for i in index],
    }
    further = [SATURATED_PART] if SATURATED_PART in rows else []
    names = [*BASIC_COLUMNS, *selection.columns, *further]
    return {name: made[name] if name in made else rows[name] for name in names}
