"""What each channel of a data set seems to be: phase contrast, what is segmented, nuclei."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.readers.phase_contrast import find_phase_contrast, is_transmitted
from pyama_core.io.readers.survey import Survey
from pyama_core.processing.segmentation.picture.kind import Picture, PictureKind

Pictures = Mapping[int, Picture]
"""What channels show, by their number."""

_NUCLEAR = re.compile(r"dapi|hoechst|draq|(?<![a-z])(?:h2b|sir|nuc|nls)", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """Channels of a data set by what they seem to be, by number.

    Attributes
    ----------
    pc : int or None
        Phase contrast, which is segmented.
    segment : int or None
        The channel that is segmented where there is no phase contrast.
    fl : tuple of int
        Fluorescence, which is measured.
    """

    pc: int | None
    segment: int | None
    fl: tuple[int, ...]


def propose_roles(metadata: MicroscopyMetadata, seen: Survey, pictures: Pictures) -> Roles:
    """Return what each channel seems to be, by names, emission and a few frames."""
    pc, segment = _channel_of_cells(metadata, seen, pictures)
    measured = (
        channel
        for channel, name in enumerate(metadata.channel_names)
        if channel != pc and seen.ranges[channel] != (0, 0) and not is_transmitted(name)
    )
    return Roles(pc, segment, tuple(measured))


def is_asked_what_to_measure(n_channels: int) -> bool:
    """Tell whether a run must be told what it measures.

    Of a single channel it goes without saying that nothing is, for cells are found in it.
    """
    return n_channels > 1


def shows_nuclei(name: str) -> bool:
    """Tell whether a channel has the name of a nuclear stain.

    Examples
    --------
    >>> shows_nuclei("DAPI"), shows_nuclei("H2B-mCherry"), shows_nuclei("GFP")
    (True, True, False)
    """
    return _NUCLEAR.search(name) is not None


def _channel_of_cells(
    metadata: MicroscopyMetadata, seen: Survey, pictures: Pictures
) -> tuple[int | None, int | None]:
    """Return the phase contrast; or another channel in which cells are found, nuclei first.

    What looks like phase contrast and shows bright or dark objects alone is segmented as that.
    """
    pc = find_phase_contrast(metadata, seen)
    objects = (PictureKind.BRIGHT, PictureKind.DARK)
    shown = [channel for channel, picture in pictures.items() if picture.kind in objects]
    if pc in shown:
        return None, pc
    if pc is not None:
        return pc, None
    bright = [each for each in shown if pictures[each].kind is PictureKind.BRIGHT] or shown
    nuclear = [each for each in bright if shows_nuclei(metadata.channel_names[each])]
    return None, next(iter(nuclear or bright), None)
