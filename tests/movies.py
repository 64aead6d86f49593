"""Small movies, written by tifffile as microscopes do, for tests that need their own source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file


def write_movie(
    path: Path,
    positions: Sequence[NDArray[Any]],
    channel_names: Sequence[str],
    interval_minutes: float | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """Write one (T, C, Y, X) array per field of view as an OME-TIFF, with names of their own."""
    times = {}
    if interval_minutes is not None:
        times = {"TimeIncrement": interval_minutes, "TimeIncrementUnit": "min"}
    with tifffile.TiffWriter(path, ome=True) as tif:
        for fov, pixels in enumerate(positions):
            tif.write(
                pixels,
                photometric="minisblack",
                metadata={
                    "axes": "TCYX",
                    "Name": names[fov] if names else f"position {fov}",
                    "Channel": {"Name": list(channel_names)},
                    **times,
                },
            )
    return path


def metadata_of(path: Path) -> MicroscopyMetadata:
    """Return the metadata of a file, with the file closed."""
    source, metadata = load_microscopy_file(path)
    source.close()
    return metadata


def rough_squares(
    n_frames: int, size: int, corners: Sequence[tuple[int, int]], side: int = 28, seed: int = 0
) -> NDArray[np.uint16]:
    """Return (T, 2, Y, X) of rough squares on smooth ground, bright in the second channel.

    The ground of the second channel is 100 and a square adds 50, so its true total is known.
    """
    rng = np.random.default_rng(seed)
    pixels = np.empty((n_frames, 2, size, size), np.uint16)
    pixels[:, 0] = rng.integers(995, 1006, (n_frames, size, size))
    pixels[:, 1] = 100
    for y, x in corners:
        square = np.s_[y : y + side, x : x + side]
        for frame in pixels:
            frame[0][square] = rng.integers(500, 1500, frame[0][square].shape)
            frame[1][square] += 50
    return pixels
