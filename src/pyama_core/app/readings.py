"""Pictures that were computed for the page, until newer ones take their room."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from pyama_core.app.kept import Kept
from pyama_core.errors import InputError

_MOST_BYTES = 384 << 20


class Readings:
    """Arrays by number and name, up to some megabytes; safe to use from several threads."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._numbers = itertools.count(1)
        self._kept: Kept[Mapping[str, NDArray[Any]]] = Kept(most, _bytes_of)

    def keep(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Keep arrays; return the number by which they are found."""
        number = next(self._numbers)
        self._kept.get(number, lambda: arrays)
        return number

    def get(self, number: int) -> Mapping[str, NDArray[Any]]:
        """Return arrays that are kept.

        Raises
        ------
        InputError
            They are not, or not any more.
        """

        def refuse() -> Mapping[str, NDArray[Any]]:
            raise InputError(f"reading {number} is not kept any more; change something")

        return self._kept.get(number, refuse)


def _bytes_of(arrays: Mapping[str, NDArray[Any]]) -> int:
    return sum(each.nbytes for each in arrays.values())
