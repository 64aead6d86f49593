"""The metadata documents of a Zarr store, version 2 or 3, on a disk or behind a URL.

They are read here one by one, because a plate has thousands and opening each as an array takes
milliseconds; zarr itself is left to read pixels.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyama_core.io.checksums import Hasher, data_checksum, name_checksum, new_hasher
from pyama_core.io.readers.zarr.arrays import ArrayDocument, ZarrError, parse_array
from pyama_core.io.regular_files import open_regular, read_regular, require_regular
from pyama_core.io.urls import is_url, url_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ARRAY_DOCUMENTS = ("zarr.json", ".zarray", ".zattrs")
_NOTHING_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


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
        self._folder: str | None = str(root)
        self._hasher: Hasher = new_hasher()
        self.location = str(root)
        self.documents: list[str] = []
        self._read: dict[str, str] = {}
        if is_url(root):
            from fsspec.core import url_to_fs

            self.location = url_of(root)
            self._remote, self._remote_root = url_to_fs(self.location)
            names = self._remote.protocol
            is_disk = "file" in ((names,) if isinstance(names, str) else names)
            self._folder = self._remote_root if is_disk else None

    @property
    def is_remote(self) -> bool:
        """Whether it lies behind a URL."""
        return self._remote is not None

    def checksum(self) -> str:
        """Checksum of all documents read so far."""
        return name_checksum(self._hasher)

    @property
    def is_quick(self) -> bool:
        """Whether it costs next to nothing to ask for a single object."""
        return self._folder is not None

    def exists(self, name: str) -> bool:
        """Tell whether there is an object of this name; an empty one is none.

        Raises
        ------
        OSError
            If the drive or server fails, or there is something else than a regular file.
        """
        if self._folder is None:
            # Servers answer with errors of many kinds to the question alone.
            return bool(self.fetch(name))
        path = f"{self._folder}/{name}"
        try:
            status = os.stat(path)  # noqa: PTH116  a path object takes longer than the answer
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            require_regular(Path(path))
        return stat.S_ISREG(status.st_mode) and status.st_size > 0

    def read(self, name: str) -> bytes | None:
        """Return a document, or None if there is none of this name."""
        data = self.fetch(name)
        if data is None:
            return None
        self.documents.append(name)
        self._hasher.update(f"{name} {len(data)} ".encode())
        self._hasher.update(data)
        self._read[name] = data_checksum(data)
        return data

    def has_changed(self, name: str) -> bool:
        """Whether a document is not what it was when it was read."""
        data = self.fetch(name)
        return name in self._read and (data is None or data_checksum(data) != self._read[name])

    def fetch(self, name: str, last: int = 0) -> bytes | None:
        """Return the bytes of an object, or None if there is none of this name.

        Parameters
        ----------
        name : str
            Name of the object.
        last : int
            How many bytes from its end to return; all if 0.

        Raises
        ------
        OSError
            If the drive or server fails, or there is something else than a regular file.
        """
        try:
            if self._folder is None:
                return self._fetch_remote(name, last)
            path = Path(self._folder, name)
            if not last:
                return read_regular(path)
            with open_regular(path) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last))
                return file.read()
        except _NOTHING_THERE:
            return None

    def _fetch_remote(self, name: str, last: int) -> bytes:
        assert self._remote is not None
        try:
            where = {"start": -last} if last else {}
            return bytes(self._remote.cat_file(f"{self._remote_root}/{name}", **where))
        except OSError:
            raise
        except Exception as error:  # each protocol's package has errors of its own
            raise OSError(errno.EIO, f"the server failed: {error!r}") from error

    def files(self, path: str = "") -> Iterator[str]:
        """Name all regular files below a folder, relative to it; of a store on a disk.

        Links to folders are followed, each once.
        """
        assert self._folder is not None
        waiting, linked = [""], {os.path.realpath(self._folder)}
        while waiting:
            below = waiting.pop()
            with os.scandir(Path(self._folder, path, below)) as entries:
                for entry in entries:
                    if entry.is_dir():
                        target = os.path.realpath(entry.path) if entry.is_symlink() else ""
                        if target not in linked:
                            waiting.append(f"{below}{entry.name}/")
                        linked |= {target} - {""}
                    elif entry.is_file():
                        yield f"{below}{entry.name}"

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
        if modern is None and older is None:
            raise ZarrError(f"the array {path} is not there")
        return parse_array(path, modern, older)
