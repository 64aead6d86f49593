"""Whether files are mapped into memory or read: some file systems map badly, or not at all.

Over a network a page of a map that fails to come is no error that could be reported but the end
of the process; pages come one by one; and what another computer wrote may not be seen. So files of
such file systems are read instead: chosen by the kind of the file system, by trying, or by hand
(``PYAMA_MMAP=0`` or ``1``).
"""

from __future__ import annotations

import io
import logging
import mmap
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.io.regular_files import open_unbuffered

logger = logging.getLogger(__name__)

VARIABLE = "PYAMA_MMAP"
_REMOTE = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "afs", "ncpfs", "9p", "webdav", "afpfs"),
    *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "panfs", "orangefs", "pvfs2", "wekafs"),
)
"""Kinds as the systems call them; those of FUSE begin with its name."""

_told: set[str] = set()


def maps_well(path: Path) -> bool:
    """Whether a file can be mapped into memory to advantage; if not, that is logged once.

    Raises
    ------
    InputError
        ``PYAMA_MMAP`` is something else than 0 or 1.
    """
    word = os.environ.get(VARIABLE, "")
    if word not in ("", "0", "1"):
        raise InputError(f"{VARIABLE}: expected 0 (read files) or 1 (map them), found {word!r}")
    if word:
        if word == "0":
            _tell(VARIABLE, f"files are read and not mapped, as {VARIABLE}=0 says")
        return word == "1"
    kind, place = _file_system_of(path)
    if kind in _REMOTE or kind.startswith(("fuse", "macfuse", "osxfuse")):
        _tell(place, f"{place} is a file system ({kind}) that maps files badly: they are read")
        return False
    fault = _try_to_map(path)
    if fault is not None:
        _tell(place, f"{place} cannot map files ({fault.strerror}): they are read")
    return fault is None


def _tell(what: str, text: str) -> None:
    if what not in _told:
        _told.add(what)
        logger.info("%s", text)


def _file_system_of(path: Path) -> tuple[str, str]:
    """Return the kind of file system that a file is on, and where that is mounted."""
    import psutil

    real = os.path.realpath(path)
    if real.startswith("\\\\"):
        return "cifs", os.path.splitdrive(real)[0]
    found = ("", "")
    for mount in psutil.disk_partitions(all=True):
        point = os.path.normcase(mount.mountpoint)
        inside = os.path.normcase(real).startswith(point.rstrip(os.sep) + os.sep)
        if inside and len(point) >= len(found[1]):
            kind = "cifs" if "remote" in mount.opts.split(",") else mount.fstype.lower()
            found = (kind, mount.mountpoint)
    return found


def _try_to_map(path: Path) -> OSError | None:
    """Return why a file cannot be mapped; None if it can, or is not there at all."""
    try:
        file = open_unbuffered(path)
    except OSError:
        return None
    with file:
        try:
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ).close()
        except ValueError:  # it is empty
            return None
        except OSError as error:
            return error
    return None


def open_array(path: Path) -> NDArray[Any]:
    """Open a ``.npy`` file, read only: as a memory map, or as an array that reads when asked.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is no array, or holds objects.
    """
    if maps_well(path):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    return cast("NDArray[Any]", ArrayOnDisk(path))


class ArrayOnDisk(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a ``.npy`` file of which only what is asked for is read, along its first axis.

    It can stand where a memory map of the file can: numpy's functions take it, and what it does
    not know itself is asked of the whole array.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with open_unbuffered(path) as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                header = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                header = np.lib.format.read_array_header_2_0(file)
            else:
                raise ValueError(f"unknown version {version} of the format")
            self._offset = file.tell()
            self.size_on_disk = os.fstat(file.fileno()).st_size
        self.shape, self._fortran, self.dtype = header
        if self.dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.nbytes = self.size * self.dtype.itemsize
        if self.size_on_disk < self._offset + self.nbytes:
            raise ValueError("mmap length is greater than file size")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if self._fortran or self.ndim < 2:
            return self.__array__()[key]
        if isinstance(first, int | np.integer):
            index = int(first) + (len(self) if first < 0 else 0)
            if not 0 <= index < len(self):
                raise IndexError(f"index {first} is out of bounds for {len(self)} frames")
            return self._read(index, 1)[0][rest]
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step == 1:
                return self._read(start, max(0, stop - start))[(slice(None), *rest)]
        return self.__array__()[key]

    def _read(self, start: int, count: int) -> NDArray[Any]:
        """Read some entries of the first axis, which lie one after the other."""
        array = np.empty((count, *self.shape[1:]), self.dtype)
        rest = array.reshape(-1).view(np.uint8).data
        n_bytes = self.nbytes // max(1, len(self))
        with open_unbuffered(self._path) as file:
            file.seek(self._offset + start * n_bytes)
            while rest:
                n_read = file.readinto(rest)
                if not n_read:
                    raise OSError(None, "the file ends within the array", str(self._path))
                rest = rest[n_read:]
        array.flags.writeable = False
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        array: NDArray[Any] = np.load(self._path, allow_pickle=False)
        return array if dtype is None else array.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        read = [np.asarray(each) if isinstance(each, ArrayOnDisk) else each for each in inputs]
        return getattr(ufunc, method)(*read, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.__array__(), name)


class UnmappedFile(io.RawIOBase):
    """A file that no library maps into memory, for it does not know it as one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = open_unbuffered(path)
        self.name = str(path)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that one can go anywhere in it."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read on."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go somewhere."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say where it is."""
        return self._file.tell()

    def close(self) -> None:
        """Close it."""
        self._file.close()
        super().close()
