"""What a run is asked for and what it has made so far."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pyama_core.io.errors import InputError
from pyama_core.io.naming import OutputKind

ChannelPath = tuple[int, Path]
"""A channel of the source and the file made from it."""


@dataclass
class Channels:
    """Channels by their number in the source file.

    Attributes
    ----------
    pc : int or None
        Phase contrast, which is segmented.
    fl : list of int
        Fluorescence channels, each of which gives traces.
    nuclei : int or None
        A channel that shows nuclei, for segmentation methods that use one.
    """

    pc: int | None = None
    fl: list[int] = field(default_factory=list)
    nuclei: int | None = None

    def copied(self) -> list[int]:
        """Channels besides phase contrast that are copied: those measured, and the nuclei."""
        return sorted({*self.fl, *([] if self.nuclei is None else [self.nuclei])})


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

    def add(self, kind: OutputKind, channel: int, path: Path) -> None:
        """Set the file of a kind for a channel; lists stay in order of channels."""
        known = getattr(self, kind)
        if isinstance(known, list):
            known[:] = sorted([pair for pair in known if pair[0] != channel] + [(channel, path)])
        else:
            setattr(self, kind, (channel, path))

    def items(self) -> Iterator[tuple[OutputKind, int, Path]]:
        """Kind, channel and path of every file."""
        for kind in get_args(OutputKind):
            known = getattr(self, kind)
            pairs = known if isinstance(known, list) else [] if known is None else [known]
            for channel, path in pairs:
                yield kind, channel, Path(path)

    def find(self, kind: OutputKind, channel: int) -> Path | None:
        """Path of the file of a kind for a channel, if there is one."""
        for known_kind, known_channel, path in self.items():
            if (known_kind, known_channel) == (kind, channel):
                return path
        return None


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
        A channel is not a number.
    """
    if context.output_dir is not None:
        context.output_dir = Path(context.output_dir)
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
    """Make channels Python's own integers, which records can keep, from any others."""
    try:
        channels.fl = [operator.index(channel) for channel in channels.fl]
        for name in ("pc", "nuclei"):
            channel = getattr(channels, name)
            if channel is not None:
                setattr(channels, name, operator.index(channel))
    except TypeError as error:
        raise InputError(
            f"channels: expected numbers, from 0 in the order of the file, found {channels}"
        ) from error


def paths_of_fov(context: ProcessingContext, fov: int) -> ResultsPathsPerFOV:
    """Return the files of one field of view, made on first use, for updating in place."""
    ensure_context(context)
    assert context.results_paths is not None
    return context.results_paths.setdefault(fov, ResultsPathsPerFOV())


def requested_channels(context: ProcessingContext) -> Channels:
    """Return the channels of a context, empty if none were given."""
    channels = ensure_context(context).channels
    assert channels is not None
    return channels
