"""What the channel shows in which cells are found, and the segmentation that suits it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
from pyama_core.io.readers.frame_source import Frame, PlaneChoice
from pyama_core.io.readers.phase_contrast import is_fluorescence
from pyama_core.io.readers.survey import first_middle_last
from pyama_core.io.retrying import system_failure
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.picture.kind import Picture, judge_picture
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.workflow.services.analysis import Analysis, chosen_plane

logger = logging.getLogger(__name__)

_MOST_FOVS = 4


Looks = Callable[[int, PlaneChoice | None], Picture]
"""Tells what a channel shows, in a plane of a z-stack."""


def settle_method(
    metadata: MicroscopyMetadata, analysis: Analysis, look: Looks | None = None
) -> Analysis:
    """Put the segmentations that suit the pictures in the place of those that only choose.

    That is of cells, and of nuclei where they are measured. Frames of the whole data set are looked
    at, whichever fields of view are asked for, so that all runs on it choose the same; with `look`,
    by who has looked already.

    Raises
    ------
    InputError
        No channel was chosen, or the source cannot be read.
    """
    channels, parameters = analysis.channels, analysis.parameters
    seen = _choose(metadata, analysis, parameters.segmentation, channels.cells, look)
    if seen is not None:
        parameters = dataclasses.replace(parameters, segmentation=seen[0])
        analysis = dataclasses.replace(analysis, parameters=parameters, picture=seen[1])
    nuclei = channels.nuclei if analysis.has_compartments else None
    seen = _choose(metadata, analysis, parameters.nuclei, nuclei, look)
    if seen is not None and nuclei is not None:
        section, picture = seen
        title = metadata.channel_title(nuclei)
        logger.info("nuclei: %s shows %s; segmentation: %s", title, picture, section.method)
        parameters = dataclasses.replace(parameters, nuclei=section)
        analysis = dataclasses.replace(analysis, parameters=parameters)
    return analysis


def _choose(
    metadata: MicroscopyMetadata,
    analysis: Analysis,
    parameters: MethodParameters,
    channel: int | None,
    look: Looks | None,
) -> tuple[MethodParameters, Picture] | None:
    """Return the parameters that suit what a channel shows; None if nothing is to be chosen."""
    choose = find_segmentation(parameters.method).choose
    if choose is None or channel is None:
        return None
    z = chosen_plane(metadata, analysis)
    if look is not None:
        picture = look(channel, z)
    else:
        with open_source(metadata) as source:
            picture = look_at_channel(source, channel, z)
    return choose(parameters, picture), picture


def look_at_channel(source: FrameSource, channel: int, z: PlaneChoice | None = None) -> Picture:
    """Tell what a channel shows in the first, middle and last frame of some fields of view."""
    return judge_frames(source.metadata, channel, _some_frames(source, channel, z))


def judge_frames(
    about: MicroscopyMetadata, channel: int, frames: Iterable[tuple[int, Frame]]
) -> Picture:
    """Tell what frames of a channel show, each of which comes with the number of its FOV."""
    # Here, for image libraries take longer to import than a request to be read.
    from pyama_core.processing.segmentation.picture.measuring import measure_contrast

    seen = []
    for fov, frame in frames:
        try:
            seen.append(measure_contrast(frame))
        except InputError as error:
            logger.debug("FOV %d, channel %d: %s", fov, channel, error)
    emission = about.emission_nm[channel] if about.emission_nm else None
    return judge_picture(
        seen, is_fluorescence=is_fluorescence(about.channel_names[channel], emission)
    )


def _some_frames(
    source: FrameSource, channel: int, z: PlaneChoice | None
) -> Iterator[tuple[int, Frame]]:
    """Yield frames of fields of view from all over the data set, those that are there."""
    shapes = source.metadata.fov_shapes
    filled = [fov for fov, shape in enumerate(shapes) if shape[0]]
    steps = _MOST_FOVS - 1
    for fov in sorted({filled[(len(filled) - 1) * i // steps] for i in range(_MOST_FOVS)}):
        for t in first_middle_last(shapes[fov][0]):
            try:
                yield fov, source.read_frame(fov, channel, t, z)
            except MissingFrameError as error:
                if system_failure(error) is not None:
                    raise
