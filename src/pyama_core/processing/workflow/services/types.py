"""What a run is asked for and what it has made so far."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError
from pyama_core.io.paths import given_path
from pyama_core.outputs import Output, all_kinds

ChannelPath = tuple[int, Path]
"""A channel of the source and the file made from it."""


@dataclass
class Channels:
    """Channels by their number in the source file, from 0, or by name.

    A name is any word that the command line takes (see `selection.find_channel`). When a run or a
    service begins, the number of the channel takes its place.

    Attributes
    ----------
    pc : int, str or None
        Phase contrast, which is segmented.
    fl : list of int or str
        Fluorescence channels, each of which gives traces.
    nuclei : int, str or None
        A channel that shows nuclei, for segmentation methods that use one, and to be measured
        apart.
    segment : int, str or None
        The channel that is segmented, in place of `pc`, whatever it shows; it may be one of `fl`.

    Examples
    --------
    >>> Channels(pc="Phase", fl=["GFP", 2])
    Channels(pc='Phase', fl=['GFP', 2], nuclei=None, segment=None)
    """

    pc: int | str | None = None
    fl: list[int | str] = field(default_factory=list)
    nuclei: int | str | None = None
    segment: int | str | None = None


@dataclass
class ResultsPathsPerFOV:
    """Files made for one field of view; None or empty where a step has not run."""

    pc: ChannelPath | None = None
    fl: list[ChannelPath] = field(default_factory=list)
    seg: ChannelPath | None = None
    seg_labeled: ChannelPath | None = None
    fl_corrected: list[ChannelPath] = field(default_factory=list)
    traces_csv: list[ChannelPath] = field(default_factory=list)
    tracks_csv: ChannelPath | None = None
    shifts_csv: ChannelPath | None = None
    others: dict[str, list[ChannelPath]] = field(default_factory=dict)
    """Outputs of kinds that have no field of their own, by kind."""

    def add(self, output: Output, path: Path) -> None:
        """Set the file of an output; lists stay in order of channels."""
        known, pair = self._known(output.kind.name), (output.channel, path)
        if isinstance(known, list):
            known[:] = sorted([other for other in known if other[0] != output.channel] + [pair])
        else:
            setattr(self, output.kind.name, pair)

    def items(self) -> Iterator[tuple[Output, Path]]:
        """Output and path of every file."""
        for kind in all_kinds():
            known = self._known(kind.name)
            pairs = known if isinstance(known, list) else [] if known is None else [known]
            for channel, path in pairs:
                yield Output(kind, channel), Path(path)

    def _known(self, kind: str) -> list[ChannelPath] | ChannelPath | None:
        if kind in _OWN_FIELDS:
            known: list[ChannelPath] | ChannelPath | None = getattr(self, kind)
            return known
        return self.others.setdefault(kind, [])


_OWN_FIELDS = {known.name for known in fields(ResultsPathsPerFOV)} - {"others"}


@dataclass
class ProcessingContext:
    """A run's request and its results, filled in as the run proceeds.

    Attributes
    ----------
    output_dir : Path or None
        Folder of all outputs.
    channels : Channels or None
        What to process.
    results_paths : dict or None
        Files made, by field of view.
    params : dict or None
        ``{step: {name: value}}``; what is absent has its default.
    time_units : str or None
        Unit of the times in traces; minutes.

    Examples
    --------
    >>> context = ProcessingContext(output_dir="out", channels=Channels(pc=0, fl=[1]))
    """

    output_dir: Path | str | None = None
    channels: Channels | None = None
    results_paths: dict[int, ResultsPathsPerFOV] | None = None
    params: dict[str, dict[str, Any]] | None = None
    time_units: str | None = None


TIME_UNITS = "min"


def ensure_context(context: ProcessingContext) -> ProcessingContext:
    """Fill in the fields of a context that were left out, in place.

    Parameters
    ----------
    context : ProcessingContext
        Anything from empty to complete.

    Returns
    -------
    ProcessingContext
        The same object, every field of which but `output_dir` has a value.

    Raises
    ------
    InputError
        The name of the output folder is empty, or a channel neither a number nor a name.
    """
    if context.output_dir is not None:
        context.output_dir = given_path(context.output_dir, "output_dir")
    if context.channels is None:
        context.channels = Channels()
    _require_numbers(context.channels)
    if context.results_paths is None:
        context.results_paths = {}
    if context.params is None:
        context.params = {}
    if context.time_units is None:
        context.time_units = TIME_UNITS
    return context


def _require_numbers(channels: Channels) -> None:
    """Make numbers of channels Python's own, which records can keep, from any others."""
    try:
        channels.pc = None if channels.pc is None else _own_number(channels.pc)
        channels.nuclei = None if channels.nuclei is None else _own_number(channels.nuclei)
        channels.segment = None if channels.segment is None else _own_number(channels.segment)
        channels.fl = [_own_number(channel) for channel in channels.fl]
    except TypeError as error:
        raise InputError(
            "channels: expected numbers, from 0 in the order of the file, or names, found "
            f"{channels}"
        ) from error


def _own_number(channel: int | str) -> int | str:
    if isinstance(channel, bool):
        raise TypeError("true and false are numbers to Python, but no channels")
    return channel if isinstance(channel, str) else operator.index(channel)


def paths_of_fov(context: ProcessingContext, fov: int) -> ResultsPathsPerFOV:
    """Return the files of one field of view, made on first use, for updating in place."""
    ensure_context(context)
    assert context.results_paths is not None
    return context.results_paths.setdefault(fov, ResultsPathsPerFOV())
