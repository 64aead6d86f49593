"""The `pyama run` line that fits a data set, to type or to copy."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.readers.survey import Survey
from pyama_core.io.urls import text_of
from pyama_core.processing.workflow.services.roles import (
    Pictures,
    is_asked_what_to_measure,
    propose_roles,
)
from pyama_core.processing.workflow.services.selection import word_of

UNKNOWN_CHANNEL = "CHANNEL"
"""Stands for the channel in which cells are found where none looks like it."""


def words_of_run(
    file: Path,
    options: Mapping[str, Any],
    metadata: MicroscopyMetadata,
    seen: Survey,
    pictures: Pictures,
) -> list[str]:
    """Return the words of a run of a whole data set, read with the options that were typed."""
    roles = propose_roles(metadata, seen, pictures)
    cells = roles.segment if roles.pc is None else roles.pc
    path = text_of(file)
    path = f"./{path}" if path.startswith("-") else path
    words = ["pyama", "run", path, "-o", "results", "--segment" if roles.pc is None else "--pc"]
    words.append(UNKNOWN_CHANNEL if cells is None else word_of(cells, metadata.channel_names))
    measured = roles.fl
    if not measured and is_asked_what_to_measure(len(metadata.channel_names)):
        measured = tuple(c for c in range(len(metadata.channel_names)) if c != cells)
    for channel in measured:
        words += ["--fl", word_of(channel, metadata.channel_names)]
    for option, value in options.items():
        words.append(f"--{option}")
        if value is not True:
            words.append(str(value))
    return words


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


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # What nobody can type, such as a byte in a file name that is no text, by its number.
    plain = (c if c.isprintable() and c not in "'\\" else _in_octal(c) for c in word)
    return f"$'{''.join(plain)}'"


def _in_octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
