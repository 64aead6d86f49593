"""A look at a few frames of a data set: what range its pixels use, and how fast it reads."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyama_core.errors import MissingFrameError
from pyama_core.io.readers.frame_source import Frame, FrameSource, MicroscopyMetadata, PlaneChoice


@dataclass(frozen=True)
class Survey:
    """What a few frames showed.

    Attributes
    ----------
    ranges : tuple of ((min, max) or None)
        Smallest and largest pixel seen in each channel; None where no frame could be read.
    seconds_per_frame : float or None
        How long a frame took to read on average; None if none was.
    samples : dict of (channel, time) to ndarray
        First, middle and last frame of the first field of view that has frames.
    failures : tuple of str
        Why frames could not be read.
    """

    ranges: tuple[tuple[float, float] | None, ...]
    seconds_per_frame: float | None
    samples: dict[tuple[int, int], Frame] = field(repr=False)
    failures: tuple[str, ...] = ()


def survey(source: FrameSource) -> Survey:
    """Read first, middle and last frame of every channel in the first and the last field of view.

    Parameters
    ----------
    source : FrameSource
        An open data set.

    Returns
    -------
    Survey
        Frames that are missing are told of, never made up.
    """
    about = source.metadata
    ranges: list[tuple[float, float] | None] = [None] * about.n_channels
    samples: dict[tuple[int, int], Frame] = {}
    failures: list[str] = []
    filled = [fov for fov in range(about.n_fovs) if about.fov_shapes[fov][0]]
    seconds, n_read = 0.0, 0
    for fov in sorted({filled[0], filled[-1]}):
        for t in first_middle_last(about.fov_shapes[fov][0]):
            for channel in range(about.n_channels):
                started = time.perf_counter()
                try:
                    frame = source.read_frame(fov, channel, t)
                except MissingFrameError as error:
                    failures.append(str(error))
                    continue
                seconds, n_read = seconds + time.perf_counter() - started, n_read + 1
                low, high = float(frame.min()), float(frame.max())
                known = ranges[channel] or (low, high)
                ranges[channel] = min(low, known[0]), max(high, known[1])
                if fov == filled[0]:
                    samples[channel, t] = frame
    return Survey(tuple(ranges), seconds / n_read if n_read else None, samples, tuple(failures))


def dark_channels(
    source: FrameSource, channels: Iterable[int], z: PlaneChoice | None = None
) -> list[int]:
    """Find channels that are zero throughout all frames looked at, which are those of `survey`.

    Of a channel that is not, hardly ever more than one frame is read.
    """
    about = source.metadata
    filled = [fov for fov in range(about.n_fovs) if about.fov_shapes[fov][0]]
    dark = dict.fromkeys(channels, False)
    for fov in sorted({filled[0], filled[-1]}):
        for t in first_middle_last(about.fov_shapes[fov][0]):
            for channel in list(dark):
                try:
                    frame = source.read_frame(fov, channel, t, z)
                except (MissingFrameError, OSError):
                    continue  # said by whoever needs that frame
                if is_dark(frame):
                    dark[channel] = True
                else:
                    del dark[channel]
    return sorted(channel for channel, seen in dark.items() if seen)


def dark_warning(metadata: MicroscopyMetadata, channel: int) -> str:
    """Name a channel of which all frames looked at are zero throughout."""
    name = metadata.channel_names[channel]
    return f"channel {channel} ({name}) is 0 in all frames looked at; check that it was acquired"


def is_dark(frame: Frame) -> bool:
    """Tell whether all pixels are zero; of other frames nearly always the first one says so."""
    return not frame[0, 0] and not frame.any()


def first_middle_last(n_frames: int) -> list[int]:
    """Return the first, the middle and the last of some frames, each once.

    Examples
    --------
    >>> first_middle_last(11), first_middle_last(2), first_middle_last(1)
    ([0, 5, 10], [0, 1], [0])
    """
    return sorted({0, n_frames // 2, n_frames - 1}) if n_frames else []
