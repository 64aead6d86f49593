"""Nikon ND2 files."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.io.errors import InputError
from pyama_core.io.file_description import FileContent, describe
from pyama_core.io.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    StagePosition,
    check_plane_count,
)
from pyama_core.io.nd2_chunks import ChunkError, Nd2Chunks

if TYPE_CHECKING:
    from nd2 import ND2File
    from nd2.structures import Channel, ExpLoop, Position

_AXES = {"XYPosLoop": "P", "TimeLoop": "T", "NETimeLoop": "T", "ZStackLoop": "Z"}
_MS_PER_MINUTE = 60_000.0


@dataclass(frozen=True)
class _Header:
    """What the metadata of a file says of its frames.

    Attributes
    ----------
    axes : str
        Loops of the acquisition, outermost first, from the letters P, T and Z.
    counts : tuple of int
        Steps of each loop.
    """

    axes: str
    counts: tuple[int, ...]
    frame_size: tuple[int, int]
    row_bytes: int
    dtype: np.dtype[Any]
    compressed: bool
    channel_names: tuple[str, ...]
    fov_names: tuple[str, ...]
    pixel_size_um: float | None
    nominal_times: tuple[float, ...] | None
    stage_positions_um: tuple[StagePosition | None, ...]
    emission_nm: tuple[float | None, ...]
    z_step_um: float | None
    bit_depth: int | None

    def grid(self) -> npt.NDArray[np.int64]:
        """Return the place of each frame in the acquisition, as (P, T, Z)."""
        places = np.arange(math.prod(self.counts), dtype=np.int64)
        missing = "".join(axis for axis in "PTZ" if axis not in self.axes)
        places = places.reshape((1,) * len(missing) + self.counts)
        return places.transpose([(missing + self.axes).index(axis) for axis in "PTZ"])


class Nd2Source(FrameSource):
    """Frames of an ND2 file.

    All channels of a frame lie interleaved in one chunk, so the last chunk is kept for the next
    channel.
    """

    def __init__(
        self, metadata: MicroscopyMetadata, options: ReadOptions, header: _Header, chunks: Nd2Chunks
    ) -> None:
        super().__init__(metadata, options.z)
        self._header = header
        self._grid = header.grid()
        self._chunks = chunks
        self._kept: tuple[tuple[int, ...], Frame] | None = None

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        return self._channel_of((int(self._grid[fov, time, z]),), fov, channel, time)

    def _read_projection(self, fov: int, channel: int, time: int) -> Frame:
        places = tuple(int(place) for place in self._grid[fov, time])
        return self._channel_of(places, fov, channel, time)

    def _channel_of(self, places: tuple[int, ...], fov: int, channel: int, time: int) -> Frame:
        """Return one channel of the maximum over chunks."""
        if self._kept is None or self._kept[0] != places:
            self._kept = None
            frames = self._interleaved(places[0], fov, channel, time, 0)
            for z, place in enumerate(places[1:], start=1):
                # A copy, because what is read next lies where this one lay.
                frames = frames.copy() if z == 1 else frames
                np.maximum(frames, self._interleaved(place, fov, channel, time, z), out=frames)
            self._kept = places, frames
        return np.array(self._kept[1][:, :, channel], self._header.dtype, order="C")

    def _interleaved(self, place: int, fov: int, channel: int, time: int, z: int) -> Frame:
        try:
            data: bytes | memoryview = self._chunks.read_frame(place)
            if self._header.compressed:
                data = zlib.decompress(data)
            return self._shaped(data)
        except (ChunkError, OSError, zlib.error) as error:
            raise self._missing(fov, channel, time, z, str(error)) from error

    def _shaped(self, data: bytes | memoryview) -> Frame:
        """Give stored pixels their shape (Y, X, C); rows may be padded."""
        header, n_channels = self._header, self.metadata.n_channels
        stored, (height, width) = header.dtype.newbyteorder("<"), header.frame_size
        if len(data) < header.row_bytes * height:
            raise ChunkError(f"it has {len(data)} bytes, not {header.row_bytes * height}")
        step = stored.itemsize * n_channels
        return np.ndarray(
            (height, width, n_channels),
            stored,
            data,
            strides=(header.row_bytes, step, stored.itemsize),
        )

    def _refresh(self) -> None:
        self._chunks.reopen()

    def _release(self) -> None:
        self._kept = None
        self._chunks.close()


def open_nd2(path: Path, options: Mapping[str, Any]) -> Nd2Source:
    """Open an ND2 file.

    Raises
    ------
    InputError
        If it is damaged, in colour, or acquired in a loop other than over positions, times and z.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "an ND2 file")
    choice.refuse_pattern(path, "an ND2 file")
    try:
        chunks = Nd2Chunks(path)
    except (ChunkError, OSError) as error:
        raise InputError(f"{path} is damaged or cut off ({error}); copy it again.") from error
    try:
        header, warnings = _read_header(path, len(chunks.frames))
        content = _content(header, chunks, choice, warnings)
        return Nd2Source(describe(path, options, content), choice, header, chunks)
    except BaseException:
        chunks.close()
        raise


def _read_header(path: Path, n_frames: int) -> tuple[_Header, tuple[str, ...]]:
    import nd2

    try:
        with nd2.ND2File(path) as file:
            return _header_of(path, file, n_frames)
    except InputError:
        raise
    except Exception as error:  # damaged metadata raises nearly anything
        why = (str(error) or type(error).__name__)[:100]
        raise InputError(
            f"{path}: its metadata cannot be read ({why}); copy the file again, or export it "
            "as OME-TIFF."
        ) from error


def _header_of(path: Path, file: ND2File, n_frames: int) -> tuple[_Header, tuple[str, ...]]:
    attributes, loops, warnings = file.attributes, file.experiment, []
    if file.is_rgb:
        raise InputError(
            f"{path} is a colour (RGB) image; expected one value per pixel and channel. "
            "Export the channels separately."
        )
    if attributes.compressionType == "lossy":
        raise InputError(f"{path} is compressed with loss; export it as OME-TIFF.")
    row = (attributes.widthPx or 0) * attributes.componentCount * file.dtype.itemsize
    if not 0 < row <= (attributes.widthBytes or 0) or attributes.heightPx < 1:
        raise InputError(f"{path} is damaged: its width and its bytes per row do not fit together.")
    axes, counts = _axes_of(path, loops)
    if not loops and n_frames > 1:
        axes, counts = "T", (n_frames,)
        warnings.append("the file does not say how it was acquired; its frames count as times")
    channels = file.metadata.channels or []
    names = [channel.channel.name for channel in channels][: attributes.componentCount]
    calibrated = bool(channels) and channels[0].volume.axesCalibrated[0]
    header = _Header(
        axes=axes,
        counts=counts,
        frame_size=(attributes.heightPx, attributes.widthPx or 0),
        row_bytes=attributes.widthBytes or 0,
        dtype=file.dtype,
        compressed=attributes.compressionType == "lossless",
        channel_names=tuple(names + [""] * (attributes.componentCount - len(names))),
        fov_names=tuple(point.name or "" for point in _positions(loops)) or ("",),
        pixel_size_um=file.voxel_size().x if calibrated else None,
        nominal_times=_nominal_times(loops),
        stage_positions_um=tuple(_stage(point) for point in _positions(loops)),
        emission_nm=_emission(channels, attributes.componentCount),
        z_step_um=next(
            (loop.parameters.stepUm for loop in loops if loop.type == "ZStackLoop"), None
        ),
        bit_depth=attributes.bitsPerComponentSignificant or None,
    )
    return header, tuple(warnings)


def _axes_of(path: Path, loops: Sequence[ExpLoop]) -> tuple[str, tuple[int, ...]]:
    axes = "".join(_AXES.get(loop.type, "?") for loop in loops)
    counts = tuple(loop.count for loop in loops)
    check_plane_count(path, math.prod(counts))
    if "?" in axes or len(set(axes)) != len(axes):
        raise InputError(
            f"{path} was acquired in the loops {', '.join(loop.type for loop in loops)}; expected "
            "at most one each over positions, times and z. Export it as OME-TIFF."
        )
    return axes, counts


def _content(
    header: _Header,
    chunks: Nd2Chunks,
    choice: ReadOptions,
    warnings: tuple[str, ...],
) -> FileContent:
    grid = header.grid()
    exists = np.isin(grid, chunks.frames)
    n_channels = len(header.channel_names)
    z = choice.z if isinstance(choice.z, int) else 0
    minutes = _acquisition_minutes(chunks, grid.size)[grid[:, :, min(z, grid.shape[2] - 1)]]
    return FileContent(
        file_type="nd2",
        reader="nd2",
        present=tuple(np.repeat(planes[:, None, :], n_channels, axis=1) for planes in exists),
        frame_sizes=(header.frame_size,) * len(grid),
        channel_names=header.channel_names,
        fov_names=header.fov_names,
        dtype=header.dtype,
        pixel_size_um=header.pixel_size_um,
        times=minutes.tolist(),
        nominal_times=header.nominal_times,
        warnings=warnings,
        stage_positions_um=header.stage_positions_um,
        emission_nm=header.emission_nm,
        z_step_um=header.z_step_um,
        bit_depth=header.bit_depth,
    )


def _acquisition_minutes(chunks: Nd2Chunks, n_frames: int) -> npt.NDArray[np.float64]:
    """Return when each frame was taken, in order of acquisition; NaN where unknown."""
    minutes = np.full(n_frames, np.nan)
    try:
        data = chunks.read(b"CustomData|AcqTimesCache!") or b""
    except ChunkError as error:
        logging.getLogger(__name__).warning("The frame times of the file are damaged: %s", error)
        data = b""
    known = np.frombuffer(data, "<f8", count=min(len(data) // 8, n_frames))
    minutes[: known.size] = known / _MS_PER_MINUTE
    return minutes


def _nominal_times(loops: Sequence[ExpLoop]) -> tuple[float, ...] | None:
    """Return minutes of each frame from the intervals that were set, or None if none were."""
    for loop in loops:
        if loop.type == "TimeLoop":
            phases = [(loop.count, loop.parameters)]
        elif loop.type == "NETimeLoop":
            phases = [(phase.count, phase) for phase in loop.parameters.periods]
        else:
            continue
        # "As fast as possible" is stored as an interval of 0 or 1 ms beside the measured average.
        steps = [
            (phase.periodDiff.avg or phase.periodMs) / _MS_PER_MINUTE
            for count, phase in phases
            for _ in range(count)
        ]
        if min(steps, default=0.0) <= 0:
            return None
        return tuple(np.concatenate([[0.0], np.cumsum(steps[:-1])]).tolist())
    return None


def _positions(loops: Sequence[ExpLoop]) -> Sequence[Position]:
    for loop in loops:
        if loop.type == "XYPosLoop":
            return loop.parameters.points
    return ()


def _stage(point: Position) -> StagePosition:
    x, y, z = point.stagePositionUm
    return float(x), float(y), float(z)


def _emission(channels: Sequence[Channel], n_channels: int) -> tuple[float | None, ...]:
    """Return the emission wavelength of each channel; transmitted light is stored as 0."""
    known = [channel.channel.emissionLambdaNm or None for channel in channels][:n_channels]
    return (*known, *(None,) * (n_channels - len(known)))
