"""What is done with each field of view: channels and parameters, parsed once and then frozen.

It is parsed at the edge, from what the command, a configuration or Python gave, and travels down
to the services, and to workers, as it is. A record keeps it as `Settings`, from which it can be
read again.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import MicroscopyMetadata, PlaneChoice
from pyama_core.io.storage.records import PictureNote, Settings
from pyama_core.processing.segmentation.growth import GrowthParameters
from pyama_core.processing.segmentation.picture.kind import Picture
from pyama_core.processing.workflow.services.parameters import Parameters, validate_params
from pyama_core.processing.workflow.services.selection import find_channel
from pyama_core.processing.workflow.services.types import (
    TIME_UNITS,
    Channels,
    ProcessingContext,
    ensure_context,
)
from pyama_core.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChannelChoice:
    """Channels by their number in the source file.

    Attributes
    ----------
    pc : int or None
        Phase contrast, in which cells are found.
    fl : tuple of int
        Fluorescence channels, each of which gives traces; in order.
    nuclei : int or None
        A channel that shows nuclei, for segmentation methods that use one, and to be measured
        apart.
    segment : int or None
        The channel in which cells are found where that is not phase contrast, or not said to be.
    """

    pc: int | None = None
    fl: tuple[int, ...] = ()
    nuclei: int | None = None
    segment: int | None = None

    @property
    def cells(self) -> int | None:
        """The channel in which cells are found."""
        return self.segment if self.pc is None else self.pc

    @property
    def copied(self) -> tuple[int, ...]:
        """Channels besides phase contrast that are copied, each once, whatever they are for."""
        further = (each for each in (self.nuclei, self.segment) if each is not None)
        return tuple(sorted({*self.fl, *further}))

    def as_plain_data(self) -> dict[str, Any]:
        """Return numbers by what the channels are for, as records keep them."""
        kept: dict[str, Any] = {"pc": self.pc, "fl": list(self.fl), "nuclei": self.nuclei}
        return kept if self.segment is None else {**kept, "segment": self.segment}


@dataclass(frozen=True)
class Analysis:
    """What is done with each field of view of a run.

    Attributes
    ----------
    channels : ChannelChoice
        What is looked at, and what is measured.
    parameters : Parameters
        Of all steps, validated.
    time_units : str
        Unit of the times in traces.
    picture : Picture or None
        What the channel shows in which cells are found, where that decided on the segmentation.
    """

    channels: ChannelChoice
    parameters: Parameters = field(default_factory=Parameters)
    time_units: str = TIME_UNITS
    picture: Picture | None = field(default=None, compare=False)

    @property
    def has_compartments(self) -> bool:
        """Whether nuclei are found, and measured apart from the cells that they belong to."""
        return self.parameters.extraction.needs_nuclei

    def as_settings(self) -> Settings:
        """Return this in the form that records keep, defaults included."""
        return Settings(
            channels=self.channels.as_plain_data(),
            params=self.parameters.as_plain_data(),
            time_units=self.time_units,
            version=__version__,
        )

    def picture_note(self) -> PictureNote | None:
        """Return the picture in the form that records keep."""
        seen = self.picture
        if seen is None:
            return None
        return PictureNote(
            kind=seen.kind, likely=seen.likely, reason=seen.reason, method=seen.method
        )


def parse_analysis(context: ProcessingContext, channel_names: Sequence[str] = ()) -> Analysis:
    """Read what a caller's context asks for.

    Parameters
    ----------
    context : ProcessingContext
        Its channels that are names become numbers.
    channel_names : sequence of str
        Names of the channels of the source file.

    Raises
    ------
    InputError
        There is no such channel, or a parameter is unknown or out of bounds.

    Examples
    --------
    >>> context = ProcessingContext(channels=Channels(pc=0, fl=["GFP", 1]))
    >>> parse_analysis(context, ["Phase", "mCherry", "GFP"]).channels.fl
    (1, 2)
    """
    words = ensure_context(context).channels or Channels()
    parameters = validate_params(context.params, default_segmentation(words)).steps()
    analysis = choose(words, parameters, channel_names, context.time_units or TIME_UNITS)
    chosen = analysis.channels
    words.pc, words.fl, words.nuclei = chosen.pc, list(chosen.fl), chosen.nuclei
    words.segment = chosen.segment
    return analysis


def default_segmentation(words: Channels) -> str:
    """Return the segmentation that is taken where none is named: of phase contrast, or by look."""
    return "auto" if words.pc is None and words.segment is not None else "instances"


def choose(
    words: Channels,
    parameters: Parameters,
    channel_names: Sequence[str],
    time_units: str = TIME_UNITS,
) -> Analysis:
    """Put channels, by number or name, and validated parameters together.

    Parameters
    ----------
    words : Channels
        What is looked at, and what is measured.
    parameters : Parameters
        Of all steps; a channel in them may be a name.
    channel_names : sequence of str
        Names of the channels of the source file.
    time_units : str
        Unit of the times in traces.

    Raises
    ------
    InputError
        There is no such channel, it was chosen twice, or two are to be segmented.
    """

    def number_of(channel: int | str, place: str) -> int:
        try:
            return find_channel(channel, channel_names) if isinstance(channel, str) else channel
        except InputError as error:
            raise InputError(f"{place}: {error}") from error

    pc, nuclei, segment = words.pc, words.nuclei, words.segment
    if pc is not None and segment is not None:
        raise InputError(
            "cells are found in one channel: expected pc (--pc) or segment (--segment), found "
            f"both ({pc} and {segment})"
        )
    fl = [number_of(channel, "channels.fl") for channel in words.fl]
    if len(set(fl)) != len(fl):
        raise InputError(f"a fluorescence channel was chosen twice: {words.fl}")
    chosen = ChannelChoice(
        pc=None if pc is None else number_of(pc, "channels.pc"),
        fl=tuple(sorted(fl)),
        nuclei=None if nuclei is None else number_of(nuclei, "channels.nuclei"),
        segment=None if segment is None else number_of(segment, "channels.segment"),
    )
    tracking = parameters.tracking.with_channels(number_of)
    parameters = dataclasses.replace(parameters, tracking=tracking)
    return Analysis(*_with_nuclei_of_grown_cells(chosen, parameters), time_units)


def _with_nuclei_of_grown_cells(
    chosen: ChannelChoice, parameters: Parameters
) -> tuple[ChannelChoice, Parameters]:
    """Let the nuclei of cells that are grown be what they were grown from, unless others are given.

    So cells and nuclei that are found in one channel, and of which one is to be measured apart from
    the other, need no channel and no section of their own for the nuclei.
    """
    found = parameters.segmentation
    if (
        not parameters.extraction.needs_nuclei
        or not isinstance(found, GrowthParameters)
        or found.grow_by is None
        or chosen.segment is None
        or chosen.nuclei not in (None, chosen.segment)
        or parameters.nuclei != Parameters().nuclei
    ):
        return chosen, parameters
    nuclei = found.model_copy(update={"grow_by": None})
    return (
        dataclasses.replace(chosen, nuclei=chosen.segment),
        dataclasses.replace(parameters, nuclei=nuclei),
    )


def recorded_analysis(settings: Settings | None) -> Analysis | None:
    """Read what the run that last worked on a field of view was asked for.

    None where that cannot be told any more: there are no settings, or they name a method of a
    package that is not installed here.
    """
    if settings is None:
        return None
    try:
        parameters = validate_params(settings.params).steps()
        channels = _channels_of(settings.channels)
    except (InputError, TypeError, ValueError) as error:
        logger.warning("what is outdated cannot be told: %s", error)
        return None
    return Analysis(channels, parameters, settings.time_units)


def _channels_of(words: Mapping[str, Any]) -> ChannelChoice:
    fl = tuple(words.get("fl") or ())
    return ChannelChoice(words.get("pc"), fl, words.get("nuclei"), words.get("segment"))


def without_parameters(settings: Settings) -> Analysis:
    """Return an analysis of the recorded channels by the default methods.

    It tells which outputs were asked for, where the methods are not known here.
    """
    return Analysis(_channels_of(settings.channels))


def chosen_plane(metadata: MicroscopyMetadata, analysis: Analysis) -> PlaneChoice:
    """Return the plane of a z-stack that is copied.

    Raises
    ------
    InputError
        The source has no such plane.
    """
    chosen = analysis.parameters.copying.z
    if chosen is None:
        chosen = dict(metadata.options).get("z", 0)
    if isinstance(chosen, int) and chosen >= metadata.n_z:
        raise InputError(
            f"plane z={chosen} does not exist: {metadata.file_path.name} has {metadata.n_z}"
        )
    return chosen
