"""Writes a synthetic experiment and the truth about it to a folder."""

from __future__ import annotations

import contextlib
import json
import math
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from pyama_core.demo.crowd_movie import CrowdMovie
from pyama_core.demo.folder import DemoFiles, Staging, claimed, mark, remove_labels_beyond
from pyama_core.demo.kinds import DemoKind
from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import INTERVAL_S, DemoParameters
from pyama_core.demo.truth import (
    INTENSITY_COLUMNS,
    TRACK_COLUMNS,
    write_intensities,
    write_tracks,
)
from pyama_core.errors import StorageError
from pyama_core.io.storage.stacks import StackWriter

_CLASSIC_TIFF_BYTES = 2**32 - 2**26
_CM_PER_UM = 1e-4

_README = """\
A synthetic experiment with known truth, written by `pyama demo`.

../demo.ome.tif        {fovs} field(s) of view, {frames} frame(s) of {size} x {size} pixels
labels_fov_NNN.npy     (T, Y, X) uint16: the id of the cell at each pixel, 0 for none
tracks.csv             one row per cell: mother, first and last frame, and what became of it
intensities.csv        per cell, frame and fluorescence channel: the counts that the cell itself
                       contributes within its true mask, without background and noise
demo.json              what it was made with

Fields of view, frames, channels, rows and columns count from 0, cells from 1.
"""


def write_demo(
    folder: Path,
    *,
    fovs: int = 2,
    frames: int = 40,
    size: int = 512,
    seed: int = 0,
    kind: str = DemoKind.ADHERENT,
    on_progress: Callable[[int, int], None] | None = None,
) -> DemoFiles:
    """Write a synthetic experiment with known truth.

    As a rule phase contrast and two fluorescence channels of moving, deforming cells: some settle,
    leave or enter, one divides where there is time (8 frames) and room (192 pixels). Of other
    kinds, crowded nuclei or spread cells, dim and bright, in fluorescence alone, or bacteria that
    grow and divide in phase contrast, with a reporter each. The same
    parameters give the same bytes with the same versions, and a field of view is the same
    whatever the number of others. Memory does not grow with frames or fields of view.

    Parameters
    ----------
    folder : Path
        Made if needed. If it holds something, that must be an earlier demo, complete or broken
        off: its files are replaced, other files beside them stay.
    fovs, frames, size, seed : int
        See `DemoParameters`.
    kind : str
        See `DemoParameters`.
    on_progress : callable, optional
        Called after each frame with the number of frames written and of all.

    Returns
    -------
    DemoFiles
        Where everything is.

    Raises
    ------
    InputError
        A parameter is bad, the folder holds something else, or the disk is too full.
    StorageError
        The file system refuses.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> files = write_demo(Path("demo"), fovs=1, frames=10, size=256)
    >>> np.load(files.labels[0]).shape
    (10, 256, 256)
    """
    parameters = DemoParameters(fovs, frames, size, seed, cast("DemoKind", kind))
    files = DemoFiles.under(Path(folder), fovs)
    with claimed(files, parameters.n_bytes), Staging() as staging:
        _Experiment(parameters, files, staging, on_progress).write()
        mark(files, _about(parameters), complete=False)
        remove_labels_beyond(files)
        staging.commit()
        mark(files, _about(parameters), complete=True)
    return files


def watch(parameters: DemoParameters, fov: int) -> Movie | CrowdMovie:
    """Return the movie of a field of view, of whatever kind."""
    if parameters.kind is DemoKind.ADHERENT:
        return Movie(parameters, fov)
    return CrowdMovie(parameters, fov)


class _Experiment:
    """Watches the movies of an experiment and writes down what it sees, plane by plane."""

    def __init__(
        self,
        parameters: DemoParameters,
        files: DemoFiles,
        staging: Staging,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._parameters = parameters
        self._files = files
        self._staging = staging
        self._on_progress = on_progress

    def write(self) -> None:
        """Write all files under their temporary names."""
        files, staging = self._files, self._staging
        try:
            with contextlib.ExitStack() as tables:
                opened = [
                    tables.enter_context(_new_table(staging.path(path), columns))
                    for path, columns in (
                        (files.tracks, TRACK_COLUMNS),
                        (files.intensities, INTENSITY_COLUMNS),
                    )
                ]
                self._write_image(staging.path(files.image), *opened)
            staging.path(files.readme).write_bytes(
                _README.format(**self._parameters.described()).encode()
            )
        except OSError as error:
            raise StorageError.about("write", files.folder, error) from error

    def _write_image(self, path: Path, tracks: TextIO, intensities: TextIO) -> None:
        parameters = self._parameters
        size = parameters.size
        shape = (parameters.frames, len(parameters.about.channels), size, size)
        bigtiff = parameters.fovs * math.prod(shape) * 2 > _CLASSIC_TIFF_BYTES
        with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder="<", ome=True) as image:
            for fov in range(parameters.fovs):
                movie = watch(parameters, fov)
                with self._new_labels(fov) as labels:
                    image.write(
                        self._planes(movie, fov, labels, intensities),
                        shape=shape,
                        dtype=np.uint16,
                        photometric="minisblack",
                        resolution=(1 / (parameters.about.pixel_size_um * _CM_PER_UM),) * 2,
                        resolutionunit="CENTIMETER",
                        software=_creator(),
                        metadata=_ome_metadata(parameters, fov, movie.times),
                    )
                write_tracks(tracks, fov, movie.tracks())

    @contextlib.contextmanager
    def _new_labels(self, fov: int) -> Iterator[StackWriter]:
        """Open the label stack of a field of view; it must be whole at the end of the block."""
        size, final = self._parameters.size, self._files.labels[fov]
        labels = StackWriter(final, (self._parameters.frames, size, size), "<u2")
        try:
            yield labels
            self._staging.adopt(labels.finish().temporary, final)
        except BaseException:
            labels.discard()
            raise

    def _planes(
        self, movie: Movie | CrowdMovie, fov: int, labels: StackWriter, intensities: TextIO
    ) -> Iterator[NDArray[np.uint16]]:
        """Yield the planes of a field of view, writing its truth on the way."""
        n_before = fov * self._parameters.frames
        n_all = self._parameters.fovs * self._parameters.frames
        for frame in movie.frames():
            labels.append(frame.labels)
            write_intensities(intensities, fov, frame.index, frame.time, frame.cells)
            yield from frame.planes
            if self._on_progress is not None:
                self._on_progress(n_before + frame.index + 1, n_all)


def _new_table(path: Path, columns: tuple[str, ...]) -> TextIO:
    table = path.open("x", encoding="utf-8", newline="\n")
    table.write(",".join(columns) + "\n")
    return table


def _creator() -> str:
    return f"pyama-core {version('pyama-core')}"


def _ome_metadata(parameters: DemoParameters, fov: int, times: list[float]) -> dict[str, Any]:
    # A random identifier would make two demos of one seed differ.
    name = json.dumps([_creator(), parameters.described()])
    return {
        "axes": "TCYX",
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "Creator": _creator(),
        "Name": f"position {fov + 1}",
        "PhysicalSizeX": parameters.about.pixel_size_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": parameters.about.pixel_size_um,
        "PhysicalSizeYUnit": "µm",
        "TimeIncrement": INTERVAL_S,
        "TimeIncrementUnit": "s",
        "Channel": {"Name": list(parameters.about.channels)},
        "Plane": {"DeltaT": times, "DeltaTUnit": ["s"] * len(times)},
    }


def _about(parameters: DemoParameters) -> dict[str, object]:
    return {
        "version": version("pyama-core"),
        "parameters": parameters.described(),
        "channels": parameters.about.channels,
        "pixel_size_um": parameters.about.pixel_size_um,
        "interval_s": INTERVAL_S,
    }
