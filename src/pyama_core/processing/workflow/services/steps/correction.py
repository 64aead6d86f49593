"""Correction: each fluorescence stack loses its background."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.stacks import StackReader, StackWriter
from pyama_core.outputs import FL, FL_CORRECTED, SEG, Declaration, Output
from pyama_core.processing.background.corrector import (
    BackgroundCorrector,
    CorrectionMethod,
    find_correction,
)
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import (
    BaseProcessingService,
    at_frame,
    cell_channel,
    require_files_unchanged,
)
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.steps.background_counts import FreeParts
from pyama_core.processing.workflow.services.steps.saturation_counts import Ceiling

logger = logging.getLogger(__name__)

NO_BACKGROUND = "no frame shows any background: the mask, dilated, covers every pixel of all frames"


class CorrectionService(BaseProcessingService):
    """Takes the background from the fluorescence."""

    step = "correction"

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare one corrected stack per fluorescence channel, from its copy and the masks."""
        masks = Output(SEG, cell_channel(analysis))
        return [
            Declaration(Output(FL_CORRECTED, channel), {"seg": masks, "fl": Output(FL, channel)})
            for channel in analysis.channels.fl
        ]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the chosen method."""
        return _method(analysis).algorithm

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return what the diameter of the cells decides, where it does."""
        asked, resolved = job.analysis.parameters.correction, _resolved(job, declared.inputs["seg"])
        decided = {name: getattr(resolved, name) for name in _method(job.analysis).resolved}
        return {name: str(each) for name, each in decided.items() if each != getattr(asked, name)}

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Correct frame by frame, all channels of a frame under one mask.

        A channel that shows no background in any frame is not corrected, and that is noted.
        """
        seg = outputs[0].inputs["seg"]
        corrector = _method(job.analysis).create(_resolved(job, seg), job.shape[1:])
        with contextlib.ExitStack() as stack:
            masks = stack.enter_context(job.open(seg))
            channels = []
            for output in outputs:
                frames = stack.enter_context(job.open(output.inputs["fl"]))
                missing = job.missing(output.inputs["fl"]) | job.missing(seg)
                background = _Background(corrector, frames, masks, missing)
                if self._find_any(job, background):
                    told: dict[str, int] = {}
                    new = job.folder.new_stack(output, job.shape, np.float32, told)
                    channels.append(_Channel(background, stack.enter_context(new), told))
                else:
                    _leave_uncorrected(job, output, missing)
            if not channels:
                self.progress_callback(
                    job.fov, job.shape[0], job.shape[0], f"{self.step}: no background"
                )
                return
            masked = [t for t in range(job.shape[0]) if t not in job.missing(seg)]
            free = FreeParts(corrector, masked)
            for t in self.frames(job.fov, job.shape[0]):
                mask = masks.read(t)
                free.add(t, mask)
                for channel in channels:
                    channel.correct(t, mask)
            for channel in channels:
                channel.told |= free.summary() | channel.ceiling.summary()
            require_files_unchanged(outputs)

    def _find_any(self, job: FovJob, background: _Background) -> bool:
        """Whether any frame shows background, which nearly always the first one does."""
        frames = self.frames(job.fov, job.shape[0], silent=True)
        return any(background.estimate(t) is not None for t in frames)


def _leave_uncorrected(job: FovJob, output: PlannedOutput, missing: frozenset[int]) -> None:
    logger.warning(
        "FOV %d, channel %d: not corrected, %s; its intensities stay empty, tracks and shapes do "
        "not",
        job.fov,
        output.output.channel,
        NO_BACKGROUND,
    )
    job.folder.note_not_made(output, job.shape, np.float32, missing, NO_BACKGROUND)


def _method(analysis: Analysis) -> CorrectionMethod:
    return find_correction(analysis.parameters.correction.method)


def _resolved(job: FovJob, seg: Output) -> BaseModel:
    """Return the parameters for the diameter of cells that the segmentation has on record."""
    diameter = job.told(seg).get("cell_diameter")
    analysis = job.analysis
    resolved: BaseModel = _method(analysis).resolve(analysis.parameters.correction, diameter)
    return resolved


class _Background:
    """The background of a fluorescence channel, frame by frame."""

    def __init__(
        self,
        corrector: BackgroundCorrector,
        frames: StackReader,
        masks: StackReader,
        missing: frozenset[int],
    ) -> None:
        self.corrector = corrector
        self.frames = frames
        self.masks = masks
        self.missing = missing

    def estimate(self, t: int) -> Any | None:
        """Return the estimate of a frame; None if it is missing, or all cell."""
        if t in self.missing:
            return None
        with at_frame(t):
            return self.corrector.estimate(self.frames.read(t), self.masks.read(t))

    def first_estimate(self, start: int) -> Any:
        """Return the estimate of the first frame after one that shows any; there is one."""
        later = (self.estimate(t) for t in range(start + 1, self.frames.shape[0]))
        return next(estimate for estimate in later if estimate is not None)


class _Channel:
    """A fluorescence channel that is corrected, and the background that it last showed.

    What is `told` of it goes on record with the stack.
    """

    def __init__(
        self, background: _Background, corrected: StackWriter, told: dict[str, int]
    ) -> None:
        self.told = told
        self.ceiling = Ceiling()
        self._background = background
        self._corrected = corrected
        self._estimate: Any = None

    def correct(self, t: int, mask: NDArray[np.generic]) -> None:
        """Correct the next frame; one that is all cell takes the background of another."""
        background = self._background
        if t in background.missing:
            self._corrected.append_missing()
            return
        frame = background.frames.read(t)
        with at_frame(t):
            estimate = background.corrector.estimate(frame, mask)
        if estimate is None:
            known = self._estimate
            estimate = known if known is not None else background.first_estimate(t)
        self._estimate = estimate
        corrected = background.corrector.correct(frame, estimate)
        self.ceiling.add(frame, corrected)
        self._corrected.append(corrected)
