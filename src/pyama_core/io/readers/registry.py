"""The readers there are, and which of them a file is for.

A reader is chosen by what the file or folder is, then by its name, because names lie. Readers of
this package come first; other packages add theirs through the entry-point group
`pyama_core.readers`, each entry a `Reader`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError, dangling_link, reason_of
from pyama_core.io.readers.frame_source import FrameSource
from pyama_core.io.readers.ndtiff.files import is_ndtiff_folder
from pyama_core.io.regular_files import open_regular
from pyama_core.io.retrying import patiently
from pyama_core.io.urls import is_url

ENTRY_POINT_GROUP = "pyama_core.readers"

_SIGNATURE_BYTES = 32

logger = logging.getLogger(__name__)


def _never(path: Path) -> bool:
    del path
    return False


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A format: how to recognise it, and what opens it.

    Attributes
    ----------
    name : str
        Short and unique; kept in the metadata, by which another process finds the reader again.
    open : callable
        Given a path and the options, opens the file. Its module should be imported only then.
    signatures : tuple of bytes
        How files of this format begin.
    endings : tuple of str
        How their names end, in lower case, the dot included.
    file_names : tuple of str
        Whole names of files of this format, which begin in no way of their own.
    claims : callable
        Tells of a folder (or URL) whether it is of this format; for formats that are folders.
    """

    name: str
    open: Callable[[Path, Mapping[str, Any]], FrameSource]
    signatures: tuple[bytes, ...] = ()
    endings: tuple[str, ...] = ()
    file_names: tuple[str, ...] = ()
    claims: Callable[[Path], bool] = _never


def _lazily(module: str, function: str) -> Callable[[Path, Mapping[str, Any]], FrameSource]:
    """Return a function that imports the reader's module when the first file is opened."""

    def open_file(path: Path, options: Mapping[str, Any]) -> FrameSource:
        reader = getattr(import_module(f"pyama_core.io.readers.{module}"), function)
        source: FrameSource = reader(path, options)
        return source

    return open_file


def _open_legacy_nd2(path: Path, options: Mapping[str, Any]) -> FrameSource:
    del options
    raise InputError(
        f"{path} is a JPEG 2000 file, as NIS-Elements wrote its ND2 files before version 4; "
        "save it again from NIS-Elements, or export it as OME-TIFF."
    )


def _open_single_image(path: Path, options: Mapping[str, Any]) -> FrameSource:
    del options
    raise InputError(
        f"{path} is a single PNG image, which holds no time-lapse; give the folder of all images."
    )


def _is_zarr(path: Path) -> bool:
    if is_url(path):
        return True
    if any(entry.name.endswith(".zarr") for entry in path.iterdir()):
        return True
    return any((path / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup", ".zarray"))


def _is_ndtiff(path: Path) -> bool:
    return not is_url(path) and is_ndtiff_folder(path)


_BUILT_IN = (
    Reader(
        name="nd2",
        signatures=(b"\xda\xce\xbe\x0a",),
        endings=(".nd2",),
        open=_lazily("nd2.source", "open_nd2"),
    ),
    Reader(
        name="nd2-legacy",
        signatures=(b"\x00\x00\x00\x0cjP  ",),
        open=_open_legacy_nd2,
    ),
    Reader(
        name="czi",
        signatures=(b"ZISRAWFILE",),
        endings=(".czi",),
        open=_lazily("czi.source", "open_czi"),
    ),
    Reader(
        name="tiff",
        signatures=(b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
        endings=(".tif", ".tiff", ".tf2", ".tf8", ".btf"),
        open=_lazily("tiff.source", "open_tiff"),
    ),
    Reader(
        name="ome-companion",
        signatures=(b"<?xml", b"\xef\xbb\xbf<?xml", b"<OME"),
        endings=(".companion.ome",),
        open=_lazily("ome_tiff.source", "open_ome_companion"),
    ),
    Reader(
        name="png",
        signatures=(b"\x89PNG\r\n\x1a\n",),
        open=_open_single_image,
    ),
    Reader(
        name="ndtiff",
        file_names=("NDTiff.index",),
        claims=_is_ndtiff,
        open=_lazily("ndtiff.source", "open_ndtiff"),
    ),
    Reader(name="ome-zarr", claims=_is_zarr, open=_lazily("zarr.source", "open_zarr")),
    Reader(
        name="image-folder",
        claims=lambda path: path.is_dir(),
        open=_lazily("image_folder.source", "open_image_folder"),
    ),
)
_BIOIO = Reader(name="bioio", open=_lazily("bioio_source", "open_with_bioio"))


def find_reader(path: Path) -> Reader:
    """Choose the reader of a file or folder.

    Raises
    ------
    InputError
        If there is none, or nothing at that path.
    """
    if is_url(path) or path.is_dir():
        return _first(reader for reader in (*_third_party(), *_BUILT_IN) if reader.claims(path))
    signature = read_signature(path)
    for readers in (_BUILT_IN, _third_party()):
        for reader in readers:
            if reader.signatures and signature.startswith(reader.signatures):
                return reader
    for reader in _BUILT_IN:
        if path.name in reader.file_names:
            return reader
    name = path.name.lower()
    for reader in _third_party():
        if reader.endings and name.endswith(reader.endings):
            return reader
    for reader in _BUILT_IN:
        if reader.endings and name.endswith(reader.endings):
            raise InputError(
                f"{path} is named like a {reader.name.upper()} file but does not begin like one; "
                "it is damaged or of another type. Copy or export it again."
            )
    if find_spec("bioio") is not None:
        return _BIOIO
    raise InputError(
        f"{path} is of an unknown type; expected ND2, CZI, OME-TIFF, ImageJ TIFF, plain TIFF, "
        "OME-Zarr or a folder of images. Export it as OME-TIFF, or install pyama-core[bioio]."
    )


def reader_named(name: str) -> Reader | None:
    """Return the reader of a name, or None if there is none."""
    for reader in (*_BUILT_IN, _BIOIO):
        if reader.name == name:
            return reader
    return next((reader for reader in _third_party() if reader.name == name), None)


def known_endings() -> tuple[str, ...]:
    """Return how names of files end that some reader is for, in lower case."""
    return tuple(
        dict.fromkeys(
            ending for reader in (*_BUILT_IN, *_third_party()) for ending in reader.endings
        )
    )


def _first(readers: Iterable[Reader]) -> Reader:
    return next(iter(readers))


@functools.cache
def _third_party() -> tuple[Reader, ...]:
    """Load the readers of other packages; one that is broken is left out with a warning."""
    readers = []
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            reader = entry.load()
        except Exception as error:  # noqa: BLE001  a foreign package may raise anything
            logger.warning(
                "the reader %s (%s) cannot be loaded: %r", entry.name, entry.value, error
            )
            continue
        if isinstance(reader, Reader):
            readers.append(reader)
        else:
            logger.warning("%s is no reader: expected a Reader, found %r", entry.value, reader)
    return tuple(readers)


def read_signature(path: Path) -> bytes:
    """Return the first bytes of a file; empty for a folder or URL.

    Raises
    ------
    InputError
        If there is nothing to read.
    """
    if is_url(path) or path.is_dir():
        return b""
    try:
        signature = patiently(lambda: _first_bytes(path))
    except FileNotFoundError:
        if link := dangling_link(path):
            raise InputError(f"{path} cannot be read: {link}.") from None
        raise InputError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason_of(error)}).") from error
    if not signature:
        raise InputError(f"{path} is empty; copy it again.")
    return signature


def _first_bytes(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(_SIGNATURE_BYTES)
