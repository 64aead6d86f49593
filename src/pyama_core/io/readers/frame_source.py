"""What every microscopy file looks like once it is open: its metadata and its frames."""

from __future__ import annotations

import operator
import re
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError, MissingFrameError, ShortageError, shortage_behind
from pyama_core.io.closing import Closes
from pyama_core.io.readers.own_files import OwnFiles
from pyama_core.io.retrying import patiently
from pyama_core.io.titles import titled

PlaneChoice = int | Literal["max"]
Numbering = int | Literal["auto", "order"]
Frame = npt.NDArray[Any]
StagePosition = tuple[float, float, float | None]

MAX_PLANES = 10_000_000
MAX_SIDE = 100_000
MAX_PIXELS = 1 << 31

_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*")

_ENDINGS = (
    *(".companion.ome", ".ome.tiff", ".ome.tif", ".ome.tf2", ".ome.tf8", ".ome.btf", ".ome.zarr"),
    *(".nd2", ".czi", ".tiff", ".tif", ".tf2", ".tf8", ".btf", ".zarr"),
)


@dataclass(frozen=True)
class MicroscopyMetadata:
    """Everything known about a microscopy file without reading a pixel.

    Picklable and hashable; together with `pyama_core.io.microscopy.open_source` it is what one
    process hands to another in place of an open file.

    Attributes
    ----------
    file_path : Path
        Absolute path of the file or folder; of a URL, its text.
    base_name : str
        File name without its ending (all of ``.ome.tif``), as the names of outputs can have it
        (see `portable_base_name`).
    file_type : str
        ``"nd2"``, ``"czi"``, ``"ome-tiff"``, ``"micro-manager"``, ``"imagej-tiff"``, ``"tiff"``,
        ``"image-folder"``, ``"ome-zarr"`` or what another reader calls its format.
    height, width, n_frames : int
        Largest over all fields of view; `shape_of` gives those of one.
    n_fovs, n_channels, n_z : int
        Number of fields of view, channels and z planes.
    timepoints : tuple of tuple of (float or None)
        ``timepoints[fov][frame]`` in minutes since the first frame of the file (the earliest over
        all fields of view); None where the file does not say.
    channel_names, fov_names : tuple of str
        As the file gives them, else ``"Channel 0"``, ``"FOV 0"`` and so on.
    dtype : str
        numpy name of the pixel type, such as ``"uint16"``.
    pixel_size_um : float or None
        Edge length of a pixel in micrometres along X; None where the file does not say.
    fov_shapes : tuple of (int, int, int)
        (T, Y, X) of each field of view.
    timepoints_source : str
        ``"measured"`` (the file has a time per frame), ``"nominal"`` (an interval) or
        ``"unknown"``.
    reader : str
        Name of the reader that opened the file.
    options : tuple of (str, value)
        The options the file was opened with.
    companions : tuple of Path
        All files whose bytes belong to the data set, `file_path` first.
    warnings : tuple of str
        What a user should know about this file.
    notes : tuple of str
        How the reader understood the file, such as the file name pattern it recognised.
    stage_positions_um : tuple of ((float, float, float or None) or None)
        (x, y, z) of the stage at each field of view, in micrometres; empty where no field of view
        has one.
    emission_nm : tuple of (float or None)
        Emission wavelength of each channel in nanometres; empty where no channel has one.
    z_step_um : float or None
        Distance of z planes in micrometres.
    bit_depth : int or None
        Bits of a pixel that the camera used, such as 12 of 16.
    content_checksum : str
        What identifies a data set that is not made of local files; else empty.
    """

    file_path: Path
    base_name: str
    file_type: str
    height: int
    width: int
    n_frames: int
    n_fovs: int
    n_channels: int
    n_z: int
    timepoints: tuple[tuple[float | None, ...], ...]
    channel_names: tuple[str, ...]
    fov_names: tuple[str, ...]
    dtype: str
    pixel_size_um: float | None
    fov_shapes: tuple[tuple[int, int, int], ...]
    timepoints_source: str
    reader: str
    options: tuple[tuple[str, Any], ...]
    companions: tuple[Path, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    stage_positions_um: tuple[StagePosition | None, ...] = ()
    emission_nm: tuple[float | None, ...] = ()
    z_step_um: float | None = None
    bit_depth: int | None = None
    content_checksum: str = ""

    def shape_of(self, fov: int) -> tuple[int, int, int]:
        """Return (T, Y, X) of one field of view.

        Raises
        ------
        InputError
            If the file has no such field of view.
        """
        return self.fov_shapes[index_below(self.n_fovs, fov, "FOV", self.file_path)]

    def fov_title(self, fov: int) -> str:
        """Return number and name of a field of view, such as ``3 (A1)``."""
        return titled(fov, self.fov_names[fov], "FOV")

    def channel_title(self, channel: int) -> str:
        """Return number and name of a channel, such as ``1 (GFP)``."""
        return titled(channel, self.channel_names[channel], "Channel")


@dataclass(frozen=True)
class ReadOptions:
    """How a file is to be read, beyond its path.

    Attributes
    ----------
    z : int, "max" or None
        Plane of a z-stack, or the maximum projection; None was not chosen and means plane 0.
    axes : str or None
        Order of the dimensions of a TIFF that does not say it, slowest first, such as ``"TCYX"``.
    pattern : str or None
        How the names of the images in a folder are made, such as ``"{channel}_{fov}_{time}.tif"``.
    outside : bool
        Whether files may be read that the opened one names outside of its folder.
    numbering : "auto", "order" or int
        What the times in those names mean: numbers that jump are gaps, unless they have a constant
        step; all are frames in a row; or how far frames are apart.
    sizes : tuple of int or None
        How long the dimensions of `axes` but Y and X are, for a row of planes whose file does not
        say it; given as numbers or as text such as ``"10,3"``.
    """

    z: PlaneChoice | None = None
    axes: str | None = None
    pattern: str | None = None
    outside: bool = False
    numbering: Numbering = "auto"
    sizes: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Check options by name and value.

        Raises
        ------
        InputError
            For an unknown option or a value that the option cannot take.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InputError(
                    f"There is no reading option {name!r}; the known ones are {', '.join(known)}."
                )
        z, axes, pattern = given.get("z"), given.get("axes"), given.get("pattern")
        if z is not None and z != "max":
            try:
                z = operator.index(z)
            except TypeError:
                z = -1
            if z < 0 or isinstance(given["z"], bool):
                raise InputError(
                    f"Option z takes the index of a plane or 'max', not {given['z']!r}."
                )
        if axes is not None and not isinstance(axes, str):
            raise InputError(f"Option axes takes letters such as 'TCYX', not {axes!r}.")
        if pattern is not None and not isinstance(pattern, str):
            raise InputError(f"Option pattern takes text such as '{{fov}}.tif', not {pattern!r}.")
        outside = given.get("outside", False)
        if not isinstance(outside, bool):
            raise InputError(f"Option outside takes True or False, not {outside!r}.")
        axes = None if axes is None else axes.upper()
        numbering = _parse_numbering(given.get("numbering"))
        sizes = _parse_sizes(given.get("sizes"))
        if sizes is not None and axes is None:
            raise InputError(
                "Option sizes says how long the dimensions of option axes are; give both, such as "
                "axes='TCYX' and sizes=(10, 3) (command line: --axes TCYX --sizes 10,3)."
            )
        return cls(
            z=z, axes=axes, pattern=pattern, outside=outside, numbering=numbering, sizes=sizes
        )

    def refuse_axes(self, path: Path, kind: str) -> None:
        """Raise InputError if axes were given for a file that states their order itself."""
        if self.axes is not None:
            raise InputError(
                f"{path} is {kind}, which states the order of its dimensions; leave axes "
                f"{'and sizes ' * (self.sizes is not None)}out."
            )

    def refuse_pattern(self, path: Path, kind: str) -> None:
        """Raise InputError if an option for names of images was given for what has none."""
        for given, what in ((self.pattern, "pattern"), (self.numbering, "numbering")):
            if given not in (None, "auto"):
                raise InputError(
                    f"{path} is {kind}; a {what} is for folders of single images, leave it out."
                )


def _parse_numbering(given: object) -> Numbering:
    if given is None or given == "auto":
        return "auto"
    if given == "order":
        return "order"
    number = int(given) if isinstance(given, str) and re.fullmatch("[0-9]{1,9}", given) else given
    if isinstance(number, SupportsIndex) and not isinstance(number, bool):
        step = operator.index(number)
        if step > 0:
            return step
    raise InputError(
        "Option numbering takes 'auto', 'order' or how far the numbers of frames are apart, not "
        f"{given!r}."
    )


def _parse_sizes(given: object) -> tuple[int, ...] | None:
    if given is None:
        return None
    numbers: Any = given
    if isinstance(given, str):
        numbers = [int(n) if _NUMBER.fullmatch(n) else n for n in given.split(",")]
    elif not isinstance(given, Sequence):
        numbers = [given]
    sizes = tuple(n for n in numbers if isinstance(n, SupportsIndex) and not isinstance(n, bool))
    if len(sizes) != len(numbers) or not sizes or any(operator.index(n) < 1 for n in sizes):
        raise InputError(f"Option sizes takes numbers above 0 such as (10, 3), not {given!r}.")
    return tuple(operator.index(n) for n in sizes)


class FrameSource(Closes):
    """An open microscopy file that gives one (Y, X) frame at a time.

    Safe to use from several threads. Close it, or use it as a context manager.

    Parameters
    ----------
    metadata : MicroscopyMetadata
        What the file holds.
    z : int, "max" or None
        What `read_frame` takes from a z-stack unless told otherwise; None means plane 0.
    """

    def __init__(self, metadata: MicroscopyMetadata, z: PlaneChoice | None) -> None:
        self.metadata = metadata
        self._path = metadata.file_path
        self._counts = (
            metadata.n_fovs,
            metadata.n_channels,
            metadata.n_z,
            tuple(shape[0] for shape in metadata.fov_shapes),
        )
        self._z: PlaneChoice = 0 if z is None else z
        self._lock = threading.RLock()
        self._closed = False

    def read_frame(
        self,
        fov: SupportsIndex,
        channel: SupportsIndex,
        time: SupportsIndex,
        z: SupportsIndex | Literal["max"] | None = None,
    ) -> Frame:
        """Read one frame.

        Parameters
        ----------
        fov, channel, time : int
            Zero-based field of view, channel and frame.
        z : int, "max" or None
            Plane of a z-stack or its maximum projection; None takes what the file was opened with.

        Returns
        -------
        (Y, X) ndarray
            C-contiguous, in the file's own dtype and native byte order. It stays valid after the
            source is closed, and may be read-only.

        Raises
        ------
        InputError
            For an index outside the file, or a source that is closed.
        MissingFrameError
            If the file announces the plane but does not have it, or it cannot be decoded.
        ShortageError
            If there is not enough memory to decode it.
        """
        n_fovs, n_channels, n_z, lengths = self._counts
        # Checked here and only then with all that an error message needs, because small frames
        # are read in microseconds.
        if type(fov) is not int or not 0 <= fov < n_fovs:
            fov = index_below(n_fovs, fov, "FOV", self._path)
        if type(channel) is not int or not 0 <= channel < n_channels:
            channel = index_below(n_channels, channel, "channel", self._path)
        if type(time) is not int or not 0 <= time < lengths[fov]:
            time = index_below(lengths[fov], time, f"FOV {fov}, frame", self._path)
        plane = self._z if z is None else z
        if plane != "max" and (type(plane) is not int or not 0 <= plane < n_z):
            plane = index_below(n_z, plane, "z plane", self._path)
        with self._lock:
            if self._closed:
                raise InputError(f"{self._path.name} was closed; open it again to read frames.")
            try:
                if plane == "max":
                    return patiently(
                        lambda: self._read_projection(fov, channel, time), self._refresh
                    )
                return patiently(lambda: self._read_plane(fov, channel, time, plane), self._refresh)
            except MissingFrameError as error:
                shortage = shortage_behind(error)
                if shortage is None:
                    raise
                # The plane is there; without memory nothing can be said of it.
                raise ShortageError.about(f"read {self._path.name}", shortage) from error

    @abstractmethod
    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        """Read one plane; indices are in range and the lock is held."""

    def _read_projection(self, fov: int, channel: int, time: int) -> Frame:
        """Return the maximum over all planes; indices are in range and the lock is held."""
        projection = self._read_plane(fov, channel, time, 0)
        for z in range(1, self.metadata.n_z):
            projection = np.maximum(projection, self._read_plane(fov, channel, time, z))
        return projection

    def files_of(self, fov: int) -> Sequence[Path]:
        """Return the files that the planes of a field of view are read from, or more than those."""
        del fov
        return self.metadata.companions

    def own_files(self, fov: int) -> OwnFiles | None:
        """Return the files that a field of view has apart from others, and how it lies in them.

        None if there are no such files, or they cannot be told.
        """
        del fov
        return None

    def find_change(self, fov: int) -> str:
        """Say what changed of a field of view since the source was opened, beside local files.

        Empty if nothing did, or nothing is known.
        """
        del fov
        return ""

    def _refresh(self) -> None:
        """Let go of file handles that a network failure may have broken, before another try."""

    @abstractmethod
    def _release(self) -> None:
        """Close the files; called once, with the lock held."""

    def _missing(
        self, fov: int, channel: int, time: int, z: int, why: str, advice: str | None = None
    ) -> MissingFrameError:
        name = self.metadata.file_path.name
        plane = f", z plane {z}" if self.metadata.n_z > 1 else ""
        if advice is None:
            advice = f" Copy the file again from the microscope, or leave FOV {fov} out."
        return MissingFrameError(
            f"{name} lacks FOV {fov}, channel {channel}, frame {time}{plane}: {why}.{advice}"
        )

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._release()


def index_below(count: int, index: SupportsIndex | str, what: str, path: Path) -> int:
    """Return `index` as an int in [0, count), or raise InputError naming the valid range."""
    try:
        number = operator.index(index)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{path.name}: expected an integer for {what}, found {index!r}.") from None
    if 0 <= number < count:
        return number
    valid = f"valid are 0 to {count - 1}" if count else "there is none"
    raise InputError(f"{path.name} has no {what} {number}; {valid}.")


def check_plane_count(path: Path, count: int) -> None:
    """Raise InputError for more planes than any acquisition has.

    A damaged file can announce 10¹² planes, and the tables of them would fill the memory.
    """
    if count > MAX_PLANES:
        raise InputError(f"{path} announces {count} planes, which cannot be; it is damaged.")


def check_frame_size(path: Path, height: int, width: int) -> None:
    """Raise InputError for frames that are empty, or larger than any that can be worked on."""
    if min(height, width) < 1 or max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise InputError(
            f"{path} announces frames of {width} × {height} pixels; expected 1 to {MAX_SIDE} on a "
            f"side and at most {MAX_PIXELS:.1e}. It is damaged, or has to be cut into tiles."
        )


def base_name(path: Path) -> str:
    """Return the file name without its ending, all of ``.ome.tif`` and the like.

    Examples
    --------
    >>> base_name(Path("run 1.OME.TIF"))
    'run 1'
    """
    lowered = path.name.lower()
    for ending in _ENDINGS:
        if lowered.endswith(ending) and len(lowered) > len(ending):
            return path.name[: -len(ending)]
    return path.stem
