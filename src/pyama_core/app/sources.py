"""Microscope files that the page looks into: opened once, and closed when they are not used."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyama_core.app.file_state import FileState, state_of
from pyama_core.app.messages import Message
from pyama_core.app.roots import Roots
from pyama_core.errors import InputError
from pyama_core.io.microscopy import FrameSource, load_microscopy_file
from pyama_core.io.readers.survey import Survey, survey
from pyama_core.processing.frame import refusal_of
from pyama_core.processing.segmentation.picture.kind import Picture
from pyama_core.processing.workflow.services.pictures import look_at_channel

_MOST_OPEN = 4
_IDLE_S = 60.0


class Reading(Message):
    """How a file is read, where it does not say itself; empty texts for as it says."""

    z: str = ""
    axes: str = ""
    sizes: str = ""
    pattern: str = ""
    outside: bool = False
    numbering: str = ""

    def options(self) -> dict[str, Any]:
        """Return what is given, as `load_microscopy_file` takes it."""
        given: dict[str, Any] = {
            name: getattr(self, name).strip()
            for name in ("axes", "sizes", "pattern", "numbering")
            if getattr(self, name).strip()
        }
        if self.z.strip():
            given["z"] = plane_of(self.z)
        return given | ({"outside": True} if self.outside else {})


def plane_of(words: str) -> int | str:
    """Return a plane of a z-stack as it is typed.

    Raises
    ------
    InputError
        It is neither a number nor ``max``.
    """
    words = words.strip()
    if words.isdecimal() and len(words) < 10:
        return int(words)
    if words == "max":
        return words
    raise InputError(f"z: expected the number of a plane, from 0, or max, found {words!r}")


@dataclass(frozen=True)
class Seen:
    """What a few frames of a file showed.

    Attributes
    ----------
    survey : Survey
        Ranges of grey values, and a few frames.
    pictures : mapping of int to Picture
        What channels show that have light.
    """

    survey: Survey
    pictures: Mapping[int, Picture]


@dataclass
class _Opened:
    source: FrameSource
    n_users: int = 0
    used: float = field(default_factory=time.monotonic)
    seen: Seen | None = None
    looking: threading.Lock = field(default_factory=threading.Lock)


_Key = tuple[Path, FileState, tuple[tuple[str, Any], ...]]


class OpenSources:
    """Microscope files that are open; safe to use from several threads.

    Parameters
    ----------
    roots : Roots
        Files below these alone, and files that belong to them as well.
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._lock = threading.Lock()
        self._opened: OrderedDict[_Key, _Opened] = OrderedDict()

    @contextlib.contextmanager
    def use(self, path: Path, reading: Reading) -> Iterator[FrameSource]:
        """Lend a file, open, to the block.

        Raises
        ------
        InputError
            It cannot be read as it is asked for, or is made of files that lie elsewhere.
        """
        with self._lent(path, reading) as opened:
            yield opened.source

    def look(self, path: Path, reading: Reading) -> Seen:
        """Tell what a few frames of a file show; remembered as long as it is open."""
        with self._lent(path, reading) as opened, opened.looking:
            if opened.seen is None:
                opened.seen = _look_into(opened.source)
            return opened.seen

    @contextlib.contextmanager
    def _lent(self, path: Path, reading: Reading) -> Iterator[_Opened]:
        options = reading.options()
        key = (path, state_of(path), tuple(sorted(options.items())))
        with self._lock:
            opened = self._opened.get(key)
            if opened is None:
                opened = self._opened[key] = _Opened(self._open(path, options))
            self._opened.move_to_end(key)
            opened.n_users += 1
        try:
            yield opened
        finally:
            with self._lock:
                opened.n_users -= 1
                opened.used = time.monotonic()
                self._close_idle(_MOST_OPEN)

    def _open(self, path: Path, options: dict[str, Any]) -> FrameSource:
        if path.is_dir():
            self._roots.require_links_inside(path)
        source, metadata = load_microscopy_file(path, **options)
        try:
            for companion in metadata.companions:
                self._roots.inside(os.path.realpath(companion))
        except InputError:
            source.close()
            raise
        return source

    def _close_idle(self, most: int, idle_s: float = _IDLE_S) -> None:
        now = time.monotonic()
        for key, opened in list(self._opened.items()):
            is_old = now - opened.used >= idle_s or len(self._opened) > most
            if opened.n_users == 0 and is_old:
                del self._opened[key]
                opened.source.close()

    def close(self) -> None:
        """Close all files that nobody uses just now."""
        with self._lock:
            self._close_idle(0, 0.0)


def _look_into(source: FrameSource) -> Seen:
    seen = survey(source)
    pictures = {}
    if refusal_of(source.metadata.dtype) is None:
        lit = [
            channel for channel, limits in enumerate(seen.ranges) if limits not in (None, (0, 0))
        ]
        pictures = {channel: look_at_channel(source, channel) for channel in lit}
    return Seen(seen, pictures)
