"""The small pictures of a field of view: those that a run kept, or taken anew where stacks are."""

from __future__ import annotations

import logging

from pyama_core.errors import DamagedFileError, PyamaError
from pyama_core.processing.workflow.glimpses.glimpse import Glimpse, save_glimpse
from pyama_core.processing.workflow.glimpses.keeping import (
    current_glimpse,
    glimpse_of,
    glimpse_path,
)
from pyama_core.results.fov_measures import ImageMeasures
from pyama_core.results.fov_results import FovResults

logger = logging.getLogger(__name__)


def find_glimpse(fov: FovResults, n_fovs: int) -> Glimpse | None:
    """Return the small pictures of a field of view; None where its stacks were released before.

    Parameters
    ----------
    fov : FovResults
        The field of view.
    n_fovs : int
        Of the experiment, which decides of how many cells there are strips.
    """
    try:
        state = fov.state
    except DamagedFileError:
        return None
    glimpse = current_glimpse(fov.folder, state)
    if glimpse is not None:
        return glimpse
    try:
        glimpse = glimpse_of(fov.folder, state, n_fovs)
        if glimpse is not None:
            save_glimpse(glimpse_path(fov.folder, state.record), glimpse)
    except PyamaError as error:
        # Taken, but perhaps not kept: results may lie where nobody can write.
        logger.debug("%s: %s", fov.title, error)
    return glimpse


def image_measures(fov: FovResults, glimpse: Glimpse | None) -> ImageMeasures:
    """Return what was measured in the images of a field of view, by the names of channels."""
    import numpy as np

    if glimpse is None:
        return ImageMeasures()
    names = [fov.name_of_channel(channel) for channel in glimpse.channels]
    shining = [i for i, c in enumerate(glimpse.channels) if f"pc {c}" not in glimpse.inputs]
    focused = [i for i, c in enumerate(glimpse.channels) if c == glimpse.cells_in]
    return ImageMeasures(
        frames=np.array(glimpse.frames, np.int64),
        background={names[i]: glimpse.background[i] for i in shining},
        sharpness={names[i]: glimpse.sharpness[i] for i in focused},
    )
