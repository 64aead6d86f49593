"""Checking, before a run begins, the files beside the source that its steps will read."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
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
    with _Presence(metadata, analysis) as presence:
        for fov in fovs:
            shape = metadata.shape_of(fov)
            if not shape[0]:  # it fails when its turn comes
                continue
            try:
                method.files(parameters, fov, shape[0])
                is_there = functools.partial(presence.of_frame, fov)
                method.check(parameters, fov, shape, is_there)
            except InputError as error:
                raise InputError(f"FOV {fov}, {step}: {error}") from error
    _tell_shared(step, parameters, len(fovs))


def _tell_shared(step: str, parameters: BaseModel, n_fovs: int) -> None:
    """Say if all fields of view would get what was made for one."""
    for name in templates_of(parameters):
        if n_fovs > 1 and "{fov" not in str(getattr(parameters, name)):
            logger.warning("%s.%s has no {fov}: all %d FOVs get the same masks", step, name, n_fovs)


class _Presence:
    """Tells whether the source has a frame; it is opened only if that is asked."""

    def __init__(self, metadata: MicroscopyMetadata, analysis: Analysis) -> None:
        self._metadata = metadata
        self._analysis = analysis
        self._stack = contextlib.ExitStack()
        self._source: FrameSource | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def of_frame(self, fov: int, t: int) -> bool:
        """Whether a frame of the channel in which cells are found can be read."""
        if self._source is None:
            self._source = self._stack.enter_context(open_source(self._metadata))
        channel, z = self._analysis.channels.cells, chosen_plane(self._metadata, self._analysis)
        if channel is None:
            return True
        try:
            self._source.read_frame(fov, channel, t, z)
        except MissingFrameError:
            return False
        return True
