"""Tracking: the stack of masks becomes a stack of label images whose labels are cells."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.stacks import StackReader, StackWriter
from pyama_core.io.storage.tables import trace_blocks
from pyama_core.outputs import (
    FL_CORRECTED,
    SEG,
    SEG_LABELED,
    SHIFTS_CSV,
    TRACKS_CSV,
    Declaration,
    Output,
    OutputKind,
)
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.tracking.tables import (
    OF_READINGS,
    count_fates,
    shift_columns,
    track_columns,
)
from pyama_core.processing.tracking.tracker import (
    FindsShifts,
    LookAheadTracker,
    TooManyCellsError,
    Tracker,
    TrackingMethod,
    find_tracking,
)
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import (
    BaseProcessingService,
    at_frame,
    cell_channel,
    cell_image,
    require_files_unchanged,
)
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)

LabelType = np.dtype[np.uint16] | np.dtype[np.uint32]


class TrackingService(BaseProcessingService):
    """Follows cells from frame to frame; tells who each was, and how the field of view moved."""

    step = "tracking"

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare label images and both tables, from masks (and images, for some trackers)."""
        channel = cell_channel(analysis)
        inputs = {"seg": Output(SEG, channel)} | image_for_tracking(analysis)
        kinds = (SEG_LABELED, TRACKS_CSV, SHIFTS_CSV)
        return [Declaration(Output(kind, channel), inputs) for kind in kinds]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the chosen method."""
        return _method(analysis).algorithm

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Track, with labels as small as the number of cells allows."""
        wanted = {planned.output.kind: planned for planned in outputs}
        inputs = {
            role: output
            for role, output in outputs[0].inputs.items()
            if not job.why_not_made(output)
        }
        if inputs.keys() != outputs[0].inputs.keys():
            logger.warning(
                "FOV %d: tracked without tracking.brightness_channel, which is not corrected",
                job.fov,
            )
        seen = _frames_that_there_are(job, inputs)
        try:
            tracker = self._track(job, inputs, wanted.get(SEG_LABELED), seen, np.dtype(np.uint16))
        except TooManyCellsError:
            # The type of a stack stands at its front, the number of cells at its end.
            logger.info("FOV %d: more than 65,535 cells, labels become uint32", job.fov)
            tracker = self._track(job, inputs, wanted.get(SEG_LABELED), seen, np.dtype(np.uint32))
        _write_tables(job, tracker, seen, wanted)

    def _track(
        self,
        job: FovJob,
        inputs: Mapping[str, Output],
        output: PlannedOutput | None,
        seen: list[int],
        dtype: LabelType,
    ) -> Tracker:
        """Return a tracker that was shown all frames; write what it returned, if that is wanted."""
        tracker = _method(job.analysis).create(job.analysis.parameters.tracking, dtype)
        there = set(seen)
        with contextlib.ExitStack() as stack:
            stacks = {role: stack.enter_context(job.open(each)) for role, each in inputs.items()}
            masks = stacks.pop("seg")
            image_of = _reader(next(iter(stacks.values()), None))
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
            require_files_unchanged([] if output is None else [output])
        return tracker


def _reader(images: StackReader | None) -> Callable[[int], NDArray[Any] | None]:
    return (lambda _t: None) if images is None else images.read


def _frames_that_there_are(job: FovJob, inputs: Mapping[str, Output]) -> list[int]:
    """Return the frames that the source does not lack, of masks and of images if they are used."""
    missing = frozenset[int]().union(*map(job.missing, inputs.values()))
    return [t for t in range(job.shape[0]) if t not in missing]


def _write_tables(
    job: FovJob, tracker: Tracker, seen: list[int], wanted: Mapping[OutputKind, PlannedOutput]
) -> None:
    """Write the tables that are wanted, in which frames have their own numbers."""
    tracks = [_in_frames_of(seen, track) for track in tracker.tracks()]
    counts = count_fates(tracks)
    fates = ", ".join(f"{n} {fate}" for fate, n in counts.items() if n and fate != "cells")
    logger.info("FOV %d: %d cells tracked (%s)", job.fov, tracker.n_cells, fates or "none")
    n_joined, n_cut = (sum(getattr(track, name) or 0 for track in tracks) for name in OF_READINGS)
    if n_joined or n_cut:
        logger.info(
            "FOV %d: as other frames tell, objects were put together %d times, and cells cut "
            "out of one that held several %d times",
            job.fov,
            n_joined,
            n_cut,
        )
    if not tracks:
        _warn_of_no_cells(job)
    if TRACKS_CSV in wanted:
        blocks = trace_blocks(job.fov, track_columns(tracks))
        job.folder.write_table(wanted[TRACKS_CSV], blocks, counts)
    if SHIFTS_CSV in wanted:
        shifts = tracker.shifts if isinstance(tracker, FindsShifts) else None
        blocks = trace_blocks(job.fov, shift_columns(shifts, seen))
        job.folder.write_table(wanted[SHIFTS_CSV], blocks, _count_shifts(shifts))


def _in_frames_of(seen: list[int], track: Track) -> Track:
    """Return a track whose frames have their numbers in the movie, not among those seen."""
    first, last = seen[track.first_frame], seen[track.last_frame]
    return replace(
        track,
        first_frame=first,
        last_frame=last,
        link_frame=None if track.link_frame is None else seen[track.link_frame],
        unsure_links=track.unsure_links
        and tuple((seen[frame], sure) for frame, sure in track.unsure_links),
        cycle_frames=None if track.cycle_frames is None else last - first + 1,
    )


def _warn_of_no_cells(job: FovJob) -> None:
    """Say what to check, here where every method of segmentation and tracking has had its say."""
    segmentation, channels = job.analysis.parameters.segmentation, job.analysis.channels
    has_diameter = isinstance(segmentation, CellDiameterParameters)
    parameters = "cell_diameter (--cell-diameter) and the other " if has_diameter else "the "
    logger.warning(
        "FOV %d: no cells in any of its %d frames; check that channel %d %s, and %sparameters of "
        "segmentation and tracking",
        job.fov,
        job.shape[0],
        channels.cells,
        "shows cells (--segment)" if channels.pc is None else "is phase contrast (--pc)",
        parameters,
    )


def _count_shifts(shifts: NDArray[np.float64] | None) -> dict[str, int]:
    """Return in how many frames the field of view was found to have moved by a pixel or more."""
    if shifts is None:
        return {}
    return {"shifted frames": int(np.count_nonzero(np.hypot(*shifts.T) >= 1))}


def image_for_tracking(analysis: Analysis) -> dict[str, Output]:
    """Return the stack that the tracker is given beside masks, by its role; empty for none."""
    image = _method(analysis).image(analysis.parameters.tracking)
    if image is None:
        return {}
    if image == "phase":
        return cell_image(analysis)
    return {"brightness": Output(FL_CORRECTED, image)}


def _method(analysis: Analysis) -> TrackingMethod:
    return find_tracking(analysis.parameters.tracking.method)
