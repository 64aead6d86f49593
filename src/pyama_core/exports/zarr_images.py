"""OME-Zarr 0.5 images: written channel by channel and frame by frame, with a pyramid.

Frames of a channel are gathered until they fill a shard, a file of many compressed chunks, so that
a movie is neither a million files nor one that must be read as a whole. A chunk is a frame, or a
part of a large one. Smaller versions are made of what was written of the larger one, so that a
single shard is in memory at a time, however long and large the movie is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.exports.scale import Scale

if TYPE_CHECKING:
    import zarr

VERSION = "0.5"
_SHARD_BYTES = 32 << 20
_LONGEST_CHUNK = 1024
_SMALLEST_LEVEL = 256
_AXES = {
    "t": {"name": "t", "type": "time"},
    "c": {"name": "c", "type": "channel"},
    "y": {"name": "y", "type": "space"},
    "x": {"name": "x", "type": "space"},
}


@dataclass(frozen=True)
class ImageShape:
    """What an image is made of.

    Attributes
    ----------
    frames, height, width : int
        Its size.
    channels : int or None
        How many; None for an image without such an axis, which labels are.
    """

    frames: int
    height: int
    width: int
    channels: int | None = None

    @property
    def axes(self) -> str:
        """One letter per axis."""
        return "tyx" if self.channels is None else "tcyx"

    def level(self, level: int) -> tuple[int, int]:
        """Return height and width at a level of the pyramid."""
        return math.ceil(self.height / 2**level), math.ceil(self.width / 2**level)

    @property
    def n_levels(self) -> int:
        """How many levels there are: down to one that is small enough to be seen at once."""
        longest = max(self.height, self.width, 1)
        return 1 + max(0, math.ceil(math.log2(longest / _SMALLEST_LEVEL)))


class ImageWriter:
    """An image of which frames are appended, one channel after the other.

    Parameters
    ----------
    path : Path
        The group to make.
    shape : ImageShape
        Its size.
    dtype : dtype
        Of its pixels.
    is_labels : bool
        Whether pixels are numbers of objects, which have no means.
    """

    def __init__(
        self, path: Path, shape: ImageShape, dtype: DTypeLike, *, is_labels: bool = False
    ) -> None:
        import zarr

        self._shape = shape
        self._is_labels = is_labels
        self._group = zarr.create_group(path, zarr_format=3)
        self._levels = [
            _Level(self._group, level, shape, np.dtype(dtype)) for level in range(shape.n_levels)
        ]
        self._channel = 0

    def append(self, frame: NDArray[Any], channel: int = 0) -> None:
        """Write the next frame of a channel, (Y, X); all frames of one come before the next."""
        if channel != self._channel:
            self._channel = channel
            for level in self._levels:
                level.begin(channel)
        self._levels[0].append(frame)
        smaller_version = halved_labels if self._is_labels else halved
        for larger, smaller in itertools.pairwise(self._levels):
            smaller.follow(larger, smaller_version)

    def describe(
        self, name: str, scale: Scale, further: Mapping[str, Any], own: Mapping[str, Any]
    ) -> None:
        """Write the metadata, after all frames.

        Parameters
        ----------
        name : str
            What the image is called.
        scale : Scale
            Of its axes.
        further : mapping
            What OME-Zarr knows beyond the pyramid, such as ``omero``.
        own : mapping
            What only this program tells.
        """
        ome = {
            "version": VERSION,
            "multiscales": [
                {
                    "name": name,
                    "axes": _axes(self._shape.axes, scale),
                    "datasets": [
                        {
                            "path": str(level),
                            "coordinateTransformations": self._placed(level, scale),
                        }
                        for level in range(self._shape.n_levels)
                    ],
                    "type": "subsampling" if self._is_labels else "mean of 2x2 pixels",
                }
            ],
            **further,
        }
        self._group.attrs.update({"ome": ome, "pyama_core": dict(own)})

    def _placed(self, level: int, scale: Scale) -> list[dict[str, Any]]:
        """Return where the pixels of a level are: means lie between those that they are of."""
        pixel = scale.pixel_size_um or 1.0
        steps = {"t": scale.interval_min or 1.0, "c": 1.0}
        steps |= dict.fromkeys("yx", pixel * 2**level)
        placed = [{"type": "scale", "scale": [steps[axis] for axis in self._shape.axes]}]
        if level and not self._is_labels:
            shift = (2**level - 1) / 2 * pixel
            moved = [shift if axis in "yx" else 0.0 for axis in self._shape.axes]
            placed.append({"type": "translation", "translation": moved})
        return placed


class _Level:
    """An array of the pyramid, of which whole shards are written.

    Attributes
    ----------
    n_written : int
        How many frames of the channel have been written.
    """

    def __init__(
        self, group: zarr.Group, level: int, shape: ImageShape, dtype: np.dtype[Any]
    ) -> None:
        from zarr.codecs import BloscCodec

        height, width = shape.level(level)
        chunk = _part(height), _part(width)
        frame = tuple(
            -(-size // part) * part for size, part in zip((height, width), chunk, strict=True)
        )
        in_shard = max(1, min(shape.frames, _SHARD_BYTES // (math.prod(frame) * dtype.itemsize)))
        channel = () if shape.channels is None else (1,)
        channels = () if shape.channels is None else (shape.channels,)
        self._array = group.create_array(
            str(level),
            shape=(shape.frames, *channels, height, width),
            dtype=dtype,
            chunks=(1, *channel, *chunk),
            shards=(in_shard, *channel, *frame),
            compressors=BloscCodec(
                cname="zstd", clevel=5, shuffle="bitshuffle", typesize=dtype.itemsize
            ),
            fill_value=0,
            dimension_names=tuple(shape.axes),
            # What is not there may have been lost; what is black is not lost.
            config={"write_empty_chunks": True},
        )
        self._has_channels = bool(channels)
        self._in_shard = in_shard
        self._n_frames = shape.frames
        self._gathered: NDArray[Any] | None = None
        self._n_gathered = 0
        self.begin(0)

    def begin(self, channel: int) -> None:
        self._channel = channel
        self.n_written = 0

    def append(self, frame: NDArray[Any]) -> None:
        if self._gathered is None:
            self._gathered = np.empty((self._in_shard, *frame.shape), self._array.dtype)
        self._gathered[self._n_gathered] = frame
        self._n_gathered += 1
        end = self.n_written + self._n_gathered
        if end == self._n_frames or self._n_gathered == self._in_shard:
            frames = slice(self.n_written, end)
            self._array[self._place(frames)] = self._gathered[: self._n_gathered]
            # The next to gather is a smaller version.
            self._gathered, self._n_gathered = None, 0
            self.n_written = end

    def follow(
        self, larger: _Level, smaller_version: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> None:
        """Write the shards for which the larger version has all frames."""
        is_last = larger.n_written == self._n_frames
        while (n_new := larger.n_written - self.n_written) >= self._in_shard or (n_new and is_last):
            for t in range(self.n_written, self.n_written + min(n_new, self._in_shard)):
                self.append(smaller_version(larger.frame(t)))

    def frame(self, t: int) -> NDArray[Any]:
        """Read what was written of the channel."""
        return np.asarray(self._array[self._place(t)])

    def _place(self, frames: slice | int) -> tuple[slice | int, ...]:
        return (frames, self._channel) if self._has_channels else (frames,)


def halved(frame: NDArray[Any]) -> NDArray[Any]:
    """Return the means of 2×2 pixels, rounded; at an odd edge its pixels count twice.

    Examples
    --------
    >>> halved(np.array([[1, 2, 9], [3, 5, 9]], np.uint8)).tolist()
    [[3, 9]]
    """
    even = np.pad(frame, [(0, size % 2) for size in frame.shape], mode="edge")
    wide = even.astype(np.float64 if frame.dtype.kind == "f" else np.int64)
    total = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    if frame.dtype.kind == "f":
        return (total / 4).astype(frame.dtype)
    return ((total + 2) // 4).astype(frame.dtype)


def halved_labels(frame: NDArray[Any]) -> NDArray[Any]:
    """Return every second pixel of every second row."""
    return frame[::2, ::2]


def _part(size: int) -> int:
    """Return the length of equal parts of an edge that are no longer than a chunk may be."""
    return max(1, -(-size // max(1, -(-size // _LONGEST_CHUNK))))


def _axes(letters: Iterable[str], scale: Scale) -> Sequence[Mapping[str, str]]:
    units = {}
    if scale.interval_min:
        units["t"] = "minute"
    if scale.pixel_size_um:
        units |= dict.fromkeys("yx", "micrometer")
    return [{**_AXES[axis], **({"unit": units[axis]} if axis in units else {})} for axis in letters]
