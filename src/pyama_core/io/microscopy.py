"""Open a microscopy file or folder of any known format."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError
from pyama_core.io.closing import Closes
from pyama_core.io.paths import given_path
from pyama_core.io.readers.frame_source import FrameSource, MicroscopyMetadata, ReadOptions
from pyama_core.io.readers.registry import find_reader, read_signature, reader_named
from pyama_core.io.retrying import patiently
from pyama_core.io.urls import local_path

__all__ = [
    "FrameSource",
    "LateSource",
    "MicroscopyMetadata",
    "load_microscopy_file",
    "open_source",
]

logger = logging.getLogger(__name__)


def load_microscopy_file(
    path: str | Path, **options: Any
) -> tuple[FrameSource, MicroscopyMetadata]:
    """Open a microscopy file.

    Parameters
    ----------
    path : str or Path
        An ND2 or CZI file, an OME-TIFF (one file, or any file of a set that belongs together), an
        ImageJ hyperstack, a plain TIFF, a folder of single images, or an OME-Zarr (its folder or
        URL).
    **options
        ``z``: plane of a z-stack, or ``"max"`` for the maximum projection; plane 0 by default,
        with a warning if there are more. ``axes``: order of the dimensions of a TIFF that does not
        say it, slowest first, from the letters P (position), T, C, Z, Y, X, such as ``"TCYX"``;
        ``sizes``: how long its dimensions but Y and X are, such as ``(10, 3)``.
        ``pattern``: how the names of the images in a folder are made, such as
        ``"{*}_{channel}_{fov}_{time}.tif"``. ``outside``: True also reads files that the opened one
        names outside of its own folder.

    Returns
    -------
    source : FrameSource
        Gives one (Y, X) frame for (fov, channel, time, z); the caller closes it.
    metadata : MicroscopyMetadata
        What the file holds. Its warnings are also logged.

    Raises
    ------
    InputError
        If the file cannot be read as asked; the message says why and what to do.

    Examples
    --------
    >>> source, metadata = load_microscopy_file("experiment.nd2", z="max")  # doctest: +SKIP
    >>> with source:  # doctest: +SKIP
    ...     frame = source.read_frame(fov=0, channel=1, time=0)
    """
    path = local_path(given_path(path, "microscope file"))
    ReadOptions.parse(options)
    reader = find_reader(path)
    source = patiently(lambda: reader.open(path, options))
    for note in source.metadata.notes:
        logger.info("%s: %s", path.name, note)
    for warning in source.metadata.warnings:
        logger.warning("%s: %s", path.name, warning)
    return source, source.metadata


def open_source(metadata: MicroscopyMetadata) -> FrameSource:
    """Open the file of `metadata` once more, for instance in another process.

    Raises
    ------
    InputError
        If the file cannot be read any more, or no longer holds what `metadata` says.
    """
    path = metadata.file_path
    read_signature(path)
    reader = reader_named(metadata.reader)
    if reader is None:
        raise InputError(f"{path} was opened by the reader {metadata.reader!r}, which is unknown.")
    opens, options = reader.open, dict(metadata.options)
    source = patiently(lambda: opens(path, options))
    found = source.metadata
    # Times and names may have been edited by the caller; what is read by index may not change.
    if (found.fov_shapes, found.n_channels, found.n_z, found.dtype) != (
        metadata.fov_shapes,
        metadata.n_channels,
        metadata.n_z,
        metadata.dtype,
    ):
        source.close()
        raise InputError(f"{path} has changed since it was first opened; load it again.")
    return source


class LateSource(Closes):
    """The file of some metadata, which is opened once something is asked of it.

    Parameters
    ----------
    metadata : MicroscopyMetadata
        As it was read before.
    """

    def __init__(self, metadata: MicroscopyMetadata) -> None:
        self.metadata = metadata
        self._opened: FrameSource | None = None

    def get(self) -> FrameSource:
        """Return the open file; errors as `open_source`."""
        if self._opened is None:
            self._opened = open_source(self.metadata)
        return self._opened

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._opened is not None:
            self._opened.close()
