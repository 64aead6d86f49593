"""What a microscope file holds, in a sentence and a thumbnail."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.app.file_state import FileState, state_of
from pyama_core.app.levels import MOST, averaged, shown
from pyama_core.app.messages import Message
from pyama_core.app.overview import State
from pyama_core.app.roots import Roots
from pyama_core.errors import MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.frame_source import FrameSource, MicroscopyMetadata

_LARGEST_SIDE = 128
_MOST_KEPT = 200
_SHARES = (0.5, 99.5)


class Card(Message):
    """What a file or folder holds."""

    words: str
    """A line for people."""
    details: tuple[str, ...]
    """Further lines: names of channels and positions, what to know of."""
    states: tuple[tuple[State, int], ...]
    """Of results: how many positions are how far."""


class FileCards:
    """Describes files, one at a time, and remembers what it found as long as they do not change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path, FileState], tuple[Card, NDArray[Any]]] = OrderedDict()

    def of_file(self, roots: Roots, path: Path) -> tuple[Card, NDArray[Any]]:
        """Describe a microscope file, and draw its first position.

        Raises
        ------
        InputError
            It cannot be read, or is made of files that lie outside of the roots.
        """
        key = (path, state_of(path))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = _look_into(roots, path)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]


def _look_into(roots: Roots, path: Path) -> tuple[Card, NDArray[Any]]:
    if path.is_dir():
        roots.require_links_inside(path)
    source, metadata = load_microscopy_file(path)
    with source:
        for companion in metadata.companions:
            roots.inside(os.path.realpath(companion))
        return _card_of_file(metadata), _first_picture(source, metadata)


def _card_of_file(about: MicroscopyMetadata) -> Card:
    size = "" if about.pixel_size_um is None else f", {about.pixel_size_um:.4g} µm per pixel"
    return Card(
        words=f"{plural(about.n_fovs, 'position')}, {plural(about.n_frames, 'frame')} of "
        f"{about.width} × {about.height} px{size}",
        details=(f"channels: {', '.join(about.channel_names)}", *about.warnings),
        states=(),
    )


def _first_picture(source: FrameSource, about: MicroscopyMetadata) -> NDArray[Any]:
    """Draw the middle frame of the first position that has one; black if it cannot be read."""
    fov = next((i for i, shape in enumerate(about.fov_shapes) if shape[0]), None)
    if fov is not None:
        for channel in range(about.n_channels):
            try:
                return small_picture(source.read_frame(fov, channel, about.fov_shapes[fov][0] // 2))
            except MissingFrameError:
                continue
    return np.zeros((1, 1), np.uint8)


def small_picture(frame: NDArray[Any], side: int = _LARGEST_SIDE) -> NDArray[Any]:
    """Return a frame as (Y, X) uint8, at most so many pixels wide and high, with contrast."""
    level = 0
    while max(frame.shape) > side << level and level < MOST:
        level += 1
    small = averaged(shown(frame), level).astype(np.float32)
    known = small[np.isfinite(small)]
    if known.size == 0:
        return np.zeros(small.shape, np.uint8)
    low, high = np.percentile(known, _SHARES).tolist()
    scaled = (np.nan_to_num(small) - low) / max(high - low, 1e-6)
    return np.asarray(scaled.clip(0, 1) * 255, np.uint8)


def plural(n: int, what: str) -> str:
    """Return ``1 cell``, ``2 cells``."""
    return f"{n} {what}{'' if n == 1 else 's'}"
