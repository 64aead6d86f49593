"""Segmentation: the phase-contrast stack becomes a stack of masks, or of one label per cell."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.errors import InputError
from pyama_core.io.read_files import FilesOfParameters
from pyama_core.io.storage.fov_folder import PlannedOutput
from pyama_core.io.storage.stacks import StackReader
from pyama_core.outputs import FL, PC, SEG, Declaration, Output
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters
from pyama_core.processing.segmentation.segmenter import (
    Calibration,
    KnowsTheMovie,
    SegmentationMethod,
    Segmenter,
    SegmentsByIndex,
    SelfCalibrating,
    find_segmentation,
)
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import (
    BaseProcessingService,
    at_frame,
    cell_channel,
    require_files_unchanged,
)
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)

_MOST_LABELS = np.iinfo(np.uint16).max


class SegmentationService(BaseProcessingService):
    """Finds the pixels that belong to cells."""

    step = "segmentation"

    def declare(self, analysis: Analysis) -> list[Declaration]:
        """Declare the stack of masks, made from the copies of phase contrast and nuclei."""
        channel, nuclei = cell_channel(analysis), analysis.channels.nuclei
        inputs = {"pc": Output(PC, channel)}
        if nuclei is not None:
            inputs["nuclei"] = Output(FL, nuclei)
        dtype = "uint16" if _method(analysis).labels else "bool"
        return [Declaration(Output(SEG, channel), inputs, dtype)]

    def algorithm(self, analysis: Analysis) -> str:
        """Return the version of the chosen method."""
        return _method(analysis).algorithm

    def further_inputs(self, job: FovJob, declared: Declaration) -> dict[str, str]:
        """Return the pixel size where it decides how many pixels a length is, and the like."""
        given, resolved = job.analysis.parameters.segmentation, _resolved(job)
        inputs: dict[str, str] = {}
        if resolved != given:
            names = _method(job.analysis).resolved
            inputs = {name: str(getattr(resolved, name)) for name in names}
        if _in_pixels(resolved, job) != resolved:
            inputs["pixel_size_um"] = repr(job.metadata.pixel_size_um)
        return inputs

    def files_read(self, job: FovJob) -> FilesOfParameters:
        """Return the files that the chosen method reads for the field of view."""
        parameters = job.analysis.parameters.segmentation
        return _method(job.analysis).files(parameters, job.fov, job.shape[0])

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Segment frame by frame."""
        segmenter = _method(job.analysis).create(_in_pixels(_resolved(job), job), job.fov)
        with contextlib.ExitStack() as stack:
            if isinstance(segmenter, contextlib.AbstractContextManager):
                stack.enter_context(segmenter)
            if isinstance(segmenter, KnowsTheMovie):
                logger.info("FOV %d: %s", job.fov, segmenter.begin(job.shape[0]))
            images = {
                role: stack.enter_context(job.open(image))
                for role, image in outputs[0].inputs.items()
            }
            frames, nuclei = images["pc"], images.get("nuclei")
            missing = frozenset[int]().union(*map(job.missing, outputs[0].inputs.values()))
            there = [t for t in range(job.shape[0]) if t not in missing]
            if not there:
                raise InputError("no frame has both phase contrast and nuclei")
            found = _prepare(segmenter, frames, there, job)
            first = _segment(segmenter, frames, nuclei, there[0])
            masks = stack.enter_context(
                job.folder.new_stack(outputs[0], job.shape, first.dtype, found)
            )
            for t in self.frames(job.fov, job.shape[0]):
                if t in missing:
                    masks.append_missing()
                else:
                    masks.append(first if t == there[0] else _segment(segmenter, frames, nuclei, t))
            require_files_unchanged(outputs)


def _method(analysis: Analysis) -> SegmentationMethod:
    return find_segmentation(analysis.parameters.segmentation.method)


def _resolved(job: FovJob) -> BaseModel:
    """Return the parameters with what the whole data set decides."""
    resolve = _method(job.analysis).resolve
    resolved: BaseModel = resolve(job.analysis.parameters.segmentation, job.metadata.fov_shapes)
    return resolved


def _in_pixels(parameters: BaseModel, job: FovJob) -> BaseModel:
    """Return parameters with every length in pixels."""
    if isinstance(parameters, CellDiameterParameters):
        return parameters.in_pixels(job.metadata.pixel_size_um)
    return parameters


def _prepare(
    segmenter: Segmenter, frames: StackReader, there: list[int], job: FovJob
) -> dict[str, int]:
    """Let a segmenter that wants to look at the first, the middle and the last frame there is.

    Returns what it found, for the record: repeating the run with that gives the same.
    """
    if not isinstance(segmenter, SelfCalibrating):
        return {}
    last = len(there) - 1
    looked_at = [frames.read(there[i]) for i in sorted({0, last // 2, last})]
    calibration = segmenter.prepare(looked_at) or Calibration()
    diameter = calibration.cell_diameter
    if diameter is None:
        return {}
    if calibration.found_cells:
        logger.info("FOV %d: cells have a diameter of about %.0f pixels", job.fov, diameter)
    else:
        logger.warning(
            "FOV %d: no cells in the first, middle and last frame; looking for cells of %.0f "
            "pixels in all of them; give cell_diameter if they have another size",
            job.fov,
            diameter,
        )
    return {"cell_diameter": round(diameter)}


def _segment(
    segmenter: Segmenter, frames: StackReader, nuclei: StackReader | None, t: int
) -> NDArray[Any]:
    """Segment a frame; labels become uint16, the type of a stack being that of its first frame."""
    frame = frames.read(t)
    with at_frame(t):
        if isinstance(segmenter, SegmentsByIndex):
            found = segmenter.segment_at(t, frame)
        elif nuclei is not None:
            found = segmenter.segment(frame, nuclei.read(t))
        else:
            found = segmenter.segment(frame)
        if found.dtype == np.bool_:
            return found
        if found.max() > _MOST_LABELS:
            found = _renumbered(found)
        return found.astype(np.uint16)


def _renumbered(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels numbered without gaps, for labels only tell the objects of a frame apart."""
    values, numbers = np.unique(labels, return_inverse=True)
    n_objects = np.count_nonzero(values)
    if n_objects > _MOST_LABELS:
        raise InputError(f"expected up to {_MOST_LABELS} objects, found {n_objects}")
    return numbers.reshape(labels.shape) + (0 if values[0] == 0 else 1)
