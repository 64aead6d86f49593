"""What a record says of the outputs that were asked for: done, missing, released or outdated."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pyama_core.io.storage.artifacts import look_at
from pyama_core.io.storage.records import FovRecord, OutputEntry, Provenance, Settings, not_default
from pyama_core.outputs import (
    FL,
    FL_CORRECTED,
    NUCLEI,
    PC,
    SEG,
    TRACKS_CSV,
    Declaration,
    Output,
    kind_named,
    step_names,
)
from pyama_core.processing.workflow.graph import all_services, declarations
from pyama_core.processing.workflow.services.analysis import (
    Analysis,
    ChannelChoice,
    recorded_analysis,
    without_parameters,
)
from pyama_core.processing.workflow.services.parameters import defaults_of

DONE = ("done", "released", "no background")
"""States of an output that need no further work, from the usual to the most remarkable."""


class FovState:
    """The record of a field of view, held against what its last run was asked for.

    Parameters
    ----------
    record : FovRecord
        Read from its file.
    changed : collection of str
        Names of outputs that are known to be outdated, for files beside the source changed.
    any_version : bool
        Whether what another version of an algorithm made counts as well, if only it was made as
        asked for: to read it, not to go on from it.
    """

    def __init__(
        self, record: FovRecord, changed: Collection[str] = (), *, any_version: bool = False
    ) -> None:
        self.record = record
        self._changed = frozenset(changed)
        self._any_version = any_version
        settings = record.settings
        # By Python's own parser, which keeps what is in file names and is no text.
        self._asked = _asked(json.dumps(settings.model_dump(mode="json"))) if settings else None

    @functools.cached_property
    def wanted(self) -> list[Output]:
        """All outputs that were asked for, in the order of the steps."""
        if self._asked is not None:
            return self._asked.outputs
        if self.record.settings is None:
            return []
        return [d.output for d in declarations(without_parameters(self.record.settings))]

    @functools.cached_property
    def channels(self) -> ChannelChoice:
        """The channels that were asked for; none where that is not known."""
        settings = self.record.settings
        return ChannelChoice() if settings is None else without_parameters(settings).channels

    @functools.cached_property
    def outdated(self) -> frozenset[str]:
        """Names of outputs that are not what the settings ask for.

        They were made by another method, with other parameters, or from files that were made anew
        since, with other content. That happens when a run with changed settings is stopped, and to
        channels that it leaves out.
        """
        outdated = self._changed
        while found := {
            name
            for name, entry in self.record.outputs.items()
            if name not in outdated and not self._is_current(entry, outdated)
        }:
            outdated |= found
        return outdated

    def lacks_cells(self) -> bool:
        """Whether the field of view was tracked, as it was asked for, and has no cell."""
        return any(
            entry.kind == TRACKS_CSV.name
            and entry.summary.get("cells") == 0
            and name not in self.outdated
            for name, entry in self.record.outputs.items()
        )

    def estimated_diameter(self) -> int | None:
        """Diameter of the cells in pixels, if the segmentation was left to estimate it."""
        for name, entry in self.record.outputs.items():
            if entry.kind == SEG.name and self._is_estimated(entry) and name not in self.outdated:
                return entry.summary.get("cell_diameter")
        return None

    def missing_frames(self) -> dict[int, str]:
        """Frames that the source lacks, by channel, as far as they were copied."""
        return {
            entry.channel: entry.missing
            for entry in sorted(self.record.outputs.values(), key=lambda entry: entry.channel)
            if entry.provenance.step == "copying" and entry.missing
        }

    def uncorrected(self) -> dict[int, str]:
        """Channels of which the background could not be found, and why."""
        return {
            entry.channel: entry.not_made
            for name, entry in sorted(self.record.outputs.items(), key=lambda item: item[1].channel)
            if entry.kind == FL_CORRECTED.name and entry.not_made and name not in self.outdated
        }

    def is_done(self, folder: Path) -> bool:
        """Whether all outputs that were asked for are there or need not be."""
        return all(state in (*DONE, "not asked for") for state in self.steps_in(folder).values())

    def state_of(self, folder: Path, step: str) -> str:
        """Whether all outputs of a step that were asked for are there, as they were asked for."""
        wanted = [output for output in self.wanted if output.kind.step == step]
        if not wanted:
            return "not asked for"
        states = {self._state_of_output(folder, output) for output in wanted}
        if states <= set(DONE):
            return max(states, key=DONE.index)
        failure = self.record.failure
        if failure is not None and failure.step == step:
            return "failed"
        return "outdated" if "missing" not in states else "missing"

    def steps_in(self, folder: Path) -> dict[str, str]:
        """State of each step, by its name."""
        return {step: self.state_of(folder, step) for step in step_names()}

    def standing_in(self, folder: Path) -> str:
        """Whether the field of view is done, failed, or something of it is missing."""
        if self.record.failure is not None:
            return "failed"
        return "done" if self.is_done(folder) else "missing"

    def _state_of_output(self, folder: Path, output: Output) -> str:
        found = self.record.find(output)
        if found is None:
            return "missing"
        name, entry = found
        if name in self.outdated:
            return "outdated"
        if entry.released:
            return "released"
        if entry.not_made:
            return "no background"
        try:
            return "done" if look_at(folder / name).size == entry.size else "missing"
        except OSError:
            return "missing"

    def _is_estimated(self, entry: OutputEntry) -> bool:
        default = None if self._asked is None else self._asked.default_diameter()
        return entry.provenance.parameters.get("cell_diameter", default) == "auto"

    # What is current

    def _is_current(self, entry: OutputEntry, outdated: frozenset[str]) -> bool:
        """Whether an output is what the request would make now, as far as the record tells.

        That is: the request asks for it, by the same algorithm with the same parameters, and its
        inputs are those on record and not outdated themselves. Without a request, or of a kind
        that this version does not know, nothing speaks against it.
        """
        kind = kind_named(entry.kind)
        if self._asked is None or kind is None:
            return True
        if not self._asks_for(entry.provenance):
            return False
        ways = self._asked.declared(Output(kind, entry.channel))
        return any(self._is_made_from(entry, declared, outdated) for declared in ways)

    def _asks_for(self, made: Provenance) -> bool:
        assert self._asked is not None
        if self._any_version and self._asked.is_of_another_version(made):
            return self._asked.asked_then_for(made)
        return self._asked.asks_for(made)

    def _is_made_from(
        self, entry: OutputEntry, declared: Declaration, outdated: frozenset[str]
    ) -> bool:
        """Whether the inputs that are on record are those that an output was made from.

        One that is not on record was a caller's own file, unless its checksum is that of another
        output: then it was made from that, which is no input any more.
        """
        made = entry.provenance.inputs
        known = {other.checksum for other in self.record.outputs.values()}
        for role, output in declared.inputs.items():
            found = self.record.find(output)
            if found is None:
                if made.get(role) in known:
                    return False
            elif found[0] in outdated or found[1].checksum != made.get(role):
                return False
        return not any(made[role] in known for role in made.keys() - declared.inputs.keys())


class _Asked:
    """What a request declares, looked up once for all fields of view that share it."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.outputs = [declared.output for declared in declarations(analysis)]
        self._declared: dict[Output, list[Declaration]] = {}
        self._algorithms = {service.step: service.algorithm(analysis) for service in all_services()}

    def declared(self, output: Output) -> list[Declaration]:
        """Return what a step declares of an output, also of a channel that was not asked for.

        An output of another channel in which cells were found has several: it may have been taken
        for phase contrast or not.
        """
        if output not in self._declared:
            found: list[Declaration] = []
            for channels in _choices_with(output, self.analysis.channels):
                declared = declarations(dataclasses.replace(self.analysis, channels=channels))
                found += [each for each in declared if each.output == output]
            self._declared[output] = found
        return self._declared[output]

    def is_of_another_version(self, made: Provenance) -> bool:
        """Whether an output was made by the algorithm asked for, in another version."""
        asked = self._algorithms.get(made.step, "")
        is_same = asked.rpartition("/")[0] == made.algorithm.rpartition("/")[0]
        return is_same and asked != made.algorithm

    def asked_then_for(self, made: Provenance) -> bool:
        """Whether an output of another version may be what was asked for.

        It names the parameters that were not the defaults of that version, which nobody knows any
        more; all others may have had what was asked for.
        """
        defaults, asked = self._parameters(made.step)
        wanted = {**defaults, **asked}
        return all(
            wanted.get(name, value) == value
            for name, value in made.without_places().parameters.items()
        )

    def asks_for(self, made: Provenance) -> bool:
        """Whether an output was made by the method and with the parameters asked for."""
        if made.algorithm != self._algorithms.get(made.step):
            return False
        defaults, asked = self._parameters(made.step)
        return made.without(defaults).without_places().parameters == made.not_places(asked)

    @functools.cache  # noqa: B019 - lives as long as the few requests that are remembered
    def _parameters(self, step: str) -> tuple[dict[str, Any], dict[str, Any]]:
        section = self.analysis.parameters.of_step(step)
        if section is None:
            return {}, {}
        defaults = defaults_of(section)
        return defaults, not_default(section.model_dump(mode="json"), defaults)

    def default_diameter(self) -> object:
        """Default of the cell diameter, for records that leave it out."""
        return self._parameters(SEG.step)[0].get("cell_diameter")


def _choices_with(output: Output, asked: ChannelChoice) -> list[ChannelChoice]:
    """Return the choices of channels, like the one asked for, that an output may belong to."""
    channel = output.channel
    if output.kind.step == NUCLEI.step:
        return [dataclasses.replace(asked, nuclei=channel)]
    if output.kind.per_channel:
        known = channel in (asked.copied if output.kind is FL else asked.fl)
        return [asked if known else dataclasses.replace(asked, fl=(*asked.fl, channel))]
    if channel == asked.cells and output.kind is not PC:
        return [asked]
    return [
        dataclasses.replace(asked, pc=channel, segment=None),
        dataclasses.replace(asked, pc=None, segment=channel),
    ]


@functools.lru_cache(maxsize=16)
def _asked(settings: str) -> _Asked | None:
    analysis = recorded_analysis(Settings.model_validate(json.loads(settings)))
    return None if analysis is None else _Asked(analysis)


def forget_what_was_asked() -> None:
    """Look up anew what requests declare, after the table of kinds or the services changed."""
    _asked.cache_clear()
