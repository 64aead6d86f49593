"""What only all fields of view of a run together show, in words."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from pyama_core.io.storage.records import FovRecord
from pyama_core.processing.workflow.doubts import find_unlike_counts
from pyama_core.processing.workflow.few_good import find_few_good
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.results_file import find_unlike_diameters

logger = logging.getLogger(__name__)

_NAMED = 5
"""FOVs in a line."""


def tell_findings(records: Iterable[FovRecord], fovs: Collection[int]) -> None:
    """Warn of what only all fields of view together show.

    Parameters
    ----------
    records : iterable of FovRecord
        Those of the whole output folder.
    fovs : collection of int
        The fields of view whose verdicts are looked at.
    """
    states = [FovState(record) for record in records]
    _compare_diameters(states)
    _compare_counts(states)
    asked = [state for state in states if state.record.fov in fovs]
    if (few := find_few_good(asked)) is not None:
        logger.warning("%s", few)


def _compare_counts(states: list[FovState]) -> None:
    """Warn of FOVs in which far fewer or more objects were found than elsewhere."""
    unlike = find_unlike_counts(states)
    if not unlike:
        return
    some = [f"{fov} ({n})" for fov, n in unlike.items()]
    more = f" and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
    logger.warning(
        "far fewer or more objects in a frame than in most others in FOVs %s%s; look at them",
        ", ".join(some[:_NAMED]),
        more,
    )


def _compare_diameters(states: list[FovState]) -> None:
    """Warn of FOVs whose cells were taken for much smaller or larger than elsewhere."""
    unlike = find_unlike_diameters(states)
    if unlike is None:
        return
    some = [f"{fov} ({diameter} px)" for fov, diameter in unlike.of_fov.items()]
    more = f" and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
    logger.warning(
        "cells were taken for another size than the %.0f px of most others in FOVs %s%s; look "
        "at their outlines, or give the same cell_diameter (--cell-diameter) to all",
        unlike.typical,
        ", ".join(some[:_NAMED]),
        more,
    )
