"""Label images of a movie under corrections, or made anew, read frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.results.relabelled import relabelled

_PLAIN = (int, np.integer, slice)
"""Keys that mean the same whatever the others are."""


class LabelStack:
    """What looks like a (T, Y, X) array of labels, and numbers cells anew when a frame is read.

    It has what viewers ask of an array: shape, type, and parts of it.

    Parameters
    ----------
    labels : (T, Y, X) integer array
        As the run wrote them.
    numbers : mapping of int to mapping
        By frame: cells by label, as `relabelled` takes them; other frames stay as they are.
    """

    ndim = 3

    def __init__(self, labels: NDArray[Any], numbers: Mapping[int, Mapping[int, int]]) -> None:
        largest = max((max(each.values()) for each in numbers.values() if each), default=0)
        self.dtype = np.result_type(labels.dtype, np.min_scalar_type(largest))
        self.shape = labels.shape
        self.size = labels.size
        self._labels = labels
        self._numbers = numbers

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        """Return a part, as an array would."""
        frames, *place = key if isinstance(key, tuple) and key else (key,)
        if any(not isinstance(each, _PLAIN) for each in place) or _is_wide(frames):
            return self.__array__()[key]
        if isinstance(frames, (int, np.integer)):
            return self._frame(range(len(self))[frames])[tuple(place)]
        chosen = np.arange(len(self))[frames]
        if chosen.ndim != 1:
            return self.__array__()[key]
        stack = np.empty((chosen.size, *self.shape[1:]), self.dtype)
        for i, t in enumerate(chosen.tolist()):
            stack[i] = self._frame(t)
        return stack[(slice(None), *place)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("label images under corrections are made when they are read")
        whole: NDArray[Any] = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def _frame(self, t: int) -> NDArray[Any]:
        frame = np.asarray(self._labels[t])
        return relabelled(frame, self._numbers.get(t, {})).astype(self.dtype, copy=False)


class MadeLabels(LabelStack):
    """A stack of labels that lies in no file, but is made frame by frame as it is read.

    Parameters
    ----------
    like : LabelStack or (T, Y, X) integer array
        What has its shape and type.
    make : callable
        Makes the (Y, X) label image of a frame.
    """

    def __init__(self, like: Any, make: Callable[[int], NDArray[Any]]) -> None:
        super().__init__(like, {})
        self._make = make

    def _frame(self, t: int) -> NDArray[Any]:
        return self._make(t).astype(self.dtype, copy=False)


def _is_wide(key: Any) -> bool:
    """Whether a first key speaks of more than frames."""
    return key is Ellipsis or key is None or (isinstance(key, tuple) and not key)
