"""Segmentation: the stack of a channel becomes a stack of masks, or of one label per cell."""

from __future__ import annotations

import contextlib
import logging

from pyama_core.io.read_files import FilesOfParameters
from pyama_core.io.readers.survey import first_middle_last
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.stacks import StackReader
from pyama_core.outputs import FL, SEG, Declaration, Output
from pyama_core.processing.segmentation.growth import GrowthParameters, growth_in_pixels
from pyama_core.processing.segmentation.picture.kind import METHODS
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import (
    BaseProcessingService,
    cell_channel,
    cell_image,
    require_files_unchanged,
)
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.pictures import judge_frames
from pyama_core.processing.workflow.services.steps.found_objects import (
    SHOWN,
    FoundObjects,
)
from pyama_core.processing.workflow.services.steps.segmenting import (
    calibrate,
    calibrate_nuclei,
    decided_elsewhere,
    method_of,
    missing_frames,
    open_segmenter,
    segment_frame,
)

logger = logging.getLogger(__name__)


class SegmentationService(BaseProcessingService):
    """Finds the pixels that belong to cells."""

    step = "segmentation"

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare the stack of masks, made from the copies of what shows cells, and of nuclei."""
        channel, nuclei = cell_channel(analysis), analysis.channels.nuclei
        method = method_of(analysis.parameters.segmentation)
        inputs = cell_image(analysis)
        if nuclei is not None and (method.by_nuclei or not analysis.has_compartments):
            inputs["nuclei"] = Output(FL, nuclei)
        has_labels = method.labels or _is_grown(analysis)
        dtype = "uint16" if has_labels else "bool"
        return [Declaration(Output(SEG, channel), inputs, dtype)]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the chosen method."""
        return method_of(analysis.parameters.segmentation).algorithm

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return the pixel size where it decides how many pixels a length is, and the like."""
        return decided_elsewhere(job.analysis.parameters.segmentation, job)

    def files_read(self, job: FovJob) -> FilesOfParameters:
        """Return the files that the chosen method reads for the field of view."""
        parameters = job.analysis.parameters.segmentation
        return method_of(parameters).files(parameters, job.fov, job.shape[0])

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Segment frame by frame."""
        parameters = job.analysis.parameters.segmentation
        growth = growth_in_pixels(parameters, job.metadata.pixel_size_um)
        with contextlib.ExitStack() as stack:
            segmenter = open_segmenter(parameters, job, stack)
            images = {
                role: stack.enter_context(job.open(image))
                for role, image in outputs[0].inputs.items()
            }
            (shown,) = cell_image(job.analysis)
            frames, nuclei = images[shown], images.get("nuclei")
            expected = "the channel that is segmented and nuclei"
            missing, there = missing_frames(job, outputs[0].inputs.values(), expected)
            found = calibrate(segmenter, frames, there, job)
            calibrate_nuclei(segmenter, nuclei, there, job)
            found |= _shown_in(frames, there, outputs[0].output.channel, job)
            seen = FoundObjects(there)
            first = segment_frame(segmenter, frames, nuclei, there[0], growth, seen)
            masks = stack.enter_context(
                job.folder.new_stack(outputs[0], job.shape, first.dtype, found)
            )
            for t in self.frames(job.fov, job.shape[0]):
                if t in missing:
                    masks.append_missing()
                else:
                    masks.append(
                        first
                        if t == there[0]
                        else segment_frame(segmenter, frames, nuclei, t, growth, seen)
                    )
            found |= seen.summary()
            require_files_unchanged(outputs)


def _shown_in(frames: StackReader, there: list[int], channel: int, job: FovJob) -> dict[str, int]:
    """Return what the first, middle and last frame there is show, for the record.

    Only where the method is one that is made for a kind of picture, and they are sure.
    """
    if job.analysis.parameters.segmentation.method not in METHODS.values():
        return {}
    looked_at = [(job.fov, frames.read(there[i])) for i in first_middle_last(len(there))]
    picture = judge_frames(job.metadata, channel, looked_at)
    return {SHOWN[picture.kind]: picture.n_telling} if picture.is_sure else {}


def _is_grown(analysis: Analysis) -> bool:
    parameters = analysis.parameters.segmentation
    return isinstance(parameters, GrowthParameters) and parameters.grow_by is not None
