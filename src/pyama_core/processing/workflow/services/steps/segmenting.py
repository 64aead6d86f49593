"""What all steps share that segment frames: cells, and nuclei."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pyama_core.errors import InputError
from pyama_core.outputs import Output
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters
from pyama_core.processing.segmentation.growth import GrowthParameters, grow_objects
from pyama_core.processing.segmentation.segmenter import (
    Calibration,
    KnowsTheMovie,
    LooksAtNuclei,
    SegmentationMethod,
    Segmenter,
    SegmentsByIndex,
    SelfCalibrating,
    TellsDiameter,
    find_segmentation,
)
from pyama_core.processing.workflow.services.base import at_frame
from pyama_core.processing.workflow.services.job import FovJob, Position, ReadsFrames
from pyama_core.processing.workflow.services.steps.found_objects import (
    ASSUMED,
    SHOWN_DIAMETER,
    FoundObjects,
)

logger = logging.getLogger(__name__)

_MOST_LABELS = np.iinfo(np.uint16).max


def method_of(parameters: MethodParameters) -> SegmentationMethod:
    """Return the method that parameters are of."""
    return find_segmentation(parameters.method)


def create_segmenter(parameters: MethodParameters, job: Position) -> Segmenter:
    """Make the segmenter of a field of view."""
    return method_of(parameters).create(_in_pixels(_resolved(parameters, job), job), job.fov)


def decided_elsewhere(parameters: MethodParameters, job: Position) -> dict[str, str]:
    """Return what else decides on a segmentation, by its role as an input.

    That is the pixel size where it decides how many pixels a length is, and the like.
    """
    resolved = _resolved(parameters, job)
    inputs: dict[str, str] = {}
    if resolved != parameters:
        names = method_of(parameters).resolved
        inputs = {name: str(getattr(resolved, name)) for name in names}
    grows_by_a_length = isinstance(parameters, GrowthParameters) and isinstance(
        parameters.grow_by, str
    )
    if grows_by_a_length or _in_pixels(resolved, job) != resolved:
        inputs["pixel_size_um"] = repr(job.metadata.pixel_size_um)
    return inputs


def _resolved(parameters: MethodParameters, job: Position) -> BaseModel:
    """Return the parameters with what the whole data set decides."""
    resolved: BaseModel = method_of(parameters).resolve(parameters, job.metadata.fov_shapes)
    return resolved


def _in_pixels(parameters: BaseModel, job: Position) -> BaseModel:
    """Return parameters with every length in pixels."""
    if isinstance(parameters, CellDiameterParameters):
        return parameters.in_pixels(job.metadata.pixel_size_um)
    return parameters


def prepare(segmenter: Segmenter, frames: ReadsFrames, there: Sequence[int]) -> Calibration | None:
    """Let a segmenter that wants to look at the first, the middle and the last frame there is.

    Returns what it found, with a diameter in whole pixels, as it stands on record: repeating the
    run with that gives the same. None where nothing is to be told.
    """
    if not isinstance(segmenter, SelfCalibrating):
        return None
    found = segmenter.prepare(_looked_at(frames, there)) or Calibration()
    if found.cell_diameter is None:
        return None
    return replace(found, cell_diameter=round(found.cell_diameter))


def prepare_nuclei(
    segmenter: Segmenter, nuclei: ReadsFrames | None, there: Sequence[int]
) -> Calibration | None:
    """Let a segmenter that wants to look at these frames of a nuclear channel, if there is one."""
    if nuclei is None or not isinstance(segmenter, LooksAtNuclei):
        return None
    return segmenter.prepare_nuclei(_looked_at(nuclei, there))


def _looked_at(frames: ReadsFrames, there: Sequence[int]) -> list[NDArray[Any]]:
    last = len(there) - 1
    return [frames.read(there[i]) for i in sorted({0, last // 2, last})]


def calibrate(
    segmenter: Segmenter,
    frames: ReadsFrames,
    there: Sequence[int],
    job: Position,
    what: str = "cells",
) -> dict[str, int]:
    """Let a segmenter look at some frames (`prepare`); log and return what it found."""
    found = prepare(segmenter, frames, there)
    if found is None or found.cell_diameter is None:
        return {}
    diameter = round(found.cell_diameter)
    told = {ASSUMED: diameter} | _shown(segmenter, frames, there)
    if found.found_cells:
        logger.info("FOV %d: %s have a diameter of about %.0f pixels", job.fov, what, diameter)
    else:
        logger.warning(
            "FOV %d: no %s in the first, middle and last frame; looking for %s of %.0f "
            "pixels in all of them; give cell_diameter if they have another size",
            job.fov,
            what,
            what,
            diameter,
        )
    return told


def calibrate_nuclei(
    segmenter: Segmenter, nuclei: ReadsFrames | None, there: Sequence[int], job: Position
) -> None:
    """Let a segmenter look at some frames of nuclei (`prepare_nuclei`); log what it found."""
    found = prepare_nuclei(segmenter, nuclei, there)
    if found is None or found.cell_diameter is None:
        return
    tell = logger.info if found.found_cells else logger.warning
    words = "are" if found.found_cells else "were not found in three frames, and taken to be"
    tell("FOV %d: nuclei, which get a cell each, %s %.0f pixels in diameter",
         job.fov, words, found.cell_diameter)  # fmt: skip


def _shown(segmenter: Segmenter, frames: ReadsFrames, there: Sequence[int]) -> dict[str, int]:
    """Return what the middle frame says of a diameter that was given, for the record."""
    if not isinstance(segmenter, TellsDiameter):
        return {}
    shown = segmenter.diameter_shown(frames.read(there[(len(there) - 1) // 2]))
    return {} if shown is None else {SHOWN_DIAMETER: round(shown)}


def open_segmenter(
    parameters: MethodParameters, job: FovJob, stack: contextlib.ExitStack, what: str = ""
) -> Segmenter:
    """Make the segmenter of a field of view, ready for its first frame, and closed with a stack.

    `what` it finds is said where it tells what it decided for the whole movie.
    """
    segmenter = create_segmenter(parameters, job)
    if isinstance(segmenter, contextlib.AbstractContextManager):
        stack.enter_context(segmenter)
    if isinstance(segmenter, KnowsTheMovie):
        decided = segmenter.begin(job.shape[0])
        logger.info("FOV %d: %s%s", job.fov, f"{what}: " if what else "", decided)
    return segmenter


def missing_frames(
    job: FovJob, inputs: Iterable[Output], expected: str
) -> tuple[frozenset[int], list[int]]:
    """Return the frames that any of some stacks lacks, and those that all of them have.

    Raises
    ------
    InputError
        There is none of these: no frame has what is `expected`.
    """
    missing = frozenset[int]().union(*map(job.missing, inputs))
    there = [t for t in range(job.shape[0]) if t not in missing]
    if not there:
        raise InputError(f"no frame has both {expected}")
    return missing, there


def segment_frame(
    segmenter: Segmenter,
    frames: ReadsFrames,
    nuclei: ReadsFrames | None,
    t: int,
    growth: float = 0.0,
    seen: FoundObjects | None = None,
) -> NDArray[Any]:
    """Segment a frame; labels become uint16, the type of a stack being that of its first frame.

    Objects are grown by so many pixels; those of masks become labels if it is more than 0. They are
    counted as they are before that.
    """
    frame = frames.read(t)
    with at_frame(t):
        if isinstance(segmenter, SegmentsByIndex):
            found = segmenter.segment_at(t, frame)
        elif nuclei is not None:
            found = segmenter.segment(frame, nuclei.read(t))
        else:
            found = segmenter.segment(frame)
        if seen is not None:
            seen.add(t, found)
        if growth > 0:
            found = grow_objects(found, growth)
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
