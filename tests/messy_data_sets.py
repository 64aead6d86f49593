"""Data sets as they come: thinned, split, incomplete, wrongly described; and what is right.

The planes are those of `encoded_data_sets`, so what is read is known to be right by itself.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from encoded_data_sets import HEIGHT, WIDTH, Place, Plan, Written, encode
from image_folders import write_image as write_single_image
from mm_stack_writer import write_mm_stack
from nd2_writer import time_loop, write_nd2, z_loop
from ndtiff_writer import NdTiffWriter
from ome_tiff_writer import image_xml, ome_xml, tiff_data, write_pages
from ome_zarr_writer import LAYOUTS, Layout, chunk_file, write_image

# Positions, frames, channels, z planes, where a row does not say otherwise.
SIZES = (1, 4, 2, 1)


@dataclass(frozen=True)
class MessyRow:
    """A data set, and what is right.

    Attributes
    ----------
    name : str
        What is the matter.
    write : callable
        Given a folder, writes it.
    n_frames : int
        Frames of each position.
    missing : frozenset of (int, int, int)
        Channel, frame and z plane of the planes that are missing.
    told : str
        Words of a warning, a note or the refusal.
    refused : bool
        Whether it is refused as a whole.
    """

    name: str
    write: Callable[[Path], Written]
    n_frames: int = SIZES[1]
    missing: frozenset[tuple[int, int, int]] = frozenset()
    told: str = ""
    refused: bool = False


def row(
    name: str,
    write: Callable[[Path], Written],
    missing: Iterable[tuple[int, ...]] = (),
    told: str = "",
    **others: Any,
) -> MessyRow:
    planes = frozenset((c, t, z) for c, t, z in ((*at, 0)[:3] for at in missing))
    return MessyRow(name, write, missing=planes, told=told, **others)


def plan_without(absent: Iterable[Place], sizes: tuple[int, ...] = SIZES) -> Plan:
    n_p, n_t, n_c, n_z = sizes
    taken = frozenset(np.ndindex(*sizes)) - set(absent)
    return Plan(n_p, n_t, n_c, n_z, taken, random.Random(0))


def planes(*places: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return the planes of (frame, channel)."""
    return np.stack([encode((0, t, c, 0)) for t, c in places])


def _nd2(path: Path, plan: Plan) -> Written:
    stack = plan.stack()[0].transpose(0, 2, 3, 4, 1)
    loops = [time_loop(plan.n_t), z_loop(plan.n_z)]
    write_nd2(path / "a.nd2", stack.reshape(-1, HEIGHT, WIDTH, plan.n_c), loops)
    return Written(path / "a.nd2")


def nd2_every_second(path: Path) -> Written:
    return _nd2(path, plan_without((0, t, 1, 0) for t in (1, 3)))


def nd2_one_plane(path: Path) -> Written:
    sizes = (1, 4, 2, 2)
    return _nd2(path, plan_without(((0, t, 1, 0) for t in range(4)), sizes))


def nd2_lost_frame(path: Path) -> Written:
    stack = plan_without(()).stack()[0].transpose(0, 2, 3, 4, 1)[:, 0]
    write_nd2(path / "a.nd2", stack, [time_loop(4)], written=[0, 1, 3])
    return Written(path / "a.nd2")


def zarr(layout: Layout, *lost: tuple[int, ...]) -> Callable[[Path], Written]:
    """Write an OME-Zarr and lose some of its chunks."""

    def write(path: Path) -> Written:
        write_image(path / "a.zarr", plan_without(()).stack()[0], layout)
        for at in lost:
            chunk_file(path / "a.zarr", layout, *at).unlink()
        return Written(path / "a.zarr")

    return write


def zarr_impossible(path: Path) -> Written:
    written = zarr(LAYOUTS[0])(path)
    document = written.path / "0/zarr.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | {"shape": [-1, 2, 1, 8, 8]}))
    return written


def zarr_pipe(path: Path) -> Written:
    written = zarr(LAYOUTS[0])(path)
    chunk = chunk_file(written.path, LAYOUTS[0], 1, 1, 0, 0, 0)
    chunk.unlink()
    os.mkfifo(chunk)
    return written


def folder(name: str, times: Iterable[int], *lost: tuple[int, int]) -> Callable[[Path], Written]:
    """Write images of these times, frames in that order, but for some (frame, channel)."""

    def write(path: Path) -> Written:
        for frame, number in enumerate(times):
            for c in range(2):
                if (frame, c) not in lost:
                    image = path / "images" / name.format(t=number, c=c)
                    write_single_image(image, encode((0, frame, c, 0)))
        return Written(path / "images")

    return write


def folder_gap(path: Path) -> Written:
    for t, c in np.ndindex(4, 2):
        if t != 2:
            write_single_image(path / f"images/a_xy1t{t}c{c}.tif", encode((0, t, c, 0)))
    return Written(path / "images")


def folder_two_pages(path: Path) -> Written:
    written = folder("a_xy1t{t}c{c}.tif", range(4))(path)
    both = planes((2, 1), (3, 1))
    tifffile.imwrite(written.path / "a_xy1t2c1.tif", both, photometric="minisblack")
    return written


def folder_deep(path: Path) -> Written:
    return folder("day 1/well A/site 1/a_xy1t{t}c{c}.tif", range(4))(path)


def ome_tiff(elements: str, *pages: tuple[int, int], sizes: tuple[int, ...] = (4, 2, 1)) -> Any:
    def write(path: Path) -> Written:
        xml = ome_xml(image_xml((*sizes, HEIGHT, WIDTH), elements), uuid="urn:uuid:a")
        write_pages(path / "a.ome.tif", planes(*pages), xml)
        return Written(path / "a.ome.tif")

    return write


ALL = list(np.ndindex(4, 2))
IN_ORDER = "".join(tiff_data(i, FirstT=t, FirstC=c) for i, (t, c) in enumerate(ALL))
NAMED_TWICE = "".join(
    tiff_data(i if (t, c) != (2, 1) else 1, FirstT=t, FirstC=c) for i, (t, c) in enumerate(ALL)
)


def ome_by_uuid(path: Path) -> Written:
    """Write half of the planes into another file, which is named by its identifier alone."""
    data = "".join(
        tiff_data(i % 4, f"urn:uuid:{i // 4}", FirstT=t, FirstC=c) for i, (t, c) in enumerate(ALL)
    )
    described = image_xml((4, 2, 1, HEIGHT, WIDTH), data)
    for number, name in enumerate(("a.ome.tif", "whatever.ome.tif")):
        xml = ome_xml(described, uuid=f"urn:uuid:{number}")
        write_pages(path / name, planes(*ALL[4 * number : 4 * number + 4]), xml)
    return Written(path / "a.ome.tif")


def ome_lost_file(path: Path) -> Written:
    written = ome_by_uuid(path)
    (path / "whatever.ome.tif").unlink()
    return written


def ome_outside(path: Path) -> Written:
    write_pages(path / "outside.ome.tif", planes(*ALL), "")
    (path / "in").mkdir()
    data = "".join(
        tiff_data(i, "urn:uuid:o", "../outside.ome.tif", FirstT=t, FirstC=c)
        for i, (t, c) in enumerate(ALL)
    )
    xml = ome_xml(image_xml((4, 2, 1, HEIGHT, WIDTH), data))
    (path / "in/a.companion.ome").write_text(xml, encoding="utf-8")
    return Written(path / "in/a.companion.ome")


def ome_comma(path: Path) -> Written:
    described = image_xml(
        (4, 2, 1, HEIGHT, WIDTH), IN_ORDER, pixels_attributes='PhysicalSizeX="0,65"'
    )
    write_pages(path / "a.ome.tif", planes(*ALL), ome_xml(described))
    return Written(path / "a.ome.tif")


def mm_skipped(path: Path) -> Written:
    """Write what Micro-Manager does of a channel that was skipped in every second frame."""
    taken = [(t, c) for t, c in ALL if c == 0 or t % 2 == 0]
    data = "".join(
        tiff_data(taken.index((t, c) if (t, c) in taken else (t - 1, c)), FirstT=t, FirstC=c)
        for t, c in [*taken, *(at for at in ALL if at not in taken)]
    )
    write_mm_stack(
        path / "run_MMStack_Pos0.ome.tif",
        {(0, t, c, 0): encode((0, t, c, 0)) for t, c in taken},
        summary={"Frames": 4, "Channels": 2},
        description=ome_xml(image_xml((4, 2, 1, HEIGHT, WIDTH), data)),
    )
    return Written(path / "run_MMStack_Pos0.ome.tif")


def mm_blank(path: Path) -> Written:
    taken = [(0, t, c, 0) for t, c in ALL if t < 3 or c == 0]
    write_mm_stack(
        path / "run_MMStack_Pos0.tif",
        {place: encode(place) for place in taken},
        summary={"Frames": 4, "Channels": 2},
        blank={(0, 3, 1, 0): np.zeros((HEIGHT, WIDTH), np.uint16)},
    )
    return Written(path / "run_MMStack_Pos0.tif")


def ndtiff(*lost: tuple[int, int]) -> Callable[[Path], Written]:
    def write(path: Path) -> Written:
        writer = NdTiffWriter(path / "scan", images_per_file=3)
        for t, c in ALL:
            if (t, c) not in lost:
                writer.put({"time": t, "channel": ("PC", "GFP")[c]}, encode((0, t, c, 0)))
        return Written(writer.close())

    return write


def appended(path: Path) -> Written:
    for t, c in ALL:
        tifffile.imwrite(path / "a.tif", encode((0, t, c, 0)), append=True)
    return Written(path / "a.tif", {"axes": "TCYX", "sizes": (4, 2)})


def samples(path: Path) -> Written:
    """Write four frames as tifffile does unasked: as samples of one page in colour."""
    stack = np.stack([encode((0, t, 0, 0)) for t in range(4)])
    colour: Any = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(path / "a.tif", stack, metadata={"axes": "TYX"}, **colour)
    return Written(path / "a.tif")


LOST = LAYOUTS[0], LAYOUTS[2], LAYOUTS[4], LAYOUTS[5]
MESSY = [
    row("nd2, a channel in every second frame", nd2_every_second, [(1, 1), (1, 3)]),
    row("nd2, a channel in one z plane only", nd2_one_plane, [(1, t, 0) for t in range(4)]),
    row("nd2, a frame lost", nd2_lost_frame, [(0, 2), (1, 2)], "planes are missing"),
    *(
        row(f"ome-zarr {layout.name}, a chunk lost", zarr(layout, (2, 1, 0, 0, 1)), [(1, 2)])
        for layout in LOST
    ),
    row("ome-zarr, a shard lost", zarr(LAYOUTS[3], (2, 1, 0, 0, 0)), [(1, 2)]),
    row(
        "ome-zarr, a plane lost",
        zarr(LAYOUTS[0], *((1, 0, 0, y, x) for y in (0, 1) for x in (0, 1))),
        [(0, 1)],
    ),
    row("ome-zarr, a negative size", zarr_impossible, told="shape", refused=True),
    *([row("ome-zarr, a pipe for a chunk", zarr_pipe, [(1, 1)])] if hasattr(os, "mkfifo") else []),
    row("folder, a gap in the numbers", folder_gap, [(0, 2), (1, 2)], "frame"),
    row("folder, a constant step", folder("a_xy1t{t:03}c{c}.tif", range(0, 20, 5)), told="step"),
    row("folder, an image lost", folder("a_xy1t{t}c{c}.tif", range(4), (2, 1)), [(1, 2)]),
    row("folder, an image of two pages", folder_two_pages, [(1, 2)]),
    row("folder, images three folders deep", folder_deep),
    row("ome-tiff, planes beyond the sizes", ome_tiff(IN_ORDER, *ALL, sizes=(3, 2, 1)),
        told="left out", n_frames=3),
    row("ome-tiff, a page named twice", ome_tiff(NAMED_TWICE, *ALL), [(1, 2)], "another plane"),
    row("ome-tiff, a file named by identifier", ome_by_uuid),
    row("ome-tiff, that file lost", ome_lost_file, n_frames=2, told="missing at the end"),
    row("ome-tiff, a file outside", ome_outside, told="leads out of the folder", refused=True),
    row("ome-tiff, a comma in a number", ome_comma, told="PhysicalSizeX"),
    row("micro-manager, a skipped channel", mm_skipped, [(1, 1), (1, 3)], "another plane"),
    row("micro-manager, a blank page", mm_blank, n_frames=3, told="do not say which plane"),
    row("ndtiff in several files", ndtiff()),
    row("ndtiff, an image lost", ndtiff((1, 1)), [(1, 1)], "missing"),
    row("tiff, appended page by page", appended),
    row("tiff, frames tagged as colours", samples),
]  # fmt: skip
