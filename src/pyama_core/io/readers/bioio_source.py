"""Any other format, through BioIO and its plug-ins (the extra ``pyama-core[bioio]``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyama_core.errors import InputError
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import (
    Frame,
    FrameSource,
    MicroscopyMetadata,
    ReadOptions,
    check_plane_count,
)

if TYPE_CHECKING:
    from bioio import BioImage


class BioioSource(FrameSource):
    """Frames of a file that BioIO opens; its scenes are the fields of view."""

    def __init__(self, metadata: MicroscopyMetadata, options: ReadOptions, image: BioImage) -> None:
        super().__init__(metadata, options.z)
        self._image = image
        self._dtype = np.dtype(metadata.dtype)

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        try:
            self._image.set_scene(fov)
            lazy: Any = self._image.get_image_dask_data("YX", T=time, C=channel, Z=z)
            pixels = lazy.compute(scheduler="synchronous")
        except Exception as error:  # each plug-in raises errors of its own
            raise self._missing(fov, channel, time, z, str(error)) from error
        return np.ascontiguousarray(pixels, dtype=self._dtype)

    def _release(self) -> None:
        """Let go of the image; BioIO opens the file for every plane and closes it again."""
        del self._image


def open_with_bioio(path: Path, options: Mapping[str, Any]) -> BioioSource:
    """Open a file with BioIO.

    Raises
    ------
    InputError
        If no plug-in that is installed reads it, or its scenes do not fit each other.
    """
    choice = ReadOptions.parse(options)
    choice.refuse_axes(path, "read through BioIO")
    choice.refuse_pattern(path, "read through BioIO")
    from bioio import BioImage

    try:
        image = BioImage(path)
        content = _content(path, image)
    except InputError:
        raise
    except Exception as error:  # each plug-in raises errors of its own
        why = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path} cannot be read by BioIO ({why}); install the plug-in for its format, such as "
            "bioio-lif or bioio-dv, or export it as OME-TIFF."
        ) from error
    return BioioSource(make_metadata(path, options, content), choice, image)


def _content(path: Path, image: BioImage) -> FoundInFile:
    shapes, kinds = [], set()
    for scene in image.scenes:
        image.set_scene(scene)
        if "S" in image.dims.order:
            raise InputError(
                f"{path} is a colour (RGB) image; expected one value per pixel and channel. "
                "Export the channels separately."
            )
        dims = image.dims
        shapes.append((dims.T, dims.C, dims.Z, dims.Y, dims.X))
        kinds.add((str(image.dtype), dims.C, dims.Z))
    if len(kinds) > 1:
        raise InputError(
            f"{path}: expected the same pixel type, channels and z planes in all scenes, found "
            f"{sorted(kinds)}. Export the scenes as separate files."
        )
    check_plane_count(path, sum(t * c * z for t, c, z, _, _ in shapes))
    image.set_scene(0)
    sizes = image.physical_pixel_sizes
    n_frames = max(shape[0] for shape in shapes)
    minutes = _interval_minutes(image)
    return FoundInFile(
        file_type=path.suffix.lower().lstrip(".") or "bioio",
        reader="bioio",
        present=tuple(np.ones(shape[:3], np.bool_) for shape in shapes),
        frame_sizes=tuple((shape[3], shape[4]) for shape in shapes),
        channel_names=tuple(str(name) for name in image.channel_names or ("",) * shapes[0][1]),
        fov_names=tuple(str(scene) for scene in image.scenes),
        dtype=np.dtype(image.dtype).newbyteorder("="),
        pixel_size_um=None if sizes.X is None else abs(float(sizes.X)),
        nominal_times=None if minutes is None else [t * minutes for t in range(n_frames)],
        z_step_um=None if sizes.Z is None else abs(float(sizes.Z)),
    )


def _interval_minutes(image: BioImage) -> float | None:
    """Return the time between frames; plug-ins give a duration, or nothing."""
    interval = image.time_interval
    seconds = getattr(interval, "total_seconds", lambda: 0.0)()
    return seconds / 60 if seconds > 0 else None
