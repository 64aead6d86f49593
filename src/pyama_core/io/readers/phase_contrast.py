"""Which channel looks like phase contrast, by its name, its emission and a few of its frames."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from pyama_core.io.readers.frame_source import Frame, MicroscopyMetadata
from pyama_core.io.readers.survey import Survey

_PHASE = re.compile(
    r"(?i:phase|phaco)|(?<![A-Za-z])(?:P[hH][0-9cC]?|ph[0-9c]?|PC|Pc|pc)(?![A-Za-z])"  # not pH
)
_TRANSMITTED = re.compile(
    r"bright.?field|trans(?:mi|$)|(?<![a-z])(?:dic|bf|dia|tl)(?![a-z])", re.IGNORECASE
)
_FLUORESCENT = re.compile(
    r"[bcgry]fp|cherry|tomato|venus|citrine|neongreen|ruby|scarlet|kate|dapi|hoechst|fitc|tritc|"
    r"texas.?red|txred|cy ?[2357](?![0-9])|alexa|(?<![a-z])af ?[3-7][0-9]{2}|"
    r"rhodamine|calcein|draq|fluo|(?<![a-z])(?:sir|h2b)(?![a-z])",
    re.IGNORECASE,
)
_BLOCK = 4
_PERCENTILES = (0.5, 50.0, 99.5)
# Fluorescence of sparse cells has 0.7 to 1, transmitted light -0.4 to 0.3.
_MAX_SKEW = 0.5


def find_phase_contrast(metadata: MicroscopyMetadata, seen: Survey) -> int | None:
    """Return the channel that looks like phase contrast; None if none does.

    What a name says counts most, then that a channel has no emission while others have, then that
    its grey values lie on both sides of their median: fluorescent cells are only ever brighter
    than what is around them.
    """
    names = metadata.channel_names
    possible = [channel for channel, limits in enumerate(seen.ranges) if limits != (0, 0)]
    for called in (_PHASE, _TRANSMITTED):
        if named := [channel for channel in possible if called.search(names[channel])]:
            return _least_skewed(named, seen) if len(named) > 1 else named[0]
    if emission := metadata.emission_nm:
        possible = [channel for channel in possible if emission[channel] is None]
        if len(possible) == 1:
            return possible[0]
    skews = _skews(possible, seen)
    found = [channel for channel in possible if skews.get(channel, 1.0) < _MAX_SKEW]
    return _least_skewed(found, seen) if found else None


def is_transmitted(name: str) -> bool:
    """Tell whether a channel has the name of transmitted light, phase contrast or other.

    Examples
    --------
    >>> is_transmitted("Ph2"), is_transmitted("BF"), is_transmitted("FITC pH 9")
    (True, True, False)
    """
    return any(called.search(name) for called in (_PHASE, _TRANSMITTED))


def is_fluorescence(name: str, emission_nm: float | None = None) -> bool:
    """Tell whether a channel has the name of a dye or fluorescent protein, or an emission.

    Examples
    --------
    >>> is_fluorescence("FITC BP"), is_fluorescence("EGFP"), is_fluorescence("Channel 0")
    (True, True, False)
    >>> is_fluorescence("Channel 0", 510.0), is_fluorescence("Phase (GFP)", 510.0)
    (True, False)
    """
    named = _FLUORESCENT.search(name) is not None
    return (named or emission_nm is not None) and not is_transmitted(name)


def _least_skewed(channels: Sequence[int], seen: Survey) -> int:
    skews = _skews(channels, seen)
    return min(channels, key=lambda channel: (skews.get(channel, 1.0), channel))


def _skews(channels: Sequence[int], seen: Survey) -> Mapping[int, float]:
    """Return how lopsided the grey values of channels are, of those that have any."""
    found = {}
    for channel in channels:
        frames = [frame for (of, _), frame in seen.samples.items() if of == channel]
        if values := [skew for frame in frames if (skew := _skew(frame)) is not None]:
            found[channel] = abs(float(np.median(values)))
    return found


def _skew(frame: Frame) -> float | None:
    """Compare both tails of the grey values, from -1 (all below the median) to 1 (all above)."""
    height, width = (size // _BLOCK * _BLOCK for size in frame.shape)
    if not height or not width:
        return None
    blocks = frame[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    with np.errstate(invalid="ignore"):
        # Without the noise of single pixels, which is the same on both sides.
        means = blocks.mean((1, 3), dtype=np.float64)
    means = means[np.isfinite(means)]
    if not means.size:
        return None
    low, middle, high = np.percentile(means, _PERCENTILES)
    return float((high - 2 * middle + low) / (high - low)) if high > low else None
