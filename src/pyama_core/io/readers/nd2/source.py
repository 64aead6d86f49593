"""Nikon ND2 files."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.mapping import UnmappedFile, maps_well
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_memory import FrameMemory
from pyama_core.io.readers.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    StagePosition,
    check_plane_count,
)
from pyama_core.io.readers.nd2.chunks import ChunkError, Nd2Chunks
from pyama_core.io.readers.nd2.taken import TakenChannels

if TYPE_CHECKING:
    from nd2 import ND2File
    from nd2.structures import Channel, ExpLoop, Position

logger = logging.getLogger(__name__)

_AXES = {"XYPosLoop": "P", "TimeLoop": "T", "NETimeLoop": "T", "ZStackLoop": "Z"}
_MS_PER_MINUTE = 60_000.0
_BYTES_AT_A_TIME = 1 << 20
_WORTH_SPLITTING = 1 << 15
_BYTES_AT_A_GLANCE = 1 << 17


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

    All channels of a frame lie interleaved in one chunk. It is read a few rows at a time, which
    are taken apart while they are in the cache of the processor: into the channel that is asked
    for, and those that were asked for of the frame before.
    """

    def __init__(
        self, metadata: MicroscopyMetadata, options: ReadOptions, header: _Header, chunks: Nd2Chunks
    ) -> None:
        super().__init__(metadata, options.z)
        self._header = header
        self._grid = header.grid()
        self._chunks = chunks
        height, row_bytes, n_channels = header.frame_size[0], header.row_bytes, metadata.n_channels
        self._memory = FrameMemory(header.frame_size, header.dtype, keep=n_channels)
        # The chunks read last, which of their channels were asked for, and those still to come.
        self._places: tuple[int, ...] = ()
        self._asked = set(range(n_channels))
        self._kept: dict[int, tuple[Frame, list[int]]] = {}
        self._taken = TakenChannels(
            self._grid,
            chunks.frames,
            self._some_rows,
            lambda place: (pixels for _, pixels in self._rows_of(place)),
        )
        # The pixels of a single channel are stored as they are wanted.
        self._is_plain = (
            n_channels == 1
            and not header.compressed
            and row_bytes == header.frame_size[1] * header.dtype.itemsize
            and header.dtype.newbyteorder("<") == header.dtype
        )
        self._is_large = height * row_bytes >= _WORTH_SPLITTING
        self._rows_at_a_time = min(height, max(1, _BYTES_AT_A_TIME // row_bytes))
        self._buffer = memoryview(bytearray(self._rows_at_a_time * row_bytes))

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        place = int(self._grid[fov, time, z])
        if not self._is_plain:
            return self._channel_of((place,), fov, channel, time, z)
        frame = np.empty(self._header.frame_size, self._header.dtype)
        try:
            self._check_size(self._chunks.find_frame(place))
            self._chunks.read_into(frame.data.cast("B"))
        except (ChunkError, OSError) as error:
            raise self._missing(fov, channel, time, z, str(error)) from error
        return frame

    def _read_projection(self, fov: int, channel: int, time: int) -> Frame:
        places = tuple(self._grid[fov, time].tolist())
        return self._channel_of(places, fov, channel, time, 0)

    def _channel_of(
        self, places: tuple[int, ...], fov: int, channel: int, time: int, first_z: int
    ) -> Frame:
        """Return one channel of the maximum over chunks, which are planes from `first_z` on."""
        wanted = {channel, *self._asked}
        if places != self._places:
            self._places, self._asked, self._kept = places, set(), {}
        self._asked.add(channel)
        z = first_z
        try:
            if channel not in self._kept:
                frames = {c: self._memory.new_frame() for c in wanted}
                dark: dict[int, list[int]] = {c: [] for c in wanted}
                for z, place in enumerate(places, start=first_z):
                    lit = self._read_chunk(place, frames, is_first=z == first_z)
                    for c in wanted - lit:
                        dark[c].append(z)
                self._kept = {c: (frames[c], dark[c]) for c in wanted}
            # Whoever gets a frame may write into it, so it is not given twice.
            frame, planes = self._kept.pop(channel)
            if planes and self.metadata.n_channels > 1:
                z = planes[0]
                self._require_taken(fov, channel, time, planes, len(places))
                if self._header.dtype.kind != "u" and len(planes) < len(places):
                    # The zeros of a plane that was left out exceed what is negative.
                    taken = (p for z, p in enumerate(places, start=first_z) if z not in planes)
                    return self._channel_of(tuple(taken), fov, channel, time, first_z)
        except (ChunkError, OSError, zlib.error) as error:
            raise self._missing(fov, channel, time, z, str(error)) from error
        return frame

    def _require_taken(
        self, fov: int, channel: int, time: int, dark: Sequence[int], n_planes: int
    ) -> None:
        """Raise MissingFrameError if zeros throughout some planes say that there is no image.

        Planes in which the channel was never taken are no part of a projection of others.
        """
        absent = next((z for z in dark if self._taken.is_absent(channel, z)), None)
        if absent is None and len(dark) == n_planes and self._taken.is_absent_elsewhere(channel):
            absent = dark[0]
        if absent is not None:
            why = "it was not taken: all its pixels are 0, and those of the channel elsewhere not"
            raise self._missing(fov, channel, time, absent, why, advice="")

    def _read_chunk(self, place: int, frames: dict[int, Frame], *, is_first: bool) -> set[int]:
        """Put the channels of a chunk into frames, or their maximum with what is there.

        Returns
        -------
        set of int
            Those of the channels that have a pixel in this chunk that is not zero.
        """
        lit: set[int] = set()
        for top, pixels in self._rows_of(place):
            rows = {c: frame[top : top + len(pixels)] for c, frame in frames.items()}
            if is_first and self._is_large and len(rows) == self.metadata.n_channels > 1:
                _split(pixels, [rows[channel] for channel in range(len(rows))])
            else:
                for channel, part in rows.items():
                    if is_first:
                        part[:] = pixels[:, :, channel]
                    else:
                        np.maximum(part, pixels[:, :, channel], out=part)
            # Nearly always the first pixel tells.
            lit.update(c for c in rows.keys() - lit if pixels[0, 0, c] or pixels[:, :, c].any())
        return lit

    def _rows_of(self, place: int) -> Iterator[tuple[int, Frame]]:
        """Yield some rows (Y, X, C) of a chunk at a time, and which of them is the first."""
        height, row_bytes = self._header.frame_size[0], self._header.row_bytes
        size = self._chunks.find_frame(place)
        if self._header.compressed:
            data = bytearray(size)
            self._chunks.read_into(memoryview(data))
            pixels = zlib.decompress(data)
            self._check_size(len(pixels))
            yield 0, self._shaped(pixels, height)
            return
        self._check_size(size)
        for top in range(0, height, self._rows_at_a_time):
            n_rows = min(self._rows_at_a_time, height - top)
            self._chunks.read_into(self._buffer[: n_rows * row_bytes])
            yield top, self._shaped(self._buffer, n_rows)

    def _some_rows(self, place: int) -> Frame:
        """Return a row in the middle of a chunk, or the first rows of one that is compressed."""
        height, row_bytes = self._header.frame_size[0], self._header.row_bytes
        size = self._chunks.find_frame(place)
        if self._header.compressed:
            data = bytearray(min(size, _BYTES_AT_A_GLANCE))
            self._chunks.read_into(memoryview(data))
            pixels = zlib.decompressobj().decompress(data, _BYTES_AT_A_GLANCE)
            return self._shaped(pixels, min(height, len(pixels) // row_bytes))
        self._check_size(size)
        self._chunks.skip(height // 2 * row_bytes)
        row = bytearray(row_bytes)
        self._chunks.read_into(memoryview(row))
        return self._shaped(row, 1)

    def _check_size(self, size: int) -> None:
        expected = self._header.row_bytes * self._header.frame_size[0]
        if size < expected:
            raise ChunkError(f"it has {size} bytes, not {expected}")

    def _shaped(self, data: bytes | bytearray | memoryview, n_rows: int) -> Frame:
        """Give stored pixels their shape (Y, X, C); rows may be padded."""
        header, n_channels = self._header, self.metadata.n_channels
        stored = header.dtype.newbyteorder("<")
        return np.ndarray(
            (n_rows, header.frame_size[1], n_channels),
            stored,
            data,
            strides=(header.row_bytes, stored.itemsize * n_channels, stored.itemsize),
        )

    def _refresh(self) -> None:
        self._chunks.reopen()

    def _release(self) -> None:
        self._kept = {}
        self._chunks.close()


def _split(pixels: Frame, channels: Sequence[Frame]) -> None:
    """Take the channels of pixels (Y, X, C) apart, twice as fast as numpy's strided copies."""
    import cv2

    # What the bytes mean does not matter, and OpenCV does not know all of numpy's types.
    kind = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}[pixels.dtype.itemsize]
    cv2.split(pixels.view(kind), [channel.view(kind) for channel in channels])


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
        header, told = _read_header(path, len(chunks.frames))
        content = _content(header, chunks, choice, told)
        return Nd2Source(make_metadata(path, options, content), choice, header, chunks)
    except BaseException:
        chunks.close()
        raise


def _read_header(path: Path, n_frames: int) -> tuple[_Header, tuple[str, ...]]:
    import nd2

    try:
        with contextlib.ExitStack() as stack:
            # Of a file that it opens itself, the library maps all into memory.
            opened: Any = path if maps_well(path) else stack.enter_context(UnmappedFile(path))
            return _header_of(path, stack.enter_context(nd2.ND2File(opened)), n_frames)
    except InputError:
        raise
    except Exception as error:  # damaged metadata raises nearly anything
        why = (str(error) or type(error).__name__)[:100]
        raise InputError(
            f"{path}: its metadata cannot be read ({why}); copy the file again, or export it "
            "as OME-TIFF."
        ) from error


def _header_of(path: Path, file: ND2File, n_frames: int) -> tuple[_Header, tuple[str, ...]]:
    attributes, loops, told = file.attributes, file.experiment, []
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
        told.append("the file does not say how it was acquired; its frames count as times")
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
        stage_positions_um=tuple(_stage(point.stagePositionUm) for point in _positions(loops))
        or _stage_of_all(file),
        emission_nm=_emission(channels, attributes.componentCount),
        z_step_um=next(
            (loop.parameters.stepUm for loop in loops if loop.type == "ZStackLoop"), None
        ),
        bit_depth=attributes.bitsPerComponentSignificant or None,
    )
    return header, tuple(told)


def _axes_of(path: Path, loops: Sequence[ExpLoop]) -> tuple[str, tuple[int, ...]]:
    axes = "".join(_AXES.get(loop.type, "?") for loop in loops)
    counts = tuple(loop.count for loop in loops)
    check_plane_count(path, math.prod(counts))
    if "?" in axes or len(set(axes)) != len(axes):
        raise InputError(
            f"{path} was acquired in the loops {', '.join(loop.type for loop in loops)}; expected "
            "at most one each over FOVs, times and z. Export it as OME-TIFF."
        )
    return axes, counts


def _content(
    header: _Header,
    chunks: Nd2Chunks,
    choice: ReadOptions,
    told: tuple[str, ...],
) -> FoundInFile:
    grid = header.grid()
    exists = np.isin(grid, chunks.frames)
    n_channels = len(header.channel_names)
    z = choice.z if isinstance(choice.z, int) else 0
    minutes = _acquisition_minutes(chunks, grid.size, grid[:, :, min(z, grid.shape[2] - 1)])
    return FoundInFile(
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
        warnings=told,
        stage_positions_um=header.stage_positions_um,
        emission_nm=header.emission_nm,
        z_step_um=header.z_step_um,
        bit_depth=header.bit_depth,
    )


def _acquisition_minutes(
    chunks: Nd2Chunks, n_frames: int, wanted: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return when each of the wanted frames was taken; NaN where unknown.

    All times stand together at the end of the file. Where that list is missing or too short, as
    after an acquisition that was stopped, each frame still says its own.
    """
    minutes = np.full(n_frames, np.nan)
    try:
        data = chunks.read(b"CustomData|AcqTimesCache!") or b""
    except ChunkError as error:
        logger.warning("The frame times of the file are damaged: %s", error)
        data = b""
    known = np.frombuffer(data, "<f8", count=min(len(data) // 8, n_frames))
    minutes[: known.size] = known / _MS_PER_MINUTE
    unknown = wanted[np.isnan(minutes[wanted]) & np.isin(wanted, chunks.frames)]
    minutes[unknown] = chunks.time_stamps(unknown) / _MS_PER_MINUTE
    return minutes[wanted]


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


def _stage(position: Sequence[float]) -> StagePosition:
    x, y, z = position
    return float(x), float(y), float(z)


def _stage_of_all(file: ND2File) -> tuple[StagePosition | None, ...]:
    """Return where the stage was for the first frame of a file without a loop over positions."""
    try:
        # It warns of absent frame times, which are dealt with elsewhere.
        with warnings.catch_warnings(action="ignore"):
            channels = getattr(file.frame_metadata(0), "channels", None) or ()
    except Exception as error:  # noqa: BLE001  damaged metadata raises nearly anything
        logger.info("the file does not say where the stage was: %r", error)
        return (None,)
    places = [_stage(channel.position.stagePositionUm) for channel in channels]
    return (next(filter(any, places), None),)  # zeros stand for unknown


def _emission(channels: Sequence[Channel], n_channels: int) -> tuple[float | None, ...]:
    """Return the emission wavelength of each channel; transmitted light is stored as 0."""
    known = [channel.channel.emissionLambdaNm or None for channel in channels][:n_channels]
    return (*known, *(None,) * (n_channels - len(known)))
