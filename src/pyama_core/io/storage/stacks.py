"""Stacks of frames as `.npy` files: written front to back, read a frame at a time.

Never through a writable memory map: there, memory grows with the file, a full disk is a crash
instead of an error, and a half-written file has its full size. For the same reason frames are
read with ordinary reads, so that a file that shrinks under the reader (a file server that goes
away) is an error that can be reported.
"""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyama_core.errors import DamagedFileError, InputError, StorageError, reason_of
from pyama_core.io.checksums import name_checksum, new_hasher
from pyama_core.io.closing import Closes
from pyama_core.io.regular_files import open_unbuffered
from pyama_core.io.storage.artifacts import WrittenArtifact
from pyama_core.io.storage.atomic import temporary_path
from pyama_core.outputs import Missing


def stack_size(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """Size in bytes of a `.npy` file, its header of 128 bytes included."""
    return 128 + math.prod(shape) * np.dtype(dtype).itemsize


class FileWriter:
    """A new file that is hashed on the way and has no final name yet.

    Parameters
    ----------
    final : Path
        The name it is to have; the temporary name lies beside it.

    Raises
    ------
    StorageError
        From every method, if the file system refuses; the message names `final`.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.temporary = temporary_path(final)
        self._hasher = new_hasher()
        self._size = 0
        try:
            self._file = self.temporary.open("xb", buffering=0)
        except OSError as error:
            raise StorageError.about("write", final, error) from error

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes."""
        rest = memoryview(data).cast("B")
        self._hasher.update(rest)
        self._size += len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise StorageError.about("write", self.final, error) from error

    def finish(self) -> WrittenArtifact:
        """Close the file and tell what was written."""
        try:
            self._file.close()
            mtime_ns = self.temporary.stat().st_mtime_ns
        except OSError as error:
            raise StorageError.about("write", self.final, error) from error
        return WrittenArtifact(self.temporary, self._size, mtime_ns, name_checksum(self._hasher))

    def discard(self) -> None:
        """Close and delete the temporary file, if it is still there."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


class StackWriter:
    """Writes a stack of frames in order, each once.

    Parameters
    ----------
    final : Path
        The name the stack is to have.
    shape : tuple of int
        (T, Y, X), known before the first frame.
    dtype : dtype-like
        Type of the pixels.
    missing_value : number
        What all pixels of a frame are that does not exist.

    Attributes
    ----------
    missing : list of int
        Numbers of the frames that do not exist.
    """

    def __init__(
        self,
        final: Path,
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        missing_value: float = 0,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.missing: list[int] = []
        self._missing_value = missing_value
        self._n_written = 0
        self._file = FileWriter(final)
        try:
            self._file.write(_npy_header(shape, self.dtype))
        except BaseException:
            self._file.discard()
            raise

    def append(self, frame: NDArray[Any]) -> None:
        """Write the next frame.

        Raises
        ------
        ValueError
            The frame has another shape or type than announced, or is one too many.
        StorageError
            The file system refuses.
        """
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise ValueError(
                f"expected a frame of shape {self.shape[1:]} and type {self.dtype}, "
                f"found {frame.shape} and {frame.dtype}"
            )
        if self._n_written == self.shape[0]:
            raise ValueError(f"the stack has {self.shape[0]} frames, one more was given")
        self._file.write(np.ascontiguousarray(frame).data.cast("B"))
        self._n_written += 1

    def append_missing(self) -> None:
        """Write a frame that does not exist, so that later frames keep their numbers."""
        self.missing.append(self._n_written)
        self.append(np.full(self.shape[1:], self._missing_value, self.dtype))

    def finish(self) -> WrittenArtifact:
        """Close the file once all frames are written."""
        if self._n_written != self.shape[0]:
            raise ValueError(
                f"expected {self.shape[0]} frames, only {self._n_written} were written"
            )
        return self._file.finish()

    def discard(self) -> None:
        """Close and delete what was written."""
        self._file.discard()


class StackHasher:
    """The checksum that a stack would have, frame by frame, without writing it.

    Parameters
    ----------
    shape, dtype, missing_value
        As of `StackWriter`.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: DTypeLike, missing_value: float = 0
    ) -> None:
        self._missing_value = missing_value
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._hasher = new_hasher()
        self._hasher.update(_npy_header(shape, self._dtype))

    def append(self, frame: NDArray[Any]) -> None:
        """Take in the next frame."""
        self._hasher.update(np.ascontiguousarray(frame).data.cast("B"))

    def append_missing(self) -> None:
        """Take in a frame that does not exist."""
        self.append(np.full(self._shape[1:], self._missing_value, self._dtype))

    def checksum(self) -> str:
        """Return the checksum of all so far."""
        return name_checksum(self._hasher)


class StackReader(Closes):
    """Reads a stack of frames, one at a time, into memory of its own.

    Parameters
    ----------
    path : Path
        A `.npy` file with a (T, Y, X) array in C order.

    Raises
    ------
    InputError
        The file does not exist or cannot be opened.
    DamagedFileError
        It is not a stack, or is shorter than its header says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open_unbuffered(path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {reason_of(error)}") from error
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise

    def _read_header(self) -> None:
        try:
            version = np.lib.format.read_magic(self._file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(self._file)
        except (ValueError, KeyError, OSError) as error:
            raise DamagedFileError(f"{self.path} is not a .npy stack: {error}") from error
        if len(shape) != 3 or fortran or dtype.hasobject:
            raise DamagedFileError(
                f"{self.path}: expected a (T, Y, X) stack in C order, "
                f"found shape {shape} of {dtype}{' in Fortran order' if fortran else ''}"
            )
        self.shape: tuple[int, int, int] = (shape[0], shape[1], shape[2])
        self.dtype: np.dtype[Any] = dtype
        self._offset = self._file.tell()
        expected = self._offset + math.prod(shape) * dtype.itemsize
        found = self.path.stat().st_size
        if found < expected:
            raise DamagedFileError(
                f"{self.path} is cut off: its header announces {expected} bytes, it has {found}"
            )

    def read(self, index: int) -> NDArray[Any]:
        """Read one frame.

        Parameters
        ----------
        index : int
            Number of the frame, from 0.

        Returns
        -------
        (Y, X) array of the stack's type, owned by the caller.
        """
        if not 0 <= index < self.shape[0]:
            raise InputError(f"{self.path} has frames 0 to {self.shape[0] - 1}, not {index}")
        frame = np.empty(self.shape[1:], self.dtype)
        rest = frame.data.cast("B")
        self._file.seek(self._offset + index * frame.nbytes)
        while rest:
            n_read = self._file.readinto(rest)
            if not n_read:
                raise DamagedFileError(f"{self.path} ends within frame {index}")
            rest = rest[n_read:]
        return frame

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer,
        {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        },
    )
    return buffer.getvalue()


def value_of_missing(missing: Missing, dtype: np.dtype[Any]) -> float:
    """Return what the pixels of a frame that does not exist are."""
    if missing is Missing.NO_OBJECT:
        return 0
    if dtype.kind == "f":
        return float("nan")
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
