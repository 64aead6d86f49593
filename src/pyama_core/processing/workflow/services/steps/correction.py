"""Correction: each fluorescence stack loses its background."""

from __future__ import annotations

import contextlib
import logging

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.fov_folder import PlannedOutput
from pyama_core.io.records import Provenance
from pyama_core.io.stacks import StackReader, StackWriter
from pyama_core.processing.background.tiled_interpolation.background import (
    ALGORITHM,
    TiledBackground,
    TiledInterpolationParameters,
)
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)

NO_BACKGROUND = "no frame shows any background: the mask, dilated, covers every pixel of all frames"


class CorrectionService(BaseProcessingService):
    """Subtracts the interpolated background from the fluorescence."""

    step = "correction"

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Plan one corrected stack per fluorescence channel, from its copy and the masks."""
        inputs = {"seg": job.checksum("seg")}
        parameters, settled = job.parameters.correction, _for_cells_of(job)
        if parameters != settled:
            inputs |= {"tile_size": str(settled.tile_size), "edges": settled.edges}
        return [
            PlannedOutput(
                "fl_corrected",
                channel,
                Provenance(
                    step=self.step,
                    algorithm=ALGORITHM,
                    parameters=parameters.model_dump(mode="json"),
                    inputs={**inputs, "fl": job.checksum("fl", channel)},
                ),
            )
            for channel in job.fluorescence
        ]

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Correct frame by frame, all channels of a frame under one mask.

        A channel that shows no background in any frame is not corrected, and that is noted.
        """
        operator = TiledBackground(job.shape[1:], _for_cells_of(job))
        with contextlib.ExitStack() as stack:
            masks = stack.enter_context(job.open("seg"))
            channels = []
            for output in outputs:
                frames = stack.enter_context(job.open("fl", output.channel))
                missing = job.missing("fl", output.channel) | job.missing("seg")
                background = _Background(operator, frames, masks, missing)
                if self._find_any(job, background):
                    corrected = job.folder.new_stack(output, job.shape, np.float32)
                    channels.append(_Channel(background, stack.enter_context(corrected)))
                else:
                    _leave_uncorrected(job, output, missing)
            if not channels:
                self.progress_callback(
                    job.fov, job.shape[0], job.shape[0], f"{self.step}: no background"
                )
                return
            for t in self.frames(job.fov, job.shape[0]):
                mask = masks.read(t)
                for channel in channels:
                    channel.correct(t, mask)

    def _find_any(self, job: FovJob, background: _Background) -> bool:
        """Whether any frame shows background, which nearly always the first one does."""
        frames = self.frames(job.fov, job.shape[0], silent=True)
        return any(background.medians(t) is not None for t in frames)


def _leave_uncorrected(job: FovJob, output: PlannedOutput, missing: frozenset[int]) -> None:
    logger.warning(
        "FOV %d, channel %d: not corrected, %s; its intensities stay empty, tracks and shapes do "
        "not",
        job.fov,
        output.channel,
        NO_BACKGROUND,
    )
    job.folder.note_not_made(output, job.shape, np.float32, missing, NO_BACKGROUND)


def _for_cells_of(job: FovJob) -> TiledInterpolationParameters:
    """Return the parameters for the diameter of cells that the segmentation has on record."""
    path = job.find("seg")
    entry = job.folder.record.outputs.get(path.name) if path.parent == job.folder.path else None
    diameter = None if entry is None else entry.summary.get("cell_diameter")
    return job.parameters.correction.for_cells_of(diameter)


class _Background:
    """The background of a fluorescence channel, frame by frame."""

    def __init__(
        self,
        operator: TiledBackground,
        frames: StackReader,
        masks: StackReader,
        missing: frozenset[int],
    ) -> None:
        self.operator = operator
        self.frames = frames
        self.masks = masks
        self.missing = missing

    def medians(self, t: int) -> NDArray[np.float64] | None:
        """Tile medians of a frame; None if it is missing, or all cell."""
        if t in self.missing:
            return None
        with at_frame(t):
            return self.operator.tile_medians(self.frames.read(t), self.masks.read(t))

    def first_medians(self, start: int) -> NDArray[np.float64]:
        """Tile medians of the first frame after one that shows any; there is one."""
        later = (self.medians(t) for t in range(start + 1, self.frames.shape[0]))
        return next(medians for medians in later if medians is not None)


class _Channel:
    """A fluorescence channel that is corrected, and the background that it last showed."""

    def __init__(self, background: _Background, corrected: StackWriter) -> None:
        self._background = background
        self._corrected = corrected
        self._medians: NDArray[np.float64] | None = None

    def correct(self, t: int, mask: NDArray[np.generic]) -> None:
        """Correct the next frame; one that is all cell takes the background of another."""
        background = self._background
        if t in background.missing:
            self._corrected.append_missing()
            return
        frame = background.frames.read(t)
        with at_frame(t):
            medians = background.operator.tile_medians(frame, mask)
        if medians is None:
            known = self._medians
            medians = known if known is not None else background.first_medians(t)
        self._medians = medians
        self._corrected.append(background.operator.correct(frame, medians))
