"""Tracking: the stack of masks becomes a stack of label images whose labels are cells."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.io.fov_folder import PlannedOutput
from pyama_core.io.naming import KINDS_OF_STEP, OutputKind
from pyama_core.io.records import Provenance
from pyama_core.io.stacks import StackReader, StackWriter
from pyama_core.io.traces import trace_blocks
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters
from pyama_core.processing.tracking.tables import count_fates, shift_columns, track_columns
from pyama_core.processing.tracking.tracker import (
    FindsShifts,
    LookAheadTracker,
    TooManyCellsError,
    Tracker,
    TrackingMethod,
    find_tracking,
)
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.parameters import StepParameters, validate_params
from pyama_core.processing.workflow.services.types import ProcessingContext, requested_channels

logger = logging.getLogger(__name__)

LabelType = np.dtype[np.uint16] | np.dtype[np.uint32]


class TrackingService(BaseProcessingService):
    """Follows cells from frame to frame; tells who each was, and how the field of view moved."""

    step = "tracking"

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Plan label images and both tables, made from masks (and images, for some trackers)."""
        inputs = {"seg": job.checksum("seg")}
        image = image_for_tracking(job.context)
        if image is not None:
            inputs["pc" if image[0] == "pc" else "brightness"] = job.checksum(*image)
        provenance = Provenance(
            step=self.step,
            algorithm=_method(job.parameters).algorithm,
            parameters=job.parameters.tracking.model_dump(mode="json"),
            inputs=inputs,
        )
        return [PlannedOutput(kind, job.phase, provenance) for kind in KINDS_OF_STEP[self.step]]

    def needs(self, step: str, context: ProcessingContext) -> bool:
        """Whether tracks depend on a step: on the correction only where brightness is asked for."""
        image = image_for_tracking(context)
        return step != "correction" or (image is not None and image[0] == "fl_corrected")

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Track, with labels as small as the number of cells allows."""
        wanted = {output.kind: output for output in outputs}
        seen = _frames_that_there_are(job)
        if _image_of(job) != image_for_tracking(job.context):
            logger.warning(
                "FOV %d: tracked without tracking.brightness_channel, which is not corrected",
                job.fov,
            )
        try:
            tracker = self._track(job, wanted.get("seg_labeled"), seen, np.dtype(np.uint16))
        except TooManyCellsError:
            # The type of a stack stands at its front, the number of cells at its end.
            logger.info("FOV %d: more than 65,535 cells, labels become uint32", job.fov)
            tracker = self._track(job, wanted.get("seg_labeled"), seen, np.dtype(np.uint32))
        _write_tables(job, tracker, seen, wanted)

    def _track(
        self, job: FovJob, output: PlannedOutput | None, seen: list[int], dtype: LabelType
    ) -> Tracker:
        """Return a tracker that was shown all frames; write what it returned, if that is wanted."""
        tracker = _method(job.parameters).create(job.parameters.tracking, dtype)
        there = set(seen)
        with contextlib.ExitStack() as stack:
            masks = stack.enter_context(job.open("seg"))
            image = _image_of(job)
            images = None if image is None else stack.enter_context(job.open(*image))
            image_of = _reader(images)
            labels: StackWriter | None = None
            if output is not None:
                labels = stack.enter_context(job.folder.new_stack(output, job.shape, dtype))
            if isinstance(tracker, LookAheadTracker):
                for t in self.frames(job.fov, job.shape[0], silent=True):
                    with at_frame(t):
                        if t in there:
                            tracker.preview(masks.read(t), image_of(t))
            for t in self.frames(job.fov, job.shape[0]):
                if t not in there:  # cells are followed from the frame before to the one after
                    if labels is not None:
                        labels.append_missing()
                    continue
                with at_frame(t):
                    found = tracker.update(masks.read(t), image_of(t))
                if labels is not None:
                    labels.append(found)
        return tracker


def _image_of(job: FovJob) -> tuple[OutputKind, int] | None:
    """Return kind and channel of the stack beside masks; None if the data could not give it."""
    image = image_for_tracking(job.context)
    return None if image is None or job.why_not_made(*image) else image


def _reader(images: StackReader | None) -> Callable[[int], NDArray[Any] | None]:
    return (lambda _t: None) if images is None else images.read


def _frames_that_there_are(job: FovJob) -> list[int]:
    """Return the frames that the source does not lack, of masks and of images if they are used."""
    image = _image_of(job)
    missing = job.missing("seg") | (frozenset() if image is None else job.missing(*image))
    return [t for t in range(job.shape[0]) if t not in missing]


def _write_tables(
    job: FovJob, tracker: Tracker, seen: list[int], wanted: dict[OutputKind, PlannedOutput]
) -> None:
    """Write the tables that are wanted, in which frames have their own numbers."""
    tracks = [
        replace(track, first_frame=seen[track.first_frame], last_frame=seen[track.last_frame])
        for track in tracker.tracks()
    ]
    counts = count_fates(tracks)
    fates = ", ".join(f"{n} {fate}" for fate, n in counts.items() if n and fate != "cells")
    logger.info("FOV %d: %d cells tracked (%s)", job.fov, tracker.n_cells, fates or "none")
    if not tracks:
        _warn_of_no_cells(job)
    if "tracks_csv" in wanted:
        blocks = trace_blocks(job.fov, track_columns(tracks))
        job.folder.write_table(wanted["tracks_csv"], blocks, counts)
    if "shifts_csv" in wanted:
        shifts = tracker.shifts if isinstance(tracker, FindsShifts) else None
        blocks = trace_blocks(job.fov, shift_columns(shifts, seen))
        job.folder.write_table(wanted["shifts_csv"], blocks, _count_shifts(shifts))


def _warn_of_no_cells(job: FovJob) -> None:
    """Say what to check, here where every method of segmentation and tracking has had its say."""
    segmentation: BaseModel = job.parameters.segmentation
    has_diameter = isinstance(segmentation, CellDiameterParameters)
    parameters = "cell_diameter (--cell-diameter) and the other " if has_diameter else "the "
    logger.warning(
        "FOV %d: no cells in any of its %d frames; check that channel %d is phase contrast (--pc), "
        "and %sparameters of segmentation and tracking",
        job.fov,
        job.shape[0],
        job.phase,
        parameters,
    )


def _count_shifts(shifts: NDArray[np.float64] | None) -> dict[str, int]:
    """Return in how many frames the field of view was found to have moved by a pixel or more."""
    if shifts is None:
        return {}
    return {"shifted frames": int(np.count_nonzero(np.hypot(*shifts.T) >= 1))}


def image_for_tracking(context: ProcessingContext) -> tuple[OutputKind, int] | None:
    """Return kind and channel of the stack that the tracker is given beside masks, if any."""
    parameters = validate_params(context.params)
    image = _method(parameters).image(parameters.tracking)
    phase = requested_channels(context).pc
    if image == "phase":
        return None if phase is None else ("pc", phase)
    return None if image is None else ("fl_corrected", image)


def _method(parameters: StepParameters) -> TrackingMethod:
    return find_tracking(parameters.tracking.model_dump()["method"])
