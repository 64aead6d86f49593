"""Data sets of every format, each of whose pixels says where it belongs.

A pixel encodes its data set, position, channel, frame, z plane and place in the frame. A pixel
that is read at another place than its own is therefore recognised, whatever happened to the files.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from czi_library import czi_library
from image_folders import write_image as write_single_image
from mm_stack_writer import write_mm_stack
from nd2_writer import position_loop, time_loop, write_nd2, z_loop
from ndtiff_writer import NdTiffWriter
from ome_tiff_writer import image_xml, ome_xml, tiff_data, write_pages
from ome_zarr_writer import LAYOUTS, write_image

HEIGHT, WIDTH = 20, 24
CHANNELS = ("Phase", "GFP", "RFP")
_LIMITS = (2, 3, 3, 8, 2)
_ROWS, _COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
_PLACES = (1 + (31 * _ROWS + 7 * _COLUMNS) % 127).astype(np.uint16)

Array = npt.NDArray[Any]
# Position, frame, channel, z plane.
Place = tuple[int, int, int, int]


def encode(place: Place, data_set: int = 0) -> Array:
    """Return the pixels of a plane."""
    p, t, c, z = place
    number = int(np.ravel_multi_index((data_set, p, c, t, z), _LIMITS))
    return (128 * number + _PLACES).astype(np.uint16)


def decode(frame: Array) -> tuple[int, Place]:
    """Return the data set and the place of the plane that all pixels of a frame are from.

    Raises
    ------
    ValueError
        If they are not all from one plane, each in its place.
    """
    if frame.shape != (HEIGHT, WIDTH):
        raise ValueError(f"a frame of {frame.shape}")
    numbers, rest = np.divmod(frame.astype(np.int64) - _PLACES, 128)
    if rest.any() or np.unique(numbers).size != 1 or not 0 <= numbers[0, 0] < np.prod(_LIMITS):
        raise ValueError(f"pixels of {np.unique(numbers).tolist()[:5]}, some not in their place")
    data_set, p, c, t, z = (int(i) for i in np.unravel_index(numbers[0, 0], _LIMITS))
    return data_set, (p, t, c, z)


@dataclass(frozen=True)
class Plan:
    """What a data set holds: its sizes, and the planes that were taken."""

    n_p: int
    n_t: int
    n_c: int
    n_z: int
    taken: frozenset[Place]
    chance: random.Random
    data_set: int = 0

    def pixels(self, place: Place) -> Array:
        """Return a plane, zeros if it was not taken."""
        found = encode(place, self.data_set)
        return found if place in self.taken else np.zeros_like(found)

    def places(self) -> list[Place]:
        """All places, whether taken or not."""
        return list(np.ndindex(self.n_p, self.n_t, self.n_c, self.n_z))

    def stack(self) -> Array:
        """Return all planes (P, T, C, Z, Y, X)."""
        planes = np.stack([self.pixels(place) for place in self.places()])
        return planes.reshape(self.n_p, self.n_t, self.n_c, self.n_z, HEIGHT, WIDTH)


def make_plan(chance: random.Random, *, whole: bool = False, n_p: int | None = None) -> Plan:
    """Draw sizes, and how the data set is thinned unless it is to be whole."""
    sizes = (
        n_p or chance.randint(1, 3),
        chance.randint(1, 6),
        chance.randint(1, 3),
        chance.randint(1, 2),
    )
    places = list(np.ndindex(*sizes))
    kind = "whole" if whole else chance.choice(["whole", "stopped", "seldom", "lost", "both"])
    taken = set(places)
    if kind in ("seldom", "both"):
        channel, every = chance.randrange(sizes[2]), chance.randint(2, 3)
        taken = {place for place in taken if place[2] != channel or place[1] % every == 0}
    if kind in ("lost", "both"):
        taken = {place for place in taken if chance.random() < 0.8}
    if kind == "stopped":
        order = sorted(places, key=lambda place: (place[1], place[0], place[3], place[2]))
        taken = set(order[: chance.randint(1, len(order))])
    # Of each position, channel and plane there is something, in the first frame.
    taken |= {place for place in places if place[1] == 0 and sum(map(bool, place)) <= 1}
    return Plan(*sizes, frozenset(taken), chance)


@dataclass(frozen=True)
class Written:
    """A data set on the disk.

    Attributes
    ----------
    path : Path
        What is opened.
    options : dict
        How it is opened.
    has_identity : bool
        Whether its files say which they are, so that their names may be mixed up.
    is_numbered : bool
        Whether only the images that there are tell how frames are numbered.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    has_identity: bool = False
    is_numbered: bool = False


def _nd2(folder: Path, plan: Plan) -> Written:
    loops = [
        ("P", position_loop([f"P{p}" for p in range(plan.n_p)])),
        ("T", time_loop(plan.n_t, 60e3)),
        ("Z", z_loop(plan.n_z)),
    ]
    plan.chance.shuffle(loops)
    axes = "".join(axis for axis, _ in loops)
    stack = plan.stack().transpose([*("PT?Z".index(axis) for axis in axes), 4, 5, 2])
    there = np.zeros((plan.n_p, plan.n_t, plan.n_z), np.bool_)
    for p, t, _, z in plan.taken:
        there[p, t, z] = True
    there = there.transpose(["PTZ".index(axis) for axis in axes])
    write_nd2(
        folder / "movie.nd2",
        stack.reshape(-1, *stack.shape[3:]),
        [loop for _, loop in loops],
        channel_names=CHANNELS[: plan.n_c],
        written=np.flatnonzero(there).tolist(),
        compression=plan.chance.choice([None, "lossless"]),
        row_padding=plan.chance.choice([0, 8]),
    )
    return Written(folder / "movie.nd2")


def _czi(folder: Path, plan: Plan) -> Written:
    with czi_library().create_czi(str(folder / "movie.czi")) as czi:
        for p, t, c, z in sorted(plan.taken):
            at = {"T": t, "C": c, "Z": z}
            pixels = plan.pixels((p, t, c, z))[..., np.newaxis]
            czi.write(pixels, plane=at, scene=p, location=(100 * p, 0))
        names = dict(enumerate(CHANNELS[: plan.n_c]))
        czi.write_metadata(channel_names=names)
    return Written(folder / "movie.czi", is_numbered=True)


def _described(plan: Plan, elements: Mapping[int, str]) -> list[str]:
    shape = (plan.n_t, plan.n_c, plan.n_z, HEIGHT, WIDTH)
    channels = "".join(
        f'<Channel ID="Channel:0:{c}" Name="{CHANNELS[c]}"/>' for c in range(plan.n_c)
    )
    return [image_xml(shape, elements[p], name=f"P{p}", channels=channels) for p in range(plan.n_p)]


def _firsts(place: Place) -> dict[str, int]:
    _, t, c, z = place
    return {"FirstT": t, "FirstC": c, "FirstZ": z}


def _ome_tiff(folder: Path, plan: Plan) -> Written:
    order = sorted(plan.taken)
    plan.chance.shuffle(order)
    elements = dict.fromkeys(range(plan.n_p), "")
    for page, place in enumerate(order):
        elements[place[0]] += tiff_data(page, **_firsts(place))
    planes = np.stack([plan.pixels(place) for place in order])
    write_pages(folder / "movie.ome.tif", planes, ome_xml(*_described(plan, elements)))
    return Written(folder / "movie.ome.tif")


def _ome_set(folder: Path, plan: Plan) -> Written:
    """Write a file per position, frame or channel, each with the metadata of all or in one."""
    axis, style = plan.chance.choice([0, 1, 2]), plan.chance.choice(["all", "companion"])
    files: dict[int, list[Place]] = {}
    for place in sorted(plan.taken):
        files.setdefault(place[axis], []).append(place)
    elements = dict.fromkeys(range(plan.n_p), "")
    for number, places in files.items():
        for page, place in enumerate(places):
            name = f"movie_{number}.ome.tif"
            elements[place[0]] += tiff_data(
                page, f"urn:uuid:{plan.data_set}:{number}", name, **_firsts(place)
            )
    described = _described(plan, elements)
    for number, places in files.items():
        xml = ome_xml(*described, uuid=f"urn:uuid:{plan.data_set}:{number}")
        if style == "companion":
            only = '<BinaryOnly MetadataFile="movie.companion.ome" UUID="urn:uuid:c"/>'
            xml = ome_xml(only, uuid=f"urn:uuid:{plan.data_set}:{number}")
        planes = np.stack([plan.pixels(place) for place in places])
        write_pages(folder / f"movie_{number}.ome.tif", planes, xml)
    if style == "companion":
        (folder / "movie.companion.ome").write_text(ome_xml(*described, uuid="urn:uuid:c"))
        return Written(folder / "movie.companion.ome", has_identity=True)
    return Written(folder / f"movie_{min(files)}.ome.tif", has_identity=True)


def _mm_stacks(folder: Path, plan: Plan) -> Written:
    """Write a file or two per position, with an index or without."""
    has_index = plan.chance.random() < 0.7
    for p in range(plan.n_p):
        order = sorted(place for place in plan.taken if place[0] == p)
        half = plan.chance.choice([len(order), (len(order) + 1) // 2])
        parts = (("", order[:half]), ("_1", order[half:]))
        for ending, places in parts:
            if places:
                write_mm_stack(
                    folder / f"run_MMStack_Pos{p}{ending}.tif",
                    {place: plan.pixels(place) for place in places},
                    summary={
                        "ChNames": CHANNELS[: plan.n_c],
                        "Channels": plan.n_c,
                        "Frames": plan.n_t,
                        "Slices": plan.n_z,
                    },
                    planes_metadata={"PositionName": f"P{p}"},
                    has_index=has_index,
                )
    return Written(folder / "run_MMStack_Pos0.tif", has_identity=True)


def _ndtiff(folder: Path, plan: Plan) -> Written:
    places = sorted(plan.taken, key=lambda place: (place[1], place[0], place[3], place[2]))
    writer = NdTiffWriter(
        folder / "scan",
        images_per_file=plan.chance.choice([2, 3, 1000]),
        major=plan.chance.choice([2, 3]),
        order=plan.chance.choice(["<", ">"]),
    )
    for p, t, c, z in places:
        axes = {"position": f"P{p}", "time": t, "channel": CHANNELS[c], "z": z}
        writer.put(axes, plan.pixels((p, t, c, z)), {"PositionName": f"P{p}"})
    writer.close()
    return Written(folder / "scan", is_numbered=True)


def _imagej(folder: Path, plan: Plan) -> Written:
    stack = plan.stack()[0].transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(folder / "movie.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    return Written(folder / "movie.tif")


def _plain_tiff(folder: Path, plan: Plan) -> Written:
    axes = ["P", "T", "C", "Z"]
    plan.chance.shuffle(axes)
    stack = plan.stack().transpose([*("PTCZ".index(axis) for axis in axes), 4, 5])
    tifffile.imwrite(folder / "movie.tif", stack, photometric="minisblack", metadata=None)
    sizes = dict(zip("PTCZ", plan.stack().shape, strict=False))
    options = {"axes": "".join(axes) + "YX", "sizes": tuple(sizes[axis] for axis in axes)}
    return Written(folder / "movie.tif", options)


def _nis_folder(folder: Path, plan: Plan) -> Written:
    ending = plan.chance.choice(["tif", "png"])
    for p, t, c, z in plan.taken:
        name = f"run_xy{p}t{t:02}z{z}c{c}.{ending}"
        write_single_image(folder / "images" / name, plan.pixels((p, t, c, z)))
    return Written(folder / "images", is_numbered=True)


def _mm_folder(folder: Path, plan: Plan) -> Written:
    for p, t, c, z in plan.taken:
        name = f"Pos{p}/img_{t:09}_{CHANNELS[c]}_{z:03}.tif"
        write_single_image(folder / "images" / name, plan.pixels((p, t, c, z)))
    return Written(folder / "images", is_numbered=True)


def _zarr(folder: Path, plan: Plan) -> Written:
    layout = plan.chance.choice(LAYOUTS)
    for p in range(plan.n_p):
        write_image(folder / f"movie/P{p}.zarr", plan.stack()[p], layout)
    return Written(folder / "movie")


WRITERS: dict[str, Callable[[Path, Plan], Written]] = {
    "nd2": _nd2,
    "czi": _czi,
    "ome-tiff": _ome_tiff,
    "ome-tiff set": _ome_set,
    "micro-manager stacks": _mm_stacks,
    "ndtiff": _ndtiff,
    "imagej": _imagej,
    "plain tiff": _plain_tiff,
    "nis-elements folder": _nis_folder,
    "micro-manager folder": _mm_folder,
    "ome-zarr": _zarr,
}
_WHOLE = {"imagej": 1, "plain tiff": None}


def write_data_set(
    kind: str, folder: Path, chance: random.Random, data_set: int = 0
) -> tuple[Plan, Written]:
    """Draw a data set of a format and write it."""
    plan = make_plan(chance, whole=kind in _WHOLE, n_p=_WHOLE.get(kind))
    plan = replace(plan, data_set=data_set)
    folder.mkdir(parents=True, exist_ok=True)
    return plan, WRITERS[kind](folder, plan)
