"""The trouble of all fields of view: what each is like, held against the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyama_core.errors import DamagedFileError
from pyama_core.outputs import TRACES_CSV
from pyama_core.processing.extraction.quality import CUT_OFF, reasons_in
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.results.fov_measures import FovMeasures, standing_of
from pyama_core.results.fov_results import FovResults
from pyama_core.results.trouble import (
    Finding,
    Trouble,
    find_background_jump,
    find_blur,
    find_born,
    find_count_jump,
    find_few_cells,
    find_few_good,
    find_lost,
    find_missing_frames,
    find_stage_jump,
    find_unlike_size,
    find_unsure_links,
)

_ENOUGH = 3
"""Fields of view, to say what is usual."""


def troubles_of(measured: Sequence[FovMeasures]) -> dict[int, Trouble]:
    """Return the trouble of each field of view, which may be that it is not like the others.

    Parameters
    ----------
    measured : sequence of FovMeasures
        All fields of view of an experiment.
    """
    usual = _Usual.of(measured)
    return {each.fov: Trouble.of(_findings(each, usual)) for each in measured}


@dataclass(frozen=True)
class _Usual:
    """What fields of view are like."""

    n_cells: float | None
    diameter: float | None
    sharpness: Mapping[str, float]

    @classmethod
    def of(cls, measured: Sequence[FovMeasures]) -> _Usual:
        channels = {channel for each in measured for channel in each.images.sharpness}
        of_channel = {
            channel: _usual_of(_sharpness(each, channel) for each in measured)
            for channel in channels
        }
        return cls(
            _usual_of(each.usual_count for each in measured if not each.standing),
            _usual_of(each.diameter for each in measured),
            {channel: value for channel, value in of_channel.items() if value is not None},
        )


def _usual_of(values: Iterable[float]) -> float | None:
    """Return the median of what there is; None where that is too little to compare with."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if len(known) >= _ENOUGH else None


def _sharpness(each: FovMeasures, channel: str) -> float:
    values = each.images.sharpness.get(channel, np.zeros(0))
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _findings(each: FovMeasures, usual: _Usual) -> list[Finding | None]:
    found: list[Finding | None] = list(each.standing)
    found.append(find_missing_frames(each.missing, each.n_frames))
    if each.n_cells == 0:
        return found
    found += [
        find_lost(each.counts, each.lost),
        find_born(each.counts, each.born),
        find_unsure_links(each.whole),
        find_count_jump(each.counts, each.missing, each.when),
        find_few_good(each.n_good, each.n_cells, each.reasons, each.n_cut_off),
        find_stage_jump(each.shifts, each.when),
    ]
    if usual.n_cells is not None:
        found.append(find_few_cells(each.usual_count, usual.n_cells))
    if usual.diameter is not None:
        found.append(find_unlike_size(each.diameter, usual.diameter))
    images = each.images
    for channel, levels in images.background.items():
        found.append(find_background_jump(images.frames, levels, channel, each.when))
    found += [
        find_blur(images.frames, values, usual.sharpness.get(channel), channel, each.when)
        for channel, values in images.sharpness.items()
    ]
    return found


# From records alone, for who cannot wait for tables


def troubles_on_record(fovs: Iterable[FovResults]) -> dict[int, Trouble]:
    """Return the trouble of each field of view as far as its record tells it, at once.

    The counts of cells there are those of the run, without the corrections of people.
    """
    return {fov.number: Trouble.of(_findings_on_record(fov)) for fov in fovs}


def _findings_on_record(fov: FovResults) -> list[Finding | None]:
    found: list[Finding | None] = list(standing_of(fov))
    try:
        state, missing = fov.state, fov.missing_frames
    except DamagedFileError:
        return found
    found.append(find_missing_frames(missing, _frames_on_record(state)))
    summaries = [
        entry.summary
        for name, entry in state.record.outputs.items()
        if entry.kind == TRACES_CSV.name and name not in state.outdated and entry.summary
    ]
    if summaries:
        worst = min(summaries, key=lambda summary: summary.get("good", 0))
        good, cells = worst.get("good", 0), worst.get("cells", 0)
        found.append(find_few_good(good, cells, reasons_in(worst), worst.get(CUT_OFF, 0)))
    return found


def _frames_on_record(state: FovState) -> int:
    shapes = (entry.shape for entry in state.record.outputs.values())
    return max((shape[0] for shape in shapes if shape), default=0)
