"""Extraction: label images and corrected fluorescence become one trace per cell."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.checksums import value_checksum
from pyama_core.io.fov_folder import PlannedOutput
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.records import Provenance
from pyama_core.io.traces import trace_blocks
from pyama_core.processing.extraction.features import (
    ALGORITHM,
    ExtractionParameters,
    FrameMeasurements,
    measure_frame,
    resolve_min_frames,
)
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)

ScalarT = TypeVar("ScalarT", bound=np.generic)
Columns = dict[str, NDArray[np.generic] | Sequence[object]]


class ExtractionService(BaseProcessingService):
    """Measures every cell in every frame and writes one table per fluorescence channel."""

    step = "extraction"

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Plan one table per channel, from labels, corrected fluorescence and times."""
        labels = job.checksum("seg_labeled")
        return [
            PlannedOutput(
                "traces_csv",
                channel,
                Provenance(
                    step=self.step,
                    algorithm=ALGORITHM,
                    parameters=job.parameters.extraction.model_dump(mode="json"),
                    inputs={
                        "seg_labeled": labels,
                        "fl_corrected": job.checksum("fl_corrected", channel),
                        "times": value_checksum(frame_times(job)),
                    },
                ),
            )
            for channel in job.fluorescence
        ]

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Measure frame by frame, all channels of a frame under one label image."""
        if job.fov not in self.tickets:  # a run says this once, not once for each FOV
            warn_of_times(job.metadata, job.parameters.extraction)
        measurements: list[dict[int, FrameMeasurements]] = [{} for _ in outputs]
        missing = [
            job.missing("seg_labeled") | job.missing("fl_corrected", output.channel)
            for output in outputs
        ]
        with contextlib.ExitStack() as stack:
            label_images = stack.enter_context(job.open("seg_labeled"))
            channels = [
                stack.enter_context(job.open("fl_corrected", output.channel)) for output in outputs
            ]
            for t in self.frames(job.fov, job.shape[0]):
                labels = label_images.read(t)
                with at_frame(t):
                    for measured, frames, gone in zip(measurements, channels, missing, strict=True):
                        if t not in gone:
                            measured[t] = measure_frame(labels, frames.read(t))
        for output, measured in zip(outputs, measurements, strict=True):
            _write_table(job, output, measured)


def _write_table(
    job: FovJob, output: PlannedOutput, measurements: Mapping[int, FrameMeasurements]
) -> None:
    min_frames = resolve_min_frames(job.parameters.extraction.min_frames, len(measurements))
    columns, summary = tabulate(measurements, frame_times(job), min_frames)
    logger.info(
        "FOV %d, channel %d: %d cells kept, %d seen in fewer than %d frames dropped",
        job.fov,
        output.channel,
        summary["cells"],
        summary["dropped"],
        min_frames,
    )
    job.folder.write_table(output, trace_blocks(job.fov, columns), summary)


def frame_times(job: FovJob) -> list[float | None]:
    """Time of each frame in minutes: the given interval, else what the file says, else None."""
    interval = job.parameters.extraction.interval_minutes
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
    measurements: Mapping[int, FrameMeasurements],
    times: Sequence[float | None],
    min_frames: int,
) -> tuple[Columns, dict[str, int]]:
    """Arrange measurements as traces: rows by cell, then by frame.

    Parameters
    ----------
    measurements : dict of int to FrameMeasurements
        By frame, in order; frames that the source lacks are left out.
    times : sequence of float or None
        Minutes, one per frame.
    min_frames : int
        Cells seen in fewer frames are dropped.

    Returns
    -------
    columns : dict
        Equally long columns by name, in the order of the table.
    summary : dict
        ``cells`` kept, ``dropped`` cells, ``rows``.
    """
    frames, measured = list(measurements), list(measurements.values())
    frame = np.repeat(np.array(frames, np.int64), [len(m.cell) for m in measured])
    cell = _joined([m.cell for m in measured], np.int64)
    # Not by bincount: labels from elsewhere may be few and huge.
    ids, index, n_seen = np.unique(cell, return_inverse=True, return_counts=True)
    kept = n_seen >= min_frames
    order = np.lexsort((frame, cell))
    order = order[kept[index[order]]]
    columns: Columns = {
        "cell": cell[order],
        "frame": frame[order],
        "time": [times[t] for t in frame[order]],
        "good": np.ones(len(order), np.bool_),
        "position_x": _joined([m.position_x for m in measured], np.float64)[order],
        "position_y": _joined([m.position_y for m in measured], np.float64)[order],
        "intensity_total": _joined([m.intensity_total for m in measured], np.float64)[order],
        "area": _joined([m.area for m in measured], np.int64)[order],
    }
    n_kept = int(np.count_nonzero(kept))
    return columns, {"cells": n_kept, "dropped": ids.size - n_kept, "rows": len(order)}


def _joined(parts: list[NDArray[ScalarT]], dtype: type[ScalarT]) -> NDArray[ScalarT]:
    return np.concatenate([np.empty(0, dtype), *parts])
