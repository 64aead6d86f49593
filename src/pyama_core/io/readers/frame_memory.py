"""Memory for large frames, used again once nobody holds on to them.

A system gives large pieces of memory page by page, filled with zeros, and takes them back when
they are freed. For a frame that takes about as long as reading it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyama_core.io.readers.frame_source import Frame

_LARGE = 1 << 20


class FrameMemory:
    """Makes frames of one shape and type, without contents.

    Parameters
    ----------
    shape : (int, int)
        (Y, X) of the frames.
    dtype : dtype
        Pixel type.
    keep : int
        For how many frames to keep memory that nobody uses.

    Examples
    --------
    >>> memory = FrameMemory((1024, 1024), np.dtype(np.uint16), keep=1)
    >>> first = memory.new_frame()
    >>> address = first.ctypes.data
    >>> del first
    >>> memory.new_frame().ctypes.data == address
    True
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any], keep: int) -> None:
        self._shape = shape
        self._dtype = dtype
        self._keep = keep
        self._unused: list[Frame] = []
        self._is_large = math.prod(shape) * dtype.itemsize >= _LARGE

    def new_frame(self) -> Frame:
        """Return a frame that nobody else holds, with any contents."""
        if not self._is_large:
            return np.empty(self._shape, self._dtype)
        try:
            memory = self._unused.pop()
        except IndexError:
            memory = np.empty(self._shape, self._dtype)
        return np.asarray(_Loan(memory, self))

    def take_back(self, memory: Frame) -> None:
        """Keep the memory of a frame that is gone."""
        if len(self._unused) < self._keep:
            self._unused.append(memory)


class _Loan:
    """What a frame and all views of it refer to, and which gives the memory back after the last."""

    def __init__(self, memory: Frame, owner: FrameMemory) -> None:
        self.__array_interface__ = memory.__array_interface__
        self._memory = memory
        self._owner = owner

    def __del__(self) -> None:
        self._owner.take_back(self._memory)
