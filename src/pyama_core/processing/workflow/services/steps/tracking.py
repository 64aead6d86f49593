"""Tracking: the stack of masks becomes a stack of label images whose labels are cells."""

from __future__ import annotations

import logging

import numpy as np

from pyama_core.io.fov_folder import PlannedOutput
from pyama_core.io.records import Provenance
from pyama_core.processing.tracking.iou import TooManyCellsError
from pyama_core.processing.tracking.methods import TrackingMethod, find_tracking
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)

LabelType = np.dtype[np.uint16] | np.dtype[np.uint32]


class TrackingService(BaseProcessingService):
    """Follows cells from frame to frame."""

    step = "tracking"

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Plan the stack of label images, made from the masks."""
        provenance = Provenance(
            step=self.step,
            algorithm=_method(job).algorithm,
            parameters=job.parameters.tracking.model_dump(mode="json"),
            inputs={"seg": job.checksum("seg")},
        )
        return [PlannedOutput("seg_labeled", job.phase, provenance)]

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Track, with labels as small as the number of cells allows."""
        try:
            self._track(job, outputs[0], np.dtype(np.uint16))
        except TooManyCellsError:
            # The type of a stack stands at its front, the number of cells at its end.
            logger.info("FOV %d: more than 65,535 cells, labels become uint32", job.fov)
            self._track(job, outputs[0], np.dtype(np.uint32))

    def _track(self, job: FovJob, output: PlannedOutput, dtype: LabelType) -> None:
        tracker = _method(job).create(job.parameters.tracking, dtype)
        missing = job.missing("seg")
        with (
            job.open("seg") as masks,
            job.folder.new_stack(output, job.shape, dtype) as labels,
        ):
            for t in self.frames(job.fov, job.shape[0]):
                if t in missing:  # cells are followed from the frame before to the one after
                    labels.append_missing()
                    continue
                with at_frame(t):
                    labels.append(tracker.update(masks.read(t)))
        logger.info("FOV %d: %d cells tracked", job.fov, tracker.n_cells)


def _method(job: FovJob) -> TrackingMethod:
    return find_tracking(job.parameters.tracking.model_dump()["method"])
