"""Part 5, continued: the other formats against their bare libraries, and what opening costs."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.report import Part, Table, Target
from benchmarks.scenes import Scene
from benchmarks.timing import Times, calls_in_turn
from nd2_writer import position_loop, time_loop, write_nd2
from ndtiff_writer import NdTiffWriter
from pyama_core.io.microscopy import load_microscopy_file

# Writes a data set of frames (T, Y, X) below a folder and returns its path.
Writer = Callable[[Path, NDArray[np.uint16]], Path]
# Reads all of its frames with the format's own library, already open.
Bare = Callable[[Path], contextlib.AbstractContextManager[Callable[[], None]]]

_N_PLANES = {"nd2": 100_000, "ome-tiff": 20_000}
_LIMIT_US, _LIMIT_BYTES = 20.0, 200.0


def measure(folder: Path, *, quick: bool, side: int = 2048) -> Part:
    """Measure reading every plane of files that are in the page cache, and opening large ones."""
    n_frames, rounds = (6, 5) if quick else (20, 11)
    scene = Scene(side, 360)
    frames = np.stack([scene.fluorescence(t) for t in range(n_frames)])
    found = {
        name: _against_library(write(folder, frames), bare, n_frames, rounds)
        for name, (write, bare) in FORMATS.items()
    }
    shares = {name: t["bare library"].median / t["pyama-core"].median for name, t in found.items()}
    scale = 10 if quick else 1
    opened = {name: opening_cost(folder, name, n // scale) for name, n in _N_PLANES.items()}
    tables = [
        Table(
            "All planes of an open data set",
            ("format", "pyama-core", "bare library", "speed"),
            [
                (name, *map(str, case.values()), f"{shares[name]:.2f} ×")
                for name, case in found.items()
            ],
        ),
        Table(
            "Opening a large file, per plane",
            ("format", "planes", "time", "memory", "the whole file"),
            [
                (
                    name,
                    f"{_N_PLANES[name] // scale:,}",
                    f"{us:.1f} µs",
                    f"{size:.0f} bytes",
                    f"{1e-6 * us * (_N_PLANES[name] // scale):.2f} s",
                )
                for name, (us, size) in opened.items()
            ],
        ),
    ]
    targets = [Target(f"reading {name}", share, 0.9, False) for name, share in shares.items()]
    for name, (us, size) in opened.items():
        targets.append(Target(f"opening {name}, per plane", us, _LIMIT_US, True, "µs"))
        targets.append(
            Target(f"memory of an open {name}, per plane", size, _LIMIT_BYTES, True, "B")
        )
    return Part(
        "Reading other formats",
        tables,
        targets,
        {"times": found, "share": shares, "opening": opened},
    )


def _against_library(path: Path, bare: Bare, n_frames: int, rounds: int) -> dict[str, Times]:
    source, _ = load_microscopy_file(path)

    def read_all() -> None:
        for t in range(n_frames):
            source.read_frame(0, 0, t)

    with source, bare(path) as bare_read_all:
        cases: dict[str, Callable[[], object]] = {
            "pyama-core": read_all,
            "bare library": bare_read_all,
        }
        return calls_in_turn(cases, rounds)


def opening_cost(folder: Path, kind: str, n_planes: int) -> tuple[float, float]:
    """Return the microseconds and bytes per plane that opening a file of small planes costs."""
    path = _LARGE[kind](folder, n_planes)
    load_microscopy_file(path)[0].close()
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        load_microscopy_file(path)[0].close()
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    source, _ = load_microscopy_file(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    source.close()
    return min(seconds) / n_planes * 1e6, held / n_planes


def _write_large_nd2(folder: Path, n_planes: int) -> Path:
    path = folder / "large.nd2"
    loops = [position_loop([f"p{i}" for i in range(100)]), time_loop(n_planes // 100, 1000.0)]
    frames = np.zeros((n_planes, 1, 4, 1), np.uint16)
    write_nd2(path, frames, loops, times_ms=[1000.0 * i for i in range(n_planes)])
    return path


def _write_large_ome_tiff(folder: Path, n_planes: int) -> Path:
    path = folder / "large.ome.tif"
    n_frames = n_planes // 20
    about = {"axes": "TYX", "Plane": {"DeltaT": [60.0 * t for t in range(n_frames)]}}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for _ in range(20):
            stack = np.zeros((n_frames, 4, 4), np.uint16)
            tiff.write(stack, metadata=about, photometric="minisblack")
    return path


_LARGE = {"nd2": _write_large_nd2, "ome-tiff": _write_large_ome_tiff}


def _write_czi(folder: Path, frames: NDArray[np.uint16]) -> Path:
    from pylibCZIrw.czi import create_czi

    path = folder / "read.czi"
    with create_czi(str(path), exist_ok=True, compression_options="zstd1:ExplicitLevel=1") as czi:
        for t, frame in enumerate(frames):
            czi.write(frame[..., None], plane={"T": t, "C": 0}, scene=0)
        czi.write_metadata()
    return path


@contextlib.contextmanager
def _bare_czi(path: Path) -> Iterator[Callable[[], None]]:
    from pylibCZIrw.czi import open_czi

    with open_czi(str(path)) as czi:
        n_frames = czi.total_bounding_box["T"][1]

        def read_all() -> None:
            for t in range(n_frames):
                czi.read(plane={"T": t, "C": 0}, scene=0)

        yield read_all


def _write_zarr(folder: Path, frames: NDArray[np.uint16]) -> Path:
    import ngff_zarr

    path = folder / "read.ome.zarr"
    image = ngff_zarr.to_ngff_image(frames, dims=["t", "y", "x"])
    chunks = {"t": 1, "y": 1024, "x": 1024}
    pyramid = ngff_zarr.to_multiscales(image, scale_factors=[], chunks=chunks)
    ngff_zarr.to_ngff_zarr(str(path), pyramid, version="0.5")
    return path


@contextlib.contextmanager
def _bare_zarr(path: Path) -> Iterator[Callable[[], None]]:
    import zarr

    levels = zarr.open_group(str(path), mode="r").attrs.asdict()["ome"]["multiscales"][0]
    array = zarr.open_array(str(path), path=levels["datasets"][0]["path"], mode="r")

    def read_all() -> None:
        for t in range(array.shape[0]):
            np.asarray(array[t])

    yield read_all


def _write_folder(ending: str, folder: Path, frames: NDArray[np.uint16]) -> Path:
    import cv2

    path = folder / f"read-{ending}"
    path.mkdir(exist_ok=True)
    for t, frame in enumerate(frames):
        file = path / f"a_xy1t{t:03d}.{ending}"
        if ending == "tif":
            tifffile.imwrite(file, frame)
        else:
            file.write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    return path


@contextlib.contextmanager
def _bare_folder(path: Path) -> Iterator[Callable[[], None]]:
    import imagecodecs

    files = sorted(path.iterdir())

    def read_all() -> None:
        for file in files:
            if file.suffix == ".tif":
                tifffile.imread(file)
            else:
                imagecodecs.png_decode(file.read_bytes())

    yield read_all


def _write_imagej(folder: Path, frames: NDArray[np.uint16]) -> Path:
    path = folder / "read.tif"
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"})
    return path


@contextlib.contextmanager
def _bare_tiff(path: Path) -> Iterator[Callable[[], None]]:
    with tifffile.TiffFile(path) as tiff:
        n_frames = len(tiff.pages)

        def read_all() -> None:
            for t in range(n_frames):
                # ImageJ writes the other byte order, which nothing computes in.
                np.ascontiguousarray(tiff.pages[t].asarray(), dtype=np.uint16)

        yield read_all


def _write_ndtiff(folder: Path, frames: NDArray[np.uint16]) -> Path:
    writer = NdTiffWriter(folder / "read_1")
    for t, frame in enumerate(frames):
        writer.put({"time": t, "channel": "GFP"}, frame, {"ElapsedTime-ms": 1000.0 * t})
    return writer.close()


@contextlib.contextmanager
def _bare_ndtiff(path: Path) -> Iterator[Callable[[], None]]:
    with _bare_tiff(min(path.glob("*.tif"))) as read_all:
        yield read_all


FORMATS: dict[str, tuple[Writer, Bare]] = {
    "CZI, zstd": (_write_czi, _bare_czi),
    "OME-Zarr 0.5": (_write_zarr, _bare_zarr),
    "folder of TIFF": (partial(_write_folder, "tif"), _bare_folder),
    "folder of PNG": (partial(_write_folder, "png"), _bare_folder),
    "NDTiff": (_write_ndtiff, _bare_ndtiff),
    "ImageJ hyperstack": (_write_imagej, _bare_tiff),
}
