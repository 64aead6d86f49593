"""The file with the small pictures of a field of view, written and read."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import write_whole

VERSION: Literal[1] = 1
_LARGEST = 2**27

Image = bytes
"""A grey picture as WebP."""


class _About(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["pyama-core glimpse"] = "pyama-core glimpse"
    version: Literal[1] = VERSION
    inputs: dict[str, str]
    shape: tuple[int, int, int]
    frames: tuple[int, ...]
    channels: tuple[int, ...]
    cells_in: int | None
    pictured: tuple[int, ...]
    side: int
    strips: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Strip:
    """A cell through its life.

    Attributes
    ----------
    cell : int
        Its number in the label images of the run.
    frames : tuple of int
        In which it is shown.
    image : bytes
        A row of squares per channel, a column per frame.
    inside : (N, S, S) bool array
        Of each frame, which pixels of the square are the cell's.
    """

    cell: int
    frames: tuple[int, ...]
    image: Image
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Glimpse:
    """Small pictures of a field of view, and what was measured on the way.

    Attributes
    ----------
    inputs : mapping of str to str
        Checksums of the stacks that it was taken of, by kind and channel: ``seg_labeled 0``.
    shape : (T, Y, X)
        Of these.
    frames : tuple of int
        Frames that were looked at.
    channels : tuple of int
        Channels that were looked at.
    cells_in : int or None
        The one in which cells are found.
    background : (C, N) float array
        Median grey value outside of cells, by channel and frame.
    sharpness : (C, N) float array
        Variance of the Laplacian, relative to the brightness or contrast; NaN of channels in which
        no cells are found.
    pictured : tuple of int
        Frames of which there are whole pictures: the first, the middle one and the last.
    pictures : mapping of (channel, frame) to bytes
        These.
    labels : mapping of int to (Y, X) int array
        By frame, the label image of the run, as small as the pictures.
    side : int
        Pixels of the image that the side of a square of a strip covers.
    strips : tuple of Strip
        Some cells.
    """

    inputs: Mapping[str, str]
    shape: tuple[int, int, int]
    frames: tuple[int, ...]
    channels: tuple[int, ...]
    cells_in: int | None
    background: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    pictured: tuple[int, ...]
    pictures: Mapping[tuple[int, int], Image]
    labels: Mapping[int, NDArray[np.int64]]
    side: int
    strips: tuple[Strip, ...]


def save_glimpse(path: Path, glimpse: Glimpse) -> None:
    """Write the file in one step; the same glimpse gives the same bytes.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    about = _About(
        inputs=dict(glimpse.inputs),
        shape=glimpse.shape,
        frames=glimpse.frames,
        channels=glimpse.channels,
        cells_in=glimpse.cells_in,
        pictured=glimpse.pictured,
        side=glimpse.side,
        strips=tuple((strip.cell, strip.frames) for strip in glimpse.strips),
    )
    arrays: dict[str, NDArray[Any]] = {
        "about": _as_array(about.model_dump_json().encode()),
        "background": glimpse.background,
        "sharpness": glimpse.sharpness,
    }
    for (channel, frame), image in glimpse.pictures.items():
        arrays[f"picture_{channel}_{frame}"] = _as_array(image)
    for frame, labels in glimpse.labels.items():
        arrays[f"labels_{frame}"] = labels.astype(np.uint32)
    for i, strip in enumerate(glimpse.strips):
        arrays[f"strip_{i}"] = _as_array(strip.image)
        arrays[f"inside_{i}"] = np.packbits(strip.inside)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getvalue())


def _as_array(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


def load_glimpse(path: Path, tile: int) -> Glimpse | None:
    """Read the file; None if there is none, or it cannot be understood.

    Parameters
    ----------
    path : Path
        The file.
    tile : int
        Pixels of the side of a square.
    """
    try:
        content = read_regular(path)
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return _read(stored, tile)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _read(stored: Any, tile: int) -> Glimpse:
    """Take a file apart; raises what comes of what is not as it should be."""
    if sum(info.file_size for info in stored.zip.infolist()) > _LARGEST:
        raise ValueError("more than such a file holds")
    try:
        about = _About.model_validate(json.loads(stored["about"].tobytes()))
    except ValidationError as error:
        raise ValueError(str(error)) from error
    measured = (len(about.channels), len(about.frames))
    strips = [
        _read_strip(stored, i, cell, frames, tile) for i, (cell, frames) in enumerate(about.strips)
    ]
    there = set(stored.files)
    return Glimpse(
        inputs=about.inputs,
        shape=about.shape,
        frames=about.frames,
        channels=about.channels,
        cells_in=about.cells_in,
        background=stored["background"].astype(np.float64).reshape(measured),
        sharpness=stored["sharpness"].astype(np.float64).reshape(measured),
        pictured=about.pictured,
        pictures={
            (channel, frame): _image(stored[name])
            for channel in about.channels
            for frame in about.pictured
            if (name := f"picture_{channel}_{frame}") in there
        },
        labels={
            frame: _flat(stored[name])
            for frame in about.pictured
            if (name := f"labels_{frame}") in there
        },
        side=about.side,
        strips=tuple(strips),
    )


def _read_strip(stored: Any, i: int, cell: int, frames: tuple[int, ...], tile: int) -> Strip:
    bits = np.unpackbits(stored[f"inside_{i}"], count=len(frames) * tile * tile)
    inside = bits.reshape(len(frames), tile, tile).astype(bool)
    return Strip(cell, frames, _image(stored[f"strip_{i}"]), inside)


def _image(array: NDArray[Any]) -> Image:
    content = array.astype(np.uint8).tobytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ValueError("not a picture")
    return content


def _flat(array: NDArray[Any]) -> NDArray[np.int64]:
    if array.ndim != 2:
        raise ValueError(f"not a label image: {array.shape}")
    return array.astype(np.int64)
