"""Pictures that were computed for the page, until newer ones take their room."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from pyama_core.errors import InputError

_MOST_BYTES = 384 << 20


class Readings:
    """Arrays by number and name, up to some megabytes; safe to use from several threads."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._kept: OrderedDict[int, Mapping[str, NDArray[Any]]] = OrderedDict()

    def keep(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Keep arrays; return the number by which they are found."""
        with self._lock:
            number = next(self._numbers)
            self._kept[number] = arrays
            self._bytes += _bytes_of(arrays)
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= _bytes_of(self._kept.popitem(last=False)[1])
            return number

    def get(self, number: int) -> Mapping[str, NDArray[Any]]:
        """Return arrays that are kept.

        Raises
        ------
        InputError
            They are not, or not any more.
        """
        with self._lock:
            if number not in self._kept:
                raise InputError(f"reading {number} is not kept any more; change something")
            self._kept.move_to_end(number)
            return self._kept[number]


def _bytes_of(arrays: Mapping[str, NDArray[Any]]) -> int:
    return sum(each.nbytes for each in arrays.values())
