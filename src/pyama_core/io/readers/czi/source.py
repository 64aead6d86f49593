"""ZEISS CZI files.

pylibCZIrw composes the tiles of a plane; which planes there are is taken from the directory of the
file itself, because that library gives zeros for a plane that was never written.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.czi.segments import CziError, CziSegments, Subblock, planes_of
from pyama_core.io.readers.czi.xml import CziXml, parse_czi_xml
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_plane_count,
)
from pyama_core.io.retrying import telling_damage

if TYPE_CHECKING:
    from pylibCZIrw.czi import CziReader

logger = logging.getLogger(__name__)

_PIXEL_TYPES = {0: "uint8", 1: "uint16", 2: "float32"}
_READ_AXES = frozenset("XYSTCZM")
_MAX_SIDE = 100_000
_MAX_EMPTINESS = 16

# Tiles by (scene, time, channel, z), and those of all planes of a scene.
Planes = dict[tuple[int, int, int, int], list[Subblock]]
Scenes = dict[int, list[list[Subblock]]]


@dataclass(frozen=True)
class _Layout:
    """Where the planes of a file are.

    Attributes
    ----------
    scenes : tuple of int
        Number of the scene of each field of view.
    first : dict of str to int
        First index along T, C and Z.
    counts : dict of str to int
        Number of frames, channels and planes.
    boxes : tuple of (int, int, int, int)
        x, y, width and height of each scene.
    has_scenes : bool
        Whether the file speaks of scenes at all.
    """

    scenes: tuple[int, ...]
    first: dict[str, int]
    counts: dict[str, int]
    boxes: tuple[tuple[int, int, int, int], ...]
    has_scenes: bool

    def key(self, fov: int, time: int, channel: int, z: int) -> tuple[int, int, int, int]:
        first = self.first
        return self.scenes[fov], first["T"] + time, first["C"] + channel, first["Z"] + z


class CziSource(FrameSource):
    """Frames of a CZI file."""

    def __init__(
        self,
        metadata: MicroscopyMetadata,
        options: ReadOptions,
        layout: _Layout,
        present: tuple[npt.NDArray[np.bool_], ...],
        reader: contextlib.ExitStack,
        czi: CziReader,
    ) -> None:
        super().__init__(metadata, options.z)
        self._layout = layout
        self._present = present
        self._reader = reader
        self._czi = czi
        self._dtype = np.dtype(metadata.dtype)

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        if not self._present[fov][time, channel, z]:
            raise self._missing(fov, channel, time, z, "it was never written, or not all its tiles")
        layout = self._layout
        key = layout.key(fov, time, channel, z)
        scene, t, c, plane = key

        def read() -> npt.NDArray[Any]:
            pixels: npt.NDArray[Any] = self._czi.read(
                roi=layout.boxes[fov],
                plane={"T": t, "C": c, "Z": plane},
                scene=scene if layout.has_scenes else None,
            )
            return pixels

        try:
            pixels = telling_damage(read, lambda: _drive_failure(self._path, key), self._refresh)
        except Exception as error:  # the library raises errors of several kinds for damage
            raise self._missing(fov, channel, time, z, str(error)) from error
        return np.ascontiguousarray(pixels[:, :, 0], dtype=self._dtype)

    def _refresh(self) -> None:
        self._reader.close()
        try:
            self._czi = self._reader.enter_context(_open_library(self._path))
        except InputError as error:
            # There is no handle now; the next try to read fails, and says whether it may pass.
            logger.warning("%s", error)

    def _release(self) -> None:
        self._reader.close()


def _drive_failure(path: Path, key: tuple[int, int, int, int]) -> OSError | None:
    """Read the bytes of a plane without the library, whose errors do not tell drive from damage."""
    try:
        with contextlib.closing(CziSegments(path)) as segments:
            for block in planes_of(segments.subblocks).get(key, ()):
                segments.read_whole(block)
    except OSError as error:
        return error
    except CziError as error:
        logger.debug("%s is damaged: %s", path, error)
    return None


def open_czi(path: Path, options: Mapping[str, Any]) -> CziSource:
    """Open a CZI file.

    Raises
    ------
    InputError
        If it is damaged, in colour, or has dimensions other than scene, time, channel and z.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "a CZI file")
    choice.refuse_pattern(path, "a CZI file")
    reader = contextlib.ExitStack()
    try:
        # First, because the library crashes, and the process with it, on some files that are cut.
        segments = CziSegments(path)
        with contextlib.closing(segments):
            czi = reader.enter_context(_open_library(path))
            content, layout = _content(path, czi, segments, choice)
        metadata = make_metadata(path, options, content)
        return CziSource(metadata, choice, layout, content.present, reader, czi)
    except (CziError, ET.ParseError) as error:
        reader.close()
        raise InputError(f"{path} is damaged or cut off ({error}); copy it again.") from error
    except BaseException:
        reader.close()
        raise


@contextlib.contextmanager
def _open_library(path: Path) -> Iterator[CziReader]:
    try:
        from pylibCZIrw.czi import open_czi as open_with_library
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("pylibCZIrw"):
            raise
        version = ".".join(map(str, sys.version_info[:2]))
        raise InputError(
            f"{path}: reading CZI needs the package pylibCZIrw, which is not installed, and which "
            f"this Python ({version}) may be too new for; use Python 3.13, or save the file as "
            "OME-TIFF."
        ) from error
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: the library that reads CZI opens no path with bytes that are not UTF-8; "
            "rename the file or folder"
        ) from None
    with contextlib.ExitStack() as stack:
        try:
            czi = stack.enter_context(open_with_library(str(path)))
        except Exception as error:  # the library raises errors of several kinds for damage
            why = " ".join(str(error).split())[:200]
            raise InputError(f"{path} is damaged or cut off ({why}); copy it again.") from error
        yield czi


def _content(
    path: Path, czi: CziReader, segments: CziSegments, choice: ReadOptions
) -> tuple[FoundInFile, _Layout]:
    planes = planes_of(segments.subblocks)
    if not planes:
        raise InputError(f"{path} has no image in it; the acquisition stopped before the first.")
    _check_axes(path, planes)
    dtype, mixed = _pixel_type(path, planes)
    frames = [key[1] for key in planes]
    xml = _read_xml(czi, max(frames) - min(frames) + 1)
    scenes = _by_scene(planes)
    layout = _layout(path, planes, scenes, xml)
    _check_boxes(scenes, layout)
    present = _present(planes, scenes, layout)
    z = min(choice.z, layout.counts["Z"] - 1) if isinstance(choice.z, int) else 0
    names = [xml.scenes.get(scene, ("", None)) for scene in layout.scenes]
    n_channels, first = layout.counts["C"], layout.first["C"]
    content = FoundInFile(
        file_type="czi",
        reader="czi",
        present=present,
        frame_sizes=tuple((height, width) for _, _, width, height in layout.boxes),
        channel_names=_padded(xml.channel_names[first:], n_channels, ""),
        fov_names=tuple(name for name, _ in names),
        dtype=dtype,
        pixel_size_um=xml.pixel_size_um,
        times=_measured(segments, planes, layout, z),
        nominal_times=xml.interval_times,
        warnings=(*xml.warnings, *mixed, *_uncovered(scenes, layout)),
        stage_positions_um=[stage for _, stage in names],
        emission_nm=_padded(xml.emission_nm[first:], n_channels, None),
        z_step_um=xml.z_step_um,
        bit_depth=xml.bit_depth,
    )
    return content, layout


def _read_xml(czi: CziReader, n_frames: int) -> CziXml:
    try:
        text = str(czi.raw_metadata)
    except Exception as error:  # the library raises errors of several kinds for damage
        raise CziError(f"its metadata: {error}") from error
    return parse_czi_xml(text, n_frames)


def _padded(values: Sequence[Any], count: int, filler: Any) -> tuple[Any, ...]:
    return (*values[:count], *(filler,) * (count - len(values)))


def _check_boxes(scenes: Mapping[int, Sequence[Sequence[Subblock]]], layout: _Layout) -> None:
    """Refuse rectangles that are nearly empty: a place is damaged, and memory would not suffice."""
    for scene, box in zip(layout.scenes, layout.boxes, strict=True):
        tiles = max(sum(b.size["X"] * b.size["Y"] for b in blocks) for blocks in scenes[scene])
        if box[2] * box[3] > _MAX_EMPTINESS * tiles:
            raise CziError(f"the tiles of scene {scene} lie in a rectangle of {box[2]} × {box[3]}")


def _check_axes(path: Path, planes: Planes) -> None:
    seen: dict[str, set[int]] = {}
    for blocks in planes.values():
        for block in blocks:
            for axis, start in block.start.items():
                seen.setdefault(axis, set()).add(start)
    others = sorted(axis for axis in set(seen) - _READ_AXES if len(seen[axis]) > 1)
    if others:
        raise InputError(
            f"{path} has the dimensions {', '.join(others)} beside scene, time, channel and z; "
            "process it in ZEN (illuminations, phases, views) or export it as OME-TIFF."
        )


def _pixel_type(path: Path, planes: Planes) -> tuple[np.dtype[Any], tuple[str, ...]]:
    kinds = {block.pixel_type for blocks in planes.values() for block in blocks}
    if not kinds <= set(_PIXEL_TYPES):
        raise InputError(
            f"{path} has colour (RGB) or complex pixels; expected 8 or 16 bit or float grey "
            "values. Export the channels separately."
        )
    names = sorted(_PIXEL_TYPES[kind] for kind in kinds)
    told = f"channels differ in pixel type ({', '.join(names)}) and are given in a common one"
    return np.result_type(*names), (told,) if len(names) > 1 else ()


def _by_scene(planes: Planes) -> Scenes:
    """Group the planes of each scene, in order of scenes."""
    scenes: Scenes = {scene: [] for scene in sorted({key[0] for key in planes})}
    for key, blocks in planes.items():
        scenes[key[0]].append(blocks)
    return scenes


def _layout(path: Path, planes: Planes, scenes: Scenes, xml: CziXml) -> _Layout:
    first, counts = {}, {}
    for axis, name in enumerate("TCZ", start=1):
        indices = [key[axis] for key in planes]
        first[name], counts[name] = min(indices), max(indices) - min(indices) + 1
    # An acquisition that was stopped announces more frames than it has.
    counts["T"] = max(counts["T"], xml.n_frames)
    check_plane_count(path, len(scenes) * counts["T"] * counts["C"] * counts["Z"])
    boxes = []
    for scene, found in scenes.items():
        blocks = list(itertools.chain.from_iterable(found))
        left, top = (min(block.start[axis] for block in blocks) for axis in "XY")
        right, bottom = (
            max(block.start[axis] + block.size[axis] for block in blocks) for axis in "XY"
        )
        if right - left > _MAX_SIDE or bottom - top > _MAX_SIDE:
            raise InputError(
                f"{path}: scene {scene} is {right - left} × {bottom - top} pixels, larger than "
                f"{_MAX_SIDE} on a side; split it into scenes in ZEN."
            )
        boxes.append((left, top, right - left, bottom - top))
    has_scenes = any("S" in block.start for blocks in planes.values() for block in blocks)
    return _Layout(tuple(scenes), first, counts, tuple(boxes), has_scenes)


def _present(planes: Planes, scenes: Scenes, layout: _Layout) -> tuple[npt.NDArray[np.bool_], ...]:
    """Tell which planes have all the tiles that any plane of their scene has."""
    shape = layout.counts["T"], layout.counts["C"], layout.counts["Z"]
    present = []
    for fov, scene in enumerate(layout.scenes):
        n_tiles = max(map(len, scenes[scene]))
        there = np.zeros(shape, np.bool_)
        for at in np.ndindex(shape):
            there[at] = len(planes.get(layout.key(fov, *at), ())) == n_tiles
        present.append(there)
    return tuple(present)


def _measured(
    segments: CziSegments, planes: Planes, layout: _Layout, z: int
) -> list[list[float | None]]:
    """Return minutes of each frame, from its tiles or else from the list for the whole file."""
    rows: list[list[float | None]] = []
    for fov in range(len(layout.scenes)):
        row: list[float | None] = []
        for time in range(layout.counts["T"]):
            keys = (layout.key(fov, time, channel, z) for channel in range(layout.counts["C"]))
            taken = [segments.acquisition_time(planes[key][0]) for key in keys if planes.get(key)]
            known = [seconds for seconds in taken if seconds is not None]
            row.append(min(known) / 60 if known else None)
        rows.append(row)
    if any(time is not None for row in rows for time in row):
        return rows
    stamps: list[float | None] = [seconds / 60 for seconds in segments.time_stamps()]
    return [stamps if len(stamps) == layout.counts["T"] else []] * len(rows)


def _uncovered(scenes: Scenes, layout: _Layout) -> Iterator[str]:
    for fov, (scene, box) in enumerate(zip(layout.scenes, layout.boxes, strict=True)):
        blocks = max(scenes[scene], key=len)
        if sum(block.size["X"] * block.size["Y"] for block in blocks) < box[2] * box[3]:
            yield f"the tiles of FOV {fov} do not fill its rectangle; pixels outside them are 0"
