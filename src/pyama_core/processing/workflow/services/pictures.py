"""What the channel shows in which cells are found, and the segmentation that suits it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
from pyama_core.io.readers.frame_source import Frame, PlaneChoice
from pyama_core.io.readers.phase_contrast import is_fluorescence
from pyama_core.io.readers.survey import first_middle_last
from pyama_core.io.retrying import system_failure
from pyama_core.processing.segmentation.picture.kind import Picture, judge_picture
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.workflow.services.analysis import Analysis, chosen_plane

logger = logging.getLogger(__name__)

_MOST_FOVS = 4


def settle_method(metadata: MicroscopyMetadata, analysis: Analysis) -> Analysis:
    """Put the segmentation that suits the picture in the place of one that only chooses.

    Frames of the whole data set are looked at, whichever fields of view are asked for, so that all
    runs on it choose the same.

    Raises
    ------
    InputError
        No channel was chosen, or the source cannot be read.
    """
    parameters = analysis.parameters.segmentation
    choose, channel = find_segmentation(parameters.method).choose, analysis.channels.cells
    if choose is None or channel is None:
        return analysis
    with open_source(metadata) as source:
        picture = look_at_channel(source, channel, chosen_plane(metadata, analysis))
    chosen = dataclasses.replace(analysis.parameters, segmentation=choose(parameters, picture))
    return dataclasses.replace(analysis, parameters=chosen, picture=picture)


def look_at_channel(source: FrameSource, channel: int, z: PlaneChoice | None = None) -> Picture:
    """Tell what a channel shows in the first, middle and last frame of some fields of view."""
    # Here, for image libraries take longer to import than a request to be read.
    from pyama_core.processing.segmentation.picture.measuring import measure_contrast

    about, seen = source.metadata, []
    for fov, frame in _some_frames(source, channel, z):
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
