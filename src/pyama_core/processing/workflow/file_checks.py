"""Checking, before a run begins, the files beside the source that its steps will read."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence

from pydantic import BaseModel

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import LateSource, MicroscopyMetadata
from pyama_core.processing.method_files import files_of_parameters, templates_of
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.workflow.services.analysis import Analysis, chosen_plane

logger = logging.getLogger(__name__)


def check_files(metadata: MicroscopyMetadata, analysis: Analysis, fovs: Sequence[int]) -> None:
    """Refuse a run of which a step would not find its files, or could not use them.

    Raises
    ------
    InputError
        One sentence on the first file that is wrong, and for which field of view.
    """
    files_of_parameters(analysis.parameters.correction)
    files_of_parameters(analysis.parameters.tracking)
    sections = {"segmentation": analysis.parameters.segmentation}
    if analysis.has_compartments:
        sections["nuclei"] = analysis.parameters.nuclei
    for step, parameters in sections.items():
        _check_segmentation(step, parameters, metadata, analysis, fovs)


def _check_segmentation(
    step: str,
    parameters: MethodParameters,
    metadata: MicroscopyMetadata,
    analysis: Analysis,
    fovs: Sequence[int],
) -> None:
    method = find_segmentation(parameters.method)
    with LateSource(metadata) as source:
        for fov in fovs:
            shape = metadata.shape_of(fov)
            if not shape[0]:  # it fails when its turn comes
                continue
            try:
                method.files(parameters, fov, shape[0])
                is_there = functools.partial(_is_there, source, analysis, fov)
                method.check(parameters, fov, shape, is_there)
            except InputError as error:
                raise InputError(f"FOV {fov}, {step}: {error}") from error
    _tell_shared(step, parameters, len(fovs))


def _tell_shared(step: str, parameters: BaseModel, n_fovs: int) -> None:
    """Say if all fields of view would get what was made for one."""
    for name in templates_of(parameters):
        if n_fovs > 1 and "{fov" not in str(getattr(parameters, name)):
            logger.warning("%s.%s has no {fov}: all %d FOVs get the same masks", step, name, n_fovs)


def _is_there(source: LateSource, analysis: Analysis, fov: int, t: int) -> bool:
    """Whether a frame of the channel in which cells are found can be read."""
    channel, z = analysis.channels.cells, chosen_plane(source.metadata, analysis)
    if channel is None:
        return True
    try:
        source.get().read_frame(fov, channel, t, z)
    except MissingFrameError:
        return False
    return True
