"""From what a reader found in a file to the metadata that everything else uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.base_names import portable_base_name
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.readers.frame_source import (
    MicroscopyMetadata,
    ReadOptions,
    StagePosition,
    base_name,
    check_frame_size,
)
from pyama_core.io.readers.timepoints import Times, resolve_timepoints

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FoundInFile:
    """What a reader found.

    Attributes
    ----------
    present : tuple of (T, C, Z) bool arrays
        Per field of view, which of the planes that the file announces it really has.
    frame_sizes : tuple of (int, int)
        (Y, X) of each field of view.
    channel_names, fov_names : tuple of str
        Empty strings where the file has no name; none at all if it has none of them.
    times : sequence of sequences of (float or None)
        Measured minutes per field of view and frame, with any common zero.
    nominal_times : sequence of float or None
        Minutes per frame from the interval that was asked for.
    companions : tuple of Path
        All files of the data set; the file itself if empty.
    why_absent : str
        Why planes are absent, as far as the reader knows.

    The others are as in `MicroscopyMetadata`.
    """

    file_type: str
    reader: str
    present: tuple[npt.NDArray[np.bool_], ...]
    frame_sizes: tuple[tuple[int, int], ...]
    dtype: np.dtype[Any]
    channel_names: tuple[str, ...] = ()
    fov_names: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    times: Times = ()
    nominal_times: Sequence[float] | None = None
    companions: tuple[Path, ...] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stage_positions_um: Sequence[StagePosition | None] = ()
    emission_nm: Sequence[float | None] = ()
    z_step_um: float | None = None
    bit_depth: int | None = None
    content_checksum: str = ""
    base_name: str = ""
    why_absent: str = "the acquisition stopped before the first"


def make_metadata(
    path: Path, options: Mapping[str, Any], content: FoundInFile
) -> MicroscopyMetadata:
    """Make the metadata of a file, with everything a user should be warned of.

    Raises
    ------
    InputError
        If the file has no frames, not the z plane that was asked for, frames of a size that cannot
        be, or pixels that are no real numbers.
    """
    if content.dtype.kind not in "biuf":
        raise InputError(
            f"{path} has pixels of {content.dtype}, expected integers or real numbers; "
            "export magnitude and phase, or what else they stand for, separately."
        )
    for size in set(content.frame_sizes):
        check_frame_size(path, *size)
    n_z = content.present[0].shape[2]
    lengths, missing = _whole_frames(content.present)
    if not any(lengths):
        raise InputError(f"{path} has no complete frame; {content.why_absent}.")
    measured = content.times or ((),) * len(lengths)
    times = resolve_timepoints(measured, content.nominal_times, lengths)
    return MicroscopyMetadata(
        file_path=path,
        base_name=portable_base_name(content.base_name or base_name(path)),
        file_type=content.file_type,
        height=max(size[0] for size in content.frame_sizes),
        width=max(size[1] for size in content.frame_sizes),
        n_frames=max(lengths),
        n_fovs=len(lengths),
        n_channels=content.present[0].shape[1],
        n_z=n_z,
        timepoints=times.values,
        channel_names=_named(content.channel_names, "Channel", content.present[0].shape[1]),
        fov_names=_named(content.fov_names, "FOV", len(lengths)),
        dtype=content.dtype.name,
        pixel_size_um=content.pixel_size_um,
        fov_shapes=tuple((n, *size) for n, size in zip(lengths, content.frame_sizes, strict=True)),
        timepoints_source=times.source,
        reader=content.reader,
        options=_plain(options),
        companions=(path,) if content.companions is None else content.companions,
        warnings=(*content.warnings, *missing, *_z_warnings(path, options, n_z), *times.warnings),
        notes=content.notes,
        stage_positions_um=_if_any(content.stage_positions_um),
        emission_nm=_if_any(content.emission_nm),
        z_step_um=content.z_step_um if n_z > 1 else None,
        bit_depth=content.bit_depth,
        content_checksum=content.content_checksum,
    )


def _plain(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return options so that equal ones are equal, however they were given, and can be hashed."""
    sizes = ReadOptions.parse(options).sizes
    given = {**options, "sizes": sizes} if sizes is not None else options
    return tuple(sorted(given.items()))


def _if_any(values: Sequence[T | None]) -> tuple[T | None, ...]:
    return tuple(values) if any(value is not None for value in values) else ()


def _whole_frames(
    present: Sequence[npt.NDArray[np.bool_]],
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Shorten each field of view to its complete frames where nothing follows a gap.

    An acquisition that was stopped leaves complete frames first, and one that is not. Anything
    else is damage, or a channel that was taken more seldom than others. It stays, so that reading
    it is an error rather than a shift of all later frames, and what there is is not lost.
    """
    lengths, short, broken = [], [], []
    for fov, planes in enumerate(present):
        complete = np.all(planes, axis=(1, 2))
        begun = np.flatnonzero(planes.any(axis=(1, 2)))
        announced, whole = len(complete), int(complete.sum())
        length = int(begun[-1]) + 1 if begun.size else 0
        if complete[:whole].all() and length <= whole + 1:
            length = whole
        else:
            gaps = format_ranges(np.flatnonzero(~complete[:length]).tolist())
            broken.append(f"FOV {fov} in frames {_few(gaps.split(','))}")
        lengths.append(length)
        if length < announced:
            short.append(f"FOV {fov} has {length} of {announced}")
    warnings = []
    if short:
        warnings.append(f"frames are missing at the end, {_few(short)}")
    if broken:
        warnings.append(f"planes are missing, {_few(broken, separator='; ')}")
    return tuple(lengths), tuple(warnings)


def _few(parts: Sequence[str], limit: int = 5, separator: str = ", ") -> str:
    more = f" and {len(parts) - limit} more" if len(parts) > limit else ""
    return separator.join(parts[:limit]) + more


def _z_warnings(path: Path, options: Mapping[str, Any], n_z: int) -> tuple[str, ...]:
    z = ReadOptions.parse(options).z
    if isinstance(z, int) and z >= n_z:
        raise InputError(f"{path} has no z plane {z}; valid are 0 to {n_z - 1}, or 'max'.")
    if z is None and n_z > 1:
        return (f"{n_z} z planes, of which plane 0 is used; choose with z=N or z='max'",)
    return ()


def _named(names: Sequence[str], kind: str, count: int) -> tuple[str, ...]:
    names = names or ("",) * count
    return tuple(name or f"{kind} {index}" for index, name in enumerate(names))
