"""The `pyama run` line that fits a data set, to type or to copy."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.readers.phase_contrast import find_phase_contrast, is_transmitted
from pyama_core.io.readers.survey import Survey
from pyama_core.io.urls import text_of
from pyama_core.processing.segmentation.picture.kind import Picture, PictureKind
from pyama_core.processing.workflow.services.selection import find_channel

UNKNOWN_CHANNEL = "CHANNEL"
"""Stands for the channel in which cells are found where none looks like it."""

Pictures = Mapping[int, Picture]
"""What channels show, by their number."""

_NUCLEAR = re.compile(r"dapi|hoechst|draq|(?<![a-z])(?:h2b|sir|nuc|nls)", re.IGNORECASE)


def words_of_run(
    file: Path,
    options: Mapping[str, Any],
    metadata: MicroscopyMetadata,
    seen: Survey,
    pictures: Pictures,
) -> list[str]:
    """Return the words of a run of a whole data set, read with the options that were typed."""
    pc, segment = _channel_of_cells(metadata, seen, pictures)
    cells = segment if pc is None else pc
    path = text_of(file)
    path = f"./{path}" if path.startswith("-") else path
    words = ["pyama", "run", path, "-o", "results", "--segment" if pc is None else "--pc"]
    words.append(UNKNOWN_CHANNEL if cells is None else _word_of(cells, metadata.channel_names))
    for channel, name in enumerate(metadata.channel_names):
        if channel != pc and seen.ranges[channel] != (0, 0) and not is_transmitted(name):
            words += ["--fl", _word_of(channel, metadata.channel_names)]
    for option, value in options.items():
        words.append(f"--{option}")
        if value is not True:
            words.append(str(value))
    return words


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
    nuclear = [each for each in bright if _NUCLEAR.search(metadata.channel_names[each])]
    return None, next(iter(nuclear or bright), None)


def as_line(words: list[str]) -> str:
    """Write words as the shell of this system takes them.

    Examples
    --------
    >>> as_line(["pyama", "run", "a.tif"])
    'pyama run a.tif'
    """
    if os.name == "nt":
        from subprocess import list2cmdline

        return list2cmdline(words)
    return " ".join(map(_quoted, words))


def _word_of(channel: int, names: tuple[str, ...]) -> str:
    """Return the name of a channel if it can be typed and means that channel alone."""
    name = names[channel]
    try:
        clear = name.isprintable() and find_channel(name, names) == channel
    except InputError:
        clear = False
    return name if clear and not name.startswith("-") else f"index:{channel}"


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # What nobody can type, such as a byte in a file name that is no text, by its number.
    plain = (c if c.isprintable() and c not in "'\\" else _in_octal(c) for c in word)
    return f"$'{''.join(plain)}'"


def _in_octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
