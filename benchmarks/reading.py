"""Part 5: frames per second against the bare libraries on the same file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import Part, Table, Target
from benchmarks.scenes import Scene, write_ome_tiff
from benchmarks.timing import Times, calls_in_turn
from nd2_writer import time_loop, write_nd2
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.frame_source import FrameSource

REAL_FILES = Path(__file__).parents[2] / "shared" / "data" / "nd2"


def measure(folder: Path, *, quick: bool, side: int = 2048) -> Part:
    """Measure reading every plane of files that are in the page cache."""
    n_frames = 10 if quick else 30
    rounds = 5 if quick else 15
    tiff = write_ome_tiff(folder / "read.ome.tif", fovs=2, frames=n_frames, side=side, n_cells=360)
    paths = [_write_nd2(folder / "read.nd2", n_frames, side), tiff]
    paths += sorted(REAL_FILES.glob("*.nd2"))
    found = {path.name: _against_library(path, rounds) for path in paths}
    shares = {name: t["bare library"].median / t["pyama-core"].median for name, t in found.items()}
    rows = [
        (name, *(str(times) for times in case.values()), f"{shares[name]:.2f} ×")
        for name, case in found.items()
    ]
    return Part(
        "Reading",
        [
            Table(
                "All planes of an open file",
                ("file", "pyama-core", "bare library", "speed"),
                rows,
                "read.nd2 and read.ome.tif were written for this. The real files beside them have "
                "frames of 31 × 38 to 256 × 256 pixels, where the cost of a call decides.",
            )
        ],
        [
            Target(f"reading {path.name}, {side} × {side}", shares[path.name], 0.9, False)
            for path in paths[:2]
        ],
        {"times": found, "share": shares},
    )


def _write_nd2(path: Path, n_frames: int, side: int) -> Path:
    """Write an ND2 file of two channels, which lie interleaved."""
    scene = Scene(side, 360)
    frames = np.stack(
        [np.stack([scene.phase(t), scene.fluorescence(t)], axis=-1) for t in range(n_frames)]
    )
    write_nd2(path, frames, [time_loop(n_frames, 1000.0)])
    return path


def _against_library(path: Path, rounds: int) -> dict[str, Times]:
    source, metadata = load_microscopy_file(path)
    planes = [
        (fov, channel, t, z)
        for fov in range(metadata.n_fovs)
        for t in range(metadata.shape_of(fov)[0])
        for z in range(metadata.n_z)
        for channel in range(metadata.n_channels)
    ]
    bare = _BareNd2 if path.suffix == ".nd2" else _BareTiff
    with source, bare(path) as library:
        cases: dict[str, Callable[[], object]] = {
            "pyama-core": partial(_read_all, source, planes),
            "bare library": library.read_all,
        }
        return calls_in_turn(cases, rounds)


def _read_all(source: FrameSource, planes: list[tuple[int, int, int, int]]) -> None:
    for plane in planes:
        source.read_frame(*plane)


class _BareNd2:
    """The nd2 package alone; one (Y, X) array per channel, as analysis needs it."""

    def __init__(self, path: Path) -> None:
        import nd2

        self._file = nd2.ND2File(path)

    def __enter__(self) -> _BareNd2:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read_all(self) -> None:
        """Read every frame and take its channels apart."""
        for index in range(self._file.attributes.sequenceCount):
            frame = self._file.read_frame(index)
            for channel in frame if frame.ndim == 3 else frame[None]:
                np.array(channel)  # without this it may be a map of which nothing was read


class _BareTiff:
    """The tifffile package alone."""

    def __init__(self, path: Path) -> None:
        import tifffile

        self._file = tifffile.TiffFile(path)

    def __enter__(self) -> _BareTiff:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read_all(self) -> None:
        """Read every page."""
        for page in self._file.pages:
            page.asarray()
