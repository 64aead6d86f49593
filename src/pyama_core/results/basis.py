"""What the tables of a field of view were made of, as far as corrections depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pyama_core.io.storage.records import OutputEntry
from pyama_core.outputs import FL_CORRECTED, TRACES_CSV, Output
from pyama_core.processing.extraction.quality import QualityParameters
from pyama_core.processing.workflow.edits.on_record import (
    LabelsOnRecord,
    current,
    rows_without_traces,
    tracks_on_record,
)
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.services.steps.extraction import FOUND_BY_LIGHT, MARGIN
from pyama_core.results.channels import ChannelNames


@dataclass(frozen=True)
class Criteria:
    """By what the cells of a channel were judged.

    Attributes
    ----------
    parameters : QualityParameters
        Limits.
    missing : frozenset of int
        Frames that the channel lacks.
    corrected : bool
        Whether its fluorescence was corrected; no cell is good if not.
    found_by_light : bool
        Whether the cells were found as bright objects in it.
    """

    parameters: QualityParameters = field(default_factory=QualityParameters)
    missing: frozenset[int] = frozenset()
    corrected: bool = True
    found_by_light: bool = False


@dataclass(frozen=True)
class Basis:
    """What the tables of a field of view were made of.

    Attributes
    ----------
    labels : str
        Checksum of the label image.
    shape : tuple of int
        Its frames, height and width.
    channels : mapping of int to str
        Names of the channels that were measured.
    criteria : mapping of str to Criteria
        By the name of each of them.
    rows : mapping, optional
        Where cells are, of which nothing was measured.
    """

    labels: str
    shape: tuple[int, int, int]
    channels: Mapping[int, str]
    criteria: Mapping[str, Criteria]
    rows: Mapping[str, NDArray[Any]] | None = None


def basis_of(
    folder: Path, state: FovState, names: ChannelNames, channels: Iterable[int]
) -> Basis | None:
    """Return what the tables of a field of view were made of; None if it has no label image.

    Parameters
    ----------
    folder : Path
        Of the field of view.
    state : FovState
        What its record says.
    names : ChannelNames
        Names of channels.
    channels : iterable of int
        Channels whose traces were read.
    """
    labels = LabelsOnRecord.of(state)
    if labels is None:
        return None
    read = {channel: names.of(channel) for channel in sorted(channels)}
    criteria = {
        read[entry.channel]: _criteria(state, labels, entry)
        for _, entry in current(state, TRACES_CSV)
        if entry.channel in read
    }
    rows = None
    if not read:
        rows = rows_without_traces(folder, state, tracks_on_record(folder, state))
    return Basis(labels.checksum, labels.shape, read, criteria, rows)


def _criteria(state: FovState, labels: LabelsOnRecord, traces: OutputEntry) -> Criteria:
    known = QualityParameters.model_fields
    given = {name: v for name, v in traces.provenance.parameters.items() if name in known}
    margin = int(traces.provenance.inputs.get(MARGIN, 0))
    corrected = state.record.find(Output(FL_CORRECTED, traces.channel))
    return Criteria(
        QualityParameters.model_validate(given).beyond(margin),
        labels.missing | (corrected[1].missing_frames() if corrected else frozenset()),
        corrected=corrected is None or not corrected[1].not_made,
        found_by_light=FOUND_BY_LIGHT in traces.provenance.inputs,
    )
