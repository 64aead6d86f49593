"""The metadata documents of a Zarr store, version 2 or 3, on a disk or behind a URL.

They are read here one by one, because a plate has thousands and opening each as an array takes
milliseconds; zarr itself is left to read pixels.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyama_core.io.checksums import Hasher, name_checksum, new_hasher
from pyama_core.io.regular_files import read_regular
from pyama_core.io.urls import is_url, url_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class ZarrError(ValueError):
    """The store is not what it should be; says why."""


@dataclass(frozen=True)
class ArrayDocument:
    """What the metadata of an array says.

    Attributes
    ----------
    path : str
        Below the root of the store.
    shape, chunks : tuple of int
        Size of the array and of what is one object in the store (a shard where there are any).
    dtype : dtype
        Pixel type, native byte order.
    fill_value : float
        What pixels of chunks that are absent count as.
    prefix, separator : str
        How the names of chunks are made.
    """

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill_value: float
    prefix: str
    separator: str

    def chunk_names(self, plane: tuple[int, ...]) -> Iterator[str]:
        """Name all chunks that hold a plane, given its indices along all axes but the last two."""
        known = [index // size for index, size in zip(plane, self.chunks, strict=False)]
        counts = [
            math.ceil(n / size) for n, size in zip(self.shape[-2:], self.chunks[-2:], strict=True)
        ]
        for place in itertools.product(*map(range, counts)):
            inner = self.separator.join(map(str, (*known, *place)))
            yield f"{self.path}/{self.prefix}{inner}".lstrip("/")


class ZarrStore:
    """A folder or URL in which a Zarr hierarchy lies.

    Parameters
    ----------
    root : Path
        Folder, or URL as a path.

    Attributes
    ----------
    location : str
        The root in the form that zarr opens.
    documents : list of str
        Names of the metadata documents read so far.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._remote: AbstractFileSystem | None = None
        self._remote_root = ""
        self._hasher: Hasher = new_hasher()
        self.location = str(root)
        self.documents: list[str] = []
        if is_url(root):
            from fsspec.core import url_to_fs

            self.location = url_of(root)
            self._remote, self._remote_root = url_to_fs(self.location)

    @property
    def is_remote(self) -> bool:
        """Whether it lies behind a URL."""
        return self._remote is not None

    def checksum(self) -> str:
        """Checksum of all documents read so far."""
        return name_checksum(self._hasher)

    def exists(self, name: str) -> bool:
        """Tell whether there is an object of this name."""
        if self._remote is not None:
            return bool(self._remote.exists(f"{self._remote_root}/{name}"))
        return (self._root / name).exists()

    def read(self, name: str) -> bytes | None:
        """Return a document, or None if there is none of this name."""
        data = self.fetch(name)
        if data is None:
            return None
        self.documents.append(name)
        self._hasher.update(f"{name} {len(data)} ".encode())
        self._hasher.update(data)
        return data

    def fetch(self, name: str) -> bytes | None:
        """Return the bytes of an object, or None if there is none of this name."""
        try:
            if self._remote is not None:
                return bytes(self._remote.cat_file(f"{self._remote_root}/{name}"))
            return read_regular(self._root / name)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def folders(self, path: str = "") -> list[str]:
        """List the names of the groups and arrays right below a group."""
        if self._remote is not None:
            found = self._remote.ls(f"{self._remote_root}/{path}".rstrip("/"), detail=True)
            names = [str(entry["name"]) for entry in found if entry["type"] == "directory"]
            return [name.rstrip("/").rpartition("/")[2] for name in names]
        return [child.name for child in (self._root / path).iterdir() if child.is_dir()]

    def document(self, path: str, name: str) -> dict[str, Any] | None:
        """Return a document of JSON, or None if it is absent.

        Raises
        ------
        ZarrError
            If it is damaged.
        """
        where = f"{path}/{name}".lstrip("/")
        data = self.read(where)
        if data is None:
            return None
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ZarrError(f"{where} is not JSON ({error})") from error
        if not isinstance(content, dict):
            raise ZarrError(f"{where} has no keys and values")
        return content

    def attributes(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group or array; empty if it has none or is not there."""
        modern = self.document(path, "zarr.json")
        found = self.document(path, ".zattrs") if modern is None else modern.get("attributes", {})
        return found if isinstance(found, dict) else {}

    def array(self, path: str) -> ArrayDocument:
        """Describe an array.

        Raises
        ------
        ZarrError
            If there is none, or it is damaged.
        """
        modern = self.document(path, "zarr.json")
        older = self.document(path, ".zarray") if modern is None else None
        try:
            if modern is not None:
                return _modern_array(path, modern)
            if older is not None:
                return _older_array(path, older)
        except (KeyError, TypeError, ValueError) as error:
            raise ZarrError(f"the description of the array {path} is damaged ({error})") from error
        raise ZarrError(f"the array {path} is not there")


def _modern_array(path: str, content: Mapping[str, Any]) -> ArrayDocument:
    encoding = content.get("chunk_key_encoding", {"name": "default"})
    is_default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
    return ArrayDocument(
        path=path,
        shape=tuple(int(n) for n in content["shape"]),
        chunks=tuple(int(n) for n in content["chunk_grid"]["configuration"]["chunk_shape"]),
        dtype=np.dtype(content["data_type"]),
        fill_value=_fill_value(content.get("fill_value")),
        prefix=f"c{separator}" if is_default else "",
        separator=separator,
    )


def _older_array(path: str, content: Mapping[str, Any]) -> ArrayDocument:
    return ArrayDocument(
        path=path,
        shape=tuple(int(n) for n in content["shape"]),
        chunks=tuple(int(n) for n in content["chunks"]),
        dtype=np.dtype(content["dtype"]).newbyteorder("="),
        fill_value=_fill_value(content.get("fill_value")),
        prefix="",
        separator=content.get("dimension_separator", "."),
    )


def _fill_value(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
